/* SPDX-License-Identifier: BSD-2-Clause */
/* What stands between msg/ and the region in the simulator (MSG_INTERPOSE): each access is a step
 * at which another peer may run, and each store goes through the peer's store buffer. */
uint64_t sim_load(const void *p, unsigned size);
void sim_store(void *p, uint64_t value, unsigned size);
void sim_fence(void);
bool sim_cas(uint64_t *p, uint64_t expected, uint64_t desired);
void sim_copy_in(void *region, const void *data, size_t len);
void sim_copy_out(void *data, const void *region, size_t len);

REGION_INLINE uint32_t region_load32(const uint32_t *p)
{
	return (uint32_t)sim_load(p, 4);
}

REGION_INLINE uint64_t region_load64(const uint64_t *p)
{
	return sim_load(p, 8);
}

/* TSO: a load is an acquire, a store a release. */
#define region_load_acquire32  region_load32
#define region_load_acquire64  region_load64
#define region_store_release32 region_store32
#define region_store_release64 region_store64

REGION_INLINE void region_store32(uint32_t *p, uint32_t value)
{
	sim_store(p, value, 4);
}

REGION_INLINE void region_store64(uint64_t *p, uint64_t value)
{
	sim_store(p, value, 8);
}

REGION_INLINE void region_fence(void)
{
	sim_fence();
}

REGION_INLINE bool region_cas64(uint64_t *p, uint64_t expected, uint64_t desired)
{
	return sim_cas(p, expected, desired);
}

REGION_INLINE void region_copy_in(void (*copy)(void *, const void *, size_t), void *region,
	const void *data, size_t len)
{
	(void)copy;
	sim_copy_in(region, data, len);
}

REGION_INLINE void region_copy_out(void (*copy)(void *, const void *, size_t), void *data,
	const void *region, size_t len)
{
	(void)copy;
	sim_copy_out(data, region, len);
}

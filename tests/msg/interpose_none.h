/* SPDX-License-Identifier: BSD-2-Clause */
/* An interposition that does nothing: must cost nothing. Also the shortest example of one. */
REGION_INLINE uint32_t region_load32(const uint32_t *p)
{
	return region_raw_load32(p);
}

REGION_INLINE uint64_t region_load64(const uint64_t *p)
{
	return region_raw_load64(p);
}

REGION_INLINE uint32_t region_load_acquire32(const uint32_t *p)
{
	return region_raw_load_acquire32(p);
}

REGION_INLINE uint64_t region_load_acquire64(const uint64_t *p)
{
	return region_raw_load_acquire64(p);
}

REGION_INLINE void region_store32(uint32_t *p, uint32_t value)
{
	region_raw_store32(p, value);
}

REGION_INLINE void region_store64(uint64_t *p, uint64_t value)
{
	region_raw_store64(p, value);
}

REGION_INLINE void region_store_release32(uint32_t *p, uint32_t value)
{
	region_raw_store_release32(p, value);
}

REGION_INLINE void region_store_release64(uint64_t *p, uint64_t value)
{
	region_raw_store_release64(p, value);
}

REGION_INLINE void region_fence(void)
{
	region_raw_fence();
}

REGION_INLINE bool region_cas64(uint64_t *p, uint64_t expected, uint64_t desired)
{
	return region_raw_cas64(p, expected, desired);
}

REGION_INLINE void region_copy_in(void (*copy)(void *, const void *, size_t), void *region,
	const void *data, size_t len)
{
	if (len < REGION_COPY_SMALL)
		region_raw_copy_small(region, data, len);
	else
		copy(region, data, len);
}

REGION_INLINE void region_copy_out(void (*copy)(void *, const void *, size_t), void *data,
	const void *region, size_t len)
{
	if (len < REGION_COPY_SMALL)
		region_raw_copy_small(data, region, len);
	else
		copy(data, region, len);
}

// SPDX-License-Identifier: BSD-2-Clause
// DPDK's rte_ring with one producer and one consumer, without its EAL: elements, elements written
// in place (zero copy), and bursts of pointers into a pool.

#include "bench/native/loops.h"

#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <rte_ring_peek_zc.h>

#define DPDK_FLAGS (RING_F_SP_ENQ | RING_F_SC_DEQ)

static unsigned int dpdk_slots(const struct bench_load *load, unsigned int least)
{
	unsigned int slots = least;

	while ((size_t)slots * 2 * load->size <= load->ring)
		slots *= 2;
	return slots;
}

static int dpdk_create(void *const ring[2], const struct bench_load *load)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (rte_ring_init(ring[i], "bench", dpdk_slots(load, 2), DPDK_FLAGS))
			return -1;
	}
	return 0;
}

BENCH_INLINE unsigned int dpdk_elem_send(struct bench_end *end, const void *from, unsigned int n,
					 size_t size)
{
	return rte_ring_sp_enqueue_burst_elem(bench_out(end), from, (unsigned int)size, n, NULL);
}

BENCH_INLINE unsigned int dpdk_elem_recv(struct bench_end *end, void *to, unsigned int n,
					 size_t size)
{
	return rte_ring_sc_dequeue_burst_elem(bench_in(end), to, (unsigned int)size, n, NULL);
}

#define SEND_ dpdk_elem_send
#define RECV_ dpdk_elem_recv
BENCH_DEFINE_LOOPS(dpdk_elem)
#undef SEND_
#undef RECV_

const struct bench_ring_ops bench_dpdk_elem = {
	.name = "dpdk-elem",
	.batches = true,
	.create = dpdk_create,
	.produce = dpdk_elem_produce,
	.consume = dpdk_elem_consume,
	.ping = dpdk_elem_ping,
	.pong = dpdk_elem_pong,
};

BENCH_INLINE unsigned int dpdk_zc_send(struct bench_end *end, const void *from, unsigned int n,
				       size_t size)
{
	struct rte_ring *ring = bench_out(end);
	struct rte_ring_zc_data at;

	n = rte_ring_enqueue_zc_burst_elem_start(ring, (unsigned int)size, n, &at, NULL);
	if (!n)
		return 0;
	memcpy(at.ptr1, from, at.n1 * size);
	if (n > at.n1)
		memcpy(at.ptr2, (const uint8_t *)from + at.n1 * size, (n - at.n1) * size);
	rte_ring_enqueue_zc_elem_finish(ring, n);
	return n;
}

BENCH_INLINE unsigned int dpdk_zc_recv(struct bench_end *end, void *to, unsigned int n, size_t size)
{
	struct rte_ring *ring = bench_in(end);
	struct rte_ring_zc_data at;

	n = rte_ring_dequeue_zc_burst_elem_start(ring, (unsigned int)size, n, &at, NULL);
	if (!n)
		return 0;
	memcpy(to, at.ptr1, at.n1 * size);
	if (n > at.n1)
		memcpy((uint8_t *)to + at.n1 * size, at.ptr2, (n - at.n1) * size);
	rte_ring_dequeue_zc_elem_finish(ring, n);
	return n;
}

#define SEND_ dpdk_zc_send
#define RECV_ dpdk_zc_recv
BENCH_DEFINE_LOOPS(dpdk_zc)
#undef SEND_
#undef RECV_

const struct bench_ring_ops bench_dpdk_zc = {
	.name = "dpdk-zerocopy",
	.batches = true,
	.create = dpdk_create,
	.produce = dpdk_zc_produce,
	.consume = dpdk_zc_consume,
	.ping = dpdk_zc_ping,
	.pong = dpdk_zc_pong,
};

/*
 * Pointers, in bursts. The pool outlasts the ring by two bursts each way, so that a buffer comes
 * round only after the burst that took it has been copied out.
 */
struct dpdk_pool {
	uint64_t next; /* the sender's alone */
	uint64_t count;
	uint8_t *buffers;
};

#define DPDK_BURST_MAX 64

static struct dpdk_pool *dpdk_pool(void *ring)
{
	return (struct dpdk_pool *)((uint8_t *)ring + BENCH_ARENA_RING - BENCH_LINE);
}

static int dpdk_pointer_create(void *const ring[2], const struct bench_load *load)
{
	int i;

	for (i = 0; i < 2; i++) {
		struct dpdk_pool *pool = dpdk_pool(ring[i]);
		unsigned int slots = dpdk_slots(load, 2);
		size_t head = (rte_ring_get_memsize_elem(8, slots) + 4095UL) & ~4095UL;

		if (rte_ring_init(ring[i], "bench", slots, DPDK_FLAGS))
			return -1;
		pool->next = 0;
		pool->count = slots + 2UL * load->batch + 2;
		pool->buffers = (uint8_t *)ring[i] + head;
		if (pool->buffers + pool->count * load->size > (uint8_t *)pool)
			return -1;
	}
	return 0;
}

BENCH_INLINE unsigned int dpdk_pointer_send(struct bench_end *end, const void *from,
					    unsigned int n, size_t size)
{
	struct rte_ring *ring = bench_out(end);
	struct dpdk_pool *pool = dpdk_pool(ring);
	uint64_t next = pool->next;
	void *pointers[DPDK_BURST_MAX];
	unsigned int i, room = rte_ring_free_count(ring);

	if (n > room)
		n = room;
	if (n > DPDK_BURST_MAX)
		n = DPDK_BURST_MAX;
	for (i = 0; i < n; i++) {
		pointers[i] = pool->buffers + next * size;
		memcpy(pointers[i], (const uint8_t *)from + i * size, size);
		if (++next == pool->count)
			next = 0;
	}
	pool->next = next;
	return rte_ring_sp_enqueue_burst(ring, pointers, n, NULL);
}

BENCH_INLINE unsigned int dpdk_pointer_recv(struct bench_end *end, void *to, unsigned int n,
					    size_t size)
{
	void *pointers[DPDK_BURST_MAX];
	unsigned int i;

	if (n > DPDK_BURST_MAX)
		n = DPDK_BURST_MAX;
	n = rte_ring_sc_dequeue_burst(bench_in(end), pointers, n, NULL);
	for (i = 0; i < n; i++)
		memcpy((uint8_t *)to + i * size, pointers[i], size);
	return n;
}

#define SEND_ dpdk_pointer_send
#define RECV_ dpdk_pointer_recv
BENCH_DEFINE_LOOPS(dpdk_pointer)

const struct bench_ring_ops bench_dpdk_pointer = {
	.name = "dpdk-pointer",
	.batches = true,
	.create = dpdk_pointer_create,
	.produce = dpdk_pointer_produce,
	.consume = dpdk_pointer_consume,
	.ping = dpdk_pointer_ping,
	.pong = dpdk_pointer_pong,
};

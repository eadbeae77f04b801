// SPDX-License-Identifier: BSD-2-Clause
// Concurrency Kit's ck_ring, single producer and single consumer: payload inline in the ring's
// slots, and pointers to buffers from a pool.

#include "bench/native/loops.h"

#include <ck_ring.h>

struct ck_room {
	struct ck_ring ring __attribute__((aligned(BENCH_LINE)));
	uint8_t slots[] __attribute__((aligned(BENCH_LINE)));
};

#define CK_TYPE(SIZE)                      \
	struct ck_message_##SIZE {         \
		uint8_t payload[SIZE];     \
	};                                 \
	CK_RING_PROTOTYPE(m##SIZE, ck_message_##SIZE)
BENCH_SIZES(CK_TYPE)

static int ck_inline_create(void *const ring[2], const struct bench_load *load)
{
	int i;

	for (i = 0; i < 2; i++) {
		struct ck_room *room = ring[i];
		size_t slots = 1;

		while (slots * 2 * load->size <= load->ring)
			slots *= 2;
		ck_ring_init(&room->ring, (unsigned int)slots);
	}
	return 0;
}

#define CK_SEND(SIZE)                                                                            \
	case SIZE:                                                                               \
		return ck_ring_enqueue_spsc_m##SIZE(&room->ring,                                 \
						    (struct ck_message_##SIZE *)room->slots,     \
						    (struct ck_message_##SIZE *)(uintptr_t)from);
#define CK_RECV(SIZE)                                                                            \
	case SIZE:                                                                               \
		return ck_ring_dequeue_spsc_m##SIZE(                                             \
			&room->ring, (struct ck_message_##SIZE *)room->slots, to);

BENCH_INLINE unsigned int ck_inline_one(struct ck_room *room, const void *from, size_t size)
{
	switch (size) {
		BENCH_SIZES(CK_SEND)
	}
	return 0;
}

BENCH_INLINE unsigned int ck_inline_take(struct ck_room *room, void *to, size_t size)
{
	switch (size) {
		BENCH_SIZES(CK_RECV)
	}
	return 0;
}

BENCH_INLINE unsigned int ck_inline_send(struct bench_end *end, const void *from, unsigned int n,
					 size_t size)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (!ck_inline_one(bench_out(end), (const uint8_t *)from + i * size, size))
			break;
	}
	return i;
}

BENCH_INLINE unsigned int ck_inline_recv(struct bench_end *end, void *to, unsigned int n,
					 size_t size)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (!ck_inline_take(bench_in(end), (uint8_t *)to + i * size, size))
			break;
	}
	return i;
}

#define SEND_ ck_inline_send
#define RECV_ ck_inline_recv
BENCH_DEFINE_LOOPS(ck_inline)
#undef SEND_
#undef RECV_

const struct bench_ring_ops bench_ck_inline = {
	.name = "ck-inline",
	.create = ck_inline_create,
	.produce = ck_inline_produce,
	.consume = ck_inline_consume,
	.ping = ck_inline_ping,
	.pong = ck_inline_pong,
};

/*
 * Pointers: the ring holds them, the payload lies in a pool used in turn. The pool has two more
 * buffers than the ring can hold, so a buffer comes round again only after its reader is done: the
 * sender writes number n, for which n-1 was accepted, so all up to n-2-slots have been taken, and
 * all but the last of those copied out.
 */
struct ck_pointer_room {
	struct ck_ring ring __attribute__((aligned(BENCH_LINE)));
	uint64_t next __attribute__((aligned(BENCH_LINE))); /* the sender's alone */
	uint64_t pool;
	uint8_t *buffers;
	struct ck_ring_buffer slots[] __attribute__((aligned(BENCH_LINE)));
};

static int ck_pointer_create(void *const ring[2], const struct bench_load *load)
{
	int i;

	for (i = 0; i < 2; i++) {
		struct ck_pointer_room *room = ring[i];
		size_t slots = 4;

		while (slots * 2 * load->size <= load->ring)
			slots *= 2;
		ck_ring_init(&room->ring, (unsigned int)slots);
		room->next = 0;
		room->pool = slots + 2;
		room->buffers = (uint8_t *)(((uintptr_t)(room->slots + slots) + 4095) & ~4095UL);
		if (room->buffers + room->pool * load->size > (uint8_t *)ring[i] + BENCH_ARENA_RING)
			return -1;
	}
	return 0;
}

BENCH_INLINE unsigned int ck_pointer_send(struct bench_end *end, const void *from, unsigned int n,
					  size_t size)
{
	struct ck_pointer_room *room = bench_out(end);
	unsigned int i;

	for (i = 0; i < n; i++) {
		uint8_t *buffer = room->buffers + room->next * size;

		if (ck_ring_size(&room->ring) == ck_ring_capacity(&room->ring) - 1)
			break;
		memcpy(buffer, (const uint8_t *)from + i * size, size);
		if (!ck_ring_enqueue_spsc(&room->ring, room->slots, buffer))
			break;
		if (++room->next == room->pool)
			room->next = 0;
	}
	return i;
}

BENCH_INLINE unsigned int ck_pointer_recv(struct bench_end *end, void *to, unsigned int n,
					  size_t size)
{
	struct ck_pointer_room *room = bench_in(end);
	unsigned int i;

	for (i = 0; i < n; i++) {
		void *buffer;

		if (!ck_ring_dequeue_spsc(&room->ring, room->slots, &buffer))
			break;
		memcpy((uint8_t *)to + i * size, buffer, size);
	}
	return i;
}

#define SEND_ ck_pointer_send
#define RECV_ ck_pointer_recv
BENCH_DEFINE_LOOPS(ck_pointer)

const struct bench_ring_ops bench_ck_pointer = {
	.name = "ck-pointer",
	.create = ck_pointer_create,
	.produce = ck_pointer_produce,
	.consume = ck_pointer_consume,
	.ping = ck_pointer_ping,
	.pong = ck_pointer_pong,
};

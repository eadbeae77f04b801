// SPDX-License-Identifier: BSD-2-Clause
// The ring alone that lies under Isthmus' channels, without presence, statistics or waiting: shows
// what the channel around it costs. The fence and the look at the receiver's sleeping mark, which
// every publication of a channel pays, are here too.

#include "bench/native/loops.h"
#include "msg/ring.h"

/* In front of each ring's data; one writer for each line. */
struct ring_room {
	struct ring_tx tx __attribute__((aligned(BENCH_LINE))); /* the sender's, private in a channel */
	struct ring_rx rx __attribute__((aligned(BENCH_LINE))); /* the receiver's, likewise */
	uint32_t released __attribute__((aligned(BENCH_LINE))); /* the receiver writes */
	uint32_t asleep __attribute__((aligned(BENCH_LINE)));	/* the receiver writes */
	uint8_t data[] __attribute__((aligned(4096)));
};

static int create(void *const ring[2], const struct bench_load *load)
{
	int i;

	for (i = 0; i < 2; i++) {
		struct ring_room *room = ring[i];

		if (sizeof(*room) + ring_footprint((uint32_t)load->ring) > BENCH_ARENA_RING)
			return -1;
		room->released = 0;
		room->asleep = 0;
		memset(room->data, 0, ring_footprint((uint32_t)load->ring));
		ring_tx_init(&room->tx, room->data, (uint32_t)load->ring, 0);
		ring_rx_init(&room->rx, room->data, (uint32_t)load->ring, 0);
	}
	return 0;
}

static void copy(void *to, const void *from, size_t size)
{
	memcpy(to, from, size);
}

BENCH_INLINE bool room_for(struct ring_room *room, size_t size)
{
	if (ring_fits(&room->tx, (uint32_t)size))
		return true;
	if (!ring_update_released(&room->tx, region_load_acquire32(&room->released)))
		bench_fail("isthmus-ring: impossible position");
	return ring_fits(&room->tx, (uint32_t)size);
}

BENCH_INLINE unsigned int plain_send(struct bench_end *end, const void *from, unsigned int n,
				     size_t size)
{
	struct ring_room *room = bench_out(end);
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (!room_for(room, size))
			break;
		region_copy_in(copy, ring_reserve(&room->tx, (uint32_t)size, RING_MESSAGE),
			       (const uint8_t *)from + i * size, size);
	}
	if (i) {
		ring_publish(&room->tx);
		region_fence();
		if (region_load32(&room->asleep))
			bench_fail("isthmus-ring: nobody sleeps here");
	}
	return i;
}

BENCH_INLINE unsigned int plain_recv(struct bench_end *end, void *to, unsigned int n, size_t size)
{
	struct ring_room *room = bench_in(end);
	unsigned int i;

	for (i = 0; i < n; i++) {
		uint64_t header = ring_poll(&room->rx);

		if (!header)
			break;
		if (!ring_header_possible(&room->rx, header) ||
		    ring_header_length(header) != size)
			bench_fail("isthmus-ring: impossible header");
		region_copy_out(copy, (uint8_t *)to + i * size, ring_payload(&room->rx), size);
		ring_advance(&room->rx, header);
	}
	if (i && room->rx.head - room->rx.released > room->rx.mask / 8)
		ring_give_back(&room->rx, &room->released, room->rx.head);
	return i;
}

#define SEND_ plain_send
#define RECV_ plain_recv
BENCH_DEFINE_LOOPS(plain)

const struct bench_ring_ops bench_isthmus_ring = {
	.name = "isthmus-ring",
	.batches = true,
	.create = create,
	.produce = plain_produce,
	.consume = plain_consume,
	.ping = plain_ping,
	.pong = plain_pong,
};

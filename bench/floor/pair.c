// SPDX-License-Identifier: BSD-2-Clause
// Two guests find each other through the region: each leaves a word in the line of its id.

#include "bench/floor/floor.h"

#define HELLO 0x466c6f6f72ULL
#define MEET_TICK_US 1000
#define MEET_TICKS 30000
#define IVSHMEM_REG_DOORBELL 3 /* in 32-bit words; write: peer << 16 | vector */

static volatile uint64_t *line(struct floor_pair *pair, uint32_t offset, uint32_t n)
{
	return (volatile uint64_t *)(pair->device.region + offset + n * FLOOR_CACHE_LINE);
}

static bool peer_look(struct floor_pair *pair)
{
	uint32_t id;

	for (id = 0; id < FLOOR_MAX_PEERS; id++) {
		if (id != pair->device.id && *line(pair, FLOOR_OFFSET_PEERS, id) == HELLO) {
			pair->peer = id;
			return true;
		}
	}
	return false;
}

void floor_pair_ring(struct floor_pair *pair)
{
	pair->device.registers[IVSHMEM_REG_DOORBELL] = pair->peer << 16;
}

/*
 * Waits in hlt for the other guest, at most 30 s. The id is the device's; a plain device has
 * none, so it comes as id=0 or id=1 on the command line. The lower id leads. With a doorbell,
 * it is rung until both have been heard: a ring sent before the sender's QEMU has heard of its
 * peer is lost.
 */
void floor_pair_meet(struct floor_pair *pair, bool doorbell)
{
	uint32_t heard = floor_doorbells;
	uint32_t limit;

	if (!pair->device.has_doorbell)
		pair->device.id = (uint32_t)floor_arg_number("id", FLOOR_MAX_PEERS);
	if (pair->device.id >= FLOOR_MAX_PEERS)
		floor_die("id %u is not below %u; a plain device needs id=0 or id=1",
			  pair->device.id, FLOOR_MAX_PEERS);

	if (*line(pair, FLOOR_OFFSET_PEERS, pair->device.id))
		floor_die("this region was used before; the floor wants a fresh one for each run");

	*line(pair, FLOOR_OFFSET_PEERS, pair->device.id) = HELLO;
	floor_timer_every_us(MEET_TICK_US);
	limit = floor_ticks + MEET_TICKS;
	while (!peer_look(pair)) {
		if (floor_ticks - limit < UINT32_MAX / 2)
			floor_die("no peer came within 30 s");
		floor_sleep();
	}
	pair->rank = pair->device.id > pair->peer;
	while (doorbell && floor_doorbells == heard) {
		if (floor_ticks - limit < UINT32_MAX / 2)
			floor_die("peer %u never rang within 30 s", pair->peer);
		floor_pair_ring(pair);
		floor_sleep();
	}
	/* The other may still be deaf to our rings: go on until it says it was reached. */
	*line(pair, FLOOR_OFFSET_BARRIER, 2 + (uint32_t)pair->rank) = HELLO;
	while (*line(pair, FLOOR_OFFSET_BARRIER, 3 - (uint32_t)pair->rank) != HELLO) {
		if (floor_ticks - limit < UINT32_MAX / 2)
			floor_die("peer %u never answered within 30 s", pair->peer);
		if (doorbell)
			floor_pair_ring(pair);
		floor_sleep();
	}
	floor_timer_every_us(0);
}

/* Both are past this line, or neither is. Spins at first and then sleeps by the timer. */
void floor_pair_barrier(struct floor_pair *pair)
{
	volatile uint64_t *mine = line(pair, FLOOR_OFFSET_BARRIER, (uint32_t)pair->rank);
	volatile uint64_t *theirs = line(pair, FLOOR_OFFSET_BARRIER, 1 - (uint32_t)pair->rank);
	uint32_t spins = 0, limit = floor_ticks + MEET_TICKS;

	*mine = ++pair->barrier;
	while (*theirs < pair->barrier) {
		if (++spins < 20000)
			continue;
		if (spins == 20000)
			floor_timer_every_us(MEET_TICK_US);
		if (floor_ticks - limit < UINT32_MAX / 2)
			floor_die("peer %u did not follow within 30 s", pair->peer);
		floor_sleep();
	}
	floor_timer_every_us(0);
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a hostile peer writes, besides what its app does: nonsense into what is its own, or
 * anywhere; or what is aimed at those who read it: headers, runs, descriptors, released positions,
 * states, names. Never a claim: that is everybody's, so to write it is no lie about one's own.
 */
#include <string.h>
#include <isthmus/scratch.h>
#include "tests/sim/oracle.h"

// A word that the liar changes to and fro, for who looks twice.
static struct {
	uint8_t *word;
	unsigned size, left;
	uint64_t value[2];
	uint64_t life;
} flicker;

void lie_reset(void)
{
	memset(&flicker, 0, sizeof(flicker));
}

static void poke(struct sim_peer *p, void *to, uint64_t value, unsigned size, const char *what)
{
	uint64_t at = (uint64_t)((uint8_t *)to - sim_base), old = memory_read(to, size);

	p->lied = true;
	sim.lies_told++;
	sim_trace("peer %u lies%s%s: %s = 0x%llx", p->index, what[0] ? " about " : "", what,
		name_word(at), (unsigned long long)value);
	memcpy(to, &value, size);
	if (sim_chance(24)) {
		flicker.word = to;
		flicker.size = size;
		flicker.left = 4 + sim_pick(60);
		flicker.value[0] = old;
		flicker.value[1] = value;
		flicker.life = p->seat[at / SIM_SPAN].life;
	}
}

// Land that it has, and not only boasts of.
static bool has_land(const struct sim_seat *seat, uint32_t offset, uint32_t size)
{
	const struct msg_region *region = seat->region;
	const uint64_t *deeds = (const uint64_t *)(const void *)(seat->base + sim.geo.slot_offset +
		(uint64_t)seat->slot * sim.geo.slot_stride + sizeof(struct wire_slot));
	uint32_t k;

	if (region == (struct msg_region *)seat->peer || !region->deed_used)
		return false;
	for (k = 0; k < sim.geo.deeds; k++) {
		uint64_t deed = memory_read(&deeds[k], 8);
		uint64_t from = sim.geo.land_offset + (uint64_t)DEED_FIRST(deed) * sim.geo.grain;

		if (region->deed_used[k] && DEED_STATE(deed) == DEED_FIRM && offset >= from &&
			offset + size <= from + (uint64_t)DEED_COUNT(deed) * sim.geo.grain)
			return true;
	}
	return false;
}

// A deed that it lied about before, and that has become true since: what lies there is its own.
static bool true_deed(const struct sim_seat *seat, uint64_t at)
{
	uint64_t in = at - sim.geo.slot_offset - (uint64_t)seat->slot * sim.geo.slot_stride;
	uint64_t value = memory_read(flicker.word, 8);

	return in >= 1024 && in < 1024 + 8 * (uint64_t)sim.geo.deeds && value != flicker.value[0] &&
	       value != flicker.value[1];
}

static bool flickers(struct sim_seat *seat)
{
	uint64_t value, at = (uint64_t)(flicker.word - seat->base);

	if (!flicker.left || at >= SIM_SIZE)
		return false;
	if (oracle_honest() && true_deed(seat, at)) {
		flicker.left = 0;
		return false;
	}
	// Not in what it gave up: that is others' by now.
	if (oracle_honest() && (flicker.life != seat->life || (at >= sim.geo.land_offset &&
		!has_land(seat, (uint32_t)at, flicker.size)))) {
		flicker.left = 0;
		return false;
	}
	value = flicker.value[flicker.left-- & 1];
	memcpy(flicker.word, &value, flicker.size);
	return true;
}

static uint64_t nonsense(const struct sim_peer *p, uint64_t old)
{
	switch (sim_pick(8)) {
	case 0: return sim_random();
	case 1: return 0;
	case 2: return UINT64_MAX;
	case 3: return old + 1;
	case 4: return old ^ 1ull << sim_pick(64);
	case 5: return sim_pick(SIM_SIZE);
	case 6: return old + 64;
	default: return (uint64_t)sim_pick(8) << 32 | (old & 0xffffffff) | p->index;
	}
}

static struct wire_slot *own_slot(const struct sim_seat *seat)
{
	return (struct wire_slot *)(void *)(seat->base + sim.geo.slot_offset +
		(uint64_t)seat->slot * sim.geo.slot_stride);
}

// The name that somebody else wants, as one that it is about to take.
static void lie_name(struct sim_seat *seat)
{
	struct wire_endpoint *endpoint = &own_slot(seat)->endpoint[7 - sim_pick(2)];
	static const char *const names[] = { "common", "north", "east", "south", "west" };
	uint32_t state = sim_pick(100) << 2 | sim_pick(3);

	memset(endpoint->name, sim_chance(20) ? 'x' : 0, WIRE_NAME);
	strcpy(endpoint->name, names[sim_pick(5)]);
	poke(seat->peer, &endpoint->state, state, 4, "a name");
}

/* ---- pointed ---- */

// A record where the next one will begin.
static void lie_record(struct sim_seat *seat, const struct msg_channel *c)
{
	const struct ring_tx *tx = &c->tx;
	uint32_t at = tx->published, size = tx->mask + 1, len = 16;
	const uint32_t lengths[] = { 17, size / 2, size / 2 + 1, size, UINT32_MAX, 1u << 31,
		UINT32_MAX - 7, sim_pick(size) };
	const uint64_t words[] = { 0, 8, 1ull << 32, 8ull << 32 | 8, UINT64_MAX,
		(uint64_t)UINT32_MAX << 32 | 1, 1ull << 63 | 2, sim_random(),
		(uint64_t)sim_pick(300) << 32 | sim_pick(300), (uint64_t)sim_pick(300) << 32 };
	uint64_t *payload = (uint64_t *)(void *)(tx->data + (at & tx->mask) + RING_HEADER);
	unsigned type = RING_MESSAGE + sim_pick(3);

	if (sim.config.small_rings && sim_chance(128)) {
		// All of the land that the ring is in, in one message.
		poke(seat->peer, payload, c->ring_offset, 8, "a buffer");
		poke(seat->peer, payload + 1, sim_pick((uint32_t)ring_footprint(size)), 8, "a buffer");
		poke(seat->peer, payload - 1, ring_header(at, 16, RING_BUFFER, RING_LAST), 8, "a record");
		return;
	}
	if (sim_chance(24))
		type = sim_pick(16);
	if (sim_chance(128) || type == RING_MESSAGE)
		len = lengths[sim_pick(8)];
	else if (type == RING_RUN)
		len = 8 + sim_pick(size / 2);
	if (type == RING_RUN)
		poke(seat->peer, payload, words[sim_pick(10)], 8, "a run");
	if (type == RING_BUFFER) {
		const uint64_t offsets[] = { 0, sim.geo.slot_offset, sim.geo.land_offset,
			UINT64_MAX - 8, SIM_SIZE, sim_pick(SIM_SIZE), c->ring_offset, sim_random() };

		poke(seat->peer, payload, offsets[sim_pick(8)], 8, "a buffer");
		poke(seat->peer, payload + 1, sim_chance(128) ? sim_pick(5000) : sim_random(), 8,
			"a buffer");
	}
	poke(seat->peer, payload - 1, ring_header(at, len, type, sim_pick(16)), 8, "a record");
}

// What it received, to those who wait for space.
static void lie_released(struct sim_seat *seat, const struct msg_channel *c)
{
	uint32_t was = c->rx.released, size = c->rx.mask + 1;
	const uint32_t values[] = { was + 8, was + 16, was + size, was + size + 64, was - 64,
		was + 0x80000000u, (uint32_t)sim_random(), c->rx.head + 64, was + 2 * size };

	poke(seat->peer, &c->mine->released, values[sim_pick(9)], 4, "what it released");
}

static void lie_status(struct sim_seat *seat, const struct msg_channel *c)
{
	uint64_t other = STATUS(c->generation + 1 + sim_pick(3), sim_pick(5));
	const uint64_t values[] = { STATUS(c->generation, CHANNEL_FREE), other, 0,
		STATUS(c->generation, 5 + sim_pick(1000)), STATUS(c->generation, CHANNEL_RESET),
		STATUS(c->generation, CHANNEL_CONNECT) };
	unsigned which = sim_pick(6);

	poke(seat->peer, &c->mine->status, values[which], 8, "a channel's state");
	if (which == 5)
		return;
	flicker.left = 0;
	if (oracle_owed(seat, c, values[which]))
		seat->peer->mute_until = sim.now + 500 * MS * sim.config.regions;
}

static void lie_block(struct sim_seat *seat, const struct msg_channel *c)
{
	uint8_t *block = (uint8_t *)c->mine;
	unsigned at = 8 + 4 * sim_pick(13);
	const uint64_t values[] = { 0, 1, UINT32_MAX, sim_pick(SIM_SIZE), 1u << sim_pick(32),
		64 * sim_pick(2000), 1024, sim_random() };

	if (sim_chance(64))
		at = 192; /* what it counts as received */
	poke(seat->peer, block + at, values[sim_pick(8)] & UINT32_MAX, 4, "a channel");
}

// What a publisher says of its topic, and what lies in its ring.
static void lie_topic(struct sim_seat *seat, const struct msg_channel *c)
{
	uint8_t *ring = seat->base + c->ring_offset;
	struct wire_topic *wire = (struct wire_topic *)(void *)(ring - sizeof(*wire));
	uint64_t newest = memory_read(&wire->newest, 8);
	const uint64_t positions[] = { newest + 64, newest - 64, newest + 8, 0, sim_random(),
		newest + c->ring_size, newest + (1ull << 32), newest - 2 * c->ring_size };

	switch (sim_pick(4)) {
	case 0:
		poke(seat->peer, &wire->tail, positions[sim_pick(8)], 8, "a topic's tail");
		break;
	case 1:
		poke(seat->peer, &wire->newest, positions[sim_pick(8)], 8, "a topic's newest");
		break;
	case 2:
		poke(seat->peer, ring + 8 * sim_pick(c->ring_size / 8),
			ring_header((uint32_t)newest + 64 * sim_pick(3), sim_pick(2000), sim_pick(6),
				sim_pick(2)), 8, "a topic's message");
		break;
	case 3:
		poke(seat->peer, (uint8_t *)wire + 8 * sim_pick(sizeof(*wire) / 8),
			nonsense(seat->peer, newest), 8, "a topic");
		break;
	}
}

static void lie_slot(struct sim_seat *seat)
{
	static const unsigned words[] = { 8, 64, 128, 196, 200, 204, 208, 256, 260, 300, 384 };

	poke(seat->peer, (uint8_t *)own_slot(seat) + words[sim_pick(11)],
		sim_chance(128) ? sim_pick(8) : sim_random() & UINT32_MAX, 4, "itself");
}

static void lie_pointed(struct sim_seat *seat)
{
	const struct msg_region *region = seat->region;
	const struct msg_channel *c = NULL;
	unsigned tries;

	// Nothing to aim at before it has joined.
	if (region == (struct msg_region *)seat->peer || region->error || !region->channel)
		return;
	for (tries = 0; tries < 4 && !c; tries++)
		c = region->channel[sim_pick(region->geo.channels)];
	if (!c) {
		if (sim_chance(40))
			lie_name(seat);
		return;
	}
	// For who hasn't opened it yet.
	if (sim.config.small_rings && c->tx.data && !c->opened && sim_chance(160)) {
		poke(seat->peer, &c->mine->ring_size, c->ring_size / 2, 4, "a ring's size");
		return;
	}
	if (c->topic && sim_chance(200)) {
		lie_topic(seat, c);
		return;
	}
	// What has no ring of its own (a subscription) has nothing to say of one.
	if (!c->tx.data || !c->rx.data) {
		lie_block(seat, c);
		return;
	}
	switch (sim_pick(16)) {
	case 0: case 1: case 2: case 3: case 4: case 5:
		lie_record(seat, c);
		break;
	case 6: case 7: case 8:
		lie_released(seat, c);
		break;
	case 9:
		lie_status(seat, c);
		break;
	case 10: case 11:
		lie_block(seat, c);
		break;
	case 12:
		lie_slot(seat);
		break;
	case 13:
		lie_name(seat);
		break;
	}
}

/* ---- at random ---- */

static void lie_at_random(struct sim_seat *seat)
{
	struct sim_peer *p = seat->peer;
	uint32_t offset, in = 0, stride = sim.geo.slot_stride;
	uint64_t old, value;

	if (sim_chance(16)) {
		lie_name(seat);
		return;
	}
	if (sim.config.lies == LIES_WILD) {
		offset = sim_pick((uint32_t)scratch_offset(SIM_SIZE) / 8) * 8;
	} else if (seat->land_to > seat->land_from && seat->land_to <= scratch_offset(SIM_SIZE) &&
		sim_chance(64)) {
		offset = (uint32_t)seat->land_from +
			sim_pick((uint32_t)(seat->land_to - seat->land_from) / 8) * 8;
		if (!has_land(seat, offset, 8))
			return;
	} else {
		in = sim_chance(64) ? 64 + sim_pick((stride - 64) / 8) * 8 :
		     1024 + sim.geo.deeds * 8 + sim_pick(sim.geo.channels) * 256 +
			     sim_pick(9) * 8;
		offset = sim.geo.slot_offset + (uint32_t)seat->slot * stride + in;
	}
	old = memory_read(seat->base + offset, 8);
	value = nonsense(p, old);
	if (sim.config.lies == LIES_OWN && in >= 1024 && in < 1024 + sim.geo.deeds * 8) {
		// It may boast of land, but what it gave up it would have to leave alone.
		if (old)
			return;
		value = DEED(1 + sim_pick(2), sim_pick(64), sim_pick(64));
	}
	poke(p, seat->base + offset, value, 8, "");
}

void lie_once(struct sim_peer *p)
{
	struct sim_seat *seat = &p->seat[sim_pick(sim.config.regions)];

	if (seat->slot < 0 || seat->gone || !seat->region) {
		flicker.left = 0;
		return;
	}
	if (flickers(seat))
		return;
	if (sim.config.lies == LIES_POINTED)
		lie_pointed(seat);
	else
		lie_at_random(seat);
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * What must hold: the promises of docs/reliability.md, looked at from outside the peers, with the
 * knowledge of all of them.
 */
#include <string.h>
#include "tests/sim/sim.h"

#define ENDS 128

static struct sim_end ends[ENDS];
static unsigned end_count;

void oracle_reset(void)
{
	end_count = 0;
}

bool oracle_honest(void)
{
	return sim.config.lies != LIES_WILD;
}

static struct wire_slot *slot_of(uint32_t slot)
{
	return (struct wire_slot *)(void *)(sim_base + sim.geo.slot_offset +
		(uint64_t)slot * sim.geo.slot_stride);
}

static uint64_t *deed_of(uint32_t slot, uint32_t k)
{
	return (uint64_t *)(slot_of(slot) + 1) + k;
}

static bool liar_holds(uint32_t slot)
{
	unsigned i;

	for (i = 0; i < sim.config.peers; i++)
		if (sim.peer[i].liar && sim.peer[i].slot == (int)slot)
			return true;
	return false;
}

/* ---- presence ---- */

void oracle_claimed(struct sim_peer *p, uint32_t slot, uint64_t life)
{
	unsigned i;

	if (oracle_honest() && sim.config.atomic && !sim.spoiled) {
		if (sim.max_epoch[slot] && (int32_t)(CLAIM_EPOCH(life) - sim.max_epoch[slot]) <= 0)
			sim_fail("slot %u goes from epoch %u to %u", slot, sim.max_epoch[slot],
				CLAIM_EPOCH(life));
		for (i = 0; i < end_count; i++)
			if (!ends[i].over && ends[i].peer->slot == (int)slot &&
				ends[i].peer != p && !ends[i].peer->stalled_ns)
				sim_fail("slot %u is taken while peer %u lives there", slot,
					ends[i].peer->index);
	}
	sim.max_epoch[slot] = CLAIM_EPOCH(life);
	p->slot = (int)slot;
	p->life = life;
	p->land_from = p->land_to = 0;
}

static uint64_t death_bound(void)
{
	uint64_t death = sim.config.options.death_ns, look = sim.config.backing_ns + 6 * MS;

	if (look < death / 8)
		look = death / 8;
	// Of each look a quarter of the death time counts at most; the first sees the last beat.
	return death + 7 * look;
}

void oracle_died(struct sim_peer *p)
{
	unsigned i;

	for (i = 0; i < end_count; i++)
		if (ends[i].peer == p)
			ends[i].over = true;
	if (p->slot >= 0 && sim.deaths < 16 && sim.config.atomic && !sim.config.lies) {
		sim.death[sim.deaths].at = sim.now + death_bound();
		sim.death[sim.deaths].life = p->life;
		sim.death[sim.deaths++].slot = (uint32_t)p->slot;
		sim_event_at(sim.now + death_bound());
	}
	p->slot = -1;
}

void oracle_left(struct sim_peer *p, bool evicted)
{
	unsigned i;

	for (i = 0; i < end_count; i++)
		if (ends[i].peer == p && !ends[i].over) {
			ends[i].over = true;
			ends[i].cut = ends[i].cut || evicted;
		}
}

// Somebody who could have seen it all the while.
static bool witness(uint64_t since)
{
	unsigned i;

	for (i = 0; i < sim.config.peers; i++) {
		const struct sim_peer *p = &sim.peer[i];

		if (p->slot >= 0 && p->region && (p->state == PEER_READY ||
			p->state == PEER_ASLEEP) && p->joined_at + 20 * MS < since &&
			p->stalled_last < since && !p->evictions)
			return true;
	}
	return false;
}

void oracle_step(void)
{
	unsigned i;

	for (i = 0; i < sim.deaths; i++) {
		uint64_t claim;

		if (!sim.death[i].at || sim.death[i].at > sim.now)
			continue;
		claim = memory_read(&slot_of(sim.death[i].slot)->claim, 8);
		if (claim == sim.death[i].life && witness(sim.death[i].at - death_bound()))
			sim_fail("nobody noticed the death in slot %u within %llu ms",
				sim.death[i].slot, (unsigned long long)(death_bound() / MS));
		sim.death[i].at = 0;
	}
}

/* ---- stores ---- */

static bool overlap(uint64_t a, uint64_t b)
{
	return DEED_FIRST(a) < DEED_FIRST(b) + DEED_COUNT(b) &&
	       DEED_FIRST(b) < DEED_FIRST(a) + DEED_COUNT(a);
}

static void check_deed(struct sim_peer *p, uint32_t k, uint64_t deed)
{
	uint32_t i, j;

	for (i = 0; i < sim.geo.slots; i++) {
		uint64_t claim = memory_read(&slot_of(i)->claim, 8);

		if (CLAIM_STATE(claim) != CLAIM_HELD || liar_holds(i) ||
			memory_read(&slot_of(i)->life, 8) != claim)
			continue;
		for (j = 0; j < sim.geo.deeds; j++) {
			uint64_t other = memory_read(deed_of(i, j), 8);

			if (((int)i != p->slot || j != k) && DEED_STATE(other) == DEED_FIRM &&
				overlap(deed, other))
				sim_fail("the land of peer %u (deed %u) is slot %u's, too",
					p->index, k, i);
		}
	}
}

static void check_name(struct sim_peer *p, uint32_t k)
{
	const struct wire_endpoint *mine = &slot_of((uint32_t)p->slot)->endpoint[k];
	uint32_t i, j;

	for (i = 0; i < sim.geo.slots; i++) {
		uint64_t claim = memory_read(&slot_of(i)->claim, 8);

		if (CLAIM_STATE(claim) != CLAIM_HELD || (int)i == p->slot || liar_holds(i) ||
			memory_read(&slot_of(i)->life, 8) != claim)
			continue;
		for (j = 0; j < WIRE_ENDPOINTS; j++) {
			const struct wire_endpoint *other = &slot_of(i)->endpoint[j];

			if ((memory_read(&other->state, 4) & 3) == ENDPOINT_FIRM &&
				!memcmp(other->name, mine->name, WIRE_NAME))
				sim_fail("the name '%s' belongs to slots %d and %u", mine->name,
					p->slot, i);
		}
	}
}

// A store has reached memory.
void oracle_stored(struct sim_peer *p, uint32_t offset, uint32_t size, uint64_t value)
{
	uint32_t in;

	(void)size;
	if (p->slot < 0 || sim.config.lies == LIES_WILD || p->liar || sim.spoiled)
		return;
	in = offset - sim.geo.slot_offset - (uint32_t)p->slot * sim.geo.slot_stride;
	if (in >= sim.geo.slot_stride || memory_read(&slot_of((uint32_t)p->slot)->claim, 8) !=
		p->life)
		return;
	if (in >= 1024 && in < 1024 + sim.geo.deeds * 8 && DEED_STATE(value) == DEED_FIRM)
		check_deed(p, (in - 1024) / 8, value);
	if (in >= 512 && in < 1024 && in % 64 == 0 && (value & 3) == ENDPOINT_FIRM)
		check_name(p, (in - 512) / 64);
}

/* ---- channels ---- */

struct sim_end *oracle_opened(struct sim_peer *p, struct msg_channel *channel)
{
	struct sim_end *end;

	if (end_count == ENDS)
		return NULL;
	end = &ends[end_count];
	memset(end, 0, sizeof(*end));
	end->number = end_count++;
	end->peer = p;
	end->life = p->life;
	end->their_life = channel->peer_life;
	end->index = channel->index;
	end->generation = channel->generation;
	end->their_index = channel->their_index;
	end->their_generation = channel->their_generation;
	end->target = sim_pick(sim.config.messages + 1);
	sim_trace("opens end %u: slot %d block %u to slot %u block %u", end->number, p->slot,
		end->index, channel->peer_slot, end->their_index);
	return end;
}

struct sim_end *oracle_partner(struct sim_end *end)
{
	unsigned i;

	for (i = 0; i < end_count && !end->partner; i++)
		if (ends[i].life == end->their_life && ends[i].index == end->their_index &&
			ends[i].generation == end->their_generation &&
			ends[i].their_life == end->life && ends[i].their_index == end->index &&
			ends[i].their_generation == end->generation)
			end->partner = &ends[i];
	return end->partner;
}

bool oracle_may_fail(const struct sim_end *end)
{
	struct sim_end *partner = oracle_partner((struct sim_end *)(uintptr_t)end);

	return sim.config.lies == LIES_WILD || end->peer->liar || sim.spoiled ||
	       (sim.config.lies && (!partner || partner->peer->liar));
}

uint8_t oracle_byte(const struct sim_end *end, unsigned k, unsigned i)
{
	uint32_t word = (end->number + 1) * 0x9e3779b1u + (k + 1) * 0x85ebca6bu +
		(i / 4) * 0xc2b2ae35u;

	word ^= word >> 15;
	return (uint8_t)(word >> (i % 4 * 8));
}

void oracle_attempt(struct sim_end *end, unsigned len)
{
	end->length[end->attempted++] = (uint16_t)len;
}

void oracle_sent(struct sim_end *end, int count)
{
	if (count > 0)
		end->accepted += (unsigned)count;
	if (end->accepted > end->attempted)
		sim_fail("peer %u sent more than it had", end->peer->index);
	if (end->partner && end->partner->delivered > end->accepted && !oracle_may_fail(end))
		sim_fail("end %u: message %u was received and yet not accepted", end->number,
			end->accepted);
	end->attempted = end->accepted;
}

void oracle_delivered(struct sim_end *end, const uint8_t *data, uint64_t len)
{
	struct sim_end *partner = oracle_partner(end);
	unsigned k = end->delivered++;
	uint64_t i;

	if (oracle_may_fail(end))
		return;
	if (!partner)
		sim_fail("end %u received a message from nobody", end->number);
	if (k >= partner->attempted)
		sim_fail("end %u received message %u of %u that end %u sent", end->number, k,
			partner->attempted, partner->number);
	if (len != partner->length[k])
		sim_fail("end %u: message %u has %llu bytes, not %u", end->number, k,
			(unsigned long long)len, partner->length[k]);
	for (i = 0; i < len; i++)
		if (data[i] != oracle_byte(partner, k, (unsigned)i))
			sim_fail("end %u: message %u (%llu bytes) is wrong at byte %llu",
				end->number, k, (unsigned long long)len, (unsigned long long)i);
}

// What the sender is told about messages that the receiver never released.
static void check_unreleased(struct sim_end *end, struct msg_channel *channel)
{
	struct sim_end *partner = end->partner;
	struct msg_span span;
	unsigned n = 0, first, i, b;

	while (n <= SIM_MESSAGES && !msg_unreleased(channel, n, &span))
		n++;
	if (n > end->accepted)
		sim_fail("end %u: %u messages unreleased of %u", end->number, n, end->accepted);
	first = end->accepted - n;
	if (partner && (first > partner->delivered + partner->taking ||
		first < partner->released))
		sim_fail("end %u: messages from %u on count as unreleased; end %u has taken %u and "
			 "released %u", end->number, first, partner->number, partner->delivered,
			partner->released);
	for (i = 0; i < n; i++) {
		if (msg_unreleased(channel, i, &span) || span.len != end->length[first + i])
			sim_fail("end %u: unreleased message %u has another length", end->number,
				first + i);
		for (b = 0; b < span.len; b++)
			if (((uint8_t *)span.data)[b] != oracle_byte(end, first + i, b))
				sim_fail("end %u: unreleased message %u is wrong at byte %u",
					end->number, first + i, b);
	}
}

void oracle_channel_ended(struct sim_end *end, struct msg_channel *channel, int64_t err)
{
	struct sim_end *partner = oracle_partner(end);

	sim_trace("end %u is over: %s", end->number, msg_strerror(err));
	if (oracle_may_fail(end) || err == -ESTALE)
		return;
	if (err != -EPIPE)
		sim_fail("end %u: %s", end->number, msg_strerror(err));
	if (!partner || partner->cut)
		return;
	// Evicted, but it has not found out.
	if (!partner->over && (partner->peer->stalled_ns || sim.spoiled))
		return;
	if (!partner->over && sim.config.atomic)
		sim_fail("end %u: %s, but end %u lives", end->number, msg_strerror(err),
			partner->number);
	if (end->delivered < partner->accepted && partner->over)
		sim_fail("end %u: got %u messages of the %u that end %u sent", end->number,
			end->delivered, partner->accepted, partner->number);
	if (partner->over)
		check_unreleased(end, channel);
}

/* ---- at the end ---- */

void oracle_end(void)
{
	const struct sim_config *c = &sim.config;
	unsigned i, rescues = 0;
	uint32_t k;

	for (i = 0; i < c->peers; i++)
		rescues += sim.peer[i].rescues;
	if (rescues > sim.bells_missed && c->fences && !c->bells_lost && !c->stalls && !c->lies && !sim.kills_done)
		sim_fail("%u sleeps were ended by the backing timer alone", rescues);
	if (c->lies || !c->atomic)
		return;
	for (i = 0; i < sim.geo.slots; i++) {
		uint64_t claim = memory_read(&slot_of(i)->claim, 8);

		if (CLAIM_STATE(claim) == CLAIM_HELD && !sim.kills_done)
			sim_fail("slot %u is still held when all have left", i);
		// One store of a peer that stood still may hit its successor.
		if (CLAIM_STATE(claim) != CLAIM_LEFT || sim.stalls_done)
			continue;
		for (k = 0; k < WIRE_ENDPOINTS; k++)
			if (memory_read(&slot_of(i)->endpoint[k].state, 4) & 3)
				sim_fail("slot %u: endpoint %u stays when its holder has left", i, k);
	}
}

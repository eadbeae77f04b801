// SPDX-License-Identifier: BSD-2-Clause
// Presence, land, names, wake-ups: who has what, and until when, with the knowledge of all peers.
#include <string.h>
#include "tests/sim/oracle.h"

#define DEATHS 16
#define LIVES  32

static uint32_t max_epoch[SIM_REGIONS][SIM_PEERS + 4]; /* by slot */
static struct {
	uint64_t at, life;
	uint32_t slot;
	unsigned where;
} deaths[DEATHS];
static unsigned death_count;
/* What a liar was: its lies stay in its slots when it is gone. */
static uint64_t liar_lives[LIVES];
static unsigned liar_count;
/* What somebody must have noticed by then. */
static struct {
	uint64_t at, status;
	const uint64_t *word;
	const struct sim_end *end;
} owed;

void oracle_reset(void)
{
	memset(max_epoch, 0, sizeof(max_epoch));
	death_count = liar_count = 0;
	memset(&owed, 0, sizeof(owed));
	oracle_ends_reset();
}

bool oracle_honest(void)
{
	return sim.config.lies != LIES_WILD;
}

static struct wire_slot *slot_of(unsigned where, uint32_t slot)
{
	return (struct wire_slot *)(void *)(sim_base + where * SIM_SPAN + sim.geo.slot_offset +
		(uint64_t)slot * sim.geo.slot_stride);
}

bool oracle_evicted(const struct sim_seat *seat)
{
	return seat->slot < 0 ||
	       memory_read(&slot_of(seat->where, (uint32_t)seat->slot)->claim, 8) != seat->life;
}

static uint64_t *deed_of(unsigned where, uint32_t slot, uint32_t k)
{
	return (uint64_t *)(slot_of(where, slot) + 1) + k;
}

static bool liar_held(uint64_t life)
{
	unsigned i;

	for (i = 0; i < liar_count; i++)
		if (liar_lives[i] == life)
			return true;
	return false;
}

/* ---- presence ---- */

void oracle_claimed(struct sim_seat *seat, uint32_t slot, uint64_t life)
{
	uint32_t *epoch = &max_epoch[seat->where][slot];
	const struct sim_end *end;

	if (oracle_honest() && sim.config.atomic && !sim.spoiled) {
		if (*epoch && (int32_t)(CLAIM_EPOCH(life) - *epoch) <= 0)
			sim_fail("slot %u goes from epoch %u to %u", slot, *epoch,
				CLAIM_EPOCH(life));
		end = oracle_end_in(seat->where, slot, seat->peer);
		if (end && !end->seat->peer->stalled_ns)
			sim_fail("slot %u is taken while peer %u lives there", slot,
				end->seat->peer->index);
	}
	if (seat->peer->liar && liar_count < LIVES)
		liar_lives[liar_count++] = life;
	*epoch = CLAIM_EPOCH(life);
	seat->slot = (int)slot;
	seat->life = life;
	seat->land_from = seat->land_to = 0;
}

static uint64_t death_bound(void)
{
	uint64_t death = sim.config.options.death_ns, look = 5 * sim.config.backing_ns;
	uint64_t wait = (sim.config.patience > sim.config.idle ? sim.config.patience :
								 sim.config.idle) * MS;

	// A long wait looks less and less often.
	look = (look < wait ? look : wait) + 6 * MS;
	if (look < death / 8)
		look = death / 8;
	// Of each look a quarter of the death time counts at most; the first sees the last beat.
	return death + 7 * look;
}

void oracle_died(struct sim_seat *seat)
{
	oracle_ends_died(seat);
	if (seat->slot >= 0 && death_count < DEATHS && sim.config.atomic && !sim.config.lies) {
		deaths[death_count].at = sim.now + death_bound();
		deaths[death_count].life = seat->life;
		deaths[death_count].where = seat->where;
		deaths[death_count++].slot = (uint32_t)seat->slot;
		sim_event_at(sim.now + death_bound());
	}
	seat->slot = -1;
}

// Somebody who could have seen it all the while.
static bool witness(unsigned where, uint64_t since)
{
	unsigned i;

	for (i = 0; i < sim.config.peers; i++) {
		const struct sim_peer *p = &sim.peer[i];
		const struct sim_seat *seat = &p->seat[where];

		if (seat->slot >= 0 && seat->region && (p->state == PEER_READY ||
			p->state == PEER_ASLEEP) && p->attached_at + 20 * MS < since &&
			p->attached_at < SIM_NEVER && p->stalled_last < since &&
			!p->evictions && !sim.config.naps)
			return true;
	}
	return false;
}

bool oracle_owed(const struct sim_seat *seat, const struct msg_channel *channel, uint64_t status)
{
	const struct sim_end *end = oracle_other_end(seat, channel);

	// Of a liar's queues and groups only safety is asked: nobody need look at them meanwhile.
	if (owed.at || !end || end->over || sim.config.stalls || !sim.config.atomic ||
		sim.config.queues || sim.config.groups)
		return false;
	// Who waits for its name in another region, which may take 400 ms, doesn't look at this one.
	owed.at = sim.now + 400 * MS * sim.config.regions;
	owed.status = status;
	owed.word = &channel->mine->status;
	owed.end = end;
	sim_event_at(owed.at);
	return true;
}

// A channel whose other side has left it, or claims nonsense, has ended.
static void check_owed(void)
{
	const struct sim_peer *p;

	if (!owed.at || owed.at > sim.now)
		return;
	owed.at = 0;
	p = owed.end->seat->peer;
	if (memory_read(owed.word, 8) == owed.status && !owed.end->over && !p->finished &&
		(p->state == PEER_READY || p->state == PEER_ASLEEP) && !sim.config.naps)
		sim_fail("end %u has not noticed a state of 0x%llx", owed.end->number,
			(unsigned long long)owed.status);
}

void oracle_step(void)
{
	unsigned i;

	check_owed();

	for (i = 0; i < death_count; i++) {
		uint64_t claim;

		if (!deaths[i].at || deaths[i].at > sim.now)
			continue;
		claim = memory_read(&slot_of(deaths[i].where, deaths[i].slot)->claim, 8);
		if (claim == deaths[i].life && witness(deaths[i].where, deaths[i].at - death_bound()))
			sim_fail("nobody noticed the death in slot %u within %llu ms",
				deaths[i].slot, (unsigned long long)(death_bound() / MS));
		deaths[i].at = 0;
	}
}

/* ---- stores ---- */

static bool overlap(uint64_t a, uint64_t b)
{
	return DEED_FIRST(a) < DEED_FIRST(b) + DEED_COUNT(b) &&
	       DEED_FIRST(b) < DEED_FIRST(a) + DEED_COUNT(a);
}

// Does an honest holder's word count in that slot?
static bool counts(unsigned where, uint32_t slot)
{
	uint64_t claim = memory_read(&slot_of(where, slot)->claim, 8);

	return CLAIM_STATE(claim) == CLAIM_HELD && !liar_held(claim) &&
	       memory_read(&slot_of(where, slot)->life, 8) == claim;
}

static void check_deed(const struct sim_seat *seat, uint32_t k, uint64_t deed)
{
	uint32_t i, j;

	for (i = 0; i < sim.geo.slots; i++) {
		if (!counts(seat->where, i))
			continue;
		for (j = 0; j < sim.geo.deeds; j++) {
			uint64_t other = memory_read(deed_of(seat->where, i, j), 8);

			if (((int)i != seat->slot || j != k) && DEED_STATE(other) == DEED_FIRM &&
				overlap(deed, other))
				sim_fail("the land of peer %u (deed %u) is slot %u's, too",
					seat->peer->index, k, i);
		}
	}
}

static void check_name(const struct sim_seat *seat, uint32_t k)
{
	const struct wire_endpoint *mine = &slot_of(seat->where, (uint32_t)seat->slot)->endpoint[k];
	uint32_t i, j;

	for (i = 0; i < sim.geo.slots; i++) {
		if ((int)i == seat->slot || !counts(seat->where, i))
			continue;
		for (j = 0; j < WIRE_ENDPOINTS; j++) {
			const struct wire_endpoint *other = &slot_of(seat->where, i)->endpoint[j];

			if ((memory_read(&other->state, 4) & 3) == ENDPOINT_FIRM &&
				!memcmp(other->name, mine->name, WIRE_NAME))
				sim_fail("the name '%s' belongs to slots %d and %u", mine->name,
					seat->slot, i);
		}
	}
}

// A store has reached memory.
void oracle_stored(struct sim_peer *p, uint32_t at, uint64_t value)
{
	const struct sim_seat *seat = &p->seat[at / SIM_SPAN];
	uint32_t in;

	if (seat->slot < 0 || sim.config.lies == LIES_WILD || p->liar || sim.spoiled)
		return;
	in = at % SIM_SPAN - sim.geo.slot_offset - (uint32_t)seat->slot * sim.geo.slot_stride;
	if (in >= sim.geo.slot_stride || memory_read(
		&slot_of(seat->where, (uint32_t)seat->slot)->claim, 8) != seat->life)
		return;
	if (in >= 1024 && in < 1024 + sim.geo.deeds * 8 && DEED_STATE(value) == DEED_FIRM)
		check_deed(seat, (in - 1024) / 8, value);
	if (in >= 512 && in < 1024 && in % 64 == 0 && (value & 3) == ENDPOINT_FIRM)
		check_name(seat, (in - 512) / 64);
}

/* ---- at the end ---- */

// Slots and names come back when their holders have left.
static void check_slot(unsigned where, uint32_t slot)
{
	uint64_t claim = memory_read(&slot_of(where, slot)->claim, 8);
	uint32_t k;

	if (CLAIM_STATE(claim) == CLAIM_HELD && !sim.kills_done && !sim.unplugs_done)
		sim_fail("slot %u is still held when all have left", slot);
	// One store of a peer that stood still may hit its successor.
	if (CLAIM_STATE(claim) != CLAIM_LEFT || sim.stalls_done)
		return;
	for (k = 0; k < WIRE_ENDPOINTS; k++) {
		unsigned state = memory_read(&slot_of(where, slot)->endpoint[k].state, 4) & 3;

		// A device that went in the middle of a claim leaves that, which counts for nothing.
		if (state == ENDPOINT_FIRM || (state && !sim.unplugs_done))
			sim_fail("slot %u: endpoint %u stays when its holder has left", slot, k);
	}
}

void oracle_end(void)
{
	const struct sim_config *c = &sim.config;
	unsigned i, rescues = 0;
	uint32_t k;

	for (i = 0; i < c->peers; i++)
		rescues += sim.peer[i].rescues;
	if (rescues && c->fences && !c->bells_lost && !c->stalls && !c->lies &&
		!sim.kills_done && !sim.unplugs_done && !c->naps)
		sim_fail("%u sleeps were ended by the backing timer alone", rescues);
	if (c->lies || !c->atomic)
		return;
	for (i = 0; i < c->regions; i++)
		for (k = 0; k < sim.geo.slots; k++)
			check_slot(i, k);
}

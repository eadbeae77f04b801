// SPDX-License-Identifier: BSD-2-Clause
// Groups: who is in one, that nobody goes on before all who live have come, and one answer for all.
#include <string.h>
#include "msg/patterns/group.h"
#include "tests/sim/oracle_pattern.h"

#define CREWS 60

static struct sim_crew crews[CREWS];
static unsigned crew_count;

void oracle_crews_reset(void)
{
	crew_count = 0;
}

bool oracle_crew_judged(const struct sim_crew *crew)
{
	return sim.config.lies != LIES_WILD && !crew->spoiled && !sim.spoiled && sim.config.atomic;
}

// Is a liar in it? Or does one say that it is, which has its table then?
static bool has_liar(const struct sim_crew *crew)
{
	const struct sim_seat *seat;
	unsigned i, k;

	for (i = 0; i < sim.config.peers; i++) {
		seat = &sim.peer[i].seat[crew->where];
		if (!sim.peer[i].liar || seat->slot < 0)
			continue;
		for (k = 0; k < crew->size; k++)
			if (crew->member[k].life == seat->life)
				return true;
		if (((const struct wire_slot *)(seat->base + sim.geo.slot_offset +
			(uint64_t)seat->slot * sim.geo.slot_stride))->group.generation == crew->generation)
			return true;
	}
	return false;
}

void oracle_crews_over(struct sim_seat *seat)
{
	unsigned i, k;

	for (i = 0; i < crew_count; i++)
		for (k = 0; k < crews[i].size; k++)
			crews[i].member[k].over |= crews[i].member[k].seat == seat;
}

// Does it live, and know that it is a member?
static bool lives(const struct sim_member *m)
{
	return m->seat && !m->over && m->seat->life == m->life && !oracle_evicted(m->seat);
}

static void check_table(const struct sim_crew *crew, const struct msg_group *group,
	const struct sim_seat *seat)
{
	unsigned i;

	if (crew->size != msg_group_size((struct msg_group *)(uintptr_t)group))
		sim_fail("peer %u: its group of %u is one of %u to others", seat->peer->index,
			group->size, crew->size);
	for (i = 0; i < crew->size; i++)
		if (crew->member[i].life != group->members[i].life)
			sim_fail("peer %u: rank %u of its group is another's to others",
				seat->peer->index, i);
}

struct sim_crew *oracle_crew_joined(struct sim_seat *seat, struct msg_group *group)
{
	unsigned rank = msg_group_rank(group), i;
	struct sim_crew *crew = NULL;

	for (i = 0; i < crew_count; i++)
		if (crews[i].generation == group->generation && crews[i].where == seat->where)
			crew = &crews[i];
	if (!crew && (crew_count == CREWS || group->size > SIM_PEERS))
		return NULL;
	if (!crew) {
		crew = &crews[crew_count++];
		memset(crew, 0, sizeof(*crew));
		crew->where = seat->where;
		crew->generation = group->generation;
		crew->size = group->size;
		for (i = 0; i < crew->size; i++)
			crew->member[i].life = group->members[i].life;
	}
	crew->spoiled |= has_liar(crew);
	if (oracle_crew_judged(crew) && !oracle_evicted(seat)) {
		check_table(crew, group, seat);
		if (group->members[rank].life != seat->life || crew->member[rank].seat)
			sim_fail("peer %u has rank %u, which is another's", seat->peer->index, rank);
	}
	crew->member[rank].seat = seat;
	return crew;
}

uint32_t oracle_crew_call(const struct sim_crew *crew, unsigned call)
{
	uint64_t a = (crew->generation + call) * 0x9e3779b97f4a7c15u;

	return (uint32_t)(a >> 32 ^ a);
}

unsigned oracle_crew_fill(const struct sim_crew *crew, unsigned call, uint8_t *data)
{
	uint32_t tag = oracle_crew_call(crew, call);
	unsigned len = (tag >> 13) % CREW_BYTES, i;

	for (i = 0; i < len; i++)
		data[i] = oracle_byte(tag, i);
	return len;
}

static void check_bytes(const struct sim_crew *crew, unsigned rank, unsigned call, int64_t len,
	const uint8_t *data)
{
	uint32_t tag = oracle_crew_call(crew, call);
	unsigned i;

	if (len != (tag >> 13) % CREW_BYTES)
		sim_fail("rank %u got %lld bytes by broadcast %u, not %u", rank, (long long)len, call,
			(tag >> 13) % CREW_BYTES);
	for (i = 0; i < len; i++)
		if (data[i] != oracle_byte(tag, i))
			sim_fail("rank %u: broadcast %u is wrong at byte %u", rank, call, i);
}

static void check_come(const struct sim_crew *crew, unsigned rank, unsigned call)
{
	unsigned i;

	for (i = 0; i < crew->size; i++)
		if (lives(&crew->member[i]) && crew->member[i].entered < call)
			sim_fail("rank %u passes call %u of its group, and rank %u lives and hasn't come",
				rank, call, i);
}

void oracle_barrier_passed(struct sim_crew *crew, unsigned rank, unsigned call, int missing)
{
	unsigned i, absent = 0, dead = 0;

	sim.messages_received++;
	if (!oracle_crew_judged(crew) || !lives(&crew->member[rank]))
		return;
	check_come(crew, rank, call);
	for (i = 0; i < crew->size; i++) {
		absent += crew->member[i].entered < call;
		dead += !lives(&crew->member[i]);
	}
	if (missing < 0 || (unsigned)missing < absent || (unsigned)missing > dead)
		sim_fail("rank %u passes barrier %u without %d members; %u haven't come, %u are gone",
			rank, call, missing, absent, dead);
}

void oracle_broadcast_passed(struct sim_crew *crew, unsigned rank, unsigned call, int64_t result,
	const uint8_t *data)
{
	unsigned root = oracle_crew_call(crew, call) % crew->size, i;
	enum sim_outcome outcome = result < 0 ? OUTCOME_FAILED : OUTCOME_GOOD;
	struct sim_member *m;

	sim.messages_received++;
	if (!oracle_crew_judged(crew) || !lives(&crew->member[rank]))
		return;
	check_come(crew, rank, call);
	if (result >= 0)
		check_bytes(crew, rank, call, result, data);
	else if (lives(&crew->member[root]))
		sim_fail("rank %u: broadcast %u failed, and its root lives", rank, call);
	crew->member[rank].outcome[call % CREW_CALLS] = outcome;
	for (i = 0; i < crew->size; i++) {
		// Of who died or left since, too: what it was told it may have told others.
		m = &crew->member[i];
		if (m->outcome[call % CREW_CALLS] && m->outcome[call % CREW_CALLS] != outcome)
			sim_fail("broadcast %u %s for rank %u, but not for rank %u", call,
				result < 0 ? "failed" : "was good", rank, i);
	}
}

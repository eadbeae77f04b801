// SPDX-License-Identifier: BSD-2-Clause
// Groups: peers gather, pass barriers and broadcasts in the same order, leave, and gather anew.
#include "tests/sim/app_pattern.h"

#define MOST_TRIES  5
#define MOST_GROUPS 2

static unsigned calls_of(const struct sim_crew *crew)
{
	return 1 + oracle_crew_call(crew, 0) % (CREW_CALLS - 2);
}

static void part(struct place *place)
{
	struct crew *c = &place->crew;

	c->oracle->member[c->rank].over = true;
	fault_moment(place->peer);
	msg_group_leave(c->group);
	c->group = NULL;
	c->groups++;
	c->tries = 0;
}

static void gather(struct place *place)
{
	struct crew *c = &place->crew;
	uint64_t deadline = sim.now + sim_pick(60 * MS), away = place->peer->away_ns;
	int err;

	c->tries++;
	fault_moment(place->peer);
	err = msg_group_join(place->region, "crew", sim.config.group_size, &c->group, deadline);
	app_check_deadline(place, deadline, away, "msg_group_join");
	if (!err) {
		c->rank = msg_group_rank(c->group);
		c->call = 0;
		c->under_way = false;
		c->oracle = oracle_crew_joined(place->seat, c->group);
		sim_trace("is rank %u of a group", c->rank);
		if (!c->oracle) {
			msg_group_leave(c->group);
			c->group = NULL;
			c->tries = MOST_TRIES;
		}
		return;
	}
	c->group = NULL;
	if (err != -ETIMEDOUT && err != -ENOSPC && err != -EAGAIN && !app_lost(place, err) &&
		!app_excused())
		sim_fail("msg_group_join: %s", msg_strerror(err));
}

static int64_t do_call(struct place *place, uint64_t deadline)
{
	struct crew *c = &place->crew;
	uint32_t kind = oracle_crew_call(c->oracle, c->call);
	unsigned root = kind % c->oracle->size;
	size_t len = CREW_BYTES;

	if (kind >> 29 < 4)
		return msg_barrier(c->group, deadline);
	if (root == c->rank)
		len = oracle_crew_fill(c->oracle, c->call, c->bytes);
	else if (sim_chance(30))
		len = sim_pick(CREW_BYTES);
	return msg_broadcast(c->group, root, c->bytes, len, deadline);
}

static void call_once(struct place *place)
{
	struct crew *c = &place->crew;
	uint64_t deadline = sim_chance(128) ? 0 : sim.now + sim_pick(20 * MS);
	uint64_t away = place->peer->away_ns;
	int64_t result;

	if (!c->under_way) {
		c->call++;
		c->oracle->member[c->rank].entered = c->call;
	}
	fault_reading(place->peer);
	fault_moment(place->peer);
	app_reads(place);
	result = do_call(place, deadline);
	app_has_read(place, result);
	app_check_deadline(place, deadline ? deadline : sim.now, away, "a call in a group");
	c->under_way = result == -EAGAIN || result == -ETIMEDOUT || result == -EMSGSIZE ||
		       result == -ENOSPC;
	if (c->under_way && sim.config.quits && sim_chance(sim.config.quits))
		part(place);
	if (c->under_way)
		return;
	if (app_lost(place, result))
		return;
	if (result < 0 && result != -EPIPE) {
		if (oracle_crew_judged(c->oracle))
			sim_fail("a call in a group: %s", msg_strerror(result));
		part(place);
		return;
	}
	sim_trace("passes call %u of the group: %lld", c->call, (long long)result);
	if (oracle_crew_call(c->oracle, c->call) >> 29 < 4)
		oracle_barrier_passed(c->oracle, c->rank, c->call, (int)result);
	else
		oracle_broadcast_passed(c->oracle, c->rank, c->call, result, c->bytes);
	if (c->call >= calls_of(c->oracle) || sim_chance(6))
		part(place);
}

void group_round(struct place *place)
{
	struct crew *c = &place->crew;

	if (c->group)
		call_once(place);
	else if (c->tries < MOST_TRIES && c->groups < MOST_GROUPS)
		gather(place);
}

bool group_work(const struct place *place)
{
	const struct crew *c = &place->crew;

	return c->group || (c->tries < MOST_TRIES && c->groups < MOST_GROUPS);
}

void group_tidy(struct place *place)
{
	struct crew *c = &place->crew;

	if (!c->group || place->lost)
		return;
	if (sim_chance(128)) {
		part(place);
		return;
	}
	c->oracle->member[c->rank].over = true;
	place->kept = true;
}

// SPDX-License-Identifier: BSD-2-Clause
// What befalls peers on the seed's word: a kill, a standstill, a device that is pulled out.
#include "tests/sim/oracle.h"

static bool left(unsigned done, unsigned planned)
{
	return done < planned;
}

void fault_plan(struct sim_peer *p)
{
	const struct sim_config *c = &sim.config;
	enum sim_fault choice[3];
	unsigned n = 0;

	if (left(sim.kills_done, c->kills))
		choice[n++] = FAULT_KILL;
	if (left(sim.stalls_done, c->stalls))
		choice[n++] = FAULT_STALL;
	if (left(sim.unplugs_done, c->unplugs))
		choice[n++] = FAULT_UNPLUG;
	p->fault = n ? choice[sim_pick(n)] : FAULT_NONE;
	// Any step is as likely as any other of its order of magnitude.
	p->fault_step = n ? p->steps + 1 + sim_pick(50u << sim_pick(8)) : UINT64_MAX;
	// There it comes by fault_reading or fault_aim, or late.
	if (n && (sim.config.still || sim.config.aim))
		p->fault_step += 50000;
}

static void kill(struct sim_peer *p)
{
	unsigned i;

	sim_trace("peer %u is killed", p->index);
	memory_drain(p, SIM_BUFFER);
	for (i = 0; i < sim.config.regions; i++)
		oracle_died(&p->seat[i]);
	port_died(p);
	p->state = PEER_OFF;
	p->wake_at = p->bell_at = p->resume_at = SIM_NEVER;
	sim.kills_done++;
	p->restart_at = sim_chance(40) ? SIM_NEVER : sim.now +
		(uint64_t)(sim_random() % (sim_chance(128) ? 2 * MS :
			3 * sim.config.options.death_ns));
	if (p->restart_at != SIM_NEVER)
		sim_event_at(p->restart_at);
}

static void unplug(struct sim_peer *p)
{
	struct sim_seat *seat = &p->seat[sim_pick(sim.config.regions)];

	if (seat->slot < 0 || seat->gone || !seat->region || seat->unplug)
		return;
	sim_trace("peer %u's device in region %u shall leave", p->index, seat->where);
	seat->unplug = true;
	sim.unplugs_done++;
}

static void stall(struct sim_peer *p)
{
	uint64_t ns = sim_random() % (sim_chance(64) ? sim.config.options.death_ns :
		6 * sim.config.options.death_ns);
	unsigned i;

	sim_trace("peer %u stands still for %llu us", p->index, (unsigned long long)(ns / US));
	memory_drain(p, SIM_BUFFER);
	p->state = PEER_STALLED;
	p->resume_at = sim.now + ns;
	p->stalled_ns += ns;
	p->away_ns += ns;
	for (i = 0; i < sim.config.regions; i++)
		sim.spoiled = sim.spoiled || (p->seat[i].formats && p->seat[i].slot < 0);
	sim.stalls_done++;
	if (sim.config.pulled_still && left(sim.unplugs_done, sim.config.unplugs))
		unplug(p);
	sim_event_at(p->resume_at);
}

void fault_happens(struct sim_peer *p)
{
	enum sim_fault what = p->fault;

	if (what == FAULT_KILL && left(sim.kills_done, sim.config.kills))
		kill(p);
	else if (what == FAULT_STALL && left(sim.stalls_done, sim.config.stalls))
		stall(p);
	else if (what == FAULT_UNPLUG && left(sim.unplugs_done, sim.config.unplugs))
		unplug(p);
	fault_plan(p);
}

// Where the scenario aims at a word, what is delicate only arms.
static bool arms(struct sim_peer *p)
{
	if (sim.config.aim)
		p->armed = p->fault && sim_chance(128);
	return sim.config.aim;
}

static void fault_within(struct sim_peer *p, uint32_t steps)
{
	sim_account(p);
	p->fault_step = p->steps + 1 + sim_pick(steps);
	sim_account(p);
}

void fault_moment(struct sim_peer *p)
{
	if (arms(p) || !p->fault || sim.config.still ||
		!sim_chance(sim.config.delicate ? 128 : 40))
		return;
	fault_within(p, 20u << sim_pick(sim.config.sudden ? 4 : 8));
}

void fault_reading(struct sim_peer *p)
{
	if (!sim.config.still || arms(p) || !p->fault || !sim_chance(100))
		return;
	fault_within(p, 60);
}

void fault_aim(struct sim_peer *p, uint64_t at, bool stores)
{
	if (name_kind(at) != sim.config.aim || !sim_chance(stores ? 64 : 8))
		return;
	if (!p->fault || sim_chance(128)) {
		sim_yield();
	} else if (!sim.config.delicate || p->armed) {
		p->armed = false;
		fault_within(p, 8);
	}
}

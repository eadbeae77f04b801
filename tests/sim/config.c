// SPDX-License-Identifier: BSD-2-Clause
// A seed becomes a scenario: which ground, which scheduler, which faults.
#include <stdio.h>
#include <string.h>
#include "tests/sim/sim.h"

static unsigned pick_of(const unsigned *values, unsigned n)
{
	return values[sim_pick(n)];
}
#define PICK(...) \
	pick_of((const unsigned[]){ __VA_ARGS__ }, sizeof((unsigned[]){ __VA_ARGS__ }) / 4)

static void configure_faults(struct sim_config *c)
{
	switch (sim_pick(8)) {
	case 0: case 1: case 2:
		break;
	case 3: case 4:
		c->kills = 1 + sim_pick(3);
		break;
	case 5:
		c->stalls = 1 + sim_pick(2);
		break;
	case 6:
		c->kills = sim_pick(3);
		c->stalls = sim_pick(3);
		break;
	case 7:
		c->lies = sim_chance(128) ? LIES_OWN : LIES_WILD;
		c->kills = sim_pick(2);
		break;
	}
	if (c->lies && c->peers < 3)
		c->peers = 3;
}

void sim_configure(uint64_t seed)
{
	struct sim_config *c = &sim.config;
	bool tcg;

	sim.rng = seed * 0x9e3779b97f4a7c15u + 0x1234567;
	sim_random();
	c->seed = seed;
	c->peers = PICK(2, 2, 2, 3, 3, 4);
	c->ground = PICK(GROUND_DOORBELL, GROUND_DOORBELL, GROUND_DOORBELL, GROUND_FUTEX,
		GROUND_PLAIN);
	tcg = c->ground != GROUND_FUTEX && sim_chance(40);
	c->fences = c->atomic = !tcg;
	c->buffer = PICK(0, 1, 2, 4, 8, 16, 32);
	c->drain = PICK(2, 8, 32, 128);
	c->quantum = PICK(0, 0, 1, 2, 4, 8, 16, 32, 64, 128);
	c->tick = PICK(2, 10, 40);
	c->bell_delay = PICK(0, 0, 2000, 50000, 1000000);
	c->bells_stick = sim_chance(128);
	c->bells_lost = sim_chance(30) ? 1 + sim_pick(3000) : 0;
	c->messages = PICK(0, 1, 2, 4, 8, 16, 30);
	c->options.death_ns = PICK(10, 20, 40, 100) * MS;
	c->options.slots = c->peers + sim_pick(2);
	c->options.channels = c->peers + sim_pick(2);
	c->backing_ns = PICK(5, 20, 20) * MS;
	c->spin_ns = PICK(MSG_SPIN_NEVER, MSG_SPIN_NEVER, MSG_SPIN_NEVER, 500, 5000);
	configure_faults(c);
	if (geometry_choose(&sim.geo, SIM_SIZE, &c->options))
		sim_fail("the scenario has no geometry");
}

void sim_print_config(void)
{
	static const char *const grounds[] = { "doorbells", "futex", "plain" };
	static const char *const lies[] = { "none", "about its own", "anywhere" };
	const struct sim_config *c = &sim.config;

	printf("seed %llu: %u peers on %s, %s; store buffer %u, drain %u/256, ",
		(unsigned long long)c->seed, c->peers, grounds[c->ground],
		c->fences ? "fences and CAS work" : "neither fences nor CAS (TCG -smp 1)",
		c->buffer, c->drain);
	if (c->quantum)
		printf("runs of %u", c->quantum);
	else
		printf("by priorities");
	printf("; %u kills, %u stalls, lies %s; death %llu ms, backing %llu ms, spin %llu ns; "
	       "%u slots, %u channels, up to %u messages; bells %u ns late, %s, lost for %u us\n",
		c->kills, c->stalls, lies[c->lies], (unsigned long long)(c->options.death_ns / MS),
		(unsigned long long)(c->backing_ns / MS), (unsigned long long)c->spin_ns,
		c->options.slots, c->options.channels, c->messages, c->bell_delay,
		c->bells_stick ? "kept" : "momentary", c->bells_lost);
}

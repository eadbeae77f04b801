// SPDX-License-Identifier: BSD-2-Clause
// A seed becomes a scenario: which ground, which scheduler, which faults, which habits.
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
	switch (sim_pick(16)) {
	case 0: case 1: case 2: case 3: case 4: case 5:
		break;
	case 6: case 7: case 8:
		c->kills = 1 + sim_pick(3);
		break;
	case 9: case 10:
		c->stalls = 1 + sim_pick(2);
		break;
	case 11: case 12:
		c->kills = sim_pick(3);
		c->stalls = sim_pick(2);
		c->unplugs = 1 + sim_pick(2);
		break;
	case 13:
		c->lies = sim_chance(128) ? LIES_OWN : LIES_WILD;
		c->kills = sim_pick(2);
		break;
	case 14: case 15:
		c->lies = LIES_POINTED;
		c->kills = sim_pick(4) == 0;
		break;
	}
	if (c->lies && c->peers < 3)
		c->peers = 3;
}

// What makes rare meetings frequent: whole seeds live for one of them.
static void configure_habits(struct sim_config *c)
{
	c->messages = PICK(0, 1, 2, 4, 8, 16, 24);
	c->patience = PICK(4, 4, 4, 4, 60, 100);
	c->idle = PICK(30, 30, 30, 100);
	c->streams = PICK(0, 0, 0, 64, 256);
	c->buffers = PICK(0, 0, 8, 80);
	c->contests = sim_pick(3);
	c->churn = PICK(0, 0, 0, 100);
	c->topics = sim_chance(30);
	c->policy = sim_pick(3);
	c->calls = sim_chance(24);
	c->queues = !c->topics && !c->calls && sim_chance(16);
	c->groups = !c->topics && !c->calls && !c->queues && sim_chance(16);
	c->group_size = 2 + sim_pick(c->peers - 1);
	c->dispatchers = 1 + (c->peers > 2 && sim_chance(128));
	switch (sim_pick(8)) {
	case 0:
		// One-way flows whose senders wait for each release.
		c->lengths = LENGTHS_LONG;
		c->one_way = sim_chance(200);
		c->patience = PICK(60, 200);
		c->picky = sim_chance(128);
		c->messages = PICK(8, 16);
		break;
	case 1:
		// A name that all want at once, again and again.
		if (!sim_chance(128))
			break;
		c->contests = 3 + sim_pick(12);
		c->messages = PICK(0, 1);
		c->bell_delay = 0;
		break;
	case 2:
		// Listeners that look away while callers come and die.
		if (!sim_chance(128))
			break;
		c->naps = 128;
		c->delicate = true;
		if (!c->lies && c->peers < 3)
			c->peers = 3;
		if (!c->lies)
			c->kills += 1 + sim_pick(3);
		c->messages = PICK(0, 1, 2);
		c->churn = 200;
		break;
	case 3:
		c->picky = true;
		break;
	case 4:
		// Who asks or answers stands still meanwhile, and others take its place and memory.
		if (c->lies || !sim_chance(64))
			break;
		c->queues = sim_chance(100);
		c->calls = !c->queues;
		c->topics = false;
		c->stalls += 1 + sim_pick(3);
		c->peers = 3;
		c->churn = 200;
		c->still = true;
		c->messages = 8;
		c->buffers = 80;
		c->patience = 4;
		c->idle = 30;
		break;
	}
	if (sim_chance(8) && !c->lies) {
		// Devices that are pulled out in the middle of what asks for the time.
		c->unplugs = 3 + sim_pick(4);
		c->kills = sim_pick(2);
		c->stalls = 0;
		c->sudden = c->delicate = true;
		c->still = false;
		c->churn = 200;
		c->contests = sim_pick(6);
		c->calls = sim_chance(60);
		c->topics = sim_chance(60);
		c->queues = !c->calls && !c->topics && sim_chance(80);
		c->groups = !c->queues && sim_chance(80);
	}
	if (c->group_size > c->peers)
		c->group_size = c->peers;
	// An item goes through many hands.
	if (c->queues || c->groups) {
		c->idle = 30;
		c->patience = 4;
		c->messages = c->messages > 8 ? 8 : c->messages;
	}
	// What a lie owes is to be seen soon.
	if (c->lies == LIES_POINTED) {
		c->patience = 4;
		c->idle = 30;
		c->naps = 0;
		c->small_rings = sim_chance(40);
	}
}

void sim_configure(uint64_t seed)
{
	struct sim_config *c = &sim.config;
	bool tcg;

	sim.rng = seed * 0x9e3779b97f4a7c15u + 0x1234567;
	sim_random();
	c->seed = seed;
	c->peers = PICK(2, 2, 2, 2, 3, 3, 4);
	c->regions = sim_chance(16) ? 2 : 1;
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
	c->options.death_ns = PICK(10, 20, 40, 100) * MS;
	c->backing_ns = PICK(5, 20, 20) * MS;
	c->spin_ns = PICK(MSG_SPIN_NEVER, MSG_SPIN_NEVER, MSG_SPIN_NEVER, 500, 5000);
	configure_faults(c);
	configure_habits(c);
	c->options.slots = c->peers + sim_pick(2);
	c->options.channels = c->peers * (1 + c->topics + c->calls + 2 * c->queues) + sim_pick(2);
	if (geometry_choose(&sim.geo, SIM_SIZE, &c->options))
		sim_fail("the scenario has no geometry");
}

void sim_print_config(void)
{
	static const char *const grounds[] = { "doorbells", "futex", "plain" };
	static const char *const lies[] = { "none", "about its own", "anywhere", "pointed" };
	const struct sim_config *c = &sim.config;

	printf("seed %llu: %u peers, %u region%s, on %s, %s; store buffer %u, drain %u/256, ",
		(unsigned long long)c->seed, c->peers, c->regions, c->regions > 1 ? "s" : "",
		grounds[c->ground],
		c->fences ? "fences and CAS work" : "neither fences nor CAS (TCG -smp 1)",
		c->buffer, c->drain);
	if (c->quantum)
		printf("runs of %u", c->quantum);
	else
		printf("by priorities");
	printf("; %u kills, %u stalls, %u unplugs, lies %s; death %llu ms, backing %llu ms, spin "
	       "%llu ns; %u slots, %u channels; bells %u ns late, %s, lost for %u us\n",
		c->kills, c->stalls, c->unplugs, lies[c->lies],
		(unsigned long long)(c->options.death_ns / MS),
		(unsigned long long)(c->backing_ns / MS), (unsigned long long)c->spin_ns,
		c->options.slots, c->options.channels, c->bell_delay,
		c->bells_stick ? "kept" : "momentary", c->bells_lost);
	if (c->queues)
		printf("queue: %u dispatch; ", c->dispatchers);
	if (c->groups)
		printf("groups of %u; ", c->group_size);
	printf("habits: up to %u messages%s%s, patience %u ms, idle %u ms, %u contests; "
	       "of 256: %u streams, %u buffers, %u naps, %u reopened%s%s%s\n", c->messages,
		c->lengths == LENGTHS_LONG ? ", long" : "", c->one_way ? ", one way" : "",
		c->patience, c->idle, c->contests, c->streams, c->buffers, c->naps, c->churn,
		c->picky ? "; picky waits" : "", c->calls ? "; calls" : "",
		!c->topics ? "" : c->policy == 0 ? "; topics with back-pressure" :
		c->policy == 1 ? "; topics that drop" : "; topics of the latest");
}

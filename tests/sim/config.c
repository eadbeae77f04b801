// SPDX-License-Identifier: BSD-2-Clause
// A seed becomes a scenario: which ground, which scheduler, which faults, which habits. Each draw
// has a name: what --with fixes, or leaves open, is drawn by that (scenario.c).
#include <stdio.h>
#include <string.h>
#include "tests/sim/sim.h"

static unsigned pick_of(const char *what, const unsigned *values, unsigned n)
{
	return values[scenario_draw(what, n)];
}
#define PICK(what, ...) \
	pick_of(what, (const unsigned[]){ __VA_ARGS__ }, sizeof((unsigned[]){ __VA_ARGS__ }) / 4)

static uint32_t pick(const char *what, uint32_t n)
{
	return scenario_draw(what, n);
}

static bool chance(const char *what, uint32_t of_256)
{
	return scenario_given() ? scenario_draw(what, 256) < of_256 : sim_chance(of_256);
}

static void configure_faults(struct sim_config *c)
{
	switch (pick("faults", 16)) {
	case 0: case 1: case 2: case 3: case 4: case 5:
		break;
	case 6: case 7: case 8:
		c->kills = 1 + pick("kills", 3);
		break;
	case 9: case 10:
		c->stalls = 1 + pick("stalls", 2);
		break;
	case 11: case 12:
		c->kills = pick("kills", 3);
		c->stalls = pick("stalls", 2);
		c->unplugs = 1 + pick("unplugs", 2);
		break;
	case 13:
		c->lies = chance("lies", 128) ? LIES_OWN : LIES_WILD;
		c->kills = pick("kills", 2);
		break;
	case 14: case 15:
		c->lies = LIES_POINTED;
		c->kills = pick("kills", 4) == 0;
		break;
	}
	scenario_fix();
	if (c->lies && c->peers < 3 && !scenario_fixed("peers"))
		c->peers = 3;
}

static void configure_habits(struct sim_config *c)
{
	c->messages = PICK("messages", 0, 1, 2, 4, 8, 16, 24);
	c->patience = PICK("patience", 4, 4, 4, 4, 60, 100);
	c->idle = PICK("idle", 30, 30, 30, 100);
	c->streams = PICK("streams", 0, 0, 0, 64, 256);
	c->buffers = PICK("buffers", 0, 0, 8, 80);
	c->contests = pick("contests", 3);
	c->churn = PICK("churn", 0, 0, 0, 100);
	c->topics = chance("topics", 30);
	c->policy = pick("policy", 3);
	c->calls = chance("calls", 24);
	c->queues = !c->topics && !c->calls && chance("queues", 16);
	c->groups = !c->topics && !c->calls && !c->queues && chance("groups", 16);
	c->group_size = 2 + pick("group-size", c->peers - 1);
	c->links = !c->topics && !c->calls && !c->queues && !c->groups &&
		scenario_aside("links", 256) < 6;
	c->pairs = 1 + scenario_aside("pairs", c->peers);
	c->replugs = scenario_aside("replug", 2) ? scenario_aside("replugs", 6) : 0;
	c->put_backs = scenario_aside("put back", 3) ? 0 : 128;
	c->dispatchers = 1 + (c->peers > 2 && chance("dispatchers", 128));
}

// Who names a pattern, or a fault, means no other ones.
static bool patterns_named(void)
{
	return scenario_fixed("topics") || scenario_fixed("calls") || scenario_fixed("queues") ||
	       scenario_fixed("groups") || scenario_fixed("links");
}

static void configure_named(struct sim_config *c)
{
	if (patterns_named())
		c->topics = c->calls = c->queues = c->groups = c->links = false;
	if (scenario_fixed("kills") || scenario_fixed("stalls") || scenario_fixed("unplugs") ||
		scenario_fixed("lies")) {
		c->kills = c->stalls = c->unplugs = 0;
		c->lies = LIES_NONE;
	}
	scenario_fix();
}

static enum sim_meeting draw_meeting(const struct sim_config *c)
{
	switch (pick("meeting", 8)) {
	case 0: return MEETING_ONE_WAY;
	case 1: return chance("rarely", 128) ? MEETING_CONTEST : MEETING_NONE;
	case 2: return chance("rarely", 128) ? MEETING_NAPS : MEETING_NONE;
	case 3: return MEETING_PICKY;
	case 4: return !c->lies && chance("rarely", 64) ? MEETING_STILL : MEETING_NONE;
	default: return MEETING_NONE;
	}
}

// What makes rare meetings frequent: whole seeds live for one of them.
static void configure_meeting(struct sim_config *c)
{
	switch (c->meeting) {
	case MEETING_ONE_WAY:
		// One-way flows whose senders wait for each release.
		c->lengths = LENGTHS_LONG;
		c->one_way = chance("one-way", 200);
		c->patience = PICK("patience", 60, 200);
		c->picky = chance("picky", 128);
		c->messages = PICK("messages", 8, 16);
		break;
	case MEETING_CONTEST:
		// A name that all want at once, again and again.
		c->contests = 3 + pick("contests", 12);
		c->messages = PICK("messages", 0, 1);
		c->bell_delay = 0;
		break;
	case MEETING_NAPS:
		// Listeners that look away while callers come and die.
		c->naps = 128;
		c->delicate = true;
		if (!c->lies && c->peers < 3)
			c->peers = 3;
		if (!c->lies)
			c->kills += 1 + pick("more-kills", 3);
		c->messages = PICK("messages", 0, 1, 2);
		c->churn = 200;
		break;
	case MEETING_PICKY:
		c->picky = true;
		break;
	case MEETING_STILL:
		// Who asks or answers stands still meanwhile, and others take its place and memory.
		if (!patterns_named()) {
			c->queues = chance("queues", 100);
			c->calls = !c->queues;
			c->topics = false;
		}
		c->stalls += 1 + pick("more-stalls", 3);
		c->peers = 3;
		c->churn = 200;
		c->still = true;
		c->messages = 8;
		c->buffers = 80;
		c->patience = 4;
		c->idle = 30;
		break;
	case MEETING_PULLED:
		// Devices that are pulled out in the middle of what asks for the time.
		c->unplugs = 3 + pick("unplugs", 4);
		c->kills = pick("kills", 2);
		c->stalls = 0;
		c->sudden = c->delicate = true;
		c->still = false;
		c->churn = 200;
		c->contests = pick("contests", 6);
		if (patterns_named())
			break;
		c->calls = chance("calls", 60);
		c->topics = chance("topics", 60);
		c->queues = !c->calls && !c->topics && chance("queues", 80);
		c->groups = !c->queues && chance("groups", 80);
		break;
	default:
		break;
	}
}

// What goes together.
static void configure_limits(struct sim_config *c)
{
	// An item goes through many hands.
	if (c->queues || c->groups || c->links) {
		c->idle = 30;
		c->patience = 4;
		c->messages = c->messages > 8 ? 8 : c->messages;
	}
	// Who seeks looks often: longer polling would cost more than it shows.
	if (c->links && c->spin_ns == 5000)
		c->spin_ns = 500;
	// Who comes again waits long for a name that a liar is about to take.
	if (c->lies)
		c->replugs = 0;
	// What a lie owes is to be seen soon.
	if (c->lies == LIES_POINTED) {
		c->patience = 4;
		c->idle = 30;
		c->naps = 0;
		c->small_rings = chance("small-rings", 40);
	}
}

static void configure_ground(struct sim_config *c)
{
	bool tcg;

	c->peers = PICK("peers", 2, 2, 2, 2, 3, 3, 4);
	c->regions = chance("regions", 16) ? 2 : 1;
	c->ground = PICK("ground", GROUND_DOORBELL, GROUND_DOORBELL, GROUND_DOORBELL, GROUND_FUTEX,
		GROUND_PLAIN);
	tcg = c->ground != GROUND_FUTEX && chance("tcg", 40);
	c->fences = c->atomic = !tcg;
	c->buffer = PICK("buffer", 0, 1, 2, 4, 8, 16, 32);
	c->drain = PICK("drain", 2, 8, 32, 128);
	c->quantum = PICK("quantum", 0, 0, 1, 2, 4, 8, 16, 32, 64, 128);
	c->tick = PICK("tick", 2, 10, 40);
	c->bell_delay = PICK("bell-delay", 0, 0, 2000, 50000, 1000000);
	c->bells_stick = chance("bells-stick", 128);
	c->bells_lost = chance("bells-lost", 30) ? 1 + pick("lost-for", 3000) : 0;
	c->options.death_ns = PICK("death", 10, 20, 40, 100) * MS;
	c->backing_ns = PICK("backing", 5, 20, 20) * MS;
	c->spin_ns = PICK("spin", MSG_SPIN_NEVER, MSG_SPIN_NEVER, MSG_SPIN_NEVER, 500, 5000);
}

void sim_configure(uint64_t seed)
{
	struct sim_config *c = &sim.config;

	scenario_begin(seed);
	configure_ground(c);
	configure_faults(c);
	configure_habits(c);
	c->meeting = draw_meeting(c);
	configure_named(c);
	configure_meeting(c);
	if (!scenario_fixed("meeting") && chance("pulled", 8) && !c->lies) {
		c->meeting = MEETING_PULLED;
		configure_meeting(c);
	}
	scenario_fix();
	configure_limits(c);
	c->options.slots = c->peers + pick("slots", 2);
	c->options.channels = c->peers * (1 + c->topics + c->calls + 2 * c->queues) + 3 * c->links +
		pick("channels", 2);
	scenario_fix();
	if (c->pairs > c->peers)
		c->pairs = c->peers;
	if (c->group_size > c->peers)
		c->group_size = c->peers;
	if (geometry_choose(&sim.geo, SIM_SIZE, &c->options))
		sim_fail("the scenario has no geometry");
}

void sim_print_config(void)
{
	static const char *const grounds[] = { "doorbells", "futex", "plain" };
	static const char *const lies[] = { "none", "about its own", "anywhere", "pointed" };
	const struct sim_config *c = &sim.config;

	if (scenario_given())
		printf("with %s: ", scenario_given());
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
	if (c->links)
		printf("%u links, %u replugs, of 256 %u put back; ", c->pairs, c->replugs,
			c->put_backs);
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

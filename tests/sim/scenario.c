// SPDX-License-Identifier: BSD-2-Clause
/*
 * Parts of the scenario that are fixed from outside (--with): each part of struct sim_config has a
 * name. What is not fixed is drawn by seed and name, so that a part that is added later changes
 * none of the others, and the run's own draws begin afresh behind them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/sim/sim.h"

#define MOST_FIXES  24
#define MOST_VALUES 6

struct part {
	const char *name;
	uint16_t offset, size;
	uint64_t unit, least, most;
	const char *words; /* names of the values 0, 1, ... */
	const char *what;
};

#define PART(name, field, unit, least, most, words, what) \
	{ name, offsetof(struct sim_config, field), sizeof(((struct sim_config *)0)->field), \
		unit, least, most, words, what }
#define NUMBER(name, field, least, most, what) PART(name, field, 1, least, most, NULL, what)
#define TIME_MS(name, field, least, most, what) PART(name, field, MS, least, most, NULL, what)
#define WORDS(name, field, n, words, what)     PART(name, field, 1, 0, (n) - 1, words, what)
#define YES(name, field, what)                 PART(name, field, 1, 0, 1, NULL, what)

static const struct part parts[] = {
	NUMBER("peers", peers, 2, SIM_PEERS, "how many"),
	NUMBER("regions", regions, 1, SIM_REGIONS, "how many"),
	WORDS("ground", ground, 3, "doorbell futex plain", "how peers wake each other"),
	YES("fences", fences, "fences work"),
	YES("atomic", atomic, "compare-and-swap is one step"),
	NUMBER("buffer", buffer, 0, SIM_BUFFER, "entries of the store buffers"),
	NUMBER("drain", drain, 1, 256, "of 256 looks, how many drain a store"),
	NUMBER("quantum", quantum, 0, 1000, "mean steps of a turn; 0: turns by priorities"),
	NUMBER("tick", tick, 1, 1000, "ns of a step"),
	NUMBER("bell-delay", bell_delay, 0, 100000000, "ns at most"),
	YES("bells-stick", bells_stick, "a bell between two sleeps is kept"),
	NUMBER("bells-lost", bells_lost, 0, 100000, "us in which a newcomer's bells are lost"),
	TIME_MS("death", options.death_ns, 1, 10000, "ms until a silent peer is dead"),
	TIME_MS("backing", backing_ns, 1, 10000, "ms of the longest sleep"),
	NUMBER("spin", spin_ns, 0, MSG_SPIN_NEVER, "ns of polling before a sleep"),
	NUMBER("kills", kills, 0, 20, "at most"),
	NUMBER("stalls", stalls, 0, 20, "at most"),
	NUMBER("unplugs", unplugs, 0, 20, "at most"),
	WORDS("lies", lies, 4, "none own wild pointed", "of one peer"),
	WORDS("meeting", meeting, MEETINGS, MEETING_WORDS, "what the seed lives for"),
	WORDS("aim", aim, WORDS_AIMED, WORD_WORDS,
		"faults and others' turns come at accesses to these words"),
	NUMBER("messages", messages, 0, 60, "of a channel and direction, at most"),
	WORDS("lengths", lengths, 2, "mixed long", "of messages"),
	NUMBER("patience", patience, 1, 10000, "ms of the longest deadline"),
	NUMBER("idle", idle, 1, 10000, "ms of the longest wait"),
	YES("one-way", one_way, "who accepted sends nothing"),
	YES("loyal", loyal, "nobody closes before all is done"),
	YES("waits", waits, "receives only what msg_wait says is there"),
	NUMBER("quits", quits, 0, 256, "of 256 calls of a group under way, how many end by leaving"),
	NUMBER("items", items, 1, 100, "that a dispatcher holds"),
	YES("picky", picky, "waits for some of its channels only"),
	YES("delicate", delicate, "faults come oftener where they hurt"),
	YES("sudden", sudden, "devices go without notice"),
	YES("pulled-still", pulled_still, "devices go while their peers stand still"),
	YES("still", still, "peers stand still only while they read"),
	NUMBER("naps", naps, 0, 256, "of 256 rounds, how many begin with a sleep"),
	NUMBER("contests", contests, 0, 100, "times that all want one name, at most"),
	NUMBER("churn", churn, 0, 256, "of 256 channels, how many are opened again"),
	YES("starts", starts, "listeners' rings begin anywhere, too"),
	NUMBER("streams", streams, 0, 256, "of 256 channels, how many carry a stream"),
	NUMBER("buffers", buffers, 0, 256, "of 256 sends, how many take a buffer"),
	YES("small-rings", small_rings, "a liar's are smaller than their land"),
	YES("topics", topics, "are published and subscribed"),
	WORDS("policy", policy, 3, "back-pressure drop-oldest latest", "of topics"),
	YES("calls", calls, "are made and answered"),
	YES("queues", queues, "of work"),
	YES("groups", groups, "gather"),
	YES("links", links, "join peers"),
	NUMBER("pairs", pairs, 1, SIM_PEERS, "of peers that have a link"),
	NUMBER("replugs", replugs, 0, 20, "of a peer's own devices, at most"),
	NUMBER("put-backs", put_backs, 0, 256, "of 256 replugs, how many put a link's end back"),
	NUMBER("group-size", group_size, 2, SIM_PEERS, "members"),
	NUMBER("dispatchers", dispatchers, 1, SIM_PEERS, "of a queue; the other peers work"),
	NUMBER("slots", options.slots, 1, 8, "of the region"),
	NUMBER("channels", options.channels, 1, 64, "of a peer, at most"),
};
#define PARTS (sizeof(parts) / sizeof(parts[0]))

struct fix {
	const struct part *part;
	unsigned count;
	uint64_t value[MOST_VALUES]; /* one of these */
};

static struct fix fixes[MOST_FIXES];
static unsigned fix_count;
static const char *given;

static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint32_t scenario_draw(const char *what, uint32_t n)
{
	return fix_count ? scenario_aside(what, n) : sim_pick(n);
}

uint32_t scenario_aside(const char *what, uint32_t n)
{
	uint64_t z = sim.config.seed * 0x9e3779b97f4a7c15u;

	for (; *what; what++)
		z = mix(z + (uint8_t)*what * 0x100000001b3u);
	return (uint32_t)((mix(z) >> 32) * n >> 32);
}

void scenario_begin(uint64_t seed)
{
	sim.config.seed = seed;
	sim.rng = seed * 0x9e3779b97f4a7c15u + 0x1234567;
	sim_random();
}

void scenario_fix(void)
{
	unsigned i;

	for (i = 0; i < fix_count; i++) {
		const struct part *part = fixes[i].part;
		uint64_t value = fixes[i].value[scenario_draw(part->name, fixes[i].count)] *
			part->unit;

		// Little-endian, as the wire format.
		memcpy((uint8_t *)&sim.config + part->offset, &value, part->size);
	}
}

bool scenario_fixed(const char *name)
{
	unsigned i;

	for (i = 0; i < fix_count; i++)
		if (!strcmp(fixes[i].part->name, name))
			return true;
	return false;
}

const char *scenario_given(void)
{
	return given;
}

/* ---- --with ---- */

static bool same(const char *name, const char *text, size_t len)
{
	return strlen(name) == len && !memcmp(name, text, len);
}

static bool value_of(const struct part *part, const char *text, size_t len, uint64_t *value)
{
	const char *word = part->words;
	char *end;

	for (*value = 0; word; ++*value) {
		size_t n = strcspn(word, " ");

		if (n == len && !memcmp(word, text, len))
			return true;
		word = word[n] ? word + n + 1 : NULL;
	}
	if (part->words || !len)
		return false;
	*value = strtoull(text, &end, 0);
	return end == text + len && *value >= part->least && *value <= part->most;
}

static bool parse_one(const char *text, size_t len)
{
	size_t name = strcspn(text, "=,"), n;
	struct fix *fix = &fixes[fix_count];
	unsigned i;

	if (fix_count == MOST_FIXES)
		return false;
	for (i = 0; i < PARTS && !same(parts[i].name, text, name); i++)
		;
	if (i == PARTS)
		return false;
	*fix = (struct fix){ .part = &parts[i] };
	fix_count++;
	// A name alone says yes.
	if (name == len) {
		fix->value[fix->count++] = 1;
		return fix->part->most == 1;
	}
	for (i = (unsigned)name + 1; i <= len; i += (unsigned)n + 1) {
		n = strcspn(text + i, "/,");
		if (fix->count == MOST_VALUES || !value_of(fix->part, text + i, n,
			&fix->value[fix->count++]))
			return false;
	}
	return true;
}

bool scenario_parse(const char *list)
{
	size_t len;

	given = list;
	do {
		len = strcspn(list, ",");
		if (!parse_one(list, len)) {
			fprintf(stderr, "--with: '%.*s' isn't a part of a scenario; see --help\n",
				(int)len, list);
			return false;
		}
		list += len;
	} while (*list++);
	return true;
}

void scenario_help(void)
{
	unsigned i;

	printf("\nparts of a scenario, for --with (PART, PART=VALUE or PART=VALUE/VALUE...):\n");
	for (i = 0; i < PARTS; i++) {
		printf("  %-12s %s", parts[i].name, parts[i].what);
		if (parts[i].words)
			printf(": %s", parts[i].words);
		printf("\n");
	}
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * One program of cases for two and more peers, which is a guest and a process, so that all
 * pairings run the same test.
 *
 *	exchange lead|follow [KEY=VALUE...] CASE...	both sides are given the same cases
 *	exchange hub|spoke [KEY=VALUE...]
 *
 * Keys: name= ring= start= count= peers= regions= compute= (ms) death= (ms) spin=never|adapt
 * strict=1
 */
#include "msg/internal.h"
#include "tests/msg/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct settings settings = { .count = 1000, .peers = 1, .regions = 1 };
uint8_t out_bytes[BYTES_MAX], in_bytes[BYTES_MAX];

void fail(const char *file, int line, const char *what, int64_t a, int64_t b)
{
	const char *name = strrchr(file, '/');

	printf("FAIL %s:%d: %s: %lld, %lld%s%s\n", name ? name + 1 : file, line, what, (long long)a,
	       (long long)b, a < 0 ? ": " : "", a < 0 ? msg_strerror(a) : "");
	exit(1);
}

void fill(uint8_t *data, size_t length, uint32_t seed)
{
	uint32_t state = seed * 2654435761u + 1;

	for (size_t i = 0; i < length; i++) {
		state = state * 1664525u + 1013904223u;
		data[i] = (uint8_t)(state >> 24);
	}
}

void check(const uint8_t *data, size_t length, uint32_t seed)
{
	uint32_t state = seed * 2654435761u + 1;

	for (size_t i = 0; i < length; i++) {
		state = state * 1664525u + 1013904223u;
		if (data[i] != (uint8_t)(state >> 24)) {
			printf("FAIL byte %zu of %zu, seed %u: 0x%02x, not 0x%02x\n", i, length,
			       (unsigned int)seed, data[i], (unsigned int)(uint8_t)(state >> 24));
			exit(1);
		}
	}
}

uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

void leave(struct msg_region *region)
{
	struct msg_wait_stats stats;

	msg_wait_stats(region, &stats);
	printf("waits: sleeps=%llu rescues=%llu resets=%llu\n", (unsigned long long)stats.sleeps,
	       (unsigned long long)stats.rescues, (unsigned long long)stats.resets);
	EQUAL(stats.resets, 0);
	if (settings.strict)
		EQUAL(stats.rescues, 0);
	OK(msg_leave(region));
}

static const struct pair_case *find_case(const char *name)
{
	const struct pair_case *c = pair_cases;

	while (c->name && strcmp(c->name, name))
		c++;
	return c->name ? c : NULL;
}

struct msg_channel *meet(struct pair *pair, const char *name)
{
	struct msg_listener *listener;
	struct msg_channel *channel;

	if (pair->leads) {
		OK(msg_connect(pair->region, name, &settings.channel, &channel, soon()));
	} else {
		OK(msg_listen(pair->region, name, &settings.channel, &listener));
		OK(msg_accept(listener, &channel, soon()));
		msg_unlisten(listener);
	}
	return channel;
}

/* A lost wake-up costs seconds from now on, and is a rescue: what is merely late on a busy machine
 * isn't. Not before both have met, since QEMU loses what is rung before it knows of the other. */
static void be_strict(struct msg_region *region)
{
	static struct msg_wait_ops ops;

	ops = *region->context->ops;
	ops.backing_ns = 5 * S;
	region->context->ops = &ops;
}

static void run_pair(bool leads, int count, char **names)
{
	struct pair pair = { .leads = leads };
	struct msg_region_info info;

	OK(msg_attach(NULL, &settings.attach, &pair.region));
	for (int i = 0; i < count; i++) {
		const struct pair_case *c = find_case(names[i]);
		uint8_t end = 0;

		pair.channel = meet(&pair, c->name);
		if (settings.strict && !i)
			be_strict(pair.region);
		c->run(&pair);
		/* The leader closes when both are through. */
		if (leads) {
			EQUAL(msg_recv(pair.channel, &end, 1, soon()), 1);
		} else {
			OK(msg_send(pair.channel, &end, 1, soon()));
			EQUAL(msg_recv(pair.channel, &end, 1, soon()), -EPIPE);
		}
		msg_close(pair.channel);
		printf("PASS %s\n", c->name);
	}
	/* Closed channels hold nothing; a side may keep one small pool for its next large message.
	 */
	for (uint64_t limit = soon(); ; ) {
		struct msg_wait_item item = { .type = MSG_WAIT_EVENT, .region = pair.region };
		struct msg_event event;

		msg_region_describe(pair.region, &info);
		if (info.land_bytes - info.land_free <= 2 * 4 * info.default_ring)
			break;
		if (msg_now_ns() > limit)
			EQUAL(info.land_free, info.land_bytes);
		while (msg_next_event(pair.region, &event) > 0)
			;
		msg_wait(&item, 1, msg_now_ns() + MS);
	}
	leave(pair.region);
}

static bool read_setting(const char *word)
{
	static const struct {
		const char *key;
		void *value;
		unsigned int bytes;
		uint64_t unit;
	} numbers[] = {
		{ "ring=", &settings.channel.ring, 4, 1 },
		{ "start=", &settings.channel.start, 4, 1 },
		{ "count=", &settings.count, 4, 1 },
		{ "peers=", &settings.peers, 4, 1 },
		{ "regions=", &settings.regions, 4, 1 },
		{ "compute=", &settings.compute, 4, 1 },
		{ "slots=", &settings.attach.slots, 4, 1 },
		{ "death=", &settings.attach.death_ns, 8, MS },
		{ "strict=", &settings.strict, 1, 1 },
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		size_t length = strlen(numbers[i].key);
		uint64_t value;

		if (strncmp(word, numbers[i].key, length))
			continue;
		value = strtoull(word + length, NULL, 0) * numbers[i].unit;
		memcpy(numbers[i].value, &value, numbers[i].bytes); /* little-endian */
		return true;
	}
	if (!strncmp(word, "name=", 5))
		settings.attach.name = word + 5;
	else if (!strcmp(word, "spin=never"))
		settings.attach.spin_ns = MSG_SPIN_NEVER;
	else if (strcmp(word, "spin=adapt"))
		return find_case(word) != NULL;
	return true;
}

int main(int argc, char **argv)
{
	int first = 2;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 2; i < argc; i++) {
		if (!read_setting(argv[i])) {
			printf("FAIL exchange: %s: no such key or case\n", argv[i]);
			return 2;
		}
		if (!find_case(argv[i]))
			first = i + 1;
	}
	settings.attach.deadline = soon();
	if (argc > 1 && !strcmp(argv[1], "hub")) {
		hub();
	} else if (argc > 1 && !strcmp(argv[1], "spoke")) {
		spoke();
	} else if (argc > 1 && (!strcmp(argv[1], "lead") || !strcmp(argv[1], "follow"))) {
		run_pair(!strcmp(argv[1], "lead"), argc - first, argv + first);
	} else {
		printf("FAIL exchange: a role is needed: lead, follow, hub, spoke\n");
		return 2;
	}
	printf("PASS exchange\n");
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// Formatting: any content, any number of peers, formatters
// that die; and the rule that divides a region.
#include <errno.h>
#include <signal.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <isthmus/scratch.h>
#include "msg/layout.h"
#include "msg/ring.h"
#include "tests/msg/harness.h"

#define MEGA (1u << 20)

/* ---- the rule ---- */

static void check_geometry(uint64_t size, const struct msg_options *options)
{
	struct geometry g;

	EQUAL(geometry_choose(&g, size, options), 0);
	CHECK(geometry_valid(&g, size));
	CHECK(!geometry_valid(&g, size / 2) && !geometry_valid(&g, size * 2));
	CHECK(g.land_offset >= g.slot_offset + (uint64_t)g.slots * g.slot_stride);
	CHECK(g.land_offset + g.land_size <= scratch_offset(size));
	CHECK(g.land_size >= ring_footprint(g.default_ring));
}

static void rule(void)
{
	struct msg_options options = { .slots = 1, .channels = 1 };
	struct geometry g;
	uint64_t size;

	for (size = 65536; size <= 16ull << 30; size *= 2) {
		check_geometry(size, NULL);
		check_geometry(size, &options);
		check_geometry(size + size / 2, NULL);
	}
	// As documented.
	geometry_choose(&g, 65536, NULL);
	EQUAL(g.slots, 4);
	EQUAL(g.default_ring, 2048);
	geometry_choose(&g, 4 * MEGA, NULL);
	EQUAL(g.slots, 32);
	EQUAL(g.channels, 32);
	geometry_choose(&g, 1ull << 30, NULL);
	EQUAL(g.slots, 256);
	EQUAL(g.channels, 128);
	EQUAL(g.default_ring, 256 * 1024);
	options = (struct msg_options){ .slots = 4097 };
	EQUAL(geometry_choose(&g, 1ull << 30, &options), -EINVAL);
	options = (struct msg_options){ .slots = 64 };
	EQUAL(geometry_choose(&g, 65536, &options), -EINVAL);
	options = (struct msg_options){ .death_ns = 1 };
	EQUAL(geometry_choose(&g, 65536, &options), -EINVAL);
	CHECK(scratch_size(4096) == 256 && scratch_offset(4096) == 3840);
	CHECK(scratch_cell(MEGA, 1, 0) == scratch_cell(MEGA, 0, 1));
}

// Whatever passes geometry_valid keeps inside the region.
static void wild_geometry(void)
{
	uint64_t random = 11, size = MEGA;
	struct geometry g, base;
	unsigned i, passed = 0;

	geometry_choose(&base, size, NULL);
	for (i = 0; i < 2000000; i++) {
		uint64_t r = test_random(&random), at;

		g = base;
		// One or two words of it, anything.
		for (at = r % 2; at < 2; at++) {
			uint64_t v = test_random(&random);
			uint64_t word = v >> (test_random(&random) % 64);

			switch (v % 9) {
			case 0: g.land_offset = word; break;
			case 1: g.land_size = word; break;
			case 2: g.slot_offset = (uint32_t)word; break;
			case 3: g.slot_stride = (uint32_t)word & ~63u; break;
			case 4: g.slots = (uint32_t)word; break;
			case 5: g.channels = (uint32_t)word; break;
			case 6: g.deeds = (uint32_t)word & ~7u; break;
			case 7: g.grain = 1u << word % 32; break;
			case 8: g.default_ring = 1u << word % 32; break;
			}
		}
		if (!geometry_valid(&g, size))
			continue;
		passed++;
		CHECK(g.slot_offset + (uint64_t)g.slots * g.slot_stride <= g.land_offset);
		CHECK(g.slot_stride >= sizeof(struct wire_slot) + g.deeds * 8ull +
			g.channels * (uint64_t)sizeof(struct wire_channel));
		CHECK(g.land_offset + g.land_size >= g.land_offset &&
			g.land_offset + g.land_size <= scratch_offset(size));
	}
	CHECK(passed > 1000);
}

/* ---- races ---- */

struct race {
	const char *path;
	unsigned ways;
	uint32_t *ready, *met; /* racers that stand at the start, and that have seen all the others */
};

#define PEERS 12

static void race_peer(void *arg)
{
	struct race *race = arg;
	// Each has its own wish; all must end up with one.
	struct msg_options options = { .name = "racer", .slots = 16 + (uint32_t)getpid() % 8,
		.death_ns = PATIENT_DEATH };
	struct msg_region_info info;
	struct msg_region *region;
	struct msg_event event;
	uint64_t until;

	__atomic_fetch_add(race->ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(race->ready, __ATOMIC_SEQ_CST) < PEERS)
		sched_yield();
	OK(msg_attach(race->path, &options, &region));
	msg_region_describe(region, &info);
	until = in_ms(50000);
	while (msg_peers(region, NULL, 0) < PEERS) {
		CHECK(msg_now_ns() < until);
		msg_wait(&(struct msg_wait_item){ .type = MSG_WAIT_EVENT, .region = region }, 1,
			in_ms(20));
		while (msg_next_event(region, &event) > 0)
			;
	}
	__atomic_fetch_add(race->met, 1, __ATOMIC_SEQ_CST);
	UNTIL(__atomic_load_n(race->met, __ATOMIC_SEQ_CST) == PEERS);
	OK(msg_leave(region));
	_exit((int)info.slots);
}

static void race_on(const char *path)
{
	struct race race = { .path = path, .ready = test_shared(sizeof(*race.ready)),
		.met = test_shared(sizeof(*race.met)) };
	pid_t pids[PEERS];
	int status, slots = 0;
	unsigned i;

	for (i = 0; i < PEERS; i++)
		pids[i] = test_spawn(race_peer, &race);
	for (i = 0; i < PEERS; i++) {
		CHECK(waitpid(pids[i], &status, 0) == pids[i]);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) >= 16);
		CHECK(!slots || WEXITSTATUS(status) == slots);
		slots = WEXITSTATUS(status);
	}
}

static void race_on_zeroes(void)
{
	unsigned i;

	for (i = 0; i < 10; i++)
		race_on(test_region(4 * MEGA));
}

static void fill_garbage(const char *path, uint64_t seed)
{
	uint64_t *words = test_map(path, 4 * MEGA);
	size_t i;

	for (i = 0; i < 4 * MEGA / 8; i++)
		words[i] = test_random(&seed);
}

static void race_on_garbage(void)
{
	unsigned i;

	// Each waits for the claim of nobody to be over.
	for (i = 0; i < 5; i++) {
		const char *path = test_region(4 * MEGA);

		fill_garbage(path, i);
		race_on(path);
	}
}

// All bits set, and a header that is right but for one bit.
static void race_on_nearly_right(void)
{
	const char *path = test_region(4 * MEGA);
	uint8_t *bytes = test_map(path, 4 * MEGA);
	struct msg_region *region;
	unsigned bit;

	memset(bytes, 0xff, 4 * MEGA);
	race_on(path);
	for (bit = 64; bit < 1024; bit += 37) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		region = test_attach(path, "mender");
		EQUAL(msg_peers(region, NULL, 0), 1);
		OK(msg_leave(region));
	}
}

/* ---- formatters that die ---- */

static void formatting_peer(void *arg)
{
	struct race *race = arg;
	struct msg_options options = { .name = "victim", .format = race->ways & 1,
		.death_ns = 20 * MS };
	struct msg_region *region;

	OK(msg_attach(race->path, &options, &region));
	pause();
}

static void kill_formatters(unsigned rounds)
{
	struct race race = { .path = test_region(4 * MEGA) };
	uint64_t random = 5;
	struct msg_options options = { .name = "survivor", .deadline = 0 };
	struct msg_region *region;
	unsigned i, k;

	for (i = 0; i < rounds; i++) {
		pid_t pids[3];

		if (i % 2)
			fill_garbage(race.path, i);
		for (k = 0; k < 3; k++) {
			race.ways = i + k;
			pids[k] = test_spawn(formatting_peer, &race);
		}
		msg_sleep_until(msg_now_ns() + test_random(&random) % (4 * MS));
		for (k = 0; k < 3; k++)
			test_kill(pids[k]);
		if (i % 3)
			continue;
		OK(msg_attach(race.path, &options, &region));
		OK(msg_leave(region));
	}
}

static void killed_formatters(void)
{
	kill_formatters(15);
}

static void killed_formatters_more(void)
{
	kill_formatters(240);
}

// One that died with the claim in its hand: taken over after a while.
static void claim_of_a_dead_formatter(void)
{
	const char *path = test_region(MEGA);
	struct wire_header *header = test_map(path, MEGA);
	struct msg_region *region;

	header->format_claim = 0x1234567;
	header->format_beat = 99;
	region = test_attach(path, "heir");
	EQUAL(header->magic, WIRE_MAGIC);
	EQUAL(header->format_claim, 0);
	OK(msg_leave(region));
}

/* ---- other versions, other wishes ---- */

struct beating {
	struct wire_slot *slot;
};

static void beating_peer(void *arg)
{
	struct beating *beating = arg;

	for (;;) {
		__atomic_fetch_add(&beating->slot->beat, 1, __ATOMIC_SEQ_CST);
		msg_sleep_until(in_ms(20));
	}
}

static void other_version(void)
{
	const char *path = test_region(MEGA);
	struct wire_header *header = test_map(path, MEGA);
	struct msg_options options = { .name = "new", .death_ns = 500 * MS };
	struct beating beating;
	struct msg_region *region;
	pid_t pid;

	OK(msg_attach(path, &options, &region));
	OK(msg_leave(region));
	// The same places for version, slots and hearts, as every version has them; the rest may
	// differ.
	header->version = 7u << 16;
	header->check = 0;
	beating.slot = (struct wire_slot *)((uint8_t *)header + header->slot_offset);
	beating.slot->claim = 5ull << 32 | 1;
	pid = test_spawn(beating_peer, &beating);
	EQUAL(msg_attach(path, &options, &region), -EPROTO);
	EQUAL(header->version, 7u << 16);
	test_kill(pid);
	// Nobody of that version lives any more.
	OK(msg_attach(path, &options, &region));
	EQUAL(header->version, WIRE_VERSION);
	OK(msg_leave(region));
	// A later minor version is read as ours.
	EQUAL(header->version & 0xffff, WIRE_MINOR);
}

static void format_wish(void)
{
	const char *path = test_region(4 * MEGA);
	struct msg_options options = { .name = "x", .slots = 7, .death_ns = 100 * MS,
		.format = true }, former = { .name = "first", .death_ns = 500 * MS };
	struct msg_region *first, *second;
	struct msg_region_info info;

	OK(msg_attach(path, &former, &first));
	// Somebody is alive: the wish is not granted.
	OK(msg_attach(path, &options, &second));
	msg_region_describe(second, &info);
	EQUAL(info.slots, 32);
	OK(msg_leave(first));
	OK(msg_leave(second));
	OK(msg_attach(path, &options, &second));
	msg_region_describe(second, &info);
	EQUAL(info.slots, 7);
	EQUAL(info.death_ns, 100 * MS);
	OK(msg_leave(second));
	options.format = false;
	options.slots = 9;
	OK(msg_attach(path, &options, &second));
	msg_region_describe(second, &info);
	EQUAL(info.slots, 7);
	OK(msg_leave(second));
}

// Somebody formats under a living peer: it notices and can join again.
static void formatted_underneath(void)
{
	const char *path = test_region(4 * MEGA);
	struct wire_header *header = test_map(path, 4 * MEGA);
	struct msg_region *first = test_attach(path, "first"), *second;
	struct msg_event event;

	header->magic = 0;
	second = test_attach(path, "second");
	EQUAL(msg_peers(first, NULL, 0), -ESTALE);
	EQUAL(msg_next_event(first, &event), 1);
	EQUAL(event.type, MSG_EVENT_EVICTED);
	EQUAL(msg_leave(first), -ESTALE);
	first = test_attach(path, "first");
	EQUAL(msg_peers(second, NULL, 0), 2);
	OK(msg_leave(first));
	OK(msg_leave(second));
}

static void too_small(void)
{
	struct msg_region *region;
	struct msg_options options = { .name = "x", .slots = 4000 };

	EQUAL(msg_attach(test_region(61440), NULL, &region), -EINVAL);
	EQUAL(msg_attach(test_region(65536), &options, &region), -EINVAL);
	EQUAL(msg_attach("/nowhere/at/all", NULL, &region), -ENODEV);
	EQUAL(msg_attach("socket=/nowhere/at/all", NULL, &region), -ENODEV);
	EQUAL(msg_attach("/dev/null", NULL, &region), -EINVAL);
	unsetenv("ISTHMUS_REGION");
	EQUAL(msg_attach(NULL, NULL, &region), -ENODEV);
	setenv("ISTHMUS_REGION", test_region(65536), 1);
	OK(msg_attach(NULL, NULL, &region));
	OK(msg_leave(region));
	OK(msg_leave(NULL));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "rule", rule, 0 },
		{ "wild_geometry", wild_geometry, 0 },
		{ "race_on_zeroes", race_on_zeroes, 0 },
		{ "race_on_garbage", race_on_garbage, 0 },
		{ "race_on_nearly_right", race_on_nearly_right, 0 },
		{ "killed_formatters", killed_formatters, 120 },
		{ "claim_of_a_dead_formatter", claim_of_a_dead_formatter, 0 },
		{ "other_version", other_version, 0 },
		{ "format_wish", format_wish, 0 },
		{ "formatted_underneath", formatted_underneath, 0 },
		{ "too_small", too_small, 0 },
		{ "killed_formatters_more", killed_formatters_more, 300 },
	};

	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

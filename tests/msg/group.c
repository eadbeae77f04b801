// SPDX-License-Identifier: BSD-2-Clause
// Groups of processes over a bare region file: gathering, barriers, broadcasts, and members that die.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <isthmus/msg_group.h>
#include "msg/layout.h"
#include "tests/msg/harness.h"

#define MEGA    (1u << 20)
#define MEMBERS 8
#define MOST    64
#define DEATH   (1000 * MS)

/* What the processes tell each other past the region. */
struct board {
	uint64_t come[MOST];     /* by rank: barriers come to */
	uint32_t joined;
	uint64_t refused;        /* tried to join and was not taken */
	int64_t answer[100000];  /* of each broadcast, plus 1000 */
};

struct stage {
	const char *path;
	struct board *board;
	unsigned size, rounds;
	uint64_t spin;
	uint64_t seed;
	const char *name;
	bool mortal; /* who dies is missed after DEATH; else nobody is, for long */
};

static struct board *board(void)
{
	return test_shared(sizeof(struct board));
}

static struct msg_region *attach(const struct stage *stage)
{
	struct msg_options options = { .name = "member", .spin_ns = stage->spin, .slots = MOST + 8 };
	struct msg_region *region;

	options.death_ns = stage->mortal ? DEATH : PATIENT_DEATH;
	OK(msg_attach(stage->path, &options, &region));
	return region;
}

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static void store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

// Barriers that nobody passes before all came, and bytes from each in turn.
static void worker(void *arg)
{
	struct stage *stage = arg;
	struct msg_region *region = attach(stage);
	struct msg_group *group;
	static uint8_t data[60000];
	unsigned i, k, rank;

	OK(msg_group_join(region, stage->name, stage->size, &group, in_ms(60000)));
	rank = msg_group_rank(group);
	EQUAL(msg_group_size(group), stage->size);
	for (i = 0; i < stage->rounds; i++) {
		unsigned root = i % stage->size;
		size_t len = i * 7919 % sizeof(data);

		store(&stage->board->come[rank], i + 1);
		EQUAL(msg_barrier(group, in_ms(60000)), 0);
		for (k = 0; k < stage->size; k++)
			CHECK(load(&stage->board->come[k]) >= i + 1);
		if (rank == root)
			test_fill(data, len, i);
		else
			memset(data, 0xee, sizeof(data));
		EQUAL(msg_broadcast(group, root, data, rank == root ? len : sizeof(data), in_ms(60000)),
			len);
		CHECK(test_filled(data, len, i));
	}
	// Nobody leaves before all have seen that all are there.
	for (k = 0; k < stage->size; k++) {
		struct msg_peer peer;

		EQUAL(msg_group_member(group, k, &peer), 1);
		EQUAL(peer.self, k == rank);
	}
	EQUAL(msg_barrier(group, in_ms(60000)), 0);
	msg_group_leave(group);
	OK(msg_leave(region));
}

static void together_with(unsigned size, unsigned rounds, uint64_t spin)
{
	struct stage stage = { .path = test_region(16 * MEGA), .board = board(), .size = size,
		.rounds = rounds, .spin = spin, .name = "all of us" };
	pid_t pids[MOST];
	unsigned i;

	for (i = 0; i < size; i++)
		pids[i] = test_spawn(worker, &stage);
	for (i = 0; i < size; i++)
		test_join(pids[i]);
}

static void together(void)
{
	together_with(MEMBERS, 1000, 0);
	together_with(2, 3000, 0);
	together_with(1, 10, 0);
}

static void asleep(void)
{
	together_with(MEMBERS, 300, MSG_SPIN_NEVER);
}

static void many(void)
{
	together_with(MOST, 20, 0);
}

// More come than one group takes: each size make one, with its own ranks.
static void several_groups(void)
{
	struct stage stage = { .path = test_region(16 * MEGA), .size = 4, .rounds = 50, .name = "fours" };
	struct msg_region *region = attach(&stage);
	struct msg_region_info before, after;
	pid_t pids[32];
	unsigned i;

	msg_region_describe(region, &before);
	// The board of each group can't be told in advance: everybody checks only what is his.
	for (i = 0; i < 32; i++) {
		stage.board = board();
		memset(stage.board->come, 0xff, sizeof(stage.board->come));
		pids[i] = test_spawn(worker, &stage);
	}
	for (i = 0; i < 32; i++)
		test_join(pids[i]);
	OK(msg_peers(region, NULL, 0));
	msg_region_describe(region, &after);
	EQUAL(after.land_free, before.land_free);
	OK(msg_leave(region));
}

/* ---- misuse, and what doesn't come about ---- */

static void other_size(void *arg)
{
	struct stage *stage = arg;
	struct msg_region *region = attach(stage);
	struct msg_group *group;

	EQUAL(msg_group_join(region, "two", 3, &group, in_ms(60000)), -EINVAL);
	store(&stage->board->refused, 1);
	OK(msg_listen(region, "plain", NULL, &(struct msg_listener *){ NULL }));
	for (;;)
		msg_sleep_until(in_ms(1000));
}

static void joins_only(void *arg)
{
	struct stage *stage = arg;
	struct msg_region *region = attach(stage);
	struct msg_group *group;

	OK(msg_group_join(region, stage->name, stage->size, &group, in_ms(60000)));
	for (;;)
		msg_sleep_until(in_ms(1000));
}

static void alone(void)
{
	struct stage stage = { .path = test_region(4 * MEGA), .board = board(), .size = 2, .rounds = 5,
		.name = "two", .mortal = true };
	struct msg_region *region = attach(&stage);
	struct msg_listener *listener;
	struct msg_region_info before, after;
	struct msg_group *group, *other;
	struct msg_peer peer;
	uint8_t data[16];
	pid_t pid;

	msg_region_describe(region, &before);
	EQUAL(msg_group_join(region, "", 2, &group, 0), -EINVAL);
	EQUAL(msg_group_join(region, "two", 0, &group, 0), -EINVAL);
	EQUAL(msg_group_join(region, "two", 10000, &group, 0), -EINVAL);
	EQUAL(msg_group_join(region, "two", 2, &group, 0), -ETIMEDOUT);
	TIMES_OUT(msg_group_join(region, "two", 2, &group, in_ms(50)));
	msg_region_describe(region, &after);
	EQUAL(after.land_free, before.land_free);
	// Others of another size, and something else under the name.
	pid = test_spawn(other_size, &stage);
	do
		TIMES_OUT(msg_group_join(region, "two", 2, &group, in_ms(100)));
	while (!load(&stage.board->refused));
	EQUAL(msg_group_join(region, "plain", 2, &group, in_ms(60000)), -EPROTOTYPE);
	test_kill(pid);
	// Not held against us.
	pid = test_spawn(joins_only, &stage);
	OK(msg_group_join(region, "two", 2, &group, in_ms(60000)));
	EQUAL(msg_group_join(region, "other", 1, &other, in_ms(60000)), -EBUSY);
	EQUAL(msg_broadcast(group, 2, data, sizeof(data), in_ms(10)), -EINVAL);
	EQUAL(msg_group_member(group, 2, &peer), -ENOENT);
	test_kill(pid);
	EQUAL(msg_barrier(group, in_ms(60000)), 1);
	EQUAL(msg_group_member(group, !msg_group_rank(group), &peer), 0);
	msg_group_leave(group);
	OK(msg_group_join(region, "other", 1, &group, in_ms(60000)));
	EQUAL(msg_barrier(group, 0), 0);
	EQUAL(msg_broadcast(group, 0, data, sizeof(data), 0), sizeof(data));
	msg_group_leave(group);
	OK(msg_listen(region, "name", NULL, &listener));
	OK(msg_leave(region));
}

/* ---- death ---- */

// Barriers and broadcasts for ever; what comes back agrees with what the others got.
static void mortal(void *arg)
{
	struct stage *stage = arg;
	struct msg_region *region = attach(stage);
	struct msg_group *group;
	static uint8_t data[20000];
	uint64_t n;
	unsigned rank, gone = 0;

	OK(msg_group_join(region, stage->name, stage->size, &group, in_ms(60000)));
	rank = msg_group_rank(group);
	__atomic_fetch_add(&stage->board->joined, 1, __ATOMIC_SEQ_CST);
	for (n = 1; gone < stage->size - 1; n++) {
		unsigned root = (unsigned)(n % stage->size), k;
		size_t len = (size_t)(n * 7919 % sizeof(data));
		struct msg_peer peer;
		int64_t got;

		store(&stage->board->come[rank], n);
		gone = (unsigned)OK(msg_barrier(group, in_ms(60000)));
		for (k = 0; k < stage->size; k++)
			if (load(&stage->board->come[k]) < n)
				EQUAL(msg_group_member(group, k, &peer), 0);
		if (rank == root)
			test_fill(data, len, n);
		got = msg_broadcast(group, root, data, rank == root ? len : sizeof(data),
			in_ms(60000));
		if (got != -EPIPE) {
			EQUAL(got, len);
			CHECK(test_filled(data, len, n));
		} else {
			CHECK(rank != root);
			EQUAL(msg_group_member(group, root, &peer), 0);
		}
		// All that live say the same: the one who is first writes it down.
		if (n < sizeof(stage->board->answer) / sizeof(stage->board->answer[0])) {
			int64_t none = 0;

			if (!__atomic_compare_exchange_n(&stage->board->answer[n], &none, got + 1000,
				    false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
				EQUAL(none, got + 1000);
		}
	}
	msg_group_leave(group);
	OK(msg_leave(region));
}

// All but one are killed, one after the other, at random moments; also while they gather.
static void deaths_in(unsigned rounds)
{
	uint64_t random = 77;
	unsigned round, i, k;

	for (round = 0; round < rounds; round++) {
		struct stage stage = { .path = test_region(4 * MEGA), .board = board(),
			.size = 2 + round % 5, .name = "mortals",
			.spin = round % 2 ? MSG_SPIN_NEVER : 0, .mortal = true };
		pid_t pids[MEMBERS];

		for (i = 0; i < stage.size; i++)
			pids[i] = test_spawn(mortal, &stage);
		if (round % 4) {
			while (__atomic_load_n(&stage.board->joined, __ATOMIC_SEQ_CST) < stage.size)
				usleep(1000);
		} else {
			// Whoever was not gathered yet leaves the others without enough.
			usleep((useconds_t)(test_random(&random) % 6000));
			if (__atomic_load_n(&stage.board->joined, __ATOMIC_SEQ_CST) < 1) {
				test_kill(pids[0]);
				pids[0] = test_spawn(mortal, &stage);
			}
		}
		for (i = 0; i + 1 < stage.size; i++) {
			k = i + (unsigned)(test_random(&random) % (stage.size - i));
			usleep((useconds_t)(test_random(&random) % 20000));
			test_kill(pids[k]);
			pids[k] = pids[i];
		}
		if (round % 4)
			test_join(pids[i]);
		else
			test_kill(pids[i]);
		munmap(stage.board, sizeof(*stage.board));
	}
}

static void deaths(void)
{
	deaths_in(4);
}

static void deaths_more(void)
{
	deaths_in(40);
}

/* ---- lies ---- */

static void bears_with_lies(void *arg)
{
	struct stage *stage = arg;
	struct msg_region *region = attach(stage);
	struct msg_group *group;
	static uint8_t data[5000];
	uint64_t end;

	OK(msg_group_join(region, stage->name, stage->size, &group, in_ms(60000)));
	__atomic_fetch_add(&stage->board->joined, 1, __ATOMIC_SEQ_CST);
	// Each call ends, by its own deadline at the latest; the case's time limit holds against one that hangs.
	for (end = in_ms(700); msg_now_ns() < end; ) {
		int64_t result = test_random(&stage->seed) % 2 ? msg_barrier(group, in_ms(30)) :
			msg_broadcast(group, (unsigned)(test_random(&stage->seed) % stage->size), data,
				sizeof(data), in_ms(30));

		CHECK(result >= 0 || result == -ETIMEDOUT || result == -EPIPE || result == -EPROTO ||
			result == -EMSGSIZE || result == -EINVAL || result == -ENOSPC || result == -EAGAIN);
	}
	msg_group_leave(group);
	OK(msg_leave(region));
}

// Garbage in everybody's line: calls fail, and no worse.
static void lies_in(unsigned first, unsigned end_round)
{
	unsigned round, i;

	for (round = first; round < end_round; round++) {
		struct stage stage = { .path = test_region(4 * MEGA), .board = board(), .size = 3,
			.name = "liars", .seed = round };
		uint8_t *base = test_map(stage.path, 4 * MEGA);
		struct wire_header *header = (struct wire_header *)base;
		uint64_t random = round, end;
		pid_t pids[3];

		for (i = 0; i < 3; i++, stage.seed += 100)
			pids[i] = test_spawn(bears_with_lies, &stage);
		while (__atomic_load_n(&stage.board->joined, __ATOMIC_SEQ_CST) < 3)
			usleep(1000);
		for (end = in_ms(500); msg_now_ns() < end; usleep((useconds_t)(random % 64))) {
			uint64_t slot = test_random(&random) % header->slots;
			uint64_t *line = (uint64_t *)(base + header->slot_offset +
				slot * header->slot_stride + 448);
			uint64_t word = test_random(&random) % 8;

			if (!line[1])
				continue;
			// Wild, or near to what is there.
			__atomic_store_n(&line[word], random >> 40 & 1 ? random :
				line[word] + ((random >> 20 & 0xff) << (random >> 60)), __ATOMIC_SEQ_CST);
		}
		for (i = 0; i < 3; i++)
			test_join(pids[i]);
	}
}

static void lies(void)
{
	lies_in(0, 3);
}

static void lies_more(void)
{
	lies_in(3, 20);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "together", together, 150 },
		{ "asleep", asleep, 150 },
		{ "many", many, 200 },
		{ "several_groups", several_groups, 150 },
		{ "alone", alone, 150 },
		{ "deaths", deaths, 150 },
		{ "lies", lies, 150 },
		{ "deaths_more", deaths_more, 300 },
		{ "lies_more", lies_more, 150 },
	};

	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

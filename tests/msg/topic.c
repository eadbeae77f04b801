// SPDX-License-Identifier: BSD-2-Clause
// Topics between processes over a bare region file: each policy, its counts, and its ends.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <isthmus/msg_topic.h>
#include "tests/msg/harness.h"

#define MEGA (1u << 20)
#define RING 4096

/* What the publisher tells its subscribers past the region, and they it. */
struct board {
	volatile uint64_t published;
	volatile bool full;        /* it waits for who is slow */
	volatile uint64_t seen[3]; /* by the sleepers: number of the newest */
};

struct stage {
	const char *path;
	struct msg_topic_options options;
	bool retained;
	unsigned count;    /* messages */
	unsigned slow;     /* a subscriber rests a ms after so many */
	unsigned number;   /* of a sleeper */
	uint64_t spin;
	struct board *board;
};

struct message {
	uint64_t number;
	uint8_t data[2040];
};

static size_t length_of(uint64_t number, uint32_t limit)
{
	uint64_t random = number;

	return 8 + test_random(&random) % (number % 5 ? 100 : limit - 7);
}

static void publish(const struct stage *stage, struct msg_topic *topic, uint64_t number)
{
	static struct message message;
	size_t len = length_of(number, msg_topic_limit(topic));

	message.number = number;
	test_fill(message.data, len - 8, number);
	if (msg_publish(topic, &message, len, 0)) {
		stage->board->full = true;
		OK(msg_publish(topic, &message, len, in_ms(60000)));
	}
	stage->board->published = number;
}

// The next one: whole, and what its mark says it is. False: the end.
static bool receive(struct msg_subscription *sub, struct msg_topic_mark *mark, uint64_t deadline)
{
	static struct message message;
	uint64_t former = mark->number;
	int64_t len = msg_topic_recv(sub, &message, sizeof(message), mark, deadline);

	if (len == -EPIPE)
		return false;
	OK(len);
	EQUAL(message.number, mark->number);
	EQUAL(len, length_of(mark->number, RING / 2 - 16));
	CHECK(test_filled(message.data, (size_t)len - 8, mark->number));
	if (former)
		EQUAL(mark->number, former + 1 + mark->lost);
	return true;
}

static struct msg_region *attach(const struct stage *stage, const char *name)
{
	struct msg_options options = { .name = name, .spin_ns = stage->spin, .slots = 80, .channels = 80,
		.death_ns = PATIENT_DEATH };
	struct msg_region *region;

	OK(msg_attach(stage->path, &options, &region));
	return region;
}

static void wait_for_subscribers(struct msg_topic *topic, struct msg_region *region, unsigned count)
{
	struct msg_wait_item item = { .type = MSG_WAIT_EVENT, .region = region };
	struct msg_event event;
	struct msg_topic_stats stats;
	uint64_t end = in_ms(60000);

	for (;;) {
		msg_topic_stats(topic, &stats);
		if (stats.subscribers == count)
			return;
		CHECK(msg_now_ns() < end);
		// Any wait takes them.
		msg_wait(&item, 1, in_ms(5));
		while (msg_next_event(region, &event))
			CHECK(event.type != MSG_EVENT_FAULT && event.type != MSG_EVENT_EVICTED);
	}
}

/* ---- each policy ---- */

// Holds it up until the publisher waits for it or, where nobody waits, is more than a ring ahead.
static void fall_behind(const struct stage *stage, uint64_t number)
{
	if (stage->options.policy == MSG_TOPIC_BACK_PRESSURE)
		UNTIL(stage->board->full);
	else
		UNTIL(stage->board->published == stage->count ||
			stage->board->published > number + RING / 64);
}

static void subscriber(void *arg)
{
	struct stage *stage = arg;
	struct msg_subscribe_options options = { .retained = stage->retained };
	struct msg_region *region = attach(stage, "subscriber");
	struct msg_topic_mark mark = { 0 };
	struct msg_subscription *sub;
	struct msg_subscription_stats stats;
	uint64_t received = 0, lost = 0, first = 0;

	// Long: a machine that is busy with others may take its time over 64 processes.
	OK(msg_subscribe(region, "news", &options, &sub, in_ms(60000)));
	while (receive(sub, &mark, in_ms(60000))) {
		first = first ? first : mark.number - mark.lost;
		received++;
		lost += mark.lost;
		if (stage->slow && received == 1)
			fall_behind(stage, mark.number);
		if (stage->slow && received % stage->slow == 0)
			msg_sleep_until(in_ms(1));
	}
	msg_subscription_stats(sub, &stats);
	EQUAL(stats.received, received);
	EQUAL(stats.lost, lost);
	// To the last one, and each was either received or counted.
	EQUAL(mark.number, stage->count);
	EQUAL(first + received + lost, stage->count + 1);
	EQUAL(first, 1);
	if (stage->options.policy == MSG_TOPIC_BACK_PRESSURE)
		EQUAL(lost, 0);
	else if (stage->slow)
		CHECK(lost > 0);
	msg_unsubscribe(sub);
	OK(msg_leave(region));
}

static void flow(struct stage *stage, unsigned fast, unsigned slow)
{
	struct msg_region *region;
	struct msg_region_info before, after;
	struct msg_topic_stats stats;
	struct msg_topic *topic;
	pid_t pids[80];
	unsigned i, n = 0;

	stage->path = test_region(32 * MEGA);
	stage->board = test_shared(sizeof(*stage->board));
	stage->options.ring = RING;
	region = attach(stage, "publisher");
	msg_region_describe(region, &before);
	OK(msg_topic_open(region, "news", &stage->options, &topic));
	stage->slow = 0;
	while (n < fast)
		pids[n++] = test_spawn(subscriber, stage);
	stage->slow = 20;
	while (n < fast + slow)
		pids[n++] = test_spawn(subscriber, stage);
	wait_for_subscribers(topic, region, n);
	// One copy, however many they are: the ring, its overhang and what stands in front of it.
	msg_region_describe(region, &after);
	CHECK(before.land_free - after.land_free <= RING * 3 / 2 + 64 + 256 + 4096);
	for (i = 1; i <= stage->count; i++)
		publish(stage, topic, i);
	msg_topic_stats(topic, &stats);
	EQUAL(stats.published, stage->count);
	EQUAL(stats.subscribers, n);
	if (stage->options.policy != MSG_TOPIC_BACK_PRESSURE)
		EQUAL(stats.full_waits, 0);
	else if (slow)
		CHECK(stats.full_waits > 0);
	msg_topic_close(topic);
	for (i = 0; i < n; i++)
		test_join(pids[i]);
	OK(msg_peers(region, NULL, 0));
	msg_region_describe(region, &after);
	EQUAL(after.land_free, before.land_free);
	OK(msg_leave(region));
}

static void back_pressure(void)
{
	struct stage stage = { .count = 20000, .options = { .policy = MSG_TOPIC_BACK_PRESSURE,
		.start = (1ull << 32) - 20 * RING } };

	flow(&stage, 2, 1);
}

static void back_pressure_asleep(void)
{
	struct stage stage = { .count = 3000, .spin = MSG_SPIN_NEVER };

	flow(&stage, 2, 1);
}

static void drop_oldest(void)
{
	struct stage stage = { .count = 200000, .options = { .policy = MSG_TOPIC_DROP_OLDEST,
		.start = (1ull << 32) - 20 * RING } };

	flow(&stage, 2, 1);
}

static void latest(void)
{
	struct stage stage = { .count = 200000, .options = { .policy = MSG_TOPIC_LATEST,
		.start = (1ull << 28) - 20 * RING } };

	flow(&stage, 2, 1);
}

static void many(void)
{
	struct stage stage = { .count = 300 };

	flow(&stage, 63, 1);
	stage.count = 3000;
	stage.options.policy = MSG_TOPIC_DROP_OLDEST;
	flow(&stage, 64, 0);
}

// Subscribers that sleep between any two messages are woken by the message, not by their backing timer.
static void sleeper(void *arg)
{
	struct stage *stage = arg;
	struct msg_region *region = attach(stage, "sleeper");
	struct msg_topic_mark mark = { 0 };
	struct msg_subscription *sub;
	struct msg_wait_stats stats;

	OK(msg_subscribe(region, "news", NULL, &sub, in_ms(60000)));
	test_slow_backing(region);
	while (receive(sub, &mark, in_ms(60000)))
		stage->board->seen[stage->number] = mark.number;
	EQUAL(mark.number, stage->count);
	msg_wait_stats(region, &stats);
	CHECK(stats.sleeps > stage->count / 2);
	EQUAL(stats.rescues, 0);
	OK(msg_leave(region));
}

static void woken(void)
{
	struct stage stage = { .path = test_region(32 * MEGA), .count = 1000, .spin = MSG_SPIN_NEVER,
		.options = { .ring = RING }, .board = test_shared(sizeof(*stage.board)) };
	struct msg_region *region = attach(&stage, "publisher");
	struct msg_topic_stats stats;
	struct msg_topic *topic;
	pid_t pids[3];
	unsigned i, k;

	OK(msg_topic_open(region, "news", &stage.options, &topic));
	for (i = 0; i < 3; i++, stage.number++)
		pids[i] = test_spawn(sleeper, &stage);
	wait_for_subscribers(topic, region, 3);
	for (i = 1; i <= stage.count; i++) {
		// All have taken the one before, and then had the time to fall asleep.
		for (k = 0; k < 3; k++)
			UNTIL(stage.board->seen[k] == i - 1);
		msg_sleep_until(msg_now_ns() + MS / 4);
		publish(&stage, topic, i);
	}
	msg_topic_stats(topic, &stats);
	CHECK(stats.doorbells > stage.count / 2);
	msg_topic_close(topic);
	for (i = 0; i < 3; i++)
		test_join(pids[i]);
	OK(msg_leave(region));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "back_pressure", back_pressure, 150 },
		{ "back_pressure_asleep", back_pressure_asleep, 150 },
		{ "drop_oldest", drop_oldest, 150 },
		{ "latest", latest, 150 },
		{ "woken", woken, 150 },
		{ "many", many, 200 },
	};

	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

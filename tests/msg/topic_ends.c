// SPDX-License-Identifier: BSD-2-Clause
// Topics at their edges: late comers, misuse, waiting, ends and deaths, and a region that lies.
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <isthmus/msg_group.h>
#include <isthmus/msg_topic.h>
#include "msg/layout.h"
#include "tests/msg/harness.h"

#define MEGA  (1u << 20)
#define RING  4096
#define DEATH (1000 * MS)
#define TURN  (1u << 22) /* messages of a line until a header looks the same */

struct stage {
	const char *path;
	struct msg_region *region;
	struct msg_topic *topic;
	struct msg_subscription *sub;
	struct msg_topic_options options;
	uint64_t seed;
};

static void attach(struct stage *stage, const char *name)
{
	struct msg_options options = { .name = name, .death_ns = DEATH, .slots = 16, .channels = 32 };

	OK(msg_attach(stage->path, &options, &stage->region));
}

static void open_topic(struct stage *stage)
{
	stage->options.ring = RING;
	OK(msg_topic_open(stage->region, "news", &stage->options, &stage->topic));
}

// Runs the region until the topic has so many.
static void serve(struct stage *stage, unsigned subscribers)
{
	struct msg_wait_item item = { .type = MSG_WAIT_EVENT, .region = stage->region };
	struct msg_topic_stats stats;
	struct msg_event event;
	uint64_t end = in_ms(60000);

	for (;;) {
		msg_topic_stats(stage->topic, &stats);
		if (stats.subscribers == subscribers)
			return;
		CHECK(msg_now_ns() < end);
		msg_wait(&item, 1, in_ms(5));
		while (msg_next_event(stage->region, &event) > 0)
			;
	}
}

static void say(struct stage *stage, uint64_t value)
{
	OK(msg_publish(stage->topic, &value, sizeof(value), in_ms(60000)));
}

static struct msg_topic_mark hear(struct stage *stage, uint64_t value)
{
	struct msg_topic_mark mark;
	uint64_t got = 0;

	EQUAL(msg_topic_recv(stage->sub, &got, sizeof(got), &mark, in_ms(60000)), sizeof(got));
	EQUAL(got, value);
	return mark;
}

static void subscribe(struct stage *stage, bool retained)
{
	struct msg_subscribe_options options = { .retained = retained };

	OK(msg_subscribe(stage->region, "news", &options, &stage->sub, in_ms(60000)));
}

/* ---- exact counts, in one order of events ---- */

// Says 1..n at a word of the other side, which a channel brings.
static void dictated(void *arg)
{
	struct stage *stage = arg;
	struct msg_listener *listener;
	struct msg_channel *channel;
	uint64_t from_to[2], i;

	attach(stage, "publisher");
	open_topic(stage);
	OK(msg_listen(stage->region, "dictate", NULL, &listener));
	OK(msg_accept(listener, &channel, in_ms(60000)));
	while (msg_recv(channel, from_to, sizeof(from_to), in_ms(60000)) == sizeof(from_to)) {
		for (i = from_to[0]; i <= from_to[1]; i++)
			say(stage, i);
		OK(msg_send(channel, NULL, 0, in_ms(60000)));
	}
	OK(msg_leave(stage->region));
}

static void dictate(struct msg_channel *channel, uint64_t from, uint64_t to)
{
	uint64_t from_to[2] = { from, to };

	OK(msg_send(channel, from_to, sizeof(from_to), in_ms(60000)));
	EQUAL(msg_recv(channel, from_to, sizeof(from_to), in_ms(60000)), 0);
}

static void counts_with(enum msg_topic_policy policy, uint64_t start)
{
	// A message of 8 bytes takes a line; one line is kept free for the next.
	const uint64_t fits = RING / 64 - 1;
	struct stage stage = { .path = test_region(4 * MEGA),
		.options = { .policy = policy, .start = start } };
	struct msg_subscription_stats stats;
	pid_t pid = test_spawn(dictated, &stage);
	struct msg_channel *channel;
	struct msg_topic_mark mark;
	struct msg_fault fault;
	uint64_t data, n;

	attach(&stage, "subscriber");
	OK(msg_connect(stage.region, "dictate", NULL, &channel, in_ms(60000)));
	// Nothing there: nothing retained.
	subscribe(&stage, true);
	EQUAL(msg_topic_recv(stage.sub, &data, 8, NULL, 0), -EAGAIN);
	EQUAL(msg_topic_recv(stage.sub, &data, 8, NULL, in_ms(10)), -ETIMEDOUT);
	msg_unsubscribe(stage.sub);
	dictate(channel, 1, 3);
	// Not those of before.
	subscribe(&stage, false);
	EQUAL(msg_topic_recv(stage.sub, &data, 8, NULL, 0), -EAGAIN);
	dictate(channel, 4, 5);
	if (policy == MSG_TOPIC_LATEST) {
		mark = hear(&stage, 5);
		EQUAL(mark.number, 5);
		EQUAL(mark.lost, 1);
	} else {
		EQUAL(hear(&stage, 4).lost, 0);
		EQUAL(hear(&stage, 5).lost, 0);
	}
	EQUAL(msg_topic_recv(stage.sub, &data, 8, NULL, 0), -EAGAIN);
	msg_unsubscribe(stage.sub);
	// The newest of before, and what follows.
	subscribe(&stage, true);
	mark = hear(&stage, 5);
	EQUAL(mark.number, 5);
	EQUAL(mark.lost, 0);
	dictate(channel, 6, 6);
	EQUAL(msg_topic_recv(stage.sub, &data, 7, NULL, 0), -EMSGSIZE);
	EQUAL(hear(&stage, 6).lost, 0);
	if (policy != MSG_TOPIC_BACK_PRESSURE) {
		dictate(channel, 7, 1006);
		if (policy == MSG_TOPIC_LATEST) {
			EQUAL(hear(&stage, 1006).lost, 999);
		} else {
			EQUAL(hear(&stage, 1006 - fits + 1).lost, 1000 - fits);
			for (n = 1006 - fits + 2; n <= 1006; n++)
				EQUAL(hear(&stage, n).lost, 0);
		}
		EQUAL(msg_topic_recv(stage.sub, &data, 8, NULL, 0), -EAGAIN);
		// Exactly one turn of the headers' 24 bits while nobody looks: the place where it is
		// shows a header that would do.
		dictate(channel, 1007, 1006 + TURN);
		mark = hear(&stage, 1006 + TURN - (policy == MSG_TOPIC_LATEST ? 0 : fits - 1));
		EQUAL(mark.lost, policy == MSG_TOPIC_LATEST ? TURN - 1 : TURN - fits);
	}
	msg_subscription_stats(stage.sub, &stats);
	EQUAL(stats.policy, policy);
	CHECK(!msg_subscription_fault(stage.sub, &fault));
	// It ends, and what is left comes first.
	msg_close(channel);
	while (msg_topic_recv(stage.sub, &data, 8, NULL, in_ms(60000)) == 8)
		;
	EQUAL(msg_topic_recv(stage.sub, &data, 8, NULL, in_ms(60000)), -EPIPE);
	EQUAL(msg_topic_recv(stage.sub, &data, 8, NULL, 0), -EPIPE);
	msg_unsubscribe(stage.sub);
	test_join(pid);
	OK(msg_leave(stage.region));
}

static void counts(void)
{
	counts_with(MSG_TOPIC_BACK_PRESSURE, 0);
	counts_with(MSG_TOPIC_DROP_OLDEST, 64);
	counts_with(MSG_TOPIC_LATEST, 0);
	counts_with(MSG_TOPIC_DROP_OLDEST, (1ull << 32) - 128);
	counts_with(MSG_TOPIC_LATEST, (1ull << 28) - 64);
}

/* ---- misuse ---- */

static void idle_publisher(void *arg)
{
	struct stage *stage = arg;
	struct msg_listener *listener;
	struct msg_wait_item item;

	attach(stage, "publisher");
	open_topic(stage);
	OK(msg_listen(stage->region, "plain", NULL, &listener));
	item = (struct msg_wait_item){ .type = MSG_WAIT_ACCEPT, .listener = listener };
	for (;;) {
		struct msg_channel *channel;

		msg_wait(&item, 1, in_ms(100));
		if (!msg_accept(listener, &channel, 0))
			msg_close(channel);
	}
}

static void misuse(void)
{
	struct stage stage = { .path = test_region(4 * MEGA) };
	pid_t pid = test_spawn(idle_publisher, &stage);
	struct msg_topic_options bad = { .policy = 3 }, large = { .ring = 65u << 20 },
		own = { .ring = RING };
	struct msg_region_info before, after;
	struct msg_topic_subscriber who;
	struct msg_channel *channel;
	struct msg_topic *topic;
	uint8_t *data;
	void *place;

	attach(&stage, "subscriber");
	subscribe(&stage, false);
	EQUAL(msg_connect(stage.region, "news", NULL, &channel, in_ms(60000)), -EPROTOTYPE);
	EQUAL(msg_subscribe(stage.region, "plain", NULL, &stage.sub, in_ms(60000)), -EPROTOTYPE);
	EQUAL(msg_subscribe(stage.region, "nobody", NULL, &stage.sub, in_ms(20)), -ETIMEDOUT);
	EQUAL(msg_subscribe(stage.region, "", NULL, &stage.sub, 0), -EINVAL);
	msg_region_describe(stage.region, &before);
	EQUAL(msg_topic_open(stage.region, "news", NULL, &topic), -EADDRINUSE);
	EQUAL(msg_topic_open(stage.region, "mine", &bad, &topic), -EINVAL);
	EQUAL(msg_topic_open(stage.region, "mine", &large, &topic), -EINVAL);
	msg_region_describe(stage.region, &after);
	EQUAL(after.land_free, before.land_free);
	OK(msg_topic_open(stage.region, "mine", &own, &topic));
	EQUAL(msg_subscribe(stage.region, "mine", NULL, &stage.sub, 0), -EINVAL);
	EQUAL(msg_topic_subscriber(topic, 0, &who), -ENOENT);
	// Sizes, and without a copy; nobody need be there.
	EQUAL(msg_topic_limit(topic), RING / 2 - 16);
	data = calloc(1, RING);
	EQUAL(msg_publish(topic, data, RING / 2 - 15, 0), -EMSGSIZE);
	OK(msg_publish(topic, data, RING / 2 - 16, 0));
	OK(msg_publish(topic, data, 0, 0));
	EQUAL(msg_publish_commit(topic, 0), -EINVAL);
	OK(msg_publish_reserve(topic, 100, &place, 0));
	EQUAL((uintptr_t)place % 16, 0);
	EQUAL(msg_publish_commit(topic, 101), -EINVAL);
	OK(msg_publish_reserve(topic, 100, &place, 0));
	OK(msg_publish_commit(topic, 10));
	EQUAL(msg_publish_commit(topic, 10), -EINVAL);
	msg_topic_close(topic);
	msg_region_describe(stage.region, &after);
	EQUAL(after.land_free, before.land_free);
	free(data);
	OK(msg_leave(stage.region));
	test_kill(pid);
}

/* ---- ends ---- */

static void ending_publisher(void *arg)
{
	struct stage *stage = arg;
	uint64_t i;

	attach(stage, "publisher");
	open_topic(stage);
	serve(stage, 1);
	for (i = 1; i <= 5; i++)
		say(stage, i);
	if (stage->seed == 0)
		msg_topic_close(stage->topic);
	if (stage->seed == 1)
		OK(msg_leave(stage->region));
	if (stage->seed == 2)
		_exit(0);
	if (stage->seed == 0)
		OK(msg_leave(stage->region));
}

// Closed, left, killed; then a successor under the same name and a new epoch.
static void ends(void)
{
	unsigned how;

	for (how = 0; how < 3; how++) {
		struct stage stage = { .path = test_region(4 * MEGA), .seed = how };
		struct msg_wait_item item;
		struct msg_region_info before, after;
		struct msg_peer first, second;
		uint64_t data, i;
		pid_t pid;

		attach(&stage, "subscriber");
		msg_region_describe(stage.region, &before);
		pid = test_spawn(ending_publisher, &stage);
		subscribe(&stage, false);
		msg_subscription_peer(stage.sub, &first);
		test_join(pid);
		// What was published before is still there, and then the end.
		for (i = 1; i <= 5; i++)
			hear(&stage, i);
		item = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN, .pattern = stage.sub };
		EQUAL(msg_wait(&item, 1, in_ms(60000)), 1);
		EQUAL(msg_topic_recv(stage.sub, &data, 8, NULL, in_ms(60000)), -EPIPE);
		msg_unsubscribe(stage.sub);
		OK(msg_peers(stage.region, NULL, 0));
		msg_region_describe(stage.region, &after);
		EQUAL(after.land_free, before.land_free);
		pid = test_spawn(ending_publisher, &stage);
		subscribe(&stage, false);
		msg_subscription_peer(stage.sub, &second);
		CHECK(second.epoch != first.epoch);
		hear(&stage, 1);
		test_join(pid);
		OK(msg_leave(stage.region));
	}
}

static void deaf_subscriber(void *arg)
{
	struct stage *stage = arg;

	attach(stage, "subscriber");
	subscribe(stage, false);
	for (;;)
		msg_sleep_until(in_ms(1000));
}

// A dead or leaving subscriber holds the publisher up for the death time, and no longer.
static void subscriber_dies(void)
{
	struct stage stage = { .path = test_region(4 * MEGA) };
	struct msg_topic_stats stats;
	struct msg_wait_item item;
	struct msg_topic_subscriber who;
	uint64_t value = 0, start;
	pid_t pid;

	attach(&stage, "publisher");
	open_topic(&stage);
	pid = test_spawn(deaf_subscriber, &stage);
	serve(&stage, 1);
	while (!msg_publish(stage.topic, &value, sizeof(value), 0))
		value++;
	EQUAL(value, RING / 64);
	OK(msg_topic_subscriber(stage.topic, 0, &who));
	EQUAL(who.behind, RING);
	EQUAL(who.received, 0);
	CHECK(!strcmp(who.peer.name, "subscriber"));
	EQUAL(msg_publish(stage.topic, &value, sizeof(value), in_ms(20)), -ETIMEDOUT);
	item = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN, .pattern = stage.topic };
	EQUAL(msg_wait(&item, 1, in_ms(20)), -ETIMEDOUT);
	start = msg_now_ns();
	test_kill(pid);
	OK(msg_publish(stage.topic, &value, sizeof(value), in_ms(60000)));
	CHECK(msg_now_ns() - start < 20 * DEATH);
	msg_topic_stats(stage.topic, &stats);
	CHECK(stats.full_waits >= 2);
	serve(&stage, 0);
	msg_topic_close(stage.topic);
	OK(msg_leave(stage.region));
}

/* ---- taken for dead, and a region that goes away ---- */

// Publishes until it hears that it was taken for dead; then comes back under a new epoch.
static void stopped_publisher(void *arg)
{
	struct stage *stage = arg;
	uint64_t i;
	int err = 0;

	attach(stage, "publisher");
	open_topic(stage);
	for (i = 1; !err; i++) {
		err = msg_publish(stage->topic, &i, sizeof(i), in_ms(5000));
		msg_sleep_until(in_ms(1));
	}
	EQUAL(err, -ESTALE);
	EQUAL(msg_publish(stage->topic, &i, sizeof(i), 0), -ESTALE);
	msg_topic_close(stage->topic);
	EQUAL(msg_leave(stage->region), -ESTALE);
	attach(stage, "publisher");
	open_topic(stage);
	serve(stage, 1);
	for (i = 1; i <= 10; i++)
		say(stage, i);
	OK(msg_leave(stage->region));
}

static void stopped_subscriber(void *arg)
{
	struct stage *stage = arg;
	uint64_t data;
	int64_t len;

	attach(stage, "stopped");
	subscribe(stage, false);
	while ((len = msg_topic_recv(stage->sub, &data, sizeof(data), NULL, in_ms(60000))) > 0)
		;
	EQUAL(len, -ESTALE);
	EQUAL(msg_topic_recv(stage->sub, &data, sizeof(data), NULL, in_ms(60000)), -ESTALE);
	msg_unsubscribe(stage->sub);
	EQUAL(msg_leave(stage->region), -ESTALE);
}

static void stopped(void)
{
	unsigned round, i;

	for (round = 0; round < 3; round++) {
		struct stage stage = { .path = test_region(4 * MEGA), .options = { .policy = round } };
		pid_t publisher = test_spawn(stopped_publisher, &stage), subscriber;
		uint64_t data;

		attach(&stage, "subscriber");
		subscribe(&stage, false);
		subscriber = test_spawn(stopped_subscriber, &stage);
		for (i = 0; i < 100; i++)
			EQUAL(msg_topic_recv(stage.sub, &data, 8, NULL, in_ms(60000)), 8);
		// It goes on without the one that stands still.
		CHECK(!kill(subscriber, SIGSTOP));
		for (data = msg_now_ns() + 4 * DEATH; msg_now_ns() < data; ) {
			uint64_t got;

			EQUAL(msg_topic_recv(stage.sub, &got, 8, NULL, in_ms(60000)), 8);
		}
		CHECK(!kill(subscriber, SIGCONT));
		test_join(subscriber);
		CHECK(!kill(publisher, SIGSTOP));
		while (msg_topic_recv(stage.sub, &data, 8, NULL, in_ms(60000)) == 8)
			;
		EQUAL(msg_topic_recv(stage.sub, &data, 8, NULL, 0), -EPIPE);
		CHECK(!kill(publisher, SIGCONT));
		msg_unsubscribe(stage.sub);
		subscribe(&stage, false);
		while (msg_topic_recv(stage.sub, &data, 8, NULL, in_ms(60000)) == 8)
			EQUAL(data % 11, data);
		EQUAL(data, 10);
		test_join(publisher);
		OK(msg_leave(stage.region));
	}
}

static void patient_publisher(void *arg)
{
	struct stage *stage = arg;

	attach(stage, "publisher");
	open_topic(stage);
	serve(stage, 1);
	for (;;)
		msg_sleep_until(in_ms(1000));
}

// The backing file is cut short under a topic, a subscription and a group.
static void region_gone(void)
{
	struct stage stage = { .path = test_region(4 * MEGA) };
	pid_t pid = test_spawn(patient_publisher, &stage);
	struct msg_topic *topic;
	struct msg_group *group;
	struct msg_topic_subscriber who;
	struct msg_topic_stats stats;
	struct msg_subscription_stats sub_stats;
	struct msg_peer peer;
	uint8_t data[100] = { 0 };

	attach(&stage, "subscriber");
	subscribe(&stage, false);
	OK(msg_topic_open(stage.region, "mine", NULL, &topic));
	OK(msg_group_join(stage.region, "alone", 1, &group, in_ms(1000)));
	test_kill(pid);
	CHECK(!truncate(stage.path, 0));
	EQUAL(msg_publish(topic, data, sizeof(data), in_ms(1000)), -ENODEV);
	EQUAL(msg_topic_recv(stage.sub, data, sizeof(data), NULL, in_ms(1000)), -ENODEV);
	EQUAL(msg_barrier(group, in_ms(1000)), -ENODEV);
	EQUAL(msg_broadcast(group, 0, data, sizeof(data), in_ms(1000)), -ENODEV);
	EQUAL(msg_topic_subscriber(topic, 0, &who), -ENODEV);
	EQUAL(msg_publish_commit(topic, 0), -ENODEV);
	EQUAL(msg_group_member(group, 0, &peer), 1);
	msg_topic_stats(topic, &stats);
	msg_subscription_stats(stage.sub, &sub_stats);
	msg_topic_close(topic);
	msg_unsubscribe(stage.sub);
	msg_group_leave(group);
	EQUAL(msg_leave(stage.region), -ENODEV);
}

/* ---- waiting for several ---- */

static void two_publishers(void *arg)
{
	struct stage *stage = arg;
	struct msg_topic *topics[2];
	struct msg_topic_stats stats = { 0 };
	unsigned i;

	attach(stage, "publisher");
	OK(msg_topic_open(stage->region, "even", &stage->options, &topics[0]));
	OK(msg_topic_open(stage->region, "odd", &stage->options, &topics[1]));
	while (!stats.subscribers) {
		struct msg_wait_item item = { .type = MSG_WAIT_TIMER, .at = in_ms(1) };
		struct msg_wait_item items[] = { item, { .type = MSG_WAIT_EVENT,
			.region = stage->region } };
		struct msg_event event;

		msg_wait(items, 2, in_ms(1000));
		while (msg_next_event(stage->region, &event))
			;
		msg_topic_stats(topics[1], &stats);
	}
	for (i = 0; i < 2000; i++) {
		OK(msg_publish(topics[i % 2], &i, sizeof(i), in_ms(60000)));
		if (i % 64 == 0)
			msg_sleep_until(in_ms(1));
	}
	// The end of one must not hide the end of the other from who waits for both.
	msg_topic_close(topics[0]);
	msg_sleep_until(in_ms(50));
	msg_topic_close(topics[1]);
	OK(msg_leave(stage->region));
}

static void waits(void)
{
	struct stage stage = { .path = test_region(4 * MEGA), .options = { .ring = RING } };
	pid_t pid = test_spawn(two_publishers, &stage);
	struct msg_subscription *subs[2];
	unsigned next[2] = { 0, 1 }, open = 2, value, k;

	attach(&stage, "subscriber");
	OK(msg_subscribe(stage.region, "even", NULL, &subs[0], in_ms(60000)));
	OK(msg_subscribe(stage.region, "odd", NULL, &subs[1], in_ms(60000)));
	while (open) {
		struct msg_wait_item items[2] = {
			{ .type = MSG_WAIT_PATTERN, .pattern = subs[0] },
			{ .type = MSG_WAIT_PATTERN, .pattern = subs[1] },
		};

		OK(msg_wait(items, 2, in_ms(60000)));
		open = 2;
		for (k = 0; k < 2; k++) {
			int64_t len = items[k].ready ?
				msg_topic_recv(subs[k], &value, sizeof(value), NULL, 0) : 0;

			if (len == -EPIPE) {
				EQUAL(next[k], 2000 + k);
				open--;
			} else if (items[k].ready) {
				OK(len);
				EQUAL(value, next[k]);
				next[k] += 2;
			}
		}
	}
	test_join(pid);
	OK(msg_leave(stage.region));
}

/* ---- lies ---- */

static void any_publisher(void *arg)
{
	struct stage *stage = arg;
	uint64_t random = stage->seed;
	uint8_t data[400];
	unsigned i;

	attach(stage, "publisher");
	open_topic(stage);
	for (i = 0; ; i++) {
		int err = msg_publish(stage->topic, data, test_random(&random) % sizeof(data), in_ms(50));

		CHECK(!err || err == -ETIMEDOUT || err == -EAGAIN);
		if (i % 16 == 0)
			msg_sleep_until(in_ms(1));
	}
}

// Garbage in everything that the publisher says of its topic: ends with -ECONNRESET at worst, in time.
static void lies(void)
{
	uint64_t random = 99, resets = 0, found = 0, heard = 0;
	unsigned round;

	for (round = 0; round < 60; round++) {
		struct stage stage = { .path = test_region(4 * MEGA), .seed = round,
			.options = { .policy = round % 3 } };
		uint64_t *region = test_map(stage.path, 4 * MEGA), *front = NULL;
		uint64_t end, i;
		uint8_t data[4096];
		pid_t pid = test_spawn(any_publisher, &stage);
		struct msg_fault fault;

		attach(&stage, "subscriber");
		subscribe(&stage, false);
		// What stands in front of the ring, found by its size and policy.
		for (i = 0; i < 4 * MEGA / 8 && !front; i += 8)
			if (region[i] == ((uint64_t)RING << 32 | round % 3) && region[i + 16] < 1000)
				front = region + i;
		CHECK(front);
		end = in_ms(60);
		while (msg_now_ns() < end) {
			uint64_t word = test_random(&random) % (32 + RING / 8), value = test_random(&random);
			int64_t len = msg_topic_recv(stage.sub, data, sizeof(data), NULL,
				test_random(&random) % 4 ? 0 : in_ms(1));

			if (len == -ECONNRESET) {
				resets++;
				// Or the publisher found that we had released what isn't there.
				found += msg_subscription_fault(stage.sub, &fault) && fault.what;
				msg_unsubscribe(stage.sub);
				front[0] = (uint64_t)RING << 32 | round % 3;
				subscribe(&stage, value % 2);
				continue;
			}
			heard += len >= 0;
			CHECK(len >= 0 || len == -EAGAIN || len == -ETIMEDOUT || len == -EMSGSIZE);
			if (value % 4)
				continue;
			if (value >> 8 & 1)
				word %= 32;
			// Wild, or near to what is there.
			front[word] = value >> 9 & 1 ? test_random(&random) :
				front[word] + (value >> 10) % 257 - 128;
		}
		test_kill(pid);
		munmap(region, 4 * MEGA);
		OK(msg_leave(stage.region));
	}
	CHECK(resets > 10 && found > resets / 2);
	CHECK(heard > 100);
}

// Hears all there is, however long it takes.
static void hears_all(void *arg)
{
	struct stage *stage = arg;
	uint64_t i, data;

	attach(stage, "honest");
	subscribe(stage, false);
	for (i = 1; i <= stage->seed; i++)
		EQUAL(hear(stage, i).lost, 0);
	EQUAL(msg_topic_recv(stage->sub, &data, 8, NULL, in_ms(60000)), -EPIPE);
	OK(msg_leave(stage->region));
}

static struct wire_channel *block_of(void *base, uint32_t slot, uint32_t index)
{
	struct wire_header *header = base;

	return (struct wire_channel *)((uint8_t *)base + header->slot_offset +
		(uint64_t)slot * header->slot_stride + sizeof(struct wire_slot) + header->deeds * 8) + index;
}

// A subscriber that lies about how far it is holds nobody up but itself.
static void lying_subscriber(void)
{
	struct stage stage = { .path = test_region(4 * MEGA), .seed = 5000 };
	void *base = test_map(stage.path, 4 * MEGA);
	uint64_t random = 3, i, faults = 0;
	struct msg_topic_subscriber who;
	struct msg_event event;
	pid_t honest, liar;
	unsigned k;

	attach(&stage, "publisher");
	open_topic(&stage);
	honest = test_spawn(hears_all, &stage);
	serve(&stage, 1);
	for (i = 1; i <= stage.seed; i++) {
		if (i % 500 == 1) {
			struct wire_channel *block;

			liar = test_spawn(deaf_subscriber, &stage);
			serve(&stage, 2);
			for (k = 0; ; k++) {
				OK(msg_topic_subscriber(stage.topic, k, &who));
				if (!strcmp(who.peer.name, "subscriber"))
					break;
			}
			block = block_of(base, who.peer.slot, 0);
			CHECK(block->kind == KIND_TOPIC);
			while (STATUS_STATE(__atomic_load_n(&block->status, __ATOMIC_SEQ_CST)) !=
				CHANNEL_OPEN)
				usleep(100);
			__atomic_store_n(&block->released, (uint32_t)(test_random(&random) | 1),
				__ATOMIC_SEQ_CST);
			// As soon as anybody's word counts.
			for (k = 0; k < 2 * RING / 64; k++)
				say(&stage, i++);
			i--;
			while (msg_next_event(stage.region, &event) > 0)
				if (event.type == MSG_EVENT_FAULT) {
					CHECK(!strcmp(event.peer.name, "subscriber"));
					faults++;
				}
			test_kill(liar);
		} else {
			say(&stage, i);
		}
	}
	EQUAL(faults, 10);
	msg_topic_close(stage.topic);
	test_join(honest);
	OK(msg_leave(stage.region));
}

/* ---- kills at random ---- */

static void restless_publisher(void *arg)
{
	struct stage *stage = arg;
	uint64_t random = stage->seed, n;

	for (;;) {
		attach(stage, "publisher");
		stage->options.policy = test_random(&random) % 3;
		stage->options.ring = RING;
		if (!msg_topic_open(stage->region, "news", &stage->options, &stage->topic)) {
			uint64_t message[64];

			for (n = 1; n < 1 + test_random(&random) % 3000; n++) {
				size_t i, words = 1 + test_random(&random) % 64;

				for (i = 0; i < words; i++)
					message[i] = n;
				int err = msg_publish(stage->topic, message, 8 * words, in_ms(5000));

				if (err)
					CHECK(err == -ESTALE || err == -ETIMEDOUT);
				if (test_random(&random) % 50 == 0)
					msg_sleep_until(msg_now_ns() + test_random(&random) % MS);
			}
			if (test_random(&random) % 2)
				msg_topic_close(stage->topic);
		}
		msg_leave(stage->region);
	}
}

static void restless_subscriber(void *arg)
{
	struct stage *stage = arg;
	uint64_t random = stage->seed, message[64], rounds;

	for (;;) {
		struct msg_subscribe_options options = { .retained = test_random(&random) % 2 };
		struct msg_topic_mark mark;
		uint64_t expected = 0;
		int64_t len;

		attach(stage, "subscriber");
		len = msg_subscribe(stage->region, "news", &options, &stage->sub, in_ms(60000));
		if (len)
			CHECK(len == -ESTALE || len == -ECONNREFUSED);
		for (rounds = test_random(&random) % 1000; !len && rounds; rounds--) {
			len = msg_topic_recv(stage->sub, message, sizeof(message), &mark, in_ms(60000));
			if (len < 0) {
				if (len != -EPIPE && len != -ESTALE)
					OK(len);
				break;
			}
			// Whole, in order, counted.
			CHECK(len >= 8 && len % 8 == 0);
			CHECK(message[0] == mark.number && message[len / 8 - 1] == mark.number);
			CHECK(!expected || mark.number == expected + mark.lost);
			expected = mark.number + 1;
			len = 0;
			if (test_random(&random) % 100 == 0)
				msg_sleep_until(msg_now_ns() + test_random(&random) % (2 * MS));
		}
		if (test_random(&random) % 2 && !len)
			msg_unsubscribe(stage->sub);
		msg_leave(stage->region);
	}
}

#define RESTLESS 4
#define KILLS    150

static void kills(void)
{
	struct stage stage = { .path = test_region(4 * MEGA), .seed = 1 };
	struct msg_region_info before, after;
	uint64_t random = 5, end;
	pid_t pids[RESTLESS];
	struct msg_event event;
	unsigned i, k;

	attach(&stage, "watcher");
	msg_region_describe(stage.region, &before);
	for (i = 0; i < RESTLESS; i++, stage.seed++)
		pids[i] = test_spawn(i ? restless_subscriber : restless_publisher, &stage);
	for (k = 0; k < KILLS; k++, stage.seed++) {
		struct msg_wait_item item = { .type = MSG_WAIT_EVENT, .region = stage.region };

		end = msg_now_ns() + test_random(&random) % (40 * MS);
		while (msg_now_ns() < end) {
			msg_wait(&item, 1, end);
			while (msg_next_event(stage.region, &event) > 0)
				CHECK(event.type != MSG_EVENT_FAULT && event.type != MSG_EVENT_EVICTED);
		}
		i = test_random(&random) % RESTLESS;
		test_kill(pids[i]);
		pids[i] = test_spawn(i ? restless_subscriber : restless_publisher, &stage);
	}
	for (i = 0; i < RESTLESS; i++)
		test_kill(pids[i]);
	// Whoever died while it joined shows only by its land.
	for (end = in_ms(30000); ; msg_sleep_until(in_ms(20))) {
		k = (unsigned)OK(msg_peers(stage.region, NULL, 0));
		msg_region_describe(stage.region, &after);
		if (k == 1 && after.land_free == before.land_free)
			break;
		if (msg_now_ns() > end)
			EQUAL(after.land_free, before.land_free);
		CHECK(msg_now_ns() < end);
	}
	OK(msg_leave(stage.region));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "counts", counts, 150 },
		{ "misuse", misuse, 150 },
		{ "ends", ends, 150 },
		{ "subscriber_dies", subscriber_dies, 150 },
		{ "stopped", stopped, 150 },
		{ "region_gone", region_gone, 150 },
		{ "waits", waits, 150 },
		{ "lies", lies, 150 },
		{ "lying_subscriber", lying_subscriber, 150 },
		{ "kills", kills, 150 },
	};

	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

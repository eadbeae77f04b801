// SPDX-License-Identifier: BSD-2-Clause
// Topics at their edges: late comers, misuse, waiting, ends and deaths.
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <isthmus/msg_group.h>
#include <isthmus/msg_topic.h>
#include "tests/msg/harness.h"
#include "tests/msg/topic_stage.h"

#define TURN  (1u << 22) /* messages of a line until a header looks the same */

/* ---- exact counts, in one order of events ---- */

// Says 1..n at a word of the other side, which a channel brings.
static void dictated(void *arg)
{
	struct stage *stage = arg;
	struct msg_listener *listener;
	struct msg_channel *channel;
	uint64_t from_to[2], i;

	stage_attach(stage, "publisher");
	stage_open(stage);
	OK(msg_listen(stage->region, "dictate", NULL, &listener));
	OK(msg_accept(listener, &channel, in_ms(60000)));
	while (msg_recv(channel, from_to, sizeof(from_to), in_ms(300000)) == sizeof(from_to)) {
		for (i = from_to[0]; i <= from_to[1]; i++)
			stage_say(stage, i);
		OK(msg_send(channel, NULL, 0, in_ms(60000)));
	}
	OK(msg_leave(stage->region));
}

static void dictate(struct msg_channel *channel, uint64_t from, uint64_t to)
{
	uint64_t from_to[2] = { from, to };

	OK(msg_send(channel, from_to, sizeof(from_to), in_ms(60000)));
	// Millions of messages take seconds, and minutes on a machine that is slow and busy.
	EQUAL(msg_recv(channel, from_to, sizeof(from_to), in_ms(300000)), 0);
}

static void counts_with(enum msg_topic_policy policy, uint64_t start)
{
	// A message of 8 bytes takes a line; one line is kept free for the next.
	const uint64_t fits = STAGE_RING / 64 - 1;
	struct stage stage = { .path = test_region(4 * MEGA),
		.options = { .policy = policy, .start = start } };
	struct msg_subscription_stats stats;
	pid_t pid = test_spawn(dictated, &stage);
	struct msg_channel *channel;
	struct msg_topic_mark mark;
	struct msg_fault fault;
	uint64_t data, n;

	stage_attach(&stage, "subscriber");
	OK(msg_connect(stage.region, "dictate", NULL, &channel, in_ms(60000)));
	// Nothing there: nothing retained.
	stage_subscribe(&stage, true);
	EQUAL(msg_topic_recv(stage.sub, &data, 8, NULL, 0), -EAGAIN);
	TIMES_OUT(msg_topic_recv(stage.sub, &data, 8, NULL, in_ms(10)));
	msg_unsubscribe(stage.sub);
	dictate(channel, 1, 3);
	// Not those of before.
	stage_subscribe(&stage, false);
	EQUAL(msg_topic_recv(stage.sub, &data, 8, NULL, 0), -EAGAIN);
	dictate(channel, 4, 5);
	if (policy == MSG_TOPIC_LATEST) {
		mark = stage_hear(&stage, 5);
		EQUAL(mark.number, 5);
		EQUAL(mark.lost, 1);
	} else {
		EQUAL(stage_hear(&stage, 4).lost, 0);
		EQUAL(stage_hear(&stage, 5).lost, 0);
	}
	EQUAL(msg_topic_recv(stage.sub, &data, 8, NULL, 0), -EAGAIN);
	msg_unsubscribe(stage.sub);
	// The newest of before, and what follows.
	stage_subscribe(&stage, true);
	mark = stage_hear(&stage, 5);
	EQUAL(mark.number, 5);
	EQUAL(mark.lost, 0);
	dictate(channel, 6, 6);
	EQUAL(msg_topic_recv(stage.sub, &data, 7, NULL, 0), -EMSGSIZE);
	EQUAL(stage_hear(&stage, 6).lost, 0);
	if (policy != MSG_TOPIC_BACK_PRESSURE) {
		dictate(channel, 7, 1006);
		if (policy == MSG_TOPIC_LATEST) {
			EQUAL(stage_hear(&stage, 1006).lost, 999);
		} else {
			EQUAL(stage_hear(&stage, 1006 - fits + 1).lost, 1000 - fits);
			for (n = 1006 - fits + 2; n <= 1006; n++)
				EQUAL(stage_hear(&stage, n).lost, 0);
		}
		EQUAL(msg_topic_recv(stage.sub, &data, 8, NULL, 0), -EAGAIN);
		// Exactly one turn of the headers' 24 bits while nobody looks: the place where it is
		// shows a header that would do.
		dictate(channel, 1007, 1006 + TURN);
		mark = stage_hear(&stage, 1006 + TURN - (policy == MSG_TOPIC_LATEST ? 0 : fits - 1));
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
	counts_with(MSG_TOPIC_DROP_OLDEST, (1ull << 32) - 128);
	counts_with(MSG_TOPIC_LATEST, (1ull << 28) - 64);
}

static void counts_more(void)
{
	counts_with(MSG_TOPIC_DROP_OLDEST, 64);
	counts_with(MSG_TOPIC_LATEST, 0);
}

/* ---- misuse ---- */

static void idle_publisher(void *arg)
{
	struct stage *stage = arg;
	struct msg_listener *listener;
	struct msg_wait_item item;

	stage_attach(stage, "publisher");
	stage_open(stage);
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
		own = { .ring = STAGE_RING };
	struct msg_region_info before, after;
	struct msg_topic_subscriber who;
	struct msg_channel *channel;
	struct msg_topic *topic;
	uint8_t *data;
	void *place;

	stage_attach(&stage, "subscriber");
	stage_subscribe(&stage, false);
	EQUAL(msg_connect(stage.region, "news", NULL, &channel, in_ms(60000)), -EPROTOTYPE);
	EQUAL(msg_subscribe(stage.region, "plain", NULL, &stage.sub, in_ms(60000)), -EPROTOTYPE);
	TIMES_OUT(msg_subscribe(stage.region, "nobody", NULL, &stage.sub, in_ms(20)));
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
	EQUAL(msg_topic_limit(topic), STAGE_RING / 2 - 16);
	data = calloc(1, STAGE_RING);
	EQUAL(msg_publish(topic, data, STAGE_RING / 2 - 15, 0), -EMSGSIZE);
	OK(msg_publish(topic, data, STAGE_RING / 2 - 16, 0));
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

// Times that the subscriber has returned from msg_subscribe: to one that is still on its way a publisher
// that ends has never been there, and it waits for the next.
static volatile unsigned *subscribed;

static void ending_publisher(void *arg)
{
	struct stage *stage = arg;
	uint64_t i;

	stage_attach(stage, "publisher");
	stage_open(stage);
	stage_serve(stage, 1);
	UNTIL(*subscribed > stage->life);
	for (i = 1; i <= 5; i++)
		stage_say(stage, i);
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
		struct stage stage = { .path = test_region(4 * MEGA), .seed = how, .mortal = how == 2 };
		struct msg_wait_item item;
		struct msg_region_info before, after;
		struct msg_peer first, second;
		uint64_t data, i;
		pid_t pid;

		subscribed = test_shared(sizeof(*subscribed));
		stage_attach(&stage, "subscriber");
		msg_region_describe(stage.region, &before);
		pid = test_spawn(ending_publisher, &stage);
		stage_subscribe(&stage, false);
		++*subscribed;
		msg_subscription_peer(stage.sub, &first);
		test_join(pid);
		// What was published before is still there, and then the end.
		for (i = 1; i <= 5; i++)
			stage_hear(&stage, i);
		item = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN, .pattern = stage.sub };
		EQUAL(msg_wait(&item, 1, in_ms(60000)), 1);
		EQUAL(msg_topic_recv(stage.sub, &data, 8, NULL, in_ms(60000)), -EPIPE);
		msg_unsubscribe(stage.sub);
		OK(msg_peers(stage.region, NULL, 0));
		msg_region_describe(stage.region, &after);
		EQUAL(after.land_free, before.land_free);
		stage.life = 1;
		pid = test_spawn(ending_publisher, &stage);
		stage_subscribe(&stage, false);
		++*subscribed;
		msg_subscription_peer(stage.sub, &second);
		CHECK(second.epoch != first.epoch);
		stage_hear(&stage, 1);
		test_join(pid);
		OK(msg_leave(stage.region));
	}
}

// A dead subscriber holds the publisher up until it is found dead, and no longer.
static void subscriber_dies(void)
{
	struct stage stage = { .path = test_region(4 * MEGA), .mortal = true };
	struct msg_topic_stats stats;
	struct msg_wait_item item;
	struct msg_topic_subscriber who;
	uint64_t value = 0;
	pid_t pid;

	stage_attach(&stage, "publisher");
	stage_open(&stage);
	pid = test_spawn(stage_deaf_subscriber, &stage);
	stage_serve(&stage, 1);
	while (!msg_publish(stage.topic, &value, sizeof(value), 0))
		value++;
	EQUAL(value, STAGE_RING / 64);
	OK(msg_topic_subscriber(stage.topic, 0, &who));
	EQUAL(who.behind, STAGE_RING);
	EQUAL(who.received, 0);
	CHECK(!strcmp(who.peer.name, "subscriber"));
	TIMES_OUT(msg_publish(stage.topic, &value, sizeof(value), in_ms(20)));
	item = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN, .pattern = stage.topic };
	TIMES_OUT(msg_wait(&item, 1, in_ms(20)));
	test_kill(pid);
	OK(msg_publish(stage.topic, &value, sizeof(value), in_ms(60000)));
	msg_topic_stats(stage.topic, &stats);
	CHECK(stats.full_waits >= 2);
	stage_serve(&stage, 0);
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

	stage_attach(stage, "publisher");
	stage_open(stage);
	for (i = 1; !err; i++) {
		err = msg_publish(stage->topic, &i, sizeof(i), in_ms(5000));
		msg_sleep_until(in_ms(1));
	}
	EQUAL(err, -ESTALE);
	EQUAL(msg_publish(stage->topic, &i, sizeof(i), 0), -ESTALE);
	msg_topic_close(stage->topic);
	EQUAL(msg_leave(stage->region), -ESTALE);
	stage_attach(stage, "publisher");
	stage_open(stage);
	stage_serve(stage, 1);
	UNTIL(*subscribed > 1);
	for (i = 1; i <= 10; i++)
		stage_say(stage, i);
	OK(msg_leave(stage->region));
}

static void stopped_subscriber(void *arg)
{
	struct stage *stage = arg;
	uint64_t data;
	int64_t len;

	stage_attach(stage, "stopped");
	stage_subscribe(stage, false);
	++*subscribed;
	while ((len = msg_topic_recv(stage->sub, &data, sizeof(data), NULL, in_ms(60000))) > 0)
		;
	EQUAL(len, -ESTALE);
	EQUAL(msg_topic_recv(stage->sub, &data, sizeof(data), NULL, in_ms(60000)), -ESTALE);
	msg_unsubscribe(stage->sub);
	EQUAL(msg_leave(stage->region), -ESTALE);
}

static void stopped_under(enum msg_topic_policy policy)
{
	struct stage stage = { .path = test_region(4 * MEGA), .options = { .policy = policy },
		.mortal = true };
	pid_t publisher, subscriber;
	uint64_t data, i;

	subscribed = test_shared(sizeof(*subscribed));
	publisher = test_spawn(stopped_publisher, &stage);
	stage_attach(&stage, "subscriber");
	stage_subscribe(&stage, false);
	subscriber = test_spawn(stopped_subscriber, &stage);
	for (i = 0; i < 10 || !*subscribed; i++)
		EQUAL(msg_topic_recv(stage.sub, &data, 8, NULL, in_ms(60000)), 8);
	// It goes on without the one that stands still.
	CHECK(!kill(subscriber, SIGSTOP));
	while (msg_peers(stage.region, NULL, 0) == 3)
		EQUAL(msg_topic_recv(stage.sub, &data, 8, NULL, in_ms(60000)), 8);
	CHECK(!kill(subscriber, SIGCONT));
	test_join(subscriber);
	EQUAL(msg_topic_recv(stage.sub, &data, 8, NULL, in_ms(60000)), 8);
	CHECK(!kill(publisher, SIGSTOP));
	while (msg_topic_recv(stage.sub, &data, 8, NULL, in_ms(60000)) == 8)
		;
	EQUAL(msg_topic_recv(stage.sub, &data, 8, NULL, 0), -EPIPE);
	CHECK(!kill(publisher, SIGCONT));
	msg_unsubscribe(stage.sub);
	stage_subscribe(&stage, false);
	++*subscribed;
	while (msg_topic_recv(stage.sub, &data, 8, NULL, in_ms(60000)) == 8)
		EQUAL(data % 11, data);
	EQUAL(data, 10);
	test_join(publisher);
	OK(msg_leave(stage.region));
}

static void stopped(void)
{
	stopped_under(MSG_TOPIC_BACK_PRESSURE);
}

static void stopped_more(void)
{
	stopped_under(MSG_TOPIC_DROP_OLDEST);
	stopped_under(MSG_TOPIC_LATEST);
}

static void patient_publisher(void *arg)
{
	struct stage *stage = arg;

	stage_attach(stage, "publisher");
	stage_open(stage);
	stage_serve(stage, 1);
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

	stage_attach(&stage, "subscriber");
	stage_subscribe(&stage, false);
	OK(msg_topic_open(stage.region, "mine", NULL, &topic));
	OK(msg_group_join(stage.region, "alone", 1, &group, in_ms(60000)));
	test_kill(pid);
	CHECK(!truncate(stage.path, 0));
	EQUAL(msg_publish(topic, data, sizeof(data), in_ms(60000)), -ENODEV);
	EQUAL(msg_topic_recv(stage.sub, data, sizeof(data), NULL, in_ms(60000)), -ENODEV);
	EQUAL(msg_barrier(group, in_ms(60000)), -ENODEV);
	EQUAL(msg_broadcast(group, 0, data, sizeof(data), in_ms(60000)), -ENODEV);
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

	stage_attach(stage, "publisher");
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
	struct stage stage = { .path = test_region(4 * MEGA), .options = { .ring = STAGE_RING } };
	pid_t pid = test_spawn(two_publishers, &stage);
	struct msg_subscription *subs[2];
	unsigned next[2] = { 0, 1 }, open = 2, value, k;

	stage_attach(&stage, "subscriber");
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

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "counts", counts, 400 },
		{ "misuse", misuse, 150 },
		{ "ends", ends, 150 },
		{ "subscriber_dies", subscriber_dies, 150 },
		{ "stopped", stopped, 150 },
		{ "region_gone", region_gone, 150 },
		{ "waits", waits, 150 },
		{ "counts_more", counts_more, 400 },
		{ "stopped_more", stopped_more, 150 },
	};

	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * A receiver that rests after each message, and so looks for a sender that waits for room but after each
 * eighth of the ring. What the sender's timer finds of it before is no doorbell that was lost, and not counted
 * as one (msg_wait_stats: rescues).
 */
#include <stdio.h>
#include <isthmus/msg_call.h>
#include <isthmus/msg_topic.h>
#include "tests/msg/harness.h"

#define MEGA  (1u << 20)
#define RING  4096
#define REST  (30 * MS)
#define SLOW  40 /* messages, once the ring is full */
#define FULL  (RING / 64)
#define CALLS (2 * (FULL + SLOW))

struct stage {
	const char *path;
	bool topic;
};

static void receiver(void *arg)
{
	struct stage *stage = arg;
	struct msg_region *region = test_attach_patient(stage->path, "receiver");
	struct msg_subscription *subscription = NULL;
	struct msg_channel *channel = NULL;
	int64_t got = 0;
	char data[64];

	if (stage->topic)
		OK(msg_subscribe(region, "news", NULL, &subscription, in_ms(20000)));
	else
		OK(msg_connect(region, "news", NULL, &channel, in_ms(20000)));
	while (got >= 0) {
		got = stage->topic ?
			msg_topic_recv(subscription, data, sizeof(data), NULL, in_ms(20000)) :
			msg_recv(channel, data, sizeof(data), in_ms(20000));
		if (*data == 'x')
			msg_sleep_until(msg_now_ns() + REST);
	}
	OK(msg_leave(region));
}

static void check_since(struct msg_region *region, const struct msg_wait_stats *before)
{
	struct msg_wait_stats stats;
	uint64_t sleeps, rescues;

	msg_wait_stats(region, &stats);
	sleeps = stats.sleeps - before->sleeps;
	rescues = stats.rescues - before->rescues;
	printf("%llu sleeps, %llu rescues\n", (unsigned long long)sleeps,
	       (unsigned long long)rescues);
	/* Now and then a busy machine makes a doorbell as late as that. */
	CHECK(sleeps >= 5 && rescues <= 2);
}

static void flow(bool topic)
{
	struct stage stage = { test_region(MEGA), topic };
	struct msg_region *region = test_attach_patient(stage.path, "sender");
	struct msg_topic_options topic_options = { .ring = RING };
	struct msg_channel_options options = { .ring = RING };
	struct msg_topic_stats figures = { 0 };
	struct msg_topic *news = NULL;
	struct msg_listener *listener;
	struct msg_channel *channel = NULL;
	struct msg_wait_stats before;
	unsigned i;
	pid_t pid;

	if (topic)
		OK(msg_topic_open(region, "news", &topic_options, &news));
	else
		OK(msg_listen(region, "news", &options, &listener));
	pid = test_spawn(receiver, &stage);
	if (!topic)
		OK(msg_accept(listener, &channel, in_ms(20000)));
	while (topic && !figures.subscribers) {
		struct msg_wait_item item = { .type = MSG_WAIT_EVENT, .region = region };
		struct msg_event event;

		msg_wait(&item, 1, in_ms(20));
		msg_next_event(region, &event);
		msg_topic_stats(news, &figures);
	}
	msg_wait_stats(region, &before);
	for (i = 0; i < FULL + SLOW; i++)
		OK(topic ? msg_publish(news, "x", 1, in_ms(20000)) :
			msg_send(channel, "x", 1, in_ms(20000)));
	check_since(region, &before);
	OK(msg_leave(region));
	test_kill(pid);
}

static void channel(void)
{
	flow(false);
}

static void topic(void)
{
	flow(true);
}

/* ---- requests ---- */

static void slow_server(void *arg)
{
	struct stage *stage = arg;
	struct msg_call_options options = { .calls = CALLS, .channel = { .ring = RING } };
	struct msg_region *region = test_attach_patient(stage->path, "server");
	struct msg_request request;
	struct msg_server *server;

	OK(msg_server_open(region, "service", &options, &server));
	for (;;) {
		OK(msg_server_next(server, &request, in_ms(20000)));
		msg_sleep_until(msg_now_ns() + REST);
	}
}

/* What a pattern sends is a sender like any other. */
static void requests(void)
{
	struct stage stage = { test_region(MEGA), false };
	struct msg_region *region = test_attach_patient(stage.path, "caller");
	struct msg_call_options options = { .calls = CALLS, .channel = { .ring = RING } };
	pid_t pid = test_spawn(slow_server, &stage);
	struct msg_wait_stats before;
	struct msg_caller *caller;
	unsigned i;

	OK(msg_caller_open(region, "service", &options, &caller, in_ms(20000)));
	msg_wait_stats(region, &before);
	for (i = 0; i < FULL + SLOW; i++)
		OK(msg_call_start(caller, "x", 1, MSG_FOREVER, NULL, NULL, in_ms(20000)));
	check_since(region, &before);
	OK(msg_leave(region));
	test_kill(pid);
}

/* ---- room in two parts ---- */

#define LARGE  (29 * 64 - 8) /* 29 lines */
#define ROUNDS 5

struct parts {
	const char *path;
	volatile unsigned full, empty; /* rounds */
};

static void take(struct msg_channel *channel, unsigned count)
{
	char data[RING];

	while (count--)
		OK(msg_recv(channel, data, sizeof(data), in_ms(20000)));
}

/* The last look for the sender comes with the 25th message; it waits for the 29th's place. */
static void part_receiver(void *arg)
{
	struct parts *parts = arg;
	struct msg_region *region = test_attach_patient(parts->path, "receiver");
	struct msg_channel *channel;

	OK(msg_connect(region, "parts", NULL, &channel, in_ms(20000)));
	while (parts->empty < ROUNDS) {
		UNTIL(parts->full > parts->empty);
		msg_sleep_until(msg_now_ns() + REST);
		take(channel, 25);
		msg_sleep_until(msg_now_ns() + REST);
		take(channel, 4);
		msg_sleep_until(msg_now_ns() + 10 * REST);
		take(channel, FULL - 29 + 1);
		parts->empty++;
	}
	OK(msg_leave(region));
}

/* Some of the room was announced, and wasn't enough: the rest isn't a lost doorbell's either. */
static void in_parts(void)
{
	struct parts *parts = test_shared(sizeof(*parts));
	struct msg_channel_options options = { .ring = RING };
	static const char data[LARGE];
	struct msg_wait_stats before;
	struct msg_listener *listener;
	struct msg_channel *channel;
	struct msg_region *region;
	unsigned i;
	pid_t pid;

	parts->path = test_region(MEGA);
	region = test_attach_patient(parts->path, "sender");
	OK(msg_listen(region, "parts", &options, &listener));
	pid = test_spawn(part_receiver, parts);
	OK(msg_accept(listener, &channel, in_ms(20000)));
	msg_wait_stats(region, &before);
	while (parts->full < ROUNDS) {
		UNTIL(parts->full == parts->empty);
		for (i = 0; i < FULL; i++)
			OK(msg_trysend(channel, "x", 1));
		parts->full++;
		OK(msg_send(channel, data, sizeof(data), in_ms(20000)));
	}
	check_since(region, &before);
	test_join(pid);
	OK(msg_leave(region));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "channel", channel, 0 },
		{ "topic", topic, 0 },
		{ "requests", requests, 0 },
		{ "in_parts", in_parts, 0 },
	};

	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

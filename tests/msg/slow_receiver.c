// SPDX-License-Identifier: BSD-2-Clause
/*
 * A receiver that rests after each message, and so looks for a sender that waits for room but after each
 * eighth of the ring. What the sender's timer finds of it before is no doorbell that was lost, and not counted
 * as one (msg_wait_stats: rescues).
 */
#include <stdio.h>
#include <isthmus/msg_topic.h>
#include "tests/msg/harness.h"

#define MEGA  (1u << 20)
#define RING  4096
#define REST  (30 * MS)
#define SLOW  40 /* messages, once the ring is full */
#define FULL  (RING / 64)

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
	struct msg_wait_stats stats;
	uint64_t sleeps, rescues;
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
	msg_wait_stats(region, &stats);
	sleeps = stats.sleeps;
	rescues = stats.rescues;
	for (i = 0; i < FULL + SLOW; i++)
		OK(topic ? msg_publish(news, "x", 1, in_ms(20000)) :
			msg_send(channel, "x", 1, in_ms(20000)));
	msg_wait_stats(region, &stats);
	sleeps = stats.sleeps - sleeps;
	rescues = stats.rescues - rescues;
	printf("%llu sleeps, %llu rescues\n", (unsigned long long)sleeps, (unsigned long long)rescues);
	/* Now and then a busy machine makes a doorbell as late as that. */
	CHECK(sleeps >= 5 && rescues <= 2);
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

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "channel", channel, 0 },
		{ "topic", topic, 0 },
	};

	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

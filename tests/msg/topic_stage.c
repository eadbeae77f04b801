// SPDX-License-Identifier: BSD-2-Clause
#include "tests/msg/topic_stage.h"

#include "tests/msg/harness.h"

void stage_attach(struct stage *stage, const char *name)
{
	struct msg_options options = { .name = name, .slots = 16, .channels = 32 };

	options.death_ns = stage->mortal ? STAGE_DEATH : PATIENT_DEATH;
	OK(msg_attach(stage->path, &options, &stage->region));
}

void stage_open(struct stage *stage)
{
	stage->options.ring = STAGE_RING;
	OK(msg_topic_open(stage->region, "news", &stage->options, &stage->topic));
}

void stage_serve(struct stage *stage, unsigned subscribers)
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

void stage_say(struct stage *stage, uint64_t value)
{
	OK(msg_publish(stage->topic, &value, sizeof(value), in_ms(60000)));
}

struct msg_topic_mark stage_hear(struct stage *stage, uint64_t value)
{
	struct msg_topic_mark mark;
	uint64_t got = 0;

	EQUAL(msg_topic_recv(stage->sub, &got, sizeof(got), &mark, in_ms(60000)), sizeof(got));
	EQUAL(got, value);
	return mark;
}

void stage_subscribe(struct stage *stage, bool retained)
{
	struct msg_subscribe_options options = { .retained = retained };

	OK(msg_subscribe(stage->region, "news", &options, &stage->sub, in_ms(60000)));
}

void stage_deaf_subscriber(void *arg)
{
	struct stage *stage = arg;

	stage_attach(stage, "subscriber");
	stage_subscribe(stage, false);
	for (;;)
		msg_sleep_until(in_ms(1000));
}

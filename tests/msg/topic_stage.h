/* SPDX-License-Identifier: BSD-2-Clause */
/* One side of a topic "news" between processes over a bare region file. */
#ifndef TESTS_MSG_TOPIC_STAGE_H
#define TESTS_MSG_TOPIC_STAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <isthmus/msg_topic.h>

#define MEGA (1u << 20)
#define STAGE_RING 4096
#define STAGE_DEATH (1000 * MS) /* of tests/msg/harness.h; where somebody is to be found dead */

struct stage {
	const char *path;
	struct msg_region *region;
	struct msg_topic *topic;
	struct msg_subscription *sub;
	struct msg_topic_options options;
	uint64_t seed;
	unsigned life;
	bool mortal;
};

void stage_attach(struct stage *stage, const char *name);
void stage_open(struct stage *stage);

/* Runs the region until the topic has so many. */
void stage_serve(struct stage *stage, unsigned subscribers);

void stage_say(struct stage *stage, uint64_t value);

/* The next message, which must be that value. */
struct msg_topic_mark stage_hear(struct stage *stage, uint64_t value);

void stage_subscribe(struct stage *stage, bool retained);

/* For test_spawn: subscribes, and never takes anything. arg: a stage. */
void stage_deaf_subscriber(void *arg);

#endif

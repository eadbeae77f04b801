/* SPDX-License-Identifier: BSD-2-Clause */
/* One life of a victim (victim.h), as its files share it. */
#ifndef TESTS_ADVERSITY_VICTIM_LIFE_H
#define TESTS_ADVERSITY_VICTIM_LIFE_H

#include <stdint.h>
#include <isthmus/msg.h>
#include "tests/adversity/victim.h"

#define VICTIM_CHANNELS 6

struct patterns {
	struct msg_caller *caller;
	struct msg_server *server;
	struct msg_topic *topic;
	struct msg_subscription *subscription;
	struct msg_producer *producer;
	struct msg_worker *worker;
	struct msg_dispatcher *dispatcher;
	struct msg_group *group;
};

struct life {
	struct victim *victim;
	struct msg_region *region;
	struct msg_listener *listener;
	struct msg_channel *channel[VICTIM_CHANNELS];
	struct msg_buffer *buffer;
	struct patterns patterns;
	uint64_t random, faults, evicted;
};

uint64_t victim_pick(struct life *life, uint64_t n);

/* The result of a call: one that the header promises, and no other. */
int64_t victim_result(struct life *life, int64_t value);

/* Reads what was handed out, which must lie in the region. */
void victim_touch(const struct msg_span *spans, int64_t count);

/* One step of a pattern. */
void victim_patterns(struct life *life);

#endif

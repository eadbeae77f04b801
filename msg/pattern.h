/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the patterns on top of channels (calls, queues, topics, groups) have in common: a handle of
 * one of them begins with a struct pattern, through which msg_wait and msg_leave reach it.
 */
#ifndef MSG_PATTERN_H
#define MSG_PATTERN_H

#include "msg/internal.h"

struct pattern;

struct pattern_ops {
	/* Goes as far as it can without blocking. Is there something for the app? */
	bool (*step)(struct pattern *pattern);
	/* When step may get further although nobody does anything; MSG_FOREVER: never. NULL: never. */
	uint64_t (*due)(struct pattern *pattern);
	/* Can nothing but the peers of open channels move it? NULL: no. Waiting is cheaper then. */
	bool (*channels_only)(struct pattern *pattern);
	/* Looks around: called with each look at who is there, whoever waits for what. NULL: nothing. */
	void (*tend)(struct pattern *pattern);
	/* The device is about to go: a last look at what the others have received. Changes nothing
	 * there. NULL: nothing. */
	void (*part)(struct pattern *pattern);
	/* The region is being left: ends, and frees the handle's private memory. Channels and listeners
	 * are still there, and whoever doesn't close them leaves that to msg_leave. */
	void (*forget)(struct pattern *pattern);
};

struct pattern {
	struct msg_region *region;
	const struct pattern_ops *ops;
	struct pattern *next;
};

/* A new handle of size bytes, all zero but for its pattern; NULL: no memory. */
void *pattern_create(struct msg_region *region, const struct pattern_ops *ops, size_t size);
/* Takes it out of the region's list, and frees it. */
void pattern_destroy(struct pattern *pattern);
/* context_scan: all that look around. */
void patterns_tend(struct msg_region *region);
/* msg_region_depart: all that have something to look at. */
void patterns_part(struct msg_region *region);
/* msg_leave: all of them. */
void patterns_forget(struct msg_region *region);

/* wait_condition: step. */
bool pattern_ready(void *pattern);
uint64_t pattern_due(struct pattern *pattern);
bool pattern_channels_only(struct pattern *pattern);

/* Waits until step says that there is something for the app: 0; -EAGAIN: not, and the deadline had
 * passed at the call; -ETIMEDOUT. */
int pattern_wait(struct pattern *pattern, uint64_t deadline);

#endif

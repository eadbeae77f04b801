/* SPDX-License-Identifier: BSD-2-Clause */
/* A group, for the files that gather it and that work in it. */
#ifndef MSG_GROUP_H
#define MSG_GROUP_H

#include <isthmus/msg_group.h>
#include "msg/internal.h"
#include "msg/pattern.h"

struct member {
	uint32_t slot;
	uint64_t life;
	uint64_t ticket;         /* with which it asked to be gathered */
	bool gone;               /* for good */
	uint64_t came;           /* the newest call on which it had its verdict */
	struct msg_peer peer;
};

/* How far the call under way has come. */
enum group_stage {
	GROUP_IDLE,
	GROUP_GIVEN,             /* broadcast: the bytes are not here yet */
	GROUP_DONE,              /* this member has its verdict, and waits for the others' */
};

struct msg_group {
	struct pattern pattern;
	struct wire_group *mine;
	uint64_t generation;
	unsigned size, rank;
	struct member *members;  /* [size] */
	enum group_stage stage;
	uint64_t step;           /* number of the newest call */
	uint32_t call;           /* enum group_call of it */
	uint64_t done;           /* what we wrote */
	bool failed;             /* somebody's verdict on it */
	bool in_time;            /* broadcast: we came before the root was gone */
	bool mismatch;           /* a member calls something else */
	uint64_t length;         /* broadcast: of the bytes */
	struct msg_buffer *buffer; /* root: with them */
};

REGION_INLINE struct wire_group *group_line(const struct msg_group *group, const struct member *member)
{
	return &region_slot(group->pattern.region, member->slot)->group;
}

/* Is the member no longer of this group? Then for good. */
bool group_gone(struct msg_group *group, struct member *member);

/* Are the words of its line, read before, still those of this group? It may be dead or have left. */
bool group_line_stands(const struct msg_group *group, const struct member *member);

/* Wakes those that sleep; the caller has published before. */
void group_wake(struct msg_group *group);

#endif

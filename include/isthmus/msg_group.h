/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups: what a parallel program starts with. So many peers gather under a name, agree on who has which
 * rank, and from then on pass barriers together and get one member's bytes to all. No member leads:
 * each may die at any moment, and the others go on without it.
 *
 * A peer is in one group at a time in each region it has attached. Who comes late, or comes back after
 * its death, is in another gathering, never in the old group. Errors, deadlines and threads as in
 * <isthmus/msg.h>.
 *
 * All members call msg_barrier and msg_broadcast in the same order. A call that ended with -ETIMEDOUT or
 * -EAGAIN is still under way for the others, who wait for this member: call it again, with the same
 * memory, where the bytes of a broadcast may be by then.
 *
 * Wire format: docs/wire-format.md, "Groups".
 */
#ifndef ISTHMUS_MSG_GROUP_H
#define ISTHMUS_MSG_GROUP_H

#include <isthmus/msg.h>

#ifdef __cplusplus
extern "C" {
#endif

struct msg_group;

/* Gathers size peers (this one among them) under a name of up to MSG_NAME_MAX bytes, and returns when all
 * know of each other, or have died meanwhile. Of more than size that come, each size make a group. Ranks
 * are 0 to size - 1, by place in the region's table.
 * -ETIMEDOUT: not so many came in time, or a broadcast that failed, in the group that this peer left last, is
 * still under way for a member there (below); -EINVAL: bad name, size 0 or more than the region has slots, or
 * others gather under that name in another number; -EBUSY: this peer is in a group; -EPROTOTYPE: the name
 * is taken by something else; -ENOSPC: no endpoint or no land left; -ENOMEM. */
int msg_group_join(struct msg_region *region, const char *name, unsigned size,
	struct msg_group **group, uint64_t deadline);

/* Leaves; to the others it is as if this member had died. Never blocks. The handle is invalid after it.
 * Safe with NULL. */
void msg_group_leave(struct msg_group *group);

unsigned msg_group_size(struct msg_group *group);
unsigned msg_group_rank(struct msg_group *group);

/* The member of a rank, as it was when the group gathered. 1: as far as this peer knows it is there;
 * 0: it died or left; -ENOENT: no such rank. A member that is gone stays gone. */
int msg_group_member(struct msg_group *group, unsigned rank, struct msg_peer *peer);

/* Returns when every member has come to this barrier, but for those that died or left before: how many of
 * these there are as far as this peer knows (msg_group_member tells which), 0 if all came. Two members may
 * differ in that number where somebody dies just then; that no living member passes the barrier
 * before all living ones have come to it holds in any case.
 * -EPROTO: a member calls something else here; -EINVAL: a msg_broadcast is under way; -EAGAIN,
 * -ETIMEDOUT. */
int msg_barrier(struct msg_group *group, uint64_t deadline);

/* Brings the bytes of the member of rank root to all. At the root: data, len are what is sent. At the
 * others: the memory for it. Returns their number when every living member has them. Whoever gets that or
 * -EPIPE gets the same answer as all others who do, whether it lives on, leaves or dies after it. For that a member
 * whose broadcast failed stays to be heard: it can leave at once, but gather anew only when the others that are in
 * that call have heard of it, which each does when it calls msg_broadcast again or leaves.
 *
 * -EPIPE: the root died or left before it had handed them to all; data may be changed; -EMSGSIZE: the memory is
 * too small (call again with more), or at the root more than the region could ever take; -ENOSPC: at the
 * root: the region has no memory for them (call again); -EPROTO: a member calls something else
 * here; -EINVAL: no such rank, or something else is under way; -ENOMEM, -EAGAIN, -ETIMEDOUT. */
int64_t msg_broadcast(struct msg_group *group, unsigned root, void *data, size_t len,
	uint64_t deadline);

#ifdef __cplusplus
}
#endif
#endif

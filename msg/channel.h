/* SPDX-License-Identifier: BSD-2-Clause */
/* What opening a channel needs of its life. */
#ifndef MSG_CHANNEL_H
#define MSG_CHANNEL_H

#include "msg/internal.h"

/* Is the other side's slot still held by the life that the channel was opened with? */
bool channel_peer_alive(const struct msg_channel *channel);

/* Takes a control block and a ring; nothing is visible yet. */
int channel_create(struct msg_region *region, const struct msg_channel_options *options,
	enum wire_kind kind, struct msg_channel **result);

/* Land for a ring of at least wish bytes (0: by the region's size, or what there is), and extra more
 * in front of it. 0, *size of the ring, *deed, *offset of all; -EINVAL, -ENOSPC, -ENOMEM. */
int ring_claim(struct msg_region *region, uint32_t wish, uint32_t extra, uint32_t *size,
	unsigned *deed, uint64_t *offset);

/* Frees everything of a channel; its block must not be needed by anybody. */
void channel_destroy(struct msg_channel *channel);

void channel_set_peer(struct msg_channel *channel, uint32_t slot, uint64_t life);

/* Writes all of my block but the status. */
void channel_write_block(struct msg_channel *channel, uint32_t endpoint);

/* The other side's block: found at index, with status. Its ring is checked here, once for all;
 * false: impossible. */
bool channel_take_ring(struct msg_channel *channel, uint32_t index, uint64_t status);

/* Both rings are known: OPEN. */
void channel_opened(struct msg_channel *channel);

/* A connect that never blocks; its memory is the caller's. */
struct connecting {
	struct msg_region *region;
	const struct msg_channel_options *options;
	enum wire_kind kind;
	uint32_t asks;               /* enum wire_option */
	char name[WIRE_NAME];
	struct msg_channel *channel; /* that asks; NULL: the name is looked for */
	uint64_t ring_again;         /* when, while the listener doesn't answer */
	struct endpoint_place place;
	uint64_t status;
	uint32_t index;
	int refused;
};

/* options stay the caller's and must live as long. -EINVAL: bad name, or our own listener. */
int connect_begin(struct connecting *c, struct msg_region *region, const char *name,
	const struct msg_channel_options *options, enum wire_kind kind);
/* 0 and *channel; -EAGAIN: not yet; errors of msg_connect. */
int connect_step(struct connecting *c, struct msg_channel **channel);
/* Would connect_step get any further? (wait_condition) */
bool connect_moves(void *connecting);
/* Goes on until the deadline; then it is abandoned. Errors of msg_connect. */
int connect_until(struct connecting *c, struct msg_channel **channel, uint64_t deadline);
/* msg_connect for channels of a kind. */
int connect_wait(struct msg_region *region, const char *name,
	const struct msg_channel_options *options, enum wire_kind kind,
	struct msg_channel **channel, uint64_t deadline);
/* Gives up; nothing if the channel was handed out. */
void connect_abandon(struct connecting *c);

/* Answers one that asks now: 0 and *channel; -EAGAIN: nobody (or not now: look again later); errors of
 * msg_accept. Never blocks, looks around nowhere else. */
int listener_answer(struct msg_listener *listener, struct msg_channel **channel);

#endif

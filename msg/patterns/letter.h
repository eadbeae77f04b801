/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A letter: what the patterns send on their channels. A head of whole words and a body, in one
 * record; or, where the body is too large for the ring or lies in a buffer already, the head alone
 * with LETTER_BODY set, and the body as the next record. Both are published at once.
 *
 *   word 0 of a head, bits 0..7    type, the pattern's own
 *                     bit 8        LETTER_BODY: the body is the next record
 *                     the rest     the pattern's own
 */
#ifndef MSG_LETTER_H
#define MSG_LETTER_H

#include "msg/transfer.h"

#define LETTER_WORDS 4u      /* in a head, at most */
#define LETTER_BODY  (1u << 8)
#define LETTER_TYPE(word) ((unsigned)((word) & 0xff))

struct letter {
	uint64_t head[LETTER_WORDS];
	unsigned words;
	const void *data;          /* the body; without buffer */
	struct msg_buffer *buffer; /* or the first len bytes of this */
	size_t len;
};

/* Sends it if there is room now. -EAGAIN: no room in the ring; who waits says so (WANT_ROOM).
 * -ENOSPC: no memory of the region for a buffer. Errors of msg_send. */
int letter_send(struct msg_channel *channel, const struct letter *letter);

/* The same for who comes back later: as long as there is no room, WANT_LATER says that we wait. */
int letter_post(struct msg_channel *channel, const struct letter *letter);

/* Would there be room now, or is there no hope? Looks at the receiver's progress. */
bool letter_fits(struct msg_channel *channel, const struct letter *letter);

/* Payload bytes that can travel in the ring behind a head of so many words. */
size_t letter_limit(const struct msg_channel *channel, unsigned words);

struct letter_view {
	uint64_t head[LETTER_WORDS]; /* private copy */
	const uint8_t *where;        /* of the head, for faults */
	struct msg_span body;        /* in the region */
	unsigned views;              /* to be released; 0: nothing was taken */
};

/* The next letter, if there is one: 1; 0: nothing there. -ENOBUFS: there is one, and too many are
 * viewed already. -EPIPE, -ECONNRESET, ...: and nothing will
 * come. A record that is none, with a head of fewer words, ends the channel with a fault. */
int letter_peek(struct msg_channel *channel, unsigned words, struct letter_view *view);

/* Gives it back; it must be the oldest one. */
void letter_release(struct msg_channel *channel, struct letter_view *view);

/* Was all that was read up to now this peer's to read? 0; -ESTALE, -ENODEV: it has stood still and was
 * taken for dead, so that others may have written there. After the reading, before its use. */
int letter_ours(struct msg_region *region);

/* Figure i (0..6) of a pattern, in our control block. */
void letter_figure(struct msg_channel *channel, unsigned i, uint64_t value);

#endif

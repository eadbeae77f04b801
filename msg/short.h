/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The short way of a message: small, alone in its publication, with room in the ring, taken whole.
 * All else is transfer.c's.
 *
 * What is done between seeing a header and publishing an answer is what a round trip costs, and a guest
 * under TCG pays for each access and each branch, and ten times for each return or jump to another page.
 * So these functions call nothing (what is rare, they jump to), and so need no stack; what can wait is done
 * after the publication, while the record travels; and an app may have them inline (isthmus/msg_inline.h).
 */
#ifndef MSG_SHORT_H
#define MSG_SHORT_H

#include "msg/transfer.h"

#define MSG_RARE(condition) __builtin_expect(condition, 0)

_Static_assert(REGION_COPY_SMALL <= RING_MIN / 2, "a small message fits any ring");

/* What is rare, in short.c. */
int short_look_after(struct msg_channel *channel);
int short_send_unprepared(struct msg_channel *channel, const void *data, size_t len,
	uint64_t deadline);
int64_t short_recv_lost(struct msg_channel *channel);
int64_t short_recv_large(struct msg_channel *channel, void *data, size_t size, uint64_t deadline,
	uint64_t header);
int64_t short_recv_settled(struct msg_channel *channel, void *data, size_t size, uint64_t deadline);

/* short_recv_soon as functions. */
int64_t short_recv_line(struct msg_channel *channel, void *data, size_t size, uint64_t deadline);
int64_t short_recv_two_lines(struct msg_channel *channel, void *data, size_t size,
	uint64_t deadline);

/* Spares the code for others. */
REGION_INLINE void short_known_small(size_t len)
{
	if (len >= REGION_COPY_SMALL)
		__builtin_unreachable();
}

/* The rest of a sending, after the publication. */
REGION_INLINE int short_sent(struct msg_channel *channel, size_t len, uint32_t span)
{
	channel_published(channel, 1, len);
	if (MSG_RARE(!channel_needs_nothing(channel)))
		return short_look_after(channel);
	ring_alone_ahead(&channel->tx, span);
	return 0;
}

REGION_INLINE int short_send(struct msg_channel *channel, const void *data, size_t len,
	uint64_t deadline)
{
	struct ring_tx *tx = &channel->tx;

	/* One branch for all: whoever ends the channel or reserves makes it unready, and whoever takes the
	 * region away. */
	if (MSG_RARE(len / REGION_COPY_SMALL | ring_alone_unready(tx, ring_alone_span((uint32_t)len))) ||
		MSG_RARE(!channel_slot_ours(channel)))
		return short_send_unprepared(channel, data, len, deadline);
	short_known_small(len);
	ring_alone_put(tx->next, tx->next_mark, NULL, data, len);
	ring_alone_done(tx, tx->published + ring_alone_span((uint32_t)len));
	return short_sent(channel, len, ring_alone_span((uint32_t)len));
}

/* Has so much been given back that a sender which waits must be looked for? */
REGION_INLINE bool short_unsettled(const struct msg_channel *channel)
{
	return channel->rx.released - channel->fenced > channel->rx.mask / 8;
}

/* A message alone stands at the head, and nothing else is held of the ring. */
REGION_INLINE int64_t short_take(struct msg_channel *channel, void *data, size_t size,
	uint64_t deadline, const uint64_t *at, uint64_t header)
{
	size_t len = ring_header_length(header);
	struct wire_channel *mine;
	uint32_t end;

	if (MSG_RARE((len > size) | (len >= REGION_COPY_SMALL)))
		return short_recv_large(channel, data, size, deadline, header);
	short_known_small(len);
	if (len > RING_LINE - RING_HEADER)
		channel->rx.two_lines = true;
	region_copy_out(NULL, data, at + 1, len);
	end = ring_alone_after(channel->rx.head, (uint32_t)len);
	mine = channel->mine;
	if (MSG_RARE(!channel_slot_ours(channel)))
		return short_recv_lost(channel);
	channel->rx.head = end;
	ring_give_back(&channel->rx, &mine->released, end);
	region_store64(&mine->received, ++channel->received);
	region_store64(&mine->received_bytes, channel->received_bytes += len);
	return (int64_t)len;
}

/* Looks for a record for as long as a look at the clock isn't worth it, and at the line behind too if
 * the last message took that: then both are on their way at once. */
REGION_INLINE int64_t short_recv_soon(struct msg_channel *channel, void *data, size_t size,
	uint64_t deadline, bool two_lines)
{
	unsigned polls = wait_polls(channel->region->context);
	const uint64_t *at = ring_head(&channel->rx);
	uint32_t mark = ring_alone_mark(channel->rx.head);

	if (two_lines)
		channel->rx.two_lines = false;
	do {
		uint64_t header = region_load_acquire64(at);

		if ((uint32_t)(header >> 32) == mark)
			return short_take(channel, data, size, deadline, at, header);
		if (two_lines)
			(void)region_load64(at + RING_LINE / sizeof(*at));
		if (MSG_RARE(ring_alone_other(header, mark)))
			break;
		region_pace();
	} while (--polls);
	return channel_recv_any(channel, data, size, deadline);
}

/* apart: the polling is a function of its own, which spares this one its registers. */
REGION_INLINE int64_t short_recv(struct msg_channel *channel, void *data, size_t size,
	uint64_t deadline, bool apart)
{
	const uint64_t *at = ring_head(&channel->rx);
	uint64_t header;

	if (MSG_RARE(channel->error | (int)channel->run_left |
		(int)(channel->viewed_next ^ channel->viewed_first)))
		return channel_recv_any(channel, data, size, deadline);
	header = region_load_acquire64(at);
	if ((uint32_t)(header >> 32) == ring_alone_mark(channel->rx.head))
		return MSG_RARE(short_unsettled(channel)) ?
			short_recv_settled(channel, data, size, deadline) :
			short_take(channel, data, size, deadline, at, header);
	if (!deadline)
		return channel_recv_any(channel, data, size, 0);
	if (channel->fenced != channel->rx.released)
		return short_recv_settled(channel, data, size, deadline);
	if (!apart)
		return short_recv_soon(channel, data, size, deadline, channel->rx.two_lines);
	if (channel->rx.two_lines)
		return short_recv_two_lines(channel, data, size, deadline);
	return short_recv_line(channel, data, size, deadline);
}

#endif

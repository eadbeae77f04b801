// SPDX-License-Identifier: BSD-2-Clause
/*
 * The short way of a message: small, alone in its publication, with room in the ring, taken whole.
 * All else is transfer.c's.
 *
 * What is done between seeing a header and publishing an answer is what a round trip costs, and a guest
 * under TCG pays for each instruction, ten times for each return. So these functions call nothing
 * (what is rare, they jump to), and so need no stack; and what can wait is done after the
 * publication, while the record travels.
 */
#include "msg/transfer.h"

#define RARE(condition) __builtin_expect(condition, 0)
#define APART __attribute__((noinline))

_Static_assert(REGION_COPY_SMALL <= RING_MIN / 2, "a small message fits any ring");

static int APART look_after(struct msg_channel *channel)
{
	channel_look_after(channel);
	return 0;
}

int msg_send(struct msg_channel *channel, const void *data, size_t len, uint64_t deadline)
{
	struct ring_tx *tx = &channel->tx;
	uint32_t end = ring_alone_end(tx, (uint32_t)len), span = end - tx->published;

	if (RARE(len >= REGION_COPY_SMALL) || RARE(channel->send_error) ||
		RARE(!ring_alone_fits(tx, end)) || RARE(!channel_slot_ours(channel)))
		return channel_send_any(channel, data, len, deadline);
	ring_alone_publish(tx, channel->region->context->ops->copy_in, data, len, end);
	channel_published(channel, 1, len);
	if (RARE(!channel_needs_nothing(channel)))
		return look_after(channel);
	ring_alone_ahead(tx, span);
	return 0;
}

int msg_trysend(struct msg_channel *channel, const void *data, size_t len)
{
	return msg_send(channel, data, len, 0);
}

// The slot was lost while the message was read: it may have been somebody else's.
static int64_t APART recv_lost(struct msg_channel *channel)
{
	return channel_received(channel, channel->rx.head, 0, 0);
}

static int64_t APART recv_settle(struct msg_channel *channel, int64_t len)
{
	channel_settle(channel);
	return len;
}

// The payload was read.
REGION_INLINE int64_t recv_taken(struct msg_channel *channel, uint32_t head, size_t len)
{
	struct wire_channel *mine = channel->mine;

	if (RARE(!channel_slot_ours(channel)))
		return recv_lost(channel);
	head = ring_alone_after(head, (uint32_t)len);
	channel->rx.head = head;
	ring_give_back(&channel->rx, &mine->released, head);
	region_store64(&mine->received, ++channel->received);
	region_store64(&mine->received_bytes, channel->received_bytes += len);
	if (RARE(head - channel->fenced > (channel->rx.mask + 1) / 8))
		return recv_settle(channel, (int64_t)len);
	return (int64_t)len;
}

// Alone, but larger: the same with the port's copy.
static int64_t APART recv_large(struct msg_channel *channel, void *data, size_t size,
	uint64_t deadline, uint64_t header)
{
	uint32_t head = channel->rx.head;
	size_t len = ring_header_length(header);

	if (!ring_header_possible(&channel->rx, header) || len > size)
		return channel_recv_any(channel, data, size, deadline);
	channel->rx.two_lines = false;
	region_copy_out(channel->region->context->ops->copy_out, data, ring_payload(&channel->rx),
		len);
	return recv_taken(channel, head, len);
}

// A word that isn't an old one stands at the head, and nothing else is held of the ring.
REGION_INLINE int64_t recv_there(struct msg_channel *channel, void *data, size_t size,
	uint64_t deadline, const uint64_t *at, uint32_t head, uint64_t header)
{
	size_t len = ring_header_length(header);

	if (RARE((uint32_t)(header >> 32) != ring_alone_mark(head)) || RARE(len > size))
		return channel_recv_any(channel, data, size, deadline);
	if (RARE(len >= REGION_COPY_SMALL))
		return recv_large(channel, data, size, deadline, header);
	channel->rx.two_lines = len > RING_LINE - RING_HEADER;
	region_copy_out(channel->region->context->ops->copy_out, data, at + 1, len);
	return recv_taken(channel, head, len);
}

// Looks for a record for as long as a look at the clock isn't worth it, and at the line behind too if the
// last message took that: then both are on their way at once.
REGION_INLINE int64_t recv_soon(struct msg_channel *channel, void *data, size_t size,
	uint64_t deadline)
{
	unsigned polls = wait_polls(channel->region->context);
	const uint64_t *at = ring_head(&channel->rx);
	uint32_t head = channel->rx.head;
	bool two_lines = channel->rx.two_lines;

	do {
		uint64_t header = region_load_acquire64(at);

		if (ring_header_valid(header, head))
			return recv_there(channel, data, size, deadline, at, head, header);
		if (two_lines)
			(void)region_load64(at + RING_LINE / sizeof(*at));
		region_pace();
	} while (--polls);
	return channel_recv_any(channel, data, size, deadline);
}

static int64_t APART recv_owing(struct msg_channel *channel, void *data, size_t size,
	uint64_t deadline)
{
	channel_settle(channel);
	return recv_soon(channel, data, size, deadline);
}

static int64_t APART recv_later(struct msg_channel *channel, void *data, size_t size,
	uint64_t deadline)
{
	if (channel->fenced != channel->rx.released)
		return recv_owing(channel, data, size, deadline);
	return recv_soon(channel, data, size, deadline);
}

int64_t msg_recv(struct msg_channel *channel, void *data, size_t size, uint64_t deadline)
{
	uint32_t head = channel->rx.head;
	const uint64_t *at = ring_head(&channel->rx);
	uint64_t header;

	if (RARE(channel->error | (int)channel->run_left |
		(int)(channel->viewed_next ^ channel->viewed_first)))
		return channel_recv_any(channel, data, size, deadline);
	header = region_load_acquire64(at);
	if ((uint32_t)(header >> 32) == ring_alone_mark(head))
		return recv_there(channel, data, size, deadline, at, head, header);
	return deadline ? recv_later(channel, data, size, deadline) :
			  channel_recv_any(channel, data, size, 0);
}

int64_t msg_tryrecv(struct msg_channel *channel, void *data, size_t size)
{
	return msg_recv(channel, data, size, 0);
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * The short way of a message: small, alone in its publication, with room in the ring, taken whole.
 * All else is transfer.c's.
 *
 * What is done between seeing a header and publishing an answer is what a round trip costs, and a guest
 * under TCG pays for each instruction, ten times for each return or jump to another page. So these functions call nothing
 * (what is rare, they jump to), and so need no stack; and what can wait is done after the
 * publication, while the record travels.
 */
#include "msg/transfer.h"

#define RARE(condition) __builtin_expect(condition, 0)
#define APART __attribute__((noinline))
/* On one page of the guest's image: the emulator follows a jump to another page by looking it up. */
#define PAGED __attribute__((section(".paged_text")))

_Static_assert(REGION_COPY_SMALL <= RING_MIN / 2, "a small message fits any ring");

/* Spares the code for others. */
REGION_INLINE void known_small(size_t len)
{
	if (len >= REGION_COPY_SMALL)
		__builtin_unreachable();
}

static int APART send_look_after(struct msg_channel *channel)
{
	channel_look_after(channel);
	return 0;
}

// Where the sender has room, but has not prepared for a message of that size.
static int APART send_unprepared(struct msg_channel *channel, const void *data, size_t len,
	uint64_t deadline)
{
	struct ring_tx *tx = &channel->tx;
	uint32_t end = ring_alone_end(tx, (uint32_t)len), span = end - tx->published;

	if (RARE(len >= REGION_COPY_SMALL) || RARE(channel->send_error) ||
		RARE(!ring_alone_fits(tx, end)) || RARE(!channel_slot_ours(channel)))
		return channel_send_any(channel, data, len, deadline);
	ring_alone_publish(tx, channel->region->context->ops->copy_in, data, len, end);
	channel_published(channel, 1, len);
	if (RARE(!channel_needs_nothing(channel)))
		return send_look_after(channel);
	ring_alone_ahead(tx, span);
	return 0;
}

PAGED int msg_send(struct msg_channel *channel, const void *data, size_t len, uint64_t deadline)
{
	struct ring_tx *tx = &channel->tx;
	uint32_t end = ring_alone_end(tx, (uint32_t)len), span;

	// One branch for all: whoever ends the channel or reserves makes it unready, and whoever takes the
	// region away.
	if (RARE(len / REGION_COPY_SMALL | ring_alone_unready(tx, end)) ||
		RARE(!channel_slot_ours(channel)))
		return send_unprepared(channel, data, len, deadline);
	known_small(len);
	ring_alone_put(tx, tx->next, NULL, data, len);
	// Again, which costs less than to keep it.
	end = ring_alone_end(tx, (uint32_t)len);
	span = end - tx->published;
	ring_alone_done(tx, end);
	channel_published(channel, 1, len);
	if (RARE(!channel_needs_nothing(channel)))
		return send_look_after(channel);
	ring_alone_ahead(tx, span);
	return 0;
}

PAGED int msg_trysend(struct msg_channel *channel, const void *data, size_t len)
{
	return msg_send(channel, data, len, 0);
}

// The slot was lost while the message was read: it may have been somebody else's.
static int64_t APART recv_lost(struct msg_channel *channel)
{
	return channel_received(channel, channel->rx.head, 0, 0);
}

// The payload was read.
REGION_INLINE int64_t recv_taken(struct msg_channel *channel, size_t len)
{
	uint32_t head = ring_alone_after(channel->rx.head, (uint32_t)len);
	struct wire_channel *mine = channel->mine;

	if (RARE(!channel_slot_ours(channel)))
		return recv_lost(channel);
	channel->rx.head = head;
	ring_give_back(&channel->rx, &mine->released, head);
	region_store64(&mine->received, ++channel->received);
	region_store64(&mine->received_bytes, channel->received_bytes += len);
	return (int64_t)len;
}

// Has so much been given back that a sender which waits must be looked for?
REGION_INLINE bool recv_unsettled(const struct msg_channel *channel)
{
	return channel->rx.released - channel->fenced > channel->rx.mask / 8;
}

// Alone, but larger: the same with the port's copy.
static int64_t APART recv_large(struct msg_channel *channel, void *data, size_t size,
	uint64_t deadline, uint64_t header)
{
	size_t len = ring_header_length(header);
	int64_t taken;

	if (!ring_header_possible(&channel->rx, header) || len > size)
		return channel_recv_any(channel, data, size, deadline);
	channel->rx.two_lines = false;
	region_copy_out(channel->region->context->ops->copy_out, data, ring_payload(&channel->rx),
		len);
	taken = recv_taken(channel, len);
	if (recv_unsettled(channel))
		channel_settle(channel);
	return taken;
}

// A message alone stands at the head, and nothing else is held of the ring.
REGION_INLINE int64_t recv_there(struct msg_channel *channel, void *data, size_t size,
	uint64_t deadline, const uint64_t *at, uint64_t header)
{
	size_t len = ring_header_length(header);

	if (RARE((len > size) | (len >= REGION_COPY_SMALL)))
		return recv_large(channel, data, size, deadline, header);
	known_small(len);
	if (len > RING_LINE - RING_HEADER)
		channel->rx.two_lines = true;
	region_copy_out(NULL, data, at + 1, len);
	return recv_taken(channel, len);
}

static int64_t APART recv_behind(struct msg_channel *channel, void *data, size_t size,
	uint64_t deadline)
{
	channel_settle(channel);
	return msg_recv(channel, data, size, deadline);
}

// Looks for a record for as long as a look at the clock isn't worth it, and at the line behind too if the
// last message took that: then both are on their way at once.
REGION_INLINE int64_t recv_polling(struct msg_channel *channel, void *data, size_t size,
	uint64_t deadline, bool two_lines)
{
	unsigned polls = wait_polls(channel->region->context);
	const uint64_t *at = ring_head(&channel->rx);
	uint32_t mark = ring_alone_mark(channel->rx.head);

	do {
		uint64_t header = region_load_acquire64(at);

		if ((uint32_t)(header >> 32) == mark)
			return recv_there(channel, data, size, deadline, at, header);
		if (two_lines)
			(void)region_load64(at + RING_LINE / sizeof(*at));
		if (RARE(ring_alone_other(header, mark)))
			break;
		region_pace();
	} while (--polls);
	return channel_recv_any(channel, data, size, deadline);
}

PAGED static int64_t APART recv_soon(struct msg_channel *channel, void *data, size_t size,
	uint64_t deadline)
{
	return recv_polling(channel, data, size, deadline, false);
}

PAGED static int64_t APART recv_soon_two(struct msg_channel *channel, void *data, size_t size,
	uint64_t deadline)
{
	channel->rx.two_lines = false;
	return recv_polling(channel, data, size, deadline, true);
}

PAGED static int64_t APART recv_owing(struct msg_channel *channel, void *data, size_t size,
	uint64_t deadline)
{
	channel_settle(channel);
	return recv_soon(channel, data, size, deadline);
}

PAGED int64_t msg_recv(struct msg_channel *channel, void *data, size_t size, uint64_t deadline)
{
	const uint64_t *at = ring_head(&channel->rx);
	uint64_t header;

	if (RARE(channel->error | (int)channel->run_left |
		(int)(channel->viewed_next ^ channel->viewed_first)))
		return channel_recv_any(channel, data, size, deadline);
	header = region_load_acquire64(at);
	if ((uint32_t)(header >> 32) == ring_alone_mark(channel->rx.head))
		return RARE(recv_unsettled(channel)) ?
			recv_behind(channel, data, size, deadline) :
			recv_there(channel, data, size, deadline, at, header);
	if (!deadline)
		return channel_recv_any(channel, data, size, 0);
	if (channel->fenced != channel->rx.released)
		return recv_owing(channel, data, size, deadline);
	if (channel->rx.two_lines)
		return recv_soon_two(channel, data, size, deadline);
	return recv_soon(channel, data, size, deadline);
}

PAGED int64_t msg_tryrecv(struct msg_channel *channel, void *data, size_t size)
{
	return msg_recv(channel, data, size, 0);
}

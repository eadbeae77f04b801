// SPDX-License-Identifier: BSD-2-Clause
// The short way of a message, as functions, and what is rare on it.
#include "msg/short.h"

/* On one page of the guest's image: the emulator follows a jump to another page by looking it up. */
#define PAGED __attribute__((section(".paged_text")))

int short_look_after(struct msg_channel *channel)
{
	channel_look_after(channel);
	return 0;
}

// Where the sender has room, but has not prepared for a message of that size.
int short_send_unprepared(struct msg_channel *channel, const void *data, size_t len,
	uint64_t deadline)
{
	struct ring_tx *tx = &channel->tx;
	uint32_t end = ring_alone_end(tx, (uint32_t)len), span = end - tx->published;

	if (MSG_RARE(len >= REGION_COPY_SMALL) || MSG_RARE(channel->send_error) ||
		MSG_RARE(!ring_alone_fits(tx, end)) || MSG_RARE(!channel_slot_ours(channel)))
		return channel_send_any(channel, data, len, deadline);
	ring_alone_publish(tx, channel->region->context->ops->copy_in, data, len, end);
	return short_sent(channel, len, span);
}

PAGED int msg_send(struct msg_channel *channel, const void *data, size_t len, uint64_t deadline)
{
	return short_send(channel, data, len, deadline);
}

PAGED int msg_trysend(struct msg_channel *channel, const void *data, size_t len)
{
	return msg_send(channel, data, len, 0);
}

// The slot was lost while the message was read: it may have been somebody else's.
int64_t short_recv_lost(struct msg_channel *channel)
{
	return channel_received(channel, channel->rx.head, 0, 0);
}

// Alone, but larger: the same with the port's copy.
int64_t short_recv_large(struct msg_channel *channel, void *data, size_t size, uint64_t deadline,
	uint64_t header)
{
	size_t len = ring_header_length(header);
	int err;

	if (!ring_header_possible(&channel->rx, header) || len > size)
		return channel_recv_any(channel, data, size, deadline);
	channel->rx.two_lines = false;
	region_copy_out(channel->region->context->ops->copy_out, data, ring_payload(&channel->rx),
		len);
	ring_advance(&channel->rx, header);
	err = channel_received(channel, channel->rx.head, 1, len);
	return err ? err : (int64_t)len;
}

// More was given back than may go without a look for a sender that waits, or there is time for it.
int64_t short_recv_settled(struct msg_channel *channel, void *data, size_t size, uint64_t deadline)
{
	channel_settle(channel);
	return msg_recv(channel, data, size, deadline);
}

PAGED int64_t short_recv_line(struct msg_channel *channel, void *data, size_t size,
	uint64_t deadline)
{
	return short_recv_soon(channel, data, size, deadline, false);
}

PAGED int64_t short_recv_two_lines(struct msg_channel *channel, void *data, size_t size,
	uint64_t deadline)
{
	return short_recv_soon(channel, data, size, deadline, true);
}

PAGED int64_t msg_recv(struct msg_channel *channel, void *data, size_t size, uint64_t deadline)
{
	return short_recv(channel, data, size, deadline, true);
}

PAGED int64_t msg_tryrecv(struct msg_channel *channel, void *data, size_t size)
{
	return msg_recv(channel, data, size, 0);
}

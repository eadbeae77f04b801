// SPDX-License-Identifier: BSD-2-Clause
// Bytes on a channel, for those who want a pipe: messages of any size, whose borders vanish.
#include "msg/transfer.h"

#define STREAM_PIECE 65536u

int64_t msg_write(struct msg_channel *channel, const void *data, size_t len, uint64_t deadline)
{
	// A quarter of the ring at most, so that the reader works on one piece while the next is
	// written.
	size_t piece = channel->limit / 2 < STREAM_PIECE ? channel->limit / 2 : STREAM_PIECE;
	size_t done = 0;
	int err = 0;

	while (done < len) {
		size_t n = len - done < piece ? len - done : piece;

		err = msg_send(channel, (const uint8_t *)data + done, n, deadline);
		if (err)
			break;
		done += n;
	}
	return done ? (int64_t)done : err;
}

// Of a part of a message nothing is given back yet, and all the same it must have been ours to read.
static int still_ours(struct msg_channel *channel)
{
	if (channel->error || channel_slot_ours(channel))
		return 0;
	presence_check_self(channel->region);
	return channel->error;
}

int64_t msg_read(struct msg_channel *channel, void *data, size_t size, uint64_t deadline)
{
	const void *from;
	uint64_t header, len, n;
	size_t done = 0;
	int err;

	if (!size)
		return 0;
	while (done < size) {
		header = channel->error ? 0 : channel_poll(channel);
		if (!header) {
			err = done ? -EAGAIN : channel_await(channel, deadline);
			if (!err)
				continue;
			return done ? (int64_t)done : err == -EPIPE ? 0 : err;
		}
		if (!channel_locate(channel, header, &from, &len))
			return done ? (int64_t)done : channel->error;
		// The length is read anew, and may have become less by somebody's hand.
		n = len > channel->stream_offset ? len - channel->stream_offset : 0;
		if (n > size - done)
			n = size - done;
		region_copy_out(channel->region->context->ops->copy_out, (uint8_t *)data + done,
			(const uint8_t *)from + channel->stream_offset, n);
		channel->stream_offset += n;
		if (channel->stream_offset < len) {
			err = still_ours(channel);
		} else {
			channel_step(channel, header);
			channel->stream_offset = 0;
			err = channel_received(channel, channel->rx.head, 1, len);
		}
		// What was given back before was ours to read, and nobody else is told of it any more.
		if (err)
			return done ? (int64_t)done : err;
		done += n;
	}
	return (int64_t)done;
}

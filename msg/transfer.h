/* SPDX-License-Identifier: BSD-2-Clause */
/* The short way of a message, shared by the files that send and receive. */
#ifndef MSG_TRANSFER_H
#define MSG_TRANSFER_H

#include "msg/internal.h"

/* msg_send and msg_recv where it isn't the short way (short.c). */
int channel_send_any(struct msg_channel *channel, const void *data, size_t len, uint64_t deadline);
int64_t channel_recv_any(struct msg_channel *channel, void *data, size_t size, uint64_t deadline);

/* The other side sleeps: rings, unless we did already. True: rang. */
bool channel_ring_sleeper(struct msg_channel *channel, uint32_t asleep);

/* Publishes what is reserved, and wakes the receiver if it sleeps. */
void channel_publish(struct msg_channel *channel, uint64_t messages, uint64_t bytes);

/* Waits until len fits. 0, or as msg_send. */
int channel_make_room(struct msg_channel *channel, uint32_t len, uint64_t deadline);

/* The next record's header, found possible; 0: none there. A fault ends the channel. While a run is
 * being received, its own. */
uint64_t channel_poll(struct msg_channel *channel);

/* Publishes count messages of size bytes, which fit, as a run. Nobody is woken. */
void run_publish(struct msg_channel *channel, const void *data, size_t size, unsigned count);

/* Looks how far the receiver has released. False: impossible, the channel was ended. */
bool channel_update_released(struct msg_channel *channel);

/* Nothing was there: looks around now and then. -EAGAIN, or why nothing will come. */
int channel_empty(struct msg_channel *channel);

/* The other side has ended, and nothing is left to receive: -EPIPE; or -ESTALE, -ENODEV: what was
 * left may have been lost, since others may have written there. */
int channel_ended(const struct msg_channel *channel);

/* Waits for a record. 0, or as msg_recv. */
int channel_await(struct msg_channel *channel, uint64_t deadline);

/* A message's length was read, and is more than there is memory for: -EMSGSIZE; or -ESTALE, if it was read
 * when what was there was somebody else's. */
int channel_too_long(const struct msg_channel *channel);

/* A record for us, waited for until the deadline. 0, or as msg_recv. */
int channel_next_record(struct msg_channel *channel, uint64_t *header, uint64_t deadline);

REGION_INLINE void channel_count_received(struct msg_channel *channel, uint64_t messages,
	uint64_t bytes)
{
	region_store64(&channel->mine->received, channel->received += messages);
	region_store64(&channel->mine->received_bytes, channel->received_bytes += bytes);
}

/* Where the record's (next) message lies and how long it is; false: fault. */
bool channel_locate(struct msg_channel *channel, uint64_t header, const void **data, uint64_t *len);

/* Steps over the message that channel_locate found. */
REGION_INLINE void channel_step(struct msg_channel *channel, uint64_t header)
{
	if (__builtin_expect(channel->run_left, 0)) {
		channel->run_next += channel->run_size;
		if (--channel->run_left)
			return;
	}
	ring_advance(&channel->rx, header);
}

/* The receiver is done with these messages and with everything before position: counts, and gives
 * back. -ESTALE: the slot is no longer ours, nothing was written, and what was read may have been
 * somebody else's. */
int channel_received(struct msg_channel *channel, uint32_t position, uint64_t messages,
	uint64_t bytes);

/* The end of a receipt of several: so many were taken before err ended it. Returns what the app gets. */
int channel_taken(struct msg_channel *channel, unsigned messages, uint64_t bytes, int err);

/* A peer that was stopped and taken for dead must not write into its successor's slot. */
REGION_INLINE bool channel_slot_ours(const struct msg_channel *channel)
{
	return __builtin_expect(region_load64(channel->claim) == channel->life, 1);
}

/* May something be sent now, as far as errors go? Looks whether the slot is still ours. */
REGION_INLINE int channel_may_send(struct msg_channel *channel)
{
	struct msg_region *region = channel->region;

	if (__builtin_expect(channel->send_error, 0))
		return channel->send_error;
	if (!channel_slot_ours(channel)) {
		presence_check_self(region);
		return channel->send_error;
	}
	return 0;
}

REGION_INLINE int channel_room(struct msg_channel *channel, uint32_t len, uint64_t deadline)
{
	return __builtin_expect(ring_fits(&channel->tx, len), 1) ?
		0 : channel_make_room(channel, len, deadline);
}

/* A wait of the app's is over: there is something to do on this channel. Counts, if it slept. */
REGION_INLINE void channel_woken(struct msg_channel *channel)
{
	if (channel->region->context->slept && !channel->region->error)
		region_store64(&channel->mine->wakeups, ++channel->wakeups);
}

/* What follows a publication at once, while the record travels. */
REGION_INLINE void channel_published(struct msg_channel *channel, uint64_t messages, uint64_t bytes)
{
	struct wire_channel *mine = channel->mine;

	region_store64(&mine->sent, channel->sent += messages);
	region_store64(&mine->sent_bytes, channel->sent_bytes += bytes);
	// The record must be visible before we look: pairs with the fence in mark_asleep.
	region_fence();
	channel->fenced = channel->rx.released;
}

/* Does nobody have to be woken, and is the channel as it was? Counts the doorbell not rung. */
REGION_INLINE bool channel_needs_nothing(struct msg_channel *channel)
{
	if (__builtin_expect(region_load32(channel->peer_asleep) & 1, 0) ||
		__builtin_expect(region_load64(&channel->theirs->status) !=
			channel->their_status, 0))
		return false;
	region_store64(&channel->mine->suppressed, ++channel->suppressed);
	return true;
}

/* After channel_published: wakes the receiver if it sleeps, and looks whether it is still there. */
void channel_look_after(struct msg_channel *channel);

#endif

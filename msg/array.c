// SPDX-License-Identifier: BSD-2-Clause
/*
 * Many messages of one size at once. They travel as a run: one header and one copy for all of
 * them, where single records of 8 bytes would cost a header each. To the receiver they are
 * messages like any others.
 */
#include "msg/transfer.h"

/* More than that become several runs: the receiver copies one out while the next is copied in. */
#define RUN_BYTES 16384u

// How many messages of size bytes fit into a run now, at most count. Below 2 a run makes no sense.
static unsigned run_fits(const struct msg_channel *channel, size_t size, unsigned count)
{
	const struct ring_tx *tx = &channel->tx;
	// A record ends at the line at the latest (see ring_fits), and begins anywhere.
	uint32_t used = tx->tail - tx->released, overhead = RING_LINE + RING_LINE;
	uint32_t room = tx->mask + 1 - used, most = channel->limit;

	if (room < overhead)
		return 0;
	room -= overhead;
	if (room < most)
		most = room;
	if (most < RING_LINE)
		return 0;
	most -= RING_LINE; /* for size, count and the way to the next line */
	return size * (uint64_t)count <= most ? count : most / (uint32_t)size;
}

void run_publish(struct msg_channel *channel, const void *data, size_t size, unsigned count)
{
	uint64_t bytes = (uint64_t)size * count;
	uint32_t offset = ring_run_offset(bytes);
	uint8_t *payload = ring_reserve(&channel->tx, (uint32_t)(offset + bytes), RING_RUN);

	region_store64((uint64_t *)payload, (uint64_t)count << 32 | size);
	region_copy_in(channel->region->context->ops->copy_in, payload + offset, data, bytes);
	ring_fetch_ahead(&channel->tx);
	ring_publish(&channel->tx);
}

// Publishes runs for as long as there is room: so many messages. Nobody was woken yet.
static unsigned runs_publish(struct msg_channel *channel, const uint8_t *data, size_t size,
	unsigned count)
{
	unsigned most = size ? RUN_BYTES / (unsigned)size : count, sent = 0;

	if (most < 2)
		most = 2;
	while (sent < count && channel_slot_ours(channel)) {
		unsigned want = count - sent < most ? count - sent : most;
		unsigned fits = run_fits(channel, size, want);

		if (fits < want) {
			if (!channel_update_released(channel))
				break;
			fits = run_fits(channel, size, want);
		}
		if (fits < 2 && fits < want)
			break;
		run_publish(channel, data + (uint64_t)sent * size, size, fits);
		sent += fits;
	}
	return sent;
}

int msg_send_array(struct msg_channel *channel, const void *data, size_t size, unsigned count,
	uint64_t deadline)
{
	unsigned sent;
	int err;

	if (!count)
		return 0;
	if (size > channel->limit)
		return -EMSGSIZE;
	if (count > INT32_MAX)
		count = INT32_MAX;
	err = channel_may_send(channel);
	if (!err)
		err = channel_room(channel, (uint32_t)size, deadline);
	if (err)
		return err;
	sent = count > 1 ? runs_publish(channel, data, size, count) : 0;
	if (sent) {
		channel_published(channel, sent + channel->pending_sent,
			(uint64_t)size * sent + channel->pending_bytes);
		channel->pending_sent = channel->pending_bytes = 0;
		channel_look_after(channel);
		return (int)sent;
	}
	if (channel->send_error)
		return channel->send_error;
	err = msg_send(channel, data, size, deadline);
	return err ? err : 1;
}

// Takes up to most messages of the record: all there are of a run in one copy.
static unsigned take(struct msg_channel *channel, uint64_t header, void *data, const void *from,
	size_t size, unsigned most)
{
	unsigned n = 1;

	if (channel->run_left) {
		n = channel->run_left < most ? channel->run_left : most;
		channel->run_next += (uint64_t)size * (n - 1);
		channel->run_left -= n - 1;
	}
	region_copy_out(channel->region->context->ops->copy_out, data, from, (uint64_t)size * n);
	channel_step(channel, header);
	return n;
}

int msg_recv_array(struct msg_channel *channel, void *data, size_t size, unsigned count,
	uint64_t deadline)
{
	uint64_t header, len;
	const void *from;
	unsigned n = 0;
	int err;

	if (!count)
		return 0;
	if (count > INT32_MAX)
		count = INT32_MAX;
	err = channel_next_record(channel, &header, deadline);
	if (err)
		return err;
	do {
		if (!channel_locate(channel, header, &from, &len))
			break;
		if (len != size) {
			err = -EMSGSIZE;
			break;
		}
		n += take(channel, header, (uint8_t *)data + (uint64_t)n * size, from, size,
			count - n);
	} while (n < count && (header = channel_poll(channel)));
	return channel_taken(channel, n, (uint64_t)n * size, err);
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * Messages in and out of a channel's rings.
 *
 * After a publication: full fence, then a look at the receiver's `asleep` (channel_published).
 * After a release: a sender that waits for space must be looked for, in the same order. That fence
 * is put off: `fenced` is the released position at the last one, and the receiver makes up for it
 * (channel_settle)
 *   - once a quarter of the ring was given back since (an eighth: the short way, with its next message)
 *   - before it sleeps, and when it finds the ring empty
 *   - for nothing, with the fence of its own next publication
 * A sender that waits for space, at most half the ring, can only depend on a release that was not looked
 * after while more than a quarter of the ring less a line (3/8 less a small message) lie unread before it;
 * so the receiver has to come back for those, and settles then.
 */
#include "msg/transfer.h"

#define EMPTY_POLLS_PER_SCAN 64
#define SCAN_NS              (100 * NS_PER_US)
#define RUN_FROM             32768u

/* ---- sending ---- */

void channel_write_figures(struct msg_channel *channel)
{
	struct wire_channel *mine = channel->mine;

	region_store64(&mine->sent, channel->sent);
	region_store64(&mine->sent_bytes, channel->sent_bytes);
	region_store64(&mine->doorbells, channel->doorbells);
	region_store64(&mine->suppressed, channel->suppressed);
	region_store64(&mine->full_waits, channel->full_waits);
	region_store64(&mine->received, channel->received);
	region_store64(&mine->received_bytes, channel->received_bytes);
	region_store64(&mine->wakeups, channel->wakeups);
	region_store64(&mine->empty_waits, channel->empty_waits);
}

bool channel_ring_sleeper(struct msg_channel *channel, uint32_t asleep)
{
	struct peer_view *view = channel->view;

	if (asleep == view->last_rung || view->life != channel->peer_life)
		return false;
	view->last_rung = asleep;
	region_store64(&channel->mine->doorbells, ++channel->doorbells);
	presence_ring(channel->region, view, channel->peer_slot);
	return true;
}

void channel_look_after(struct msg_channel *channel)
{
	uint32_t asleep = region_load32(channel->peer_asleep);

	if (!(asleep & 1) || !channel_ring_sleeper(channel, asleep))
		region_store64(&channel->mine->suppressed, ++channel->suppressed);
	if (region_load64(&channel->theirs->status) != channel->their_status)
		channel_check(channel);
}

void channel_publish(struct msg_channel *channel, uint64_t messages, uint64_t bytes)
{
	ring_publish(&channel->tx);
	channel_published(channel, messages, bytes);
	channel_look_after(channel);
}

bool channel_update_released(struct msg_channel *channel)
{
	uint64_t status;
	uint32_t seen;

	// A connecting side doesn't know our ring yet, so its word means nothing.
	// It says whose ring it knows before it becomes OPEN; it may be CLOSED by now.
	// (A look at one that we closed may end with its being freed.)
	if (STATUS_STATE(channel->their_status) == CHANNEL_CONNECT && !channel->lingering)
		channel_check(channel);
	if (channel->region->error)
		return true;
	// Pairs with the release in channel_opened.
	if (STATUS_STATE(channel->their_status) != CHANNEL_OPEN &&
		region_load_acquire32(&channel->theirs->peer_generation) != channel->generation)
		return true;
	// Pairs with the release in ring_give_back: the receiver has read what it gave back.
	seen = region_load_acquire32(&channel->theirs->released);
	if (ring_update_released(&channel->tx, seen))
		return true;
	// Who has let go, after we closed, may use its block for another channel by now.
	status = region_load_acquire64(&channel->theirs->status);
	if (STATUS_GENERATION(status) != channel->their_generation ||
		STATUS_STATE(status) == CHANNEL_FREE) {
		if (!channel->lingering)
			channel_check(channel);
		return true;
	}
	channel_fault(channel, "impossible released position", &channel->theirs->released, seen);
	return false;
}

bool channel_writable(struct msg_channel *channel)
{
	if (channel->send_error)
		return true;
	if (ring_fits(&channel->tx, channel->blocked_len))
		return true;
	return !channel_update_released(channel) || ring_fits(&channel->tx, channel->blocked_len);
}

void channel_want(struct msg_channel *channel, enum want_reason why, bool want)
{
	unsigned before = channel->wants;

	channel->wants = want ? before | why : before & ~why;
	if (!before == !channel->wants)
		return;
	if (want)
		channel->want_from = channel->tx.released;
	else if (channel_room_unannounced(channel))
		channel->region->context->unannounced = true;
	if (!channel->region->error && channel_slot_ours(channel))
		region_store32(&channel->mine->want, want);
}

bool channel_room_unannounced(const struct msg_channel *channel)
{
	uint32_t given = channel->tx.released - channel->want_from;

	return given && given <= channel->ring_size / 4 &&
	       channel->tx.released != channel->tx.published;
}

static bool room_condition(void *arg)
{
	return channel_writable(arg);
}

int channel_make_room(struct msg_channel *channel, uint32_t len, uint64_t deadline)
{
	int err;

	if (!channel_update_released(channel))
		return channel->send_error;
	if (ring_fits(&channel->tx, len))
		return 0;
	region_store64(&channel->mine->full_waits, ++channel->full_waits);
	channel->blocked_len = len;
	// Where only what we reserved ourselves is in the way, nobody can make room.
	if (channel->tx.released == channel->tx.published)
		return -EAGAIN;
	if (!deadline) {
		channel_empty(channel);
		return channel->send_error ? channel->send_error :
		       channel_writable(channel) ? channel->send_error : -EAGAIN;
	}
	channel_want(channel, WANT_ROOM, true);
	err = wait_for_channel(channel->region->context, room_condition, channel, deadline);
	channel_want(channel, WANT_ROOM, false);
	if (!err)
		channel_woken(channel);
	return channel->send_error ? channel->send_error : err;
}

// Large: as a run of one, whose payload begins at a line, since a copy between lines that are not aligned
// to each other is slower. (Smaller ones are in the caches, where a line more costs more than that.) False: no
// room is known.
static bool send_large(struct msg_channel *channel, const void *data, size_t len)
{
	uint32_t offset = ring_run_offset(len);

	if (len + offset > channel->limit || !ring_fits(&channel->tx, (uint32_t)len + offset))
		return false;
	run_publish(channel, data, len, 1);
	channel_published(channel, 1, len);
	channel_look_after(channel);
	return true;
}

int channel_send_any(struct msg_channel *channel, const void *data, size_t len, uint64_t deadline)
{
	uint32_t end = ring_alone_end(&channel->tx, (uint32_t)len);
	int err;

	if (len <= channel->limit && ring_alone_fits(&channel->tx, end) &&
		!channel_may_send(channel)) {
		if (len >= RUN_FROM && send_large(channel, data, len))
			return 0;
		ring_alone_publish(&channel->tx, channel->region->context->ops->copy_in, data, len,
			end);
		channel_published(channel, 1, len);
		channel_look_after(channel);
		return 0;
	}
	if (__builtin_expect(len > channel->limit, 0)) {
		int64_t sent = buffer_send_copy(channel, data, len, deadline);

		return sent < 0 ? (int)sent : 0;
	}
	err = channel_may_send(channel);
	if (!err)
		err = channel_room(channel, (uint32_t)len, deadline);
	if (err)
		return err;
	region_copy_in(channel->region->context->ops->copy_in,
		ring_reserve(&channel->tx, (uint32_t)len, RING_MESSAGE), data, len);
	channel_publish(channel, 1 + channel->pending_sent, len + channel->pending_bytes);
	channel->pending_sent = channel->pending_bytes = 0;
	return 0;
}

int msg_send_batch(struct msg_channel *channel, const struct msg_span *messages, unsigned count,
	uint64_t deadline)
{
	uint64_t bytes = 0;
	unsigned i;
	int err;

	if (!count)
		return 0;
	if (count > MSG_BATCH_MAX)
		count = MSG_BATCH_MAX;
	for (i = 0; i < count; i++)
		if (messages[i].len > channel->limit)
			return -EMSGSIZE;
	err = channel_may_send(channel);
	if (!err)
		err = channel_room(channel, (uint32_t)messages[0].len, deadline);
	if (err)
		return err;
	for (i = 0; i < count; i++) {
		uint32_t len = (uint32_t)messages[i].len;

		if (!ring_fits(&channel->tx, len) &&
			(!channel_update_released(channel) || !ring_fits(&channel->tx, len)))
			break;
		region_copy_in(channel->region->context->ops->copy_in,
			ring_reserve(&channel->tx, len, RING_MESSAGE), messages[i].data, len);
		bytes += len;
	}
	if (channel->send_error)
		return channel->send_error;
	channel_publish(channel, i + channel->pending_sent, bytes + channel->pending_bytes);
	channel->pending_sent = channel->pending_bytes = 0;
	return (int)i;
}

int msg_reserve(struct msg_channel *channel, size_t len, void **data, uint64_t deadline)
{
	int err;

	if (len > channel->limit)
		return -EMSGSIZE;
	err = channel_may_send(channel);
	if (!err)
		err = channel_room(channel, (uint32_t)len, deadline);
	if (err)
		return err;
	*data = ring_reserve(&channel->tx, (uint32_t)len, RING_MESSAGE);
	channel->pending_sent++;
	channel->pending_bytes += len;
	return 0;
}

int msg_trim(struct msg_channel *channel, size_t len)
{
	uint32_t old = ring_header_length(channel->tx.header);

	if (channel->tx.tail == channel->tx.published || len > old)
		return -EINVAL;
	ring_trim(&channel->tx, (uint32_t)len);
	channel->pending_bytes -= old - len;
	return 0;
}

int msg_commit(struct msg_channel *channel)
{
	int err = channel_may_send(channel);

	if (err) {
		msg_discard(channel);
		return err;
	}
	if (channel->tx.tail != channel->tx.published)
		channel_publish(channel, channel->pending_sent, channel->pending_bytes);
	channel->pending_sent = channel->pending_bytes = 0;
	return 0;
}

void msg_discard(struct msg_channel *channel)
{
	ring_discard(&channel->tx);
	channel->pending_sent = channel->pending_bytes = 0;
}

/* ---- receiving ---- */

void channel_settle(struct msg_channel *channel)
{
	uint32_t asleep;

	if (!channel->opened || channel->fenced == channel->rx.released || channel->error ||
		channel->lingering)
		return;
	// What we released must be visible before we look: pairs with the fence in mark_asleep.
	region_fence();
	channel->fenced = channel->rx.released;
	if (!region_load32(&channel->theirs->want))
		return;
	asleep = region_load32(channel->peer_asleep);
	if (asleep & 1)
		channel_ring_sleeper(channel, asleep);
}

int channel_received(struct msg_channel *channel, uint32_t position, uint64_t messages,
	uint64_t bytes)
{
	// A fault behind these messages ended the channel: they are good, but nothing is given
	// back. But if it was seen there that we were taken for dead, they may be anything.
	if (channel->error)
		return channel->error == -ESTALE ? -ESTALE : 0;
	if (!channel_slot_ours(channel)) {
		presence_check_self(channel->region);
		return channel->error;
	}
	channel_count_received(channel, messages, bytes);
	ring_give_back(&channel->rx, &channel->mine->released, position);
	if (position - channel->fenced > (channel->rx.mask + 1) / 4)
		channel_settle(channel);
	return 0;
}

uint64_t channel_poll(struct msg_channel *channel)
{
	uint64_t header;

	if (channel->run_left)
		return channel->run_header;
	header = ring_poll(&channel->rx);
	if (__builtin_expect(header && !ring_header_possible(&channel->rx, header), 0)) {
		channel_fault(channel, "impossible record length",
			channel->rx.data + (channel->rx.head & channel->rx.mask), header);
		return 0;
	}
	return header;
}

int channel_ended(const struct msg_channel *channel)
{
	return presence_check_self(channel->region) ? -EPIPE : channel->region->error;
}

int channel_empty(struct msg_channel *channel)
{
	struct msg_context *context = channel->region->context;

	if (channel->error)
		return channel->error;
	channel_settle(channel);
	channel_check(channel);
	if (++channel->empty_polls % EMPTY_POLLS_PER_SCAN == 0 &&
		context_now(context) - context->last_scan_ns >= SCAN_NS)
		context_scan(context, true);
	if (channel->error)
		return channel->error;
	// The end counts only when all that came before it was received.
	return channel->peer_ended && !ring_poll(&channel->rx) ? channel_ended(channel) : -EAGAIN;
}

bool channel_readable(struct msg_channel *channel)
{
	// The error first: of a region that is gone nothing may be read.
	return channel->error || channel->run_left || channel->peer_ended ||
		ring_poll(&channel->rx);
}

static bool readable_condition(void *arg)
{
	return channel_readable(arg);
}

int channel_await(struct msg_channel *channel, uint64_t deadline)
{
	int err;

	if (deadline && !channel->error) {
		const struct msg_context *context = channel->region->context;
		unsigned polls;

		channel_settle(channel);
		for (polls = wait_polls(context); polls; polls--) {
			if (ring_poll(&channel->rx))
				return 0;
			region_pace();
		}
	}
	err = channel_empty(channel);
	if (err != -EAGAIN || !deadline)
		return !channel->error && ring_poll(&channel->rx) ? 0 : err;
	region_store64(&channel->mine->empty_waits, ++channel->empty_waits);
	err = wait_for_channel(channel->region->context, readable_condition, channel, deadline);
	if (!err)
		channel_woken(channel);
	if (channel->error)
		return channel->error;
	if (err || ring_poll(&channel->rx))
		return err;
	if (channel->peer_ended)
		return channel_ended(channel);
	// What ended the wait is there no more: another's place by now, or somebody takes it back.
	channel_fault(channel, "a record was taken back", ring_head(&channel->rx), 0);
	return channel->error;
}

// The first look at a run: takes private copies of what it says. False: fault.
static bool run_begin(struct msg_channel *channel, uint64_t header)
{
	const uint8_t *payload = ring_payload(&channel->rx);
	uint32_t length = ring_header_length(header);
	uint64_t word = length >= 8 ? region_load64((const uint64_t *)payload) : 0;
	uint64_t size = (uint32_t)word, count = word >> 32, bytes = size * count;

	if (!count || bytes > length || ring_run_offset(bytes) + bytes != length) {
		channel_fault(channel, "impossible run", payload, word);
		return false;
	}
	channel->run_header = header;
	channel->run_next = payload + ring_run_offset(bytes);
	channel->run_size = (uint32_t)size;
	channel->run_left = (uint32_t)count;
	return true;
}

bool channel_locate(struct msg_channel *channel, uint64_t header, const void **data, uint64_t *len)
{
	const uint8_t *payload = ring_payload(&channel->rx);
	uint64_t offset;

	if (__builtin_expect(ring_header_type(header) == RING_MESSAGE, 1)) {
		*data = payload;
		*len = ring_header_length(header);
		return true;
	}
	if (ring_header_type(header) == RING_RUN) {
		if (!channel->run_left && !run_begin(channel, header))
			return false;
		*data = channel->run_next;
		*len = channel->run_size;
		return true;
	}
	if (ring_header_type(header) != RING_BUFFER || ring_header_length(header) != 16) {
		channel_fault(channel, "unknown record type", payload - RING_HEADER, header);
		return false;
	}
	offset = region_load64((const uint64_t *)payload);
	*len = region_load64((const uint64_t *)payload + 1);
	if (!land_belongs(channel->region, channel->peer_slot, offset, *len)) {
		channel_fault(channel, "buffer outside the sender's land", payload, offset);
		return false;
	}
	*data = region_pointer(channel->region, offset);
	return true;
}

int channel_next_record(struct msg_channel *channel, uint64_t *header, uint64_t deadline)
{
	int err;

	if (__builtin_expect(channel->viewed_next != channel->viewed_first, 0))
		return -EBUSY;
	while (!(*header = channel->error ? 0 : channel_poll(channel))) {
		err = channel_await(channel, deadline);
		if (err)
			return err;
	}
	return 0;
}

int channel_too_long(const struct msg_channel *channel)
{
	struct msg_region *region = channel->region;

	return presence_check_self(region) ? -EMSGSIZE : region->error;
}

int64_t channel_recv_any(struct msg_channel *channel, void *data, size_t size, uint64_t deadline)
{
	const void *from;
	uint64_t header, len;
	int err = channel_next_record(channel, &header, deadline);

	if (err)
		return err;
	if (!channel_locate(channel, header, &from, &len))
		return channel->error;
	if (len > size)
		return channel_too_long(channel);
	region_copy_out(channel->region->context->ops->copy_out, data, from, len);
	channel_step(channel, header);
	err = channel_received(channel, channel->rx.head, 1, len);
	return err ? err : (int64_t)len;
}

int64_t msg_next_length(struct msg_channel *channel, uint64_t deadline)
{
	const void *from;
	uint64_t header, len;
	int err = channel_next_record(channel, &header, deadline);

	if (err)
		return err;
	if (!channel_locate(channel, header, &from, &len) || !presence_check_self(channel->region))
		return channel->error ? channel->error : channel->region->error;
	return (int64_t)len;
}

int channel_taken(struct msg_channel *channel, unsigned messages, uint64_t bytes, int err)
{
	if (!messages)
		return channel->error ? channel->error : err == -EMSGSIZE ? channel_too_long(channel) : err;
	err = channel_received(channel, channel->rx.head, messages, bytes);
	return err ? err : (int)messages;
}

int msg_recv_batch(struct msg_channel *channel, struct msg_span *spans, unsigned count,
	uint64_t deadline)
{
	uint64_t header, len, bytes = 0;
	const void *from;
	unsigned n = 0;
	int err;

	if (!count)
		return 0;
	err = channel_next_record(channel, &header, deadline);
	if (err)
		return err;
	do {
		if (!channel_locate(channel, header, &from, &len))
			break;
		if (len > spans[n].len) {
			err = -EMSGSIZE;
			break;
		}
		region_copy_out(channel->region->context->ops->copy_out, spans[n].data, from, len);
		channel_step(channel, header);
		spans[n++].len = len;
		bytes += len;
	} while (n < count && n < MSG_BATCH_MAX && (header = channel_poll(channel)));
	return channel_taken(channel, n, bytes, err);
}

int msg_peek(struct msg_channel *channel, struct msg_span *spans, unsigned count, uint64_t deadline)
{
	unsigned n = 0;

	if (!count)
		return 0;
	if (channel->viewed_next - channel->viewed_first == MSG_BATCH_MAX)
		return -ENOBUFS;
	while (n < count && channel->viewed_next - channel->viewed_first < MSG_BATCH_MAX) {
		uint64_t header = channel->error ? 0 : channel_poll(channel), len;
		const void *data;
		unsigned slot = channel->viewed_next % MSG_BATCH_MAX;
		int err;

		if (!header && n)
			break;
		if (!header) {
			err = channel_await(channel, deadline);
			if (err)
				return err;
			continue;
		}
		if (!channel_locate(channel, header, &data, &len))
			break;
		channel_step(channel, header);
		channel->view_end[slot] = channel->rx.head;
		channel->view_bytes[slot] = len;
		channel->viewed_next++;
		spans[n].data = (void *)(uintptr_t)data;
		spans[n++].len = len;
	}
	return n ? (int)n : channel->error;
}

int msg_release(struct msg_channel *channel, unsigned count)
{
	uint64_t bytes = 0;
	unsigned i;

	if (count > channel->viewed_next - channel->viewed_first)
		return -EINVAL;
	if (!count)
		return 0;
	for (i = 0; i < count; i++)
		bytes += channel->view_bytes[(channel->viewed_first + i) % MSG_BATCH_MAX];
	channel->viewed_first += count;
	if (channel->region->error)
		return channel->region->error;
	return channel_received(channel,
		channel->view_end[(channel->viewed_first - 1) % MSG_BATCH_MAX], count, bytes);
}

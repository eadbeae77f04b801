// SPDX-License-Identifier: BSD-2-Clause
/*
 * The life of a channel. Each side has one control block in its own slot and writes only that; the
 * two name each other by slot, life, index and generation, so that nothing of an earlier life is
 * taken for live.
 *
 *   my state   the other's state    what it means, and what I do
 *   FREE       -                    connect: ring and fields written, then CONNECT
 *   CONNECT    -                    waiting; the listener finds my block by scanning and ringing
 *   CONNECT    OPEN, naming me      answered: I check its ring, then OPEN
 *   CONNECT    -                    gave up: CLOSED, full fence; FREE unless an OPEN block names me
 *   FREE       CONNECT to my name   accept: ring and fields written, OPEN, full fence; if the other
 *                                   is no longer CONNECT or OPEN: FREE
 *   OPEN       CONNECT, OPEN        messages flow
 *   OPEN       CLOSED               I receive what is left, sending is -EPIPE
 *   OPEN       RESET                both directions end: -ECONNRESET
 *   OPEN       other life dead      as CLOSED: its memory stays while my block names it
 *   OPEN       FREE, other gener.   it let go without asking: -EPIPE, nothing more is read
 *   OPEN       any                  impossible value seen: RESET, with the reason
 *   CLOSED,    FREE, CLOSED, RESET, the other reads no more: my ring's land comes back, FREE
 *   RESET      other generation,
 *              life over
 */
#include "msg/channel.h"

void channel_set_state(struct msg_channel *channel, enum channel_state state)
{
	// Not into the slot of a successor, if we were taken for dead meanwhile.
	if (!presence_check_self(channel->region))
		return;
	// Pairs with the acquires of channel_check, find_answer and find_request.
	region_store_release64(&channel->mine->status, STATUS(channel->generation, state));
	presence_changed(channel->region);
}

void channel_send_ends(struct msg_channel *channel, int error)
{
	channel->send_error = error;
	// The short way looks at nothing else.
	channel->tx.ready = 0;
}

void channel_end(struct msg_channel *channel, int error)
{
	if (!channel->error)
		channel->error = error;
	if (!channel->send_error)
		channel_send_ends(channel, error);
}

void channel_fault(struct msg_channel *channel, const char *what, const void *where, uint64_t seen)
{
	struct msg_region *region = channel->region;

	// What a peer that was taken for dead reads may be others' by now: nobody's fault.
	if (channel->error || !presence_check_self(region))
		return;
	channel->fault = (struct msg_fault){ what, region_offset(region, where), seen };
	channel_end(channel, -ECONNRESET);
	region->resets++;
	if (fault_shown(region, channel->peer_slot))
		context_report(region->context, 1,
			"channel with peer '%s' (slot %u) reset: %s: 0x%x at offset 0x%x",
			channel->peer.name, (uint64_t)channel->peer_slot, what, seen,
			channel->fault.offset);
	// The report asks for the time, where we may hear that the region is gone.
	if (region->error)
		return;
	region_store64(&region->slot->resets, region->resets);
	region_store32(&channel->mine->reason, REASON_BAD_VALUE);
	channel_set_state(channel, CHANNEL_RESET);
	presence_wake(region, channel->peer_slot, false);
}

bool channel_peer_alive(const struct msg_channel *channel)
{
	return region_load_acquire64(&region_slot(channel->region, channel->peer_slot)->claim) ==
	       channel->peer_life;
}

// Frees everything of a channel; its block must not be needed by anybody.
void channel_destroy(struct msg_channel *channel)
{
	struct msg_region *region = channel->region;

	if (!region->error) {
		region_store64(&channel->mine->peer_life, 0);
		channel_set_state(channel, CHANNEL_FREE);
	}
	channel_forget(channel);
}

void channel_forget(struct msg_channel *channel)
{
	struct msg_region *region = channel->region;

	if (channel->fault.what && !channel->fault_told)
		fault_keep(region, &channel->peer, &channel->fault);
	buffer_drop_flights(channel);
	if (channel->deed != DEED_SHARED)
		land_release(region, channel->deed);
	region->channel[channel->index] = NULL;
	region->channels_held--;
	if (channel->topic)
		topic_forget_channel(channel->topic, channel);
	context_free(region->context, channel);
}

// A closed channel whose other side has let go: everything comes back.
static void linger_check(struct msg_channel *channel)
{
	if (channel_peer_alive(channel)) {
		uint64_t status = region_load_acquire64(&channel->theirs->status);

		if (STATUS_GENERATION(status) == channel->their_generation &&
			(STATUS_STATE(status) == CHANNEL_OPEN ||
				STATUS_STATE(status) == CHANNEL_CONNECT))
			return;
	}
	channel_destroy(channel);
}

void channel_check(struct msg_channel *channel)
{
	uint64_t status;

	if (channel->lingering) {
		if (!channel->region->error)
			linger_check(channel);
		return;
	}
	if (!channel->opened || channel->error)
		return;
	status = region_load_acquire64(&channel->theirs->status);
	if (status == channel->their_status && channel_peer_alive(channel))
		return;
	// If it ended because it took us for dead, that is what the app should hear.
	if (!presence_check_self(channel->region))
		return;
	if (!channel_peer_alive(channel)) {
		channel->peer_ended = true;
		channel_send_ends(channel, -EPIPE);
		return;
	}
	channel->their_status = status;
	if (STATUS_GENERATION(status) != channel->their_generation ||
		STATUS_STATE(status) == CHANNEL_FREE) {
		channel_end(channel, -EPIPE);
	} else if (STATUS_STATE(status) == CHANNEL_CLOSED) {
		channel->peer_ended = true;
		channel_send_ends(channel, -EPIPE);
	} else if (STATUS_STATE(status) == CHANNEL_RESET) {
		channel_end(channel, -ECONNRESET);
	} else if (STATUS_STATE(status) > CHANNEL_RESET) {
		channel_fault(channel, "unknown channel state", &channel->theirs->status, status);
	}
}

void channels_check_slot(struct msg_region *region, uint32_t slot)
{
	uint32_t i;

	for (i = 0; i < region->geo.channels; i++)
		if (region->channel[i] && region->channel[i]->peer_slot == slot)
			channel_check(region->channel[i]);
}

static uint32_t free_block(const struct msg_region *region)
{
	uint32_t i;

	for (i = 0; i < region->geo.channels && region->channel[i]; i++)
		;
	return i;
}

int ring_claim(struct msg_region *region, uint32_t wish, uint32_t extra, uint32_t *size,
	unsigned *deed, uint64_t *offset)
{
	uint32_t rounded = RING_MIN;
	int err;

	if (wish > RING_MAX)
		return -EINVAL;
	while (rounded < (wish ? wish : region->geo.default_ring))
		rounded *= 2;
	err = land_claim(region, extra + ring_footprint(rounded), deed, offset);
	// Who didn't ask for a size takes what there is.
	while (err == -ENOSPC && !wish && rounded > RING_MIN) {
		rounded /= 2;
		err = land_claim(region, extra + ring_footprint(rounded), deed, offset);
	}
	*size = rounded;
	return err == -EMSGSIZE ? -ENOSPC : err;
}

// Takes a control block and a ring; nothing is visible yet. Subscriptions have the topic's ring.
int channel_create(struct msg_region *region, const struct msg_channel_options *options,
	enum wire_kind kind, struct msg_channel **result)
{
	struct msg_channel *channel;
	uint32_t i = free_block(region);
	int err = 0;

	if (i == region->geo.channels) {
		// Closed ones whose other side has let go by now come back.
		presence_scan(region);
		i = free_block(region);
	}
	if (i == region->geo.channels)
		return -ENOSPC;
	channel = context_alloc(region->context, sizeof(*channel));
	if (!channel)
		return -ENOMEM;
	channel->region = region;
	channel->index = i;
	channel->kind = kind;
	channel->mine = slot_channel(region, region->index, i);
	channel->claim = &region->slot->claim;
	channel->life = region->life;
	channel->deed = DEED_SHARED;
	if (kind != KIND_TOPIC)
		err = ring_claim(region, options ? options->ring : 0, 0, &channel->ring_size,
			&channel->deed, &channel->ring_offset);
	if (err) {
		context_free(region->context, channel);
		return err;
	}
	channel->generation = ++region->generation[i];
	channel->flights_end = &channel->flights;
	channel->fenced = 0;
	region->channel[i] = channel;
	region->channels_held++;
	if (kind != KIND_TOPIC) {
		channel->limit = ring_limit(channel->ring_size);
		ring_tx_init(&channel->tx, region_pointer(region, channel->ring_offset),
			channel->ring_size, options ? options->start & ~(RING_LINE - 1) : 0);
	}
	*result = channel;
	return 0;
}

// Writes all of my block but the status.
void channel_write_block(struct msg_channel *channel, uint32_t endpoint)
{
	struct wire_channel *mine = channel->mine;
	unsigned i;

	region_store64(&mine->peer_life, channel->peer_life);
	region_store32(&mine->peer_slot, channel->peer_slot);
	region_store32(&mine->peer_index, channel->their_index);
	region_store32(&mine->peer_generation, channel->their_generation);
	region_store32(&mine->endpoint, endpoint);
	region_store64(&mine->ring_offset, channel->ring_offset);
	region_store32(&mine->ring_size, channel->ring_size);
	region_store32(&mine->ring_start, channel->tx.tail);
	region_store32(&mine->kind, channel->kind);
	region_store32(&mine->want, 0);
	region_store32(&mine->reason, REASON_NONE);
	region_store32(&mine->options, channel->options);
	region_store32(&mine->released, channel->rx.released);
	region_store64(&mine->topic_start, channel->topic_start);
	region_store64(&mine->topic_number, channel->topic_number);
	for (i = 0; i < 8 && presence_check_self(channel->region); i++) {
		region_store64(&mine->sent + i, 0);
		region_store64(&mine->received + i, 0);
	}
}

void channel_set_peer(struct msg_channel *channel, uint32_t slot, uint64_t life)
{
	struct msg_region *region = channel->region;

	channel->peer_slot = slot;
	channel->peer_life = life;
	channel->view = &region->view[slot];
	channel->peer_asleep = &region_slot(region, slot)->asleep;
	presence_describe(region, slot, &channel->peer);
}

// The other side's block: found at index, generation.
static void take_side(struct msg_channel *channel, uint32_t index, uint64_t status)
{
	channel->theirs = slot_channel(channel->region, channel->peer_slot, index);
	channel->their_index = index;
	channel->their_generation = STATUS_GENERATION(status);
	channel->their_status = status;
}

// Its ring is checked here, once for all.
bool channel_take_ring(struct msg_channel *channel, uint32_t index, uint64_t status)
{
	struct msg_region *region = channel->region;
	// In front of a topic's ring lies what its publisher says of it.
	uint32_t front = channel->kind == KIND_TOPIC ? sizeof(struct wire_topic) : 0;
	const struct wire_channel *theirs;
	uint32_t size, start;
	uint64_t offset;

	take_side(channel, index, status);
	theirs = channel->theirs;
	if (region_load32(&theirs->kind) != channel->kind)
		return false;
	// A publisher receives nothing.
	if (channel->topic)
		return true;
	offset = region_load64(&theirs->ring_offset);
	size = region_load32(&theirs->ring_size);
	start = region_load32(&theirs->ring_start);
	if (size < RING_MIN || size > RING_MAX || (size & (size - 1)) || start % RING_LINE ||
		offset % RING_LINE ||
		!land_belongs(region, channel->peer_slot, offset - front,
			front + ring_footprint(size)))
		return false;
	ring_rx_init(&channel->rx, region_pointer(region, offset), size, start);
	channel->fenced = start;
	return true;
}

void channel_opened(struct msg_channel *channel)
{
	if (!presence_check_self(channel->region))
		return;
	region_store32(&channel->mine->peer_index, channel->their_index);
	region_store32(&channel->mine->released, channel->rx.released);
	// Pairs with the look at it in channel_update_released: from here on `released` counts.
	region_store_release32(&channel->mine->peer_generation, channel->their_generation);
	channel->opened = true;
	channel_set_state(channel, CHANNEL_OPEN);
}

void msg_close(struct msg_channel *channel)
{
	struct msg_region *region;

	if (!channel)
		return;
	region = channel->region;
	if (region->gone || !presence_check_self(region)) {
		channel_forget(channel);
		return;
	}
	ring_discard(&channel->tx);
	channel_write_figures(channel);
	if (channel->error != -ECONNRESET || !channel->fault.what)
		channel_set_state(channel, CHANNEL_CLOSED);
	channel->lingering = true;
	presence_wake(region, channel->peer_slot, false);
	// Each of these looks whether the region is still ours, and may find out that it is gone.
	if (region->error)
		channel_forget(channel);
	else
		linger_check(channel);
}

void msg_channel_peer(struct msg_channel *channel, struct msg_peer *peer)
{
	*peer = channel->peer;
}

void msg_set_user(struct msg_channel *channel, void *user)
{
	channel->user = user;
}

void *msg_user(struct msg_channel *channel)
{
	return channel->user;
}

uint32_t msg_ring_limit(struct msg_channel *channel)
{
	return channel->limit;
}

bool msg_fault_of(struct msg_channel *channel, struct msg_fault *fault)
{
	if (!channel->fault.what)
		return false;
	*fault = channel->fault;
	return true;
}

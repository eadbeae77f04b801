// SPDX-License-Identifier: BSD-2-Clause
// How channels come to be: connecting and accepting. The state table is in channel.c.
#include "msg/channel.h"

#define RING_AGAIN_NS (5 * NS_PER_MS)

/* ---- connecting ---- */

// The block of the listener that names ours: its status when it answered, or 0. It may have closed since,
// and then goes on naming us until we have let go.
static uint64_t find_answer(const struct msg_channel *channel, uint32_t *index)
{
	const struct msg_region *region = channel->region;
	uint32_t i;

	for (i = 0; i < region->geo.channels; i++) {
		const struct wire_channel *theirs = slot_channel(region, channel->peer_slot, i);
		// Pairs with the release in channel_set_state.
		uint64_t status = region_load_acquire64(&theirs->status), again;

		if ((STATUS_STATE(status) != CHANNEL_OPEN && STATUS_STATE(status) != CHANNEL_CLOSED) ||
			region_load32(&theirs->peer_slot) != region->index ||
			region_load64(&theirs->peer_life) != region->life ||
			region_load32(&theirs->peer_index) != channel->index ||
			region_load32(&theirs->peer_generation) != channel->generation)
			continue;
		// What names us may be the block's next use, whose answer is only being written.
		region_order_loads();
		again = region_load_acquire64(&theirs->status);
		if (STATUS_GENERATION(again) != STATUS_GENERATION(status) ||
			STATUS_STATE(again) == CHANNEL_FREE)
			continue;
		*index = i;
		return STATUS(STATUS_GENERATION(status), CHANNEL_OPEN);
	}
	return 0;
}

static bool connect_found(void *arg)
{
	struct connecting *c = arg;

	return c->region->error || endpoint_find(c->region, c->name, &c->place);
}

// Answered, refused, or the listener is gone.
static bool connect_answered(void *arg)
{
	struct connecting *c = arg;
	const struct wire_endpoint *endpoint;
	uint64_t refusal;

	if (c->region->error)
		return true;
	c->status = find_answer(c->channel, &c->index);
	if (c->status)
		return true;
	endpoint = &region_slot(c->region, c->place.slot)->endpoint[c->place.index];
	refusal = region_load64(&endpoint->refusal);
	if (refusal >> 4 == ((uint64_t)c->channel->generation << 28 |
		(uint64_t)c->region->index << 12 | c->channel->index) && (refusal & 0xf)) {
		c->refused = (refusal & 0xf) == REASON_BAD_KIND ? -EPROTOTYPE : -ECONNREFUSED;
		return true;
	}
	if (c->region->view[c->place.slot].life == c->place.life &&
		region_load_acquire32(&endpoint->state) ==
			(c->place.generation << 2 | ENDPOINT_FIRM))
		return false;
	// It may have answered us and stopped listening between our two looks.
	c->status = find_answer(c->channel, &c->index);
	return true;
}

// Gives up a connect. If the listener answered in this moment, the channel lingers.
static void connect_withdraw(struct msg_channel *channel)
{
	struct msg_region *region = channel->region;
	uint64_t status;
	uint32_t index;

	if (region->error) {
		channel_forget(channel);
		return;
	}
	channel_set_state(channel, CHANNEL_CLOSED);
	region_fence();
	context_relax(region->context);
	if (region->error) {
		channel_forget(channel);
		return;
	}
	status = channel_peer_alive(channel) ? find_answer(channel, &index) : 0;
	if (!status) {
		channel_destroy(channel);
		return;
	}
	channel->theirs = slot_channel(region, channel->peer_slot, index);
	channel->their_generation = STATUS_GENERATION(status);
	channel->lingering = true;
	presence_wake(region, channel->peer_slot, false);
	// It may have closed, too.
	if (!region->error)
		channel_check(channel);
}

// Asks the listener at c->place.
static int connect_request(struct connecting *c)
{
	struct msg_channel *channel;
	int err = channel_create(c->region, c->options, c->kind, &c->channel);

	if (err)
		return err;
	channel = c->channel;
	channel->options = c->asks;
	channel_set_peer(channel, c->place.slot, c->place.life);
	c->status = 0;
	c->refused = 0;
	c->ring_again = 0;
	channel_write_block(channel, c->place.generation << 8 | c->place.index);
	channel_set_state(channel, CHANNEL_CONNECT);
	return c->region->error;
}

// The listener answered.
static int connect_finish(struct connecting *c, struct msg_channel **result)
{
	struct msg_channel *channel = c->channel;

	if (!channel_take_ring(channel, c->index, c->status)) {
		channel_fault(channel, "impossible ring in an answer",
			slot_channel(c->region, c->place.slot, c->index), c->status);
		return channel->error;
	}
	channel_opened(channel);
	presence_wake(c->region, c->place.slot, false);
	// Who died or closed while it was asked was looked at for the last time before this channel
	// counted as open.
	channel_check(channel);
	// Any of these may have found out that the region is gone, or no longer ours.
	if (c->region->error)
		return c->region->error;
	*result = channel;
	c->channel = NULL;
	return 0;
}

int connect_begin(struct connecting *c, struct msg_region *region, const char *name,
	const struct msg_channel_options *options, enum wire_kind kind)
{
	unsigned i;
	int err;

	*c = (struct connecting){ .region = region, .options = options, .kind = kind };
	err = name_copy(c->name, name);
	for (i = 0; i < WIRE_ENDPOINTS && !err; i++)
		if (region->listener[i] && name_equal(region->listener[i]->name, c->name))
			err = -EINVAL;
	return err;
}

bool connect_moves(void *arg)
{
	struct connecting *c = arg;

	return c->channel ? connect_answered(c) : connect_found(c);
}

int connect_step(struct connecting *c, struct msg_channel **result)
{
	struct msg_region *region = c->region;
	int err;

	if (!presence_check_self(region))
		return region->error;
	if (!c->channel) {
		if (!connect_found(c))
			return -EAGAIN;
		err = region->error ? region->error : connect_request(c);
		if (err)
			return err;
	}
	if (!connect_answered(c)) {
		uint64_t now = context_now(region->context);

		// A ring can be lost while QEMU doesn't yet know the peer: again until answered. And a
		// refusal that another's has overwritten is said again if our slot changes.
		if (now >= c->ring_again) {
			if (c->ring_again && !region->error)
				presence_changed(region);
			presence_wake(region, c->place.slot, true);
			c->ring_again = now + RING_AGAIN_NS;
		}
		return -EAGAIN;
	}
	if (region->error)
		return region->error;
	if (c->status)
		return connect_finish(c, result);
	// Refused, or the listener is gone: then there may be another one.
	err = c->refused ? c->refused : -EAGAIN;
	connect_abandon(c);
	return err;
}

void connect_abandon(struct connecting *c)
{
	if (c->channel)
		connect_withdraw(c->channel);
	c->channel = NULL;
}

int msg_connect(struct msg_region *region, const char *name,
	const struct msg_channel_options *options, struct msg_channel **result, uint64_t deadline)
{
	return connect_wait(region, name, options, KIND_MESSAGES, result, deadline);
}

int connect_wait(struct msg_region *region, const char *name,
	const struct msg_channel_options *options, enum wire_kind kind,
	struct msg_channel **result, uint64_t deadline)
{
	struct connecting c;
	int err = connect_begin(&c, region, name, options, kind);

	return err ? err : connect_until(&c, result, deadline);
}

int connect_until(struct connecting *c, struct msg_channel **result, uint64_t deadline)
{
	struct msg_context *context = c->region->context;
	int err = 0;

	while (!err) {
		uint64_t until = deadline;

		err = connect_step(c, result);
		if (err != -EAGAIN)
			break;
		if (c->channel && c->ring_again < until)
			until = c->ring_again;
		err = 0;
		if (wait_for(context, connect_moves, c, until) && context_now(context) >= deadline)
			err = -ETIMEDOUT;
	}
	connect_abandon(c);
	return err;
}

/* ---- accepting ---- */

struct request {
	uint32_t slot, index;
	uint64_t status;
};

static bool request_answered(const struct msg_region *region, const struct request *r)
{
	uint32_t i;

	for (i = 0; i < region->geo.channels; i++) {
		const struct msg_channel *channel = region->channel[i];

		if (channel && channel->peer_slot == r->slot && channel->their_index == r->index &&
			channel->their_generation == STATUS_GENERATION(r->status) &&
			channel->peer_life == region->view[r->slot].life)
			return true;
	}
	return false;
}

static uint64_t refusal_word(const struct request *r, enum wire_reason reason)
{
	return (uint64_t)STATUS_GENERATION(r->status) << 32 | (uint64_t)r->slot << 16 |
	       r->index << 4 | reason;
}

// Is the block a request to one of our listeners that waits for an answer? *endpoint: to which.
static bool request_waits(const struct msg_region *region, struct request *r, uint32_t *endpoint)
{
	const struct wire_channel *block = slot_channel(region, r->slot, r->index);
	const struct msg_listener *listener;
	uint32_t e;

	// Pairs with the release in channel_set_state.
	r->status = region_load_acquire64(&block->status);
	if (STATUS_STATE(r->status) != CHANNEL_CONNECT ||
		region_load32(&block->peer_slot) != region->index ||
		region_load64(&block->peer_life) != region->life)
		return false;
	e = region_load32(&block->endpoint);
	if ((e & 0xff) >= WIRE_ENDPOINTS)
		return false;
	listener = region->listener[e & 0xff];
	if (!listener || listener->generation != e >> 8 || request_answered(region, r) ||
		(region_load64(&listener->wire->refusal) & ~0xfull) == refusal_word(r, 0))
		return false;
	*endpoint = e & 0xff;
	return true;
}

// Each block is looked at once for each change of its slot: who asks for what it can't have, and goes on
// asking, is refused once for each, and not without end. Slot by slot in turn, whoever asks most.
static bool find_request(struct msg_listener *listener, struct request *r)
{
	struct msg_region *region = listener->region;
	uint32_t endpoint, i;

	for (i = 0; i < region->geo.slots; i++) {
		uint16_t *asked;

		r->slot = (region->ask_first + i) % region->geo.slots;
		if (!region->view[r->slot].life || r->slot == region->index)
			continue;
		asked = &region->view[r->slot].asked[listener->index];
		for (; *asked < region->geo.channels; ++*asked) {
			r->index = *asked;
			if (request_waits(region, r, &endpoint) && endpoint == listener->index)
				return true;
		}
	}
	return false;
}

bool listener_waiting(struct msg_listener *listener)
{
	struct request r;

	return listener->region->error || find_request(listener, &r);
}

static bool accept_ready(void *arg)
{
	return listener_waiting(arg);
}

static void refuse(struct msg_listener *listener, const struct request *r, enum wire_reason reason)
{
	if (listener->region->error)
		return;
	region_store_release64(&listener->wire->refusal, refusal_word(r, reason));
	presence_changed(listener->region);
	presence_wake(listener->region, r->slot, true);
}

// -EAGAIN: the request was withdrawn or nonsense; look for the next.
static int answer(struct msg_listener *listener, const struct request *r,
	struct msg_channel **result)
{
	struct msg_region *region = listener->region;
	const struct wire_channel *block = slot_channel(region, r->slot, r->index);
	struct msg_channel *channel;
	uint64_t status;
	int err;

	region->view[r->slot].asked[listener->index] = (uint16_t)(r->index + 1);
	region->ask_first = r->slot + 1;
	if (region_load32(&block->kind) != (uint32_t)listener->kind) {
		refuse(listener, r, REASON_BAD_KIND);
		return -EAGAIN;
	}
	err = channel_create(region, &listener->options, listener->kind, &channel);
	if (err) {
		refuse(listener, r, err == -ENOSPC ? REASON_NO_LAND : REASON_NO_CHANNEL);
		return err;
	}
	channel_set_peer(channel, r->slot, region->view[r->slot].life);
	if (listener->topic)
		topic_offer(listener->topic, channel, region_load32(&block->options));
	if (!channel_take_ring(channel, r->index, r->status)) {
		// Withdrawn or dead since we read it, and its land is not its own any more? Then
		// nobody lied.
		if (region_load_acquire64(&block->status) == r->status &&
			channel_peer_alive(channel)) {
			if (fault_shown(region, r->slot))
				context_report(region->context, 1,
					"connect from peer '%s' (slot %u) refused: impossible ring",
					channel->peer.name, (uint64_t)r->slot);
			refuse(listener, r, REASON_BAD_VALUE);
		}
		channel_destroy(channel);
		return -EAGAIN;
	}
	channel_write_block(channel, 0);
	channel_opened(channel);
	region_fence();
	context_relax(region->context);
	// Who found out on the way that the region is gone, or no longer ours, looks no further.
	if (region->error) {
		channel_destroy(channel);
		return region->error;
	}
	status = region_load_acquire64(&block->status);
	if (!channel_peer_alive(channel) ||
		STATUS_GENERATION(status) != channel->their_generation ||
		(STATUS_STATE(status) != CHANNEL_CONNECT && STATUS_STATE(status) != CHANNEL_OPEN)) {
		channel_destroy(channel);
		return -EAGAIN;
	}
	presence_wake(region, r->slot, true);
	*result = channel;
	return 0;
}

int listener_answer(struct msg_listener *listener, struct msg_channel **result)
{
	struct request r;

	if (!find_request(listener, &r))
		return -EAGAIN;
	return answer(listener, &r, result);
}

int msg_accept(struct msg_listener *listener, struct msg_channel **result, uint64_t deadline)
{
	struct msg_region *region = listener->region;
	struct request r;
	uint32_t tries;
	int err;

	for (tries = 0;; tries++) {
		if (!presence_check_self(region))
			return region->error;
		// Each slot had its turn: who asks anew faster than it is refused must not keep us.
		if (tries >= region->geo.slots && context_now(region->context) >= deadline)
			return deadline ? -ETIMEDOUT : -EAGAIN;
		err = wait_for(region->context, accept_ready, listener, deadline);
		if (err)
			return err;
		if (region->error)
			return region->error;
		if (find_request(listener, &r)) {
			err = answer(listener, &r, result);
			if (err != -EAGAIN)
				return err;
		}
	}
}

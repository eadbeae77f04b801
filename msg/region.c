// SPDX-License-Identifier: BSD-2-Clause
// One attachment to one region: joining, leaving, what happened, and figures.
#include "msg/pattern.h"
#include "msg/transfer.h"

static void region_free(struct msg_region *region)
{
	struct msg_context *context = region->context;

	context_free(context, region->live);
	context_free(context, region->view);
	context_free(context, region->channel);
	context_free(context, region->generation);
	context_free(context, region->deed_used);
	context_free(context, region);
}

static int region_tables(struct msg_region *region)
{
	struct msg_context *context = region->context;

	region->view = context_alloc(context, region->geo.slots * sizeof(*region->view));
	region->live = context_alloc(context, region->geo.slots * sizeof(*region->live));
	region->channel = context_alloc(context, region->geo.channels * sizeof(*region->channel));
	region->generation = context_alloc(context,
		region->geo.channels * sizeof(*region->generation));
	region->deed_used = context_alloc(context, region->geo.deeds * sizeof(*region->deed_used));
	if (!region->view || !region->live || !region->channel || !region->generation ||
		!region->deed_used)
		return -ENOMEM;
	return 0;
}

static void context_add(struct msg_region *region)
{
	region->next = region->context->regions;
	region->context->regions = region;
	region->context->count++;
}

static void context_remove(struct msg_region *region)
{
	struct msg_region **link = &region->context->regions;

	while (*link && *link != region)
		link = &(*link)->next;
	if (*link) {
		*link = region->next;
		region->context->count--;
	}
}

int msg_join(struct msg_context *context, const struct msg_region_ops *ops,
	const struct msg_options *options, struct msg_region **result)
{
	uint64_t deadline = options && options->deadline ? options->deadline :
			    context_now(context) + 10000 * NS_PER_MS;
	struct msg_region *region;
	int err;

	if (ops->size < WIRE_MIN_SIZE || !ops->base)
		return -EINVAL;
	region = context_alloc(context, sizeof(*region));
	if (!region)
		return -ENOMEM;
	region->context = context;
	region->ops = *ops;
	region->base = ops->base;
	region->header = ops->base;
	err = name_copy(region->name, options && options->name ? options->name : "peer");
	if (!err)
		err = format_attach(region, options, deadline);
	if (!err)
		err = region_tables(region);
	if (!err)
		err = presence_join(region, deadline);
	if (err) {
		region_free(region);
		return err;
	}
	if (options && options->spin_ns)
		context->spin_option = options->spin_ns;
	context_add(region);
	*result = region;
	return 0;
}

// Tells the others that we leave. They still receive what we sent: our memory stays while their
// blocks name us.
void region_withdraw(struct msg_region *region)
{
	bool firm = presence_check_self(region);
	uint32_t i;

	for (i = 0; firm && i < region->geo.channels; i++) {
		struct msg_channel *channel = region->channel[i];

		if (channel && !channel->error && channel->opened) {
			channel_write_figures(channel);
			channel_set_state(channel, CHANNEL_CLOSED);
		}
	}
	for (i = 0; firm && i < WIRE_ENDPOINTS; i++)
		if (region->listener[i])
			region_store32(&region->listener[i]->wire->state,
				region->listener[i]->generation << 2 | ENDPOINT_FREE);
	presence_leave(region);
}

int msg_leave(struct msg_region *region)
{
	struct msg_context *context;
	void (*close)(void *arg);
	void *arg;
	uint32_t i;
	int err;

	if (!region)
		return 0;
	context = region->context;
	err = presence_check_self(region) ? 0 : region->error;
	patterns_forget(region);
	faults_end(region);
	region_withdraw(region);
	for (i = 0; i < WIRE_ENDPOINTS; i++)
		context_free(context, region->listener[i]);
	region->error = -ENODEV;
	for (i = 0; i < region->geo.channels; i++)
		if (region->channel[i])
			channel_forget(region->channel[i]);
	pools_free(region);
	context_remove(region);
	close = region->ops.close;
	arg = region->ops.arg;
	region_free(region);
	if (close)
		close(arg);
	return err;
}

int msg_peers(struct msg_region *region, struct msg_peer *peers, unsigned max)
{
	unsigned n = 0;
	uint32_t i;

	if (!region->gone)
		presence_scan(region);
	if (region->error)
		return region->error;
	for (i = 0; i < region->geo.slots; i++) {
		if (!region->view[i].life)
			continue;
		if (n < max)
			presence_describe(region, i, &peers[n]);
		n++;
	}
	return (int)n;
}

void msg_self(struct msg_region *region, struct msg_peer *self)
{
	unsigned i;

	self->slot = region->index;
	self->epoch = CLAIM_EPOCH(region->life);
	self->id = region->ops.peer_id;
	self->vectors = region->ops.vectors;
	self->self = true;
	for (i = 0; i < WIRE_NAME; i++)
		self->name[i] = region->name[i];
}

void msg_region_describe(struct msg_region *region, struct msg_region_info *info)
{
	info->size = region->geo.size;
	info->slots = region->geo.slots;
	info->channels = region->geo.channels;
	info->land_bytes = region->geo.land_size;
	info->land_free = region->error ? 0 : land_free(region);
	info->default_ring = region->geo.default_ring;
	info->death_ns = region->geo.death_ns;
}

/* ---- events ---- */

static bool take_once(bool happened, bool *told, struct msg_event *event, enum msg_event_type type)
{
	if (!happened || *told)
		return false;
	*told = true;
	event->type = type;
	return true;
}

static bool take_fault(struct msg_region *region, struct msg_event *event)
{
	uint32_t i;

	if (region->untold_count) {
		event->type = MSG_EVENT_FAULT;
		event->peer = region->untold[0].peer;
		event->fault = region->untold[0].fault;
		region->untold_count--;
		for (i = 0; i < region->untold_count; i++)
			region->untold[i] = region->untold[i + 1];
		return true;
	}
	for (i = 0; i < region->geo.channels; i++) {
		struct msg_channel *channel = region->channel[i];

		if (!channel || !channel->fault.what || channel->fault_told)
			continue;
		channel->fault_told = true;
		event->type = MSG_EVENT_FAULT;
		event->peer = channel->peer;
		event->fault = channel->fault;
		return true;
	}
	return false;
}

static void copy_name(char to[WIRE_NAME], const char from[WIRE_NAME])
{
	unsigned i;

	for (i = 0; i < WIRE_NAME; i++)
		to[i] = from[i];
}

static bool take_gone(struct msg_region *region, struct msg_event *event)
{
	uint32_t i;

	for (i = 0; i < region->geo.slots; i++) {
		struct peer_view *view = &region->view[i];

		if (!view->told_life || view->told_life == view->life)
			continue;
		event->type = view->told_end == CLAIM_LEFT ? MSG_EVENT_LEFT : MSG_EVENT_DIED;
		event->peer.slot = i;
		event->peer.epoch = CLAIM_EPOCH(view->told_life);
		event->peer.id = view->told_id;
		copy_name(event->peer.name, view->told_name);
		view->former_epoch = event->peer.epoch;
		view->former_id = view->told_id;
		copy_name(view->former_name, view->told_name);
		view->told_life = 0;
		return true;
	}
	return false;
}

// Was a peer of that name or id here before? Each former life is restarted but once.
static bool is_restart(struct msg_region *region, const struct peer_view *view)
{
	uint32_t i;

	for (i = 0; i < region->geo.slots; i++) {
		struct peer_view *former = &region->view[i];

		if (!former->former_epoch)
			continue;
		if ((view->peer_id != MSG_NO_ID && view->peer_id == former->former_id) ||
			name_equal(view->name, former->former_name)) {
			former->former_epoch = 0;
			return true;
		}
	}
	return false;
}

static bool take_joined(struct msg_region *region, struct msg_event *event)
{
	uint32_t i;

	for (i = 0; i < region->geo.slots; i++) {
		struct peer_view *view = &region->view[i];

		if (!view->life || view->told_life || i == region->index)
			continue;
		event->type = MSG_EVENT_JOINED;
		event->restarted = is_restart(region, view);
		presence_describe(region, i, &event->peer);
		view->told_life = view->life;
		view->told_end = 0;
		view->told_id = view->peer_id;
		copy_name(view->told_name, view->name);
		return true;
	}
	return false;
}

bool presence_event_waiting(struct msg_region *region)
{
	uint32_t i;

	if ((region->leaving && !region->told_leaving) || (region->gone && !region->told_gone) ||
		(region->server_lost && !region->told_server_lost) ||
		(region->evicted && !region->told_evicted) || region->untold_count)
		return true;
	for (i = 0; i < region->geo.channels; i++)
		if (region->channel[i] && region->channel[i]->fault.what &&
			!region->channel[i]->fault_told)
			return true;
	if (region->error)
		return false;
	for (i = 0; i < region->geo.slots; i++)
		if (i != region->index && region->view[i].life != region->view[i].told_life)
			return true;
	return false;
}

int msg_next_event(struct msg_region *region, struct msg_event *event)
{
	region->watched = true;
	if (!region->error)
		presence_scan(region);
	context_zero(event, sizeof(*event));
	return take_once(region->gone, &region->told_gone, event, MSG_EVENT_REGION_GONE) ||
	       take_once(region->evicted, &region->told_evicted, event, MSG_EVENT_EVICTED) ||
	       take_once(region->leaving, &region->told_leaving, event, MSG_EVENT_REGION_LEAVING) ||
	       take_once(region->server_lost, &region->told_server_lost, event,
		       MSG_EVENT_SERVER_LOST) ||
	       take_fault(region, event) ||
	       (!region->error && (take_gone(region, event) || take_joined(region, event)));
}

/* ---- figures ---- */

void msg_wait_stats(struct msg_region *region, struct msg_wait_stats *stats)
{
	stats->sleeps = region->sleeps;
	stats->rescues = region->rescues;
	stats->resets = region->resets;
	stats->spin_ns = region->context->spin_ns;
	stats->storms = region->context->storm.count;
	stats->vain = region->context->storm.vain;
}

// The unreleased part of my ring, one record after another; it is my memory, but anybody may have
// written there.
static bool next_unreleased(const struct msg_channel *channel, uint32_t *position, uint64_t *header)
{
	const struct ring_tx *tx = &channel->tx;

	// A topic's subscription has no ring of its own.
	if (!tx->data || *position == tx->published)
		return false;
	*header = region_load64((const uint64_t *)(tx->data + (*position & tx->mask)));
	return ring_header_valid(*header, *position) &&
	       ring_header_length(*header) <= channel->limit &&
	       ring_after(*position, *header) - *position <= tx->published - *position;
}

// A record's messages: how many, and where the first one lies.
static uint32_t record_messages(const struct msg_channel *channel, uint32_t at, uint64_t header,
	struct msg_span *first)
{
	uint8_t *payload = channel->tx.data + (at & channel->tx.mask) + RING_HEADER;
	uint32_t length = ring_header_length(header);
	uint64_t word, bytes;

	first->data = payload;
	first->len = length;
	if (ring_header_type(header) != RING_RUN)
		return 1;
	word = length >= 8 ? region_load64((const uint64_t *)payload) : 0;
	bytes = (uint64_t)(uint32_t)word * (word >> 32);
	if (bytes > length || ring_run_offset(bytes) + bytes != length)
		return 0;
	first->data = payload + ring_run_offset(bytes);
	first->len = (uint32_t)word;
	return (uint32_t)(word >> 32);
}

// How many messages of the oldest record, which is a run, the receiver has already taken: a run is
// given back whole, but each of its messages was counted.
static uint64_t run_taken(const struct msg_channel *channel, uint64_t in_ring, uint64_t in_first)
{
	uint64_t received = channel->region->error || !channel->opened ? 0 :
		region_load64(&channel->theirs->received);
	uint64_t left = channel->sent - received;

	if (in_first < 2 || left >= in_ring)
		return 0;
	return in_ring - left < in_first ? in_ring - left : in_first;
}

struct unreleased {
	uint64_t messages, bytes; /* in the ring */
	uint64_t taken;           /* of the oldest record's, already received */
	uint64_t taken_bytes;
};

static struct unreleased count_unreleased(const struct msg_channel *channel)
{
	struct unreleased u = { 0 };
	uint64_t header, in_first = 0;
	struct msg_span message;
	uint32_t at;

	for (at = channel->tx.released; next_unreleased(channel, &at, &header);
		at = ring_after(at, header)) {
		uint32_t n = record_messages(channel, at, header, &message);

		if (!u.messages) {
			in_first = n;
			u.taken_bytes = message.len;
		}
		u.messages += n;
		u.bytes += (uint64_t)n * message.len;
	}
	u.taken = run_taken(channel, u.messages, in_first);
	u.taken_bytes *= u.taken;
	return u;
}

static void see_released(struct msg_channel *channel)
{
	if (!channel->region->error && !channel->error && channel->opened)
		channel_update_released(channel);
}

void msg_stats(struct msg_channel *channel, struct msg_stats *stats)
{
	struct unreleased u;

	see_released(channel);
	if (!channel->region->error)
		channel_write_figures(channel);
	*stats = (struct msg_stats){
		.sent = channel->sent,
		.sent_bytes = channel->sent_bytes,
		.received = channel->received,
		.received_bytes = channel->received_bytes,
		.doorbells = channel->doorbells,
		.suppressed = channel->suppressed,
		.wakeups = channel->wakeups,
		.full_waits = channel->full_waits,
		.empty_waits = channel->empty_waits,
	};
	if (channel->region->gone) {
		stats->unreleased = channel->left_unreleased;
		stats->unreleased_bytes = channel->left_unreleased_bytes;
		return;
	}
	u = count_unreleased(channel);
	stats->unreleased = u.messages - u.taken;
	stats->unreleased_bytes = u.bytes - u.taken_bytes;
}

int msg_unreleased(struct msg_channel *channel, unsigned i, struct msg_span *message)
{
	struct msg_region *region = channel->region;
	uint64_t header, skip;
	uint32_t at;

	if (region->gone)
		return -ENODEV;
	if (!channel->send_error)
		return -EBUSY;
	see_released(channel);
	// It may have looked whether the region is still ours, and found out that it is gone.
	if (region->gone)
		return -ENODEV;
	skip = i + count_unreleased(channel).taken;
	for (at = channel->tx.released; next_unreleased(channel, &at, &header);
		at = ring_after(at, header)) {
		uint32_t n = record_messages(channel, at, header, message);

		if (skip >= n) {
			skip -= n;
			continue;
		}
		message->data = (uint8_t *)message->data + skip * message->len;
		if (ring_header_type(header) == RING_BUFFER && message->len == 16) {
			const uint64_t *words = message->data;
			uint64_t offset = region_load64(words), len = region_load64(words + 1);

			if (!land_belongs(region, region->index, offset, len))
				return -ENOENT;
			message->data = region_pointer(region, offset);
			message->len = len;
		}
		// Our own ring may be another's by now, if we were taken for dead ourselves.
		return presence_check_self(region) || region->error != -ESTALE ? 0 : -ESTALE;
	}
	return -ENOENT;
}

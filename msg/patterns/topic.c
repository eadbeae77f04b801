// SPDX-License-Identifier: BSD-2-Clause
/*
 * Topics, the publisher's side. One ring in the publisher's land, in front of it a struct wire_topic, and
 * for each subscriber a channel without rings of its own: its control block at the publisher names the
 * topic's ring, so that presence, closing, reset and waking go as for all channels.
 *
 * The ring's messages are those from `tail` to `head`; `newest` is the last one, which is never given
 * up: a late subscriber may ask for it. What makes room:
 *
 *   back-pressure   tail is the least that all subscribers have released, read only when the ring is
 *                   full; as long as that isn't enough the publisher waits, and says so in `want`
 *   others          the publisher moves tail on, full fence, and only then overwrites (topic_drop). A
 *                   subscriber copies a message out and then looks whether tail has passed it
 *
 * The fence orders the payload behind tail even where the copy uses streaming stores, which x86 lets
 * pass earlier plain ones; tests/model/topic.pml. So that a stream of messages of one size needs no fence
 * more than a channel does, tail is moved on for the next one before the fence that follows each
 * publication anyway.
 */
#include <isthmus/msg_topic.h>
#include "msg/channel.h"
#include "msg/pattern.h"
#include "msg/transfer.h"

#define NUMBER        8u /* bytes of a message's number, in front of it */
#define LOOK_NS       (100 * NS_PER_US)
#define ANSWERS_AT_ONCE 16

struct msg_topic {
	struct pattern pattern;
	struct msg_listener *listener; /* NULL: closed, and waits until nobody reads any more */
	struct wire_topic *wire;
	struct ring_tx tx;
	enum msg_topic_policy policy;
	unsigned deed;
	uint32_t ring_size, limit;
	uint64_t ring_offset;
	uint64_t head;           /* where the next message begins */
	uint64_t tail, newest;   /* as in wire */
	uint64_t published, bytes, full_waits, doorbells;
	bool blocked;            /* no room for blocked_len */
	uint32_t blocked_len;
	bool reserved;
	uint32_t reserved_len;
	bool fault_told;
	unsigned count;
	struct msg_channel **subscribers; /* [count], room for geo.channels */
	unsigned channels;       /* that refer to this topic, those under way to their end among them */
};

static bool before(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

static uint64_t end_of(const struct msg_topic *topic, uint32_t len)
{
	return (topic->head + RING_HEADER + NUMBER + len + RING_LINE - 1) & ~(uint64_t)(RING_LINE - 1);
}

// The least tail with which len fits.
static uint64_t tail_for(const struct msg_topic *topic, uint32_t len)
{
	return end_of(topic, len) - topic->ring_size;
}

/* ---- subscribers come and go ---- */

void topic_offer(struct msg_topic *topic, struct msg_channel *channel, uint32_t options)
{
	bool retained = (options & OPTION_RETAINED) && topic->published;

	channel->topic = topic;
	topic->channels++;
	channel->ring_offset = topic->ring_offset;
	channel->ring_size = topic->ring_size;
	channel->topic_start = retained ? topic->newest : topic->head;
	channel->topic_number = retained ? topic->published : topic->published + 1;
	channel->tx.tail = channel->tx.released = (uint32_t)channel->topic_start;
}

static void topic_free(struct msg_topic *topic)
{
	struct msg_region *region = topic->pattern.region;

	land_release(region, topic->deed);
	context_free(region->context, topic->subscribers);
	pattern_destroy(&topic->pattern);
}

static void count_subscribers(struct msg_topic *topic)
{
	struct msg_region *region = topic->pattern.region;

	if (presence_check_self(region))
		region_store64(&topic->wire->subscribers, topic->count);
}

static void remove_subscriber(struct msg_topic *topic, const struct msg_channel *channel)
{
	unsigned i;

	for (i = 0; i < topic->count; i++)
		if (topic->subscribers[i] == channel) {
			topic->subscribers[i] = topic->subscribers[--topic->count];
			return;
		}
}

void topic_forget_channel(struct msg_topic *topic, struct msg_channel *channel)
{
	remove_subscriber(topic, channel);
	if (!--topic->channels && !topic->listener)
		topic_free(topic);
}

// Lets go of those that have ended, and takes those that ask.
static void topic_tend(struct pattern *pattern)
{
	struct msg_topic *topic = (struct msg_topic *)pattern;
	struct msg_region *region = pattern->region;
	unsigned i, n;
	struct msg_channel *channel;
	bool changed = false;

	if (!topic->listener)
		return;
	for (i = topic->count; i-- > 0;) {
		channel = topic->subscribers[i];
		if (!channel->send_error)
			continue;
		remove_subscriber(topic, channel);
		msg_close(channel);
		changed = true;
	}
	for (n = 0; n < ANSWERS_AT_ONCE && !region->error; n++) {
		if (listener_answer(topic->listener, &channel)) {
			// Refused, and another one may ask.
			if (!listener_waiting(topic->listener))
				break;
			continue;
		}
		topic->subscribers[topic->count++] = channel;
		changed = true;
	}
	if (changed)
		count_subscribers(topic);
}

// A publisher that never waits looks around now and then.
static void look_around(struct msg_topic *topic)
{
	struct msg_context *context = topic->pattern.region->context;

	if (context_now(context) - context->last_scan_ns >= LOOK_NS)
		context_scan(context, true);
}

/* ---- room ---- */

static void set_tail(struct msg_topic *topic, uint64_t tail)
{
	topic->tail = tail;
	region_store_release64(&topic->wire->tail, tail);
}

// How far a subscriber has come. Nothing that ended counts.
static uint64_t released_by(struct msg_topic *topic, struct msg_channel *channel)
{
	uint32_t head = (uint32_t)topic->head;

	channel->tx.published = head;
	if (channel->send_error || !channel_update_released(channel) || channel->send_error)
		return topic->newest;
	return topic->head - (head - channel->tx.released);
}

// Have all subscribers got further than that?
static bool topic_update_tail(struct msg_topic *topic, uint64_t least)
{
	uint64_t tail = topic->newest;
	unsigned i;

	for (i = 0; i < topic->count; i++) {
		uint64_t released = released_by(topic, topic->subscribers[i]);

		if (before(released, tail))
			tail = released;
		channel_want(topic->subscribers[i], WANT_ROOM,
			topic->blocked && before(released, least));
	}
	if (before(topic->tail, tail))
		set_tail(topic, tail);
	return !before(topic->tail, least);
}

static bool topic_step(struct pattern *pattern)
{
	struct msg_topic *topic = (struct msg_topic *)pattern;

	if (pattern->region->error || !topic->blocked)
		return true;
	if (!topic_update_tail(topic, tail_for(topic, topic->blocked_len)))
		return false;
	topic->blocked = false;
	return true;
}

static bool topic_channels_only(struct pattern *pattern)
{
	(void)pattern;
	return true;
}

// Our own ring, in which somebody else has written: what was in it is lost, and nothing else.
static void topic_damaged(struct msg_topic *topic, uint64_t seen)
{
	struct msg_region *region = topic->pattern.region;

	if (!topic->fault_told && fault_shown(region, region->index))
		context_report(region->context, 1,
			"topic '%s': a message was overwritten by somebody: 0x%x at offset 0x%x",
			topic->listener->name, seen,
			topic->ring_offset + (topic->tail & topic->tx.mask));
	topic->fault_told = true;
}

// Gives up the oldest messages. True: some; the caller fences before it overwrites them.
static bool topic_drop(struct msg_topic *topic, uint64_t least)
{
	uint64_t tail = topic->tail;

	if (!before(tail, least))
		return false;
	while (before(tail, least)) {
		uint32_t at = (uint32_t)tail;
		uint64_t header = region_load64(
			(const uint64_t *)(topic->tx.data + (at & topic->tx.mask)));
		uint32_t step = ring_after(at, header) - at;

		if (!ring_header_valid(header, at) ||
			ring_header_length(header) > topic->limit + NUMBER ||
			step > topic->newest - tail) {
			topic_damaged(topic, header);
			tail = topic->newest;
			break;
		}
		tail += step;
	}
	// The report asks for the time, where we may hear that the region is gone.
	if (topic->pattern.region->error)
		return false;
	set_tail(topic, tail);
	return true;
}

static int topic_make_room(struct msg_topic *topic, uint32_t len, uint64_t deadline)
{
	uint64_t least = tail_for(topic, len);
	struct msg_region *region = topic->pattern.region;
	int err;

	topic->blocked = false;
	// The look around before this may have found the region gone.
	if (region->error)
		return region->error;
	if (topic->policy != MSG_TOPIC_BACK_PRESSURE) {
		// Pairs with the loads in sub_whole: the payload comes after tail.
		if (topic_drop(topic, least))
			region_fence();
		return region->error;
	}
	if (!before(topic->tail, least) || topic_update_tail(topic, least))
		return 0;
	region_store64(&topic->wire->full_waits, ++topic->full_waits);
	topic->blocked = true;
	topic->blocked_len = len;
	err = pattern_wait(&topic->pattern, deadline);
	return region->error ? region->error : err;
}

/* ---- publishing ---- */

// Not ours any more?
static int topic_check(struct msg_topic *topic)
{
	struct msg_region *region = topic->pattern.region;

	if (region->error)
		return region->error;
	if (region_load64(&region->slot->claim) != region->life && !presence_check_self(region))
		return region->error;
	return 0;
}

int msg_publish_reserve(struct msg_topic *topic, size_t len, void **data, uint64_t deadline)
{
	int err = topic_check(topic);

	if (err)
		return err;
	if (len > topic->limit)
		return -EMSGSIZE;
	ring_discard(&topic->tx);
	topic->reserved = false;
	look_around(topic);
	err = topic_make_room(topic, (uint32_t)len, deadline);
	if (err)
		return err;
	*data = ring_reserve(&topic->tx, (uint32_t)len + NUMBER, RING_NUMBERED) + NUMBER;
	topic->reserved = true;
	topic->reserved_len = (uint32_t)len;
	return 0;
}

// The message is visible: whoever sleeps must hear of it.
static void topic_published(struct msg_topic *topic)
{
	unsigned i;

	// The message must be visible before we look (pairs with the fence in mark_asleep), and tail
	// before anything that follows is overwritten.
	region_fence();
	for (i = 0; i < topic->count; i++) {
		struct msg_channel *channel = topic->subscribers[i];
		uint32_t asleep = region_load32(channel->peer_asleep);

		if (!(asleep & 1) || asleep == channel->view->last_rung ||
			channel->view->life != channel->peer_life || channel->send_error)
			continue;
		channel->view->last_rung = asleep;
		region_store64(&topic->wire->doorbells, ++topic->doorbells);
		presence_ring(channel->region, channel->view, channel->peer_slot);
	}
}

int msg_publish_commit(struct msg_topic *topic, size_t len)
{
	struct ring_tx *tx = &topic->tx;
	struct wire_topic *wire = topic->wire;
	int err = topic_check(topic);
	uint8_t *payload;

	if (err)
		return err;
	if (!topic->reserved || len > topic->reserved_len)
		return -EINVAL;
	topic->reserved = false;
	tx->header = ring_header(tx->newest, (uint32_t)len + NUMBER, RING_NUMBERED, 0);
	tx->tail = tx->newest + ring_record((uint32_t)len + NUMBER);
	payload = tx->data + (tx->newest & tx->mask) + RING_HEADER;
	region_store64((uint64_t *)payload, ++topic->published);
	ring_publish(tx);
	topic->newest = topic->head;
	topic->head = end_of(topic, (uint32_t)len);
	// Pairs with the acquire in sub_look: the message is there before it is the newest.
	region_store_release64(&wire->newest, topic->newest);
	region_store64(&wire->published, topic->published);
	region_store64(&wire->bytes, topic->bytes += len);
	if (topic->policy != MSG_TOPIC_BACK_PRESSURE)
		topic_drop(topic, tail_for(topic, (uint32_t)len));
	topic_published(topic);
	return 0;
}

int msg_publish(struct msg_topic *topic, const void *data, size_t len, uint64_t deadline)
{
	void *to;
	int err = msg_publish_reserve(topic, len, &to, deadline);

	if (err)
		return err;
	region_copy_in(topic->pattern.region->context->ops->copy_in, to, data, len);
	return msg_publish_commit(topic, len);
}

/* ---- the topic's life ---- */

static void topic_forget(struct pattern *pattern)
{
	struct msg_topic *topic = (struct msg_topic *)pattern;
	struct msg_region *region = pattern->region;
	uint32_t i;

	for (i = 0; i < region->geo.channels; i++)
		if (region->channel[i] && region->channel[i]->topic == topic)
			region->channel[i]->topic = NULL;
	context_free(region->context, topic->subscribers);
	pattern_destroy(pattern);
}

static const struct pattern_ops topic_ops = {
	.step = topic_step,
	.channels_only = topic_channels_only,
	.tend = topic_tend,
	.forget = topic_forget,
};

static void write_front(struct msg_topic *topic, uint64_t start)
{
	uint64_t *word = (uint64_t *)topic->wire;
	unsigned i;

	for (i = 0; i < sizeof(*topic->wire) / sizeof(*word); i++)
		region_store64(word + i, 0);
	region_store32(&topic->wire->policy, topic->policy);
	region_store32(&topic->wire->ring_size, topic->ring_size);
	region_store64(&topic->wire->start, start);
	region_store64(&topic->wire->tail, start);
	region_store64(&topic->wire->newest, start);
}

int msg_topic_open(struct msg_region *region, const char *name,
	const struct msg_topic_options *options, struct msg_topic **result)
{
	static const struct msg_topic_options defaults;
	struct msg_topic *topic;
	uint64_t offset, start;
	int err;

	if (!options)
		options = &defaults;
	if ((unsigned)options->policy > MSG_TOPIC_LATEST)
		return -EINVAL;
	if (!presence_check_self(region))
		return region->error;
	topic = pattern_create(region, &topic_ops, sizeof(*topic));
	if (!topic)
		return -ENOMEM;
	topic->subscribers = context_alloc(region->context,
		region->geo.channels * sizeof(*topic->subscribers));
	err = topic->subscribers ? ring_claim(region, options->ring, sizeof(*topic->wire),
		&topic->ring_size, &topic->deed, &offset) : -ENOMEM;
	if (err) {
		topic_forget(&topic->pattern);
		return err;
	}
	start = options->start & ~(uint64_t)(RING_LINE - 1);
	topic->policy = options->policy;
	topic->wire = region_pointer(region, offset);
	topic->ring_offset = offset + sizeof(*topic->wire);
	topic->limit = topic->ring_size / 2 - RING_HEADER - NUMBER;
	topic->head = topic->tail = topic->newest = start;
	ring_tx_init(&topic->tx, region_pointer(region, topic->ring_offset), topic->ring_size,
		(uint32_t)start);
	write_front(topic, start);
	// From the moment that it can be found, a subscriber may be taken.
	err = endpoint_listen(region, name, NULL, KIND_TOPIC, &topic->listener);
	if (err) {
		topic_free(topic);
		return err;
	}
	topic->listener->topic = topic;
	*result = topic;
	return 0;
}

void msg_topic_close(struct msg_topic *topic)
{
	struct msg_listener *listener;

	if (!topic)
		return;
	listener = topic->listener;
	// The last channel takes the topic with it: not before we are through.
	topic->channels++;
	msg_unlisten(listener);
	topic->listener = NULL;
	while (topic->count)
		msg_close(topic->subscribers[--topic->count]);
	if (!--topic->channels)
		topic_free(topic);
}

uint32_t msg_topic_limit(struct msg_topic *topic)
{
	return topic->limit;
}

void msg_topic_stats(struct msg_topic *topic, struct msg_topic_stats *stats)
{
	*stats = (struct msg_topic_stats){
		.published = topic->published,
		.bytes = topic->bytes,
		.full_waits = topic->full_waits,
		.doorbells = topic->doorbells,
		.subscribers = topic->count,
	};
}

int msg_topic_subscriber(struct msg_topic *topic, unsigned i,
	struct msg_topic_subscriber *subscriber)
{
	const struct msg_channel *channel;
	uint32_t behind;

	if (topic->pattern.region->error)
		return topic->pattern.region->error;
	if (i >= topic->count)
		return -ENOENT;
	channel = topic->subscribers[i];
	behind = (uint32_t)topic->head - region_load32(&channel->theirs->released);
	subscriber->peer = channel->peer;
	subscriber->received = region_load64(&channel->theirs->received);
	subscriber->lost = region_load64(&channel->theirs->lost);
	subscriber->behind = behind < topic->ring_size ? behind : topic->ring_size;
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * Topics, a subscriber's side. It reads the publisher's ring in place, at its own position, and trusts
 * nothing of it: each value is taken once and bounded; what is impossible ends this subscription, and
 * nothing else.
 *
 * Where the publisher drops messages, one may be overwritten while it is looked at. Then whatever was seen
 * of it means nothing, impossible or not, until `tail` has been found not to have passed it:
 *
 *   publisher (topic.c)                    subscriber
 *   tail behind the message                header, number, payload copied out
 *   full fence                             loads in order
 *   overwrites it                          tail: not behind the message, so what was copied is whole
 */
#include <isthmus/msg_topic.h>
#include "msg/channel.h"
#include "msg/pattern.h"
#include "msg/transfer.h"

#define NUMBER 8u
#define TRIES  16 /* times that the publisher may overtake one look */
#define PATIENT_TRIES 2 /* after so many we go on with the newest message, not the oldest */

struct msg_subscription {
	struct pattern pattern;
	struct msg_channel *channel;
	const struct wire_topic *wire;
	enum msg_topic_policy policy;
	uint64_t position; /* where we look; its lower half is channel->rx.head */
	uint64_t next;     /* where the message of number `number` begins */
	uint64_t number;   /* that we would get if nothing were lost */
	uint64_t lost;
};

/* A message that was found. */
struct found {
	uint64_t header, number;
	const uint8_t *data;
	uint32_t len;
};

static bool dropping(const struct msg_subscription *sub)
{
	return sub->policy != MSG_TOPIC_BACK_PRESSURE;
}

// Has the message at our position been given up?
static bool sub_overtaken(const struct msg_subscription *sub)
{
	return dropping(sub) &&
	       (int64_t)(region_load_acquire64(&sub->wire->tail) - sub->position) > 0;
}

// Was what we copied still whole?
static bool sub_whole(const struct msg_subscription *sub)
{
	if (!dropping(sub))
		return true;
	region_order_loads();
	return !sub_overtaken(sub);
}

static void sub_move(struct msg_subscription *sub, uint64_t position)
{
	sub->position = position;
	sub->channel->rx.head = sub->channel->rx.released = (uint32_t)position;
}

// A word of the publisher's that says where a message begins, at our position or behind it.
static bool sub_jump(struct msg_subscription *sub, const uint64_t *word)
{
	uint64_t to = region_load_acquire64(word);

	if (to % RING_LINE || (int64_t)(to - sub->position) < 0) {
		channel_fault(sub->channel, "impossible position in a topic", word, to);
		return false;
	}
	sub_move(sub, to);
	return true;
}

// Nothing newer than the newest can have been given up: read in this order, since both only grow.
// Whoever claims it would keep us looking for ever. False: fault.
static bool tail_possible(const struct msg_subscription *sub)
{
	uint64_t tail = region_load_acquire64(&sub->wire->tail);

	if ((int64_t)(region_load_acquire64(&sub->wire->newest) - tail) >= 0)
		return true;
	channel_fault(sub->channel, "impossible position in a topic", &sub->wire->tail, tail);
	return false;
}

// Is the number of a whole message one that can stand here?
static bool number_possible(const struct msg_subscription *sub, uint64_t number)
{
	uint64_t lost = number - sub->number, most = (sub->position - sub->next) / RING_LINE;

	return sub->position == sub->next ? !lost : lost && lost <= most;
}

/*
 * One look for a message: 1, *found; 0: there is none; -EAGAIN: the publisher is at work just there,
 * look again; -ECONNRESET.
 */
static int sub_look_once(struct msg_subscription *sub, unsigned tries, struct found *found)
{
	struct msg_channel *channel = sub->channel;
	const struct wire_topic *wire = sub->wire;
	bool must_be = false;
	uint64_t header;

	if (sub_overtaken(sub)) {
		bool newest = sub->policy == MSG_TOPIC_LATEST || tries >= PATIENT_TRIES;

		if (!sub_jump(sub, newest ? &wire->newest : &wire->tail))
			return channel->error;
		must_be = true;
	}
	header = ring_poll(&channel->rx);
	if (!header) {
		if (sub_overtaken(sub))
			return -EAGAIN;
		if (must_be)
			channel_fault(channel, "no message where a topic has one", &wire->tail,
				sub->position);
		return channel->error;
	}
	if (sub->policy == MSG_TOPIC_LATEST && !must_be &&
		(int64_t)(region_load_acquire64(&wire->newest) - sub->position) > 0) {
		if (!sub_jump(sub, &wire->newest))
			return channel->error;
		header = ring_poll(&channel->rx);
	}
	found->header = header;
	found->len = ring_header_length(header) - NUMBER;
	found->number = region_load64((const uint64_t *)ring_payload(&channel->rx));
	found->data = ring_payload(&channel->rx) + NUMBER;
	if (header && ring_header_type(header) == RING_NUMBERED &&
		ring_header_length(header) >= NUMBER && ring_header_possible(&channel->rx, header) &&
		number_possible(sub, found->number))
		return 1;
	if (!sub_whole(sub))
		return -EAGAIN;
	channel_fault(channel, "impossible message in a topic",
		channel->rx.data + (channel->rx.head & channel->rx.mask), header);
	return channel->error;
}

static int sub_look(struct msg_subscription *sub, struct found *found)
{
	unsigned tries;
	int result = -EAGAIN;

	for (tries = 0; tries < TRIES && result == -EAGAIN; tries++)
		result = sub_look_once(sub, tries, found);
	return result;
}

// Takes the message that was copied out.
static int64_t sub_take(struct msg_subscription *sub, const struct found *found,
	struct msg_topic_mark *mark)
{
	struct msg_channel *channel = sub->channel;
	uint64_t lost = found->number - sub->number;
	uint32_t head = channel->rx.head;

	if (!channel_slot_ours(channel)) {
		presence_check_self(channel->region);
		return channel->error;
	}
	if (lost)
		region_store64(&channel->mine->lost, sub->lost += lost);
	if (mark)
		*mark = (struct msg_topic_mark){ found->number, lost };
	ring_advance(&channel->rx, found->header);
	sub->position += channel->rx.head - head;
	sub->next = sub->position;
	sub->number = found->number + 1;
	if (dropping(sub)) {
		// Nobody waits for it: for whoever looks.
		channel->rx.released = channel->fenced = channel->rx.head;
		region_store32(&channel->mine->released, channel->rx.head);
		channel_count_received(channel, 1, found->len);
		return found->len;
	}
	channel_received(channel, channel->rx.head, 1, found->len);
	return channel->error ? channel->error : (int64_t)found->len;
}

/*
 * One try: the length; -EAGAIN: nothing there; -EBUSY: the publisher was faster each time; -EMSGSIZE;
 * the subscription's error.
 */
static int64_t sub_receive(struct msg_subscription *sub, void *data, size_t size,
	struct msg_topic_mark *mark)
{
	struct msg_channel *channel = sub->channel;
	struct found found = { 0 };
	unsigned tries;

	for (tries = 0; tries < TRIES; tries++) {
		int result = sub_look(sub, &found);

		if (result == -EAGAIN)
			return tail_possible(sub) ? -EBUSY : channel->error;
		if (result < 0)
			return result;
		if (!result)
			return -EAGAIN;
		if (found.len <= size)
			region_copy_out(channel->region->context->ops->copy_out, data, found.data,
				found.len);
		if (sub_whole(sub))
			return found.len > size ? channel_too_long(channel) : sub_take(sub, &found, mark);
		if (!tail_possible(sub))
			return channel->error;
	}
	return -EBUSY;
}

static bool sub_readable(struct pattern *pattern)
{
	const struct msg_subscription *sub = (const struct msg_subscription *)pattern;
	const struct msg_channel *channel = sub->channel;

	return pattern->region->error || channel->error || ring_poll(&channel->rx) ||
	       sub_overtaken(sub) || channel->peer_ended;
}

// Waits for a message or the end. 0, -EAGAIN, -ETIMEDOUT.
static int sub_await(struct msg_subscription *sub, uint64_t deadline)
{
	struct msg_channel *channel = sub->channel;
	unsigned polls;
	int err;

	if (deadline) {
		channel_settle(channel);
		for (polls = wait_polls(channel->region->context); polls; polls--)
			if (ring_poll(&channel->rx))
				return 0;
	}
	channel_empty(channel);
	if (sub_readable(&sub->pattern))
		return 0;
	if (!deadline)
		return -EAGAIN;
	region_store64(&channel->mine->empty_waits, ++channel->empty_waits);
	err = pattern_wait(&sub->pattern, deadline);
	if (!err)
		channel_woken(channel);
	return err;
}

int64_t msg_topic_recv(struct msg_subscription *sub, void *data, size_t size,
	struct msg_topic_mark *mark, uint64_t deadline)
{
	struct msg_channel *channel = sub->channel;
	struct msg_context *context = channel->region->context;

	for (;;) {
		// The end counts only when all that came before it was looked for after it.
		bool ended = channel->peer_ended;
		int64_t result;
		int err;

		if (channel->error)
			return channel->error;
		result = sub_receive(sub, data, size, mark);
		if (result == -EBUSY) {
			if (context_now(context) >= deadline)
				return deadline ? -ETIMEDOUT : -EAGAIN;
			context_relax(context);
			continue;
		}
		if (result != -EAGAIN)
			return result;
		if (ended)
			return channel_ended(channel);
		err = sub_await(sub, deadline);
		if (err)
			return err;
	}
}

/* ---- the subscription's life ---- */

static bool sub_channels_only(struct pattern *pattern)
{
	(void)pattern;
	return true;
}

static void sub_forget(struct pattern *pattern)
{
	pattern_destroy(pattern);
}

static const struct pattern_ops sub_ops = {
	.step = sub_readable,
	.channels_only = sub_channels_only,
	.forget = sub_forget,
};

// What the publisher says of its topic and of where we begin.
static int sub_begin(struct msg_subscription *sub)
{
	struct msg_channel *channel = sub->channel;
	uint64_t offset = region_offset(channel->region, channel->rx.data) - sizeof(*sub->wire);
	uint64_t start = region_load64(&channel->theirs->topic_start);
	uint32_t policy;

	sub->wire = region_pointer(channel->region, offset);
	policy = region_load32(&sub->wire->policy);
	sub->number = region_load64(&channel->theirs->topic_number);
	if (policy > MSG_TOPIC_LATEST || (uint32_t)start != channel->rx.head || !sub->number) {
		channel_fault(channel, "impossible topic", &sub->wire->policy, policy);
		return channel->error;
	}
	sub->policy = policy;
	sub->position = sub->next = start;
	return 0;
}

int msg_subscribe(struct msg_region *region, const char *name,
	const struct msg_subscribe_options *options, struct msg_subscription **result,
	uint64_t deadline)
{
	struct msg_subscription *sub;
	struct connecting c;
	int err = connect_begin(&c, region, name, NULL, KIND_TOPIC);

	if (err)
		return err;
	if (options && options->retained)
		c.asks = OPTION_RETAINED;
	sub = pattern_create(region, &sub_ops, sizeof(*sub));
	if (!sub)
		return -ENOMEM;
	err = connect_until(&c, &sub->channel, deadline);
	if (!err) {
		err = sub_begin(sub);
		if (err)
			msg_close(sub->channel);
	}
	if (err) {
		pattern_destroy(&sub->pattern);
		return err;
	}
	*result = sub;
	return 0;
}

void msg_unsubscribe(struct msg_subscription *sub)
{
	if (!sub)
		return;
	msg_close(sub->channel);
	pattern_destroy(&sub->pattern);
}

void msg_subscription_stats(struct msg_subscription *sub, struct msg_subscription_stats *stats)
{
	const struct msg_channel *channel = sub->channel;

	*stats = (struct msg_subscription_stats){
		.received = channel->received,
		.received_bytes = channel->received_bytes,
		.lost = sub->lost,
		.published = channel->region->error ? 0 : region_load64(&sub->wire->published),
		.wakeups = channel->wakeups,
		.empty_waits = channel->empty_waits,
		.policy = sub->policy,
	};
}

void msg_subscription_peer(struct msg_subscription *sub, struct msg_peer *peer)
{
	*peer = sub->channel->peer;
}

bool msg_subscription_fault(struct msg_subscription *sub, struct msg_fault *fault)
{
	return msg_fault_of(sub->channel, fault);
}

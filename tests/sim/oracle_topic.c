// SPDX-License-Identifier: BSD-2-Clause
// Topics: what each subscriber must get of what was published, and what exactly it may lose.
#include <string.h>
#include "tests/sim/oracle_pattern.h"

static struct sim_topic topics[SIM_TOPICS];
static unsigned topic_count;

void oracle_topics_reset(void)
{
	topic_count = 0;
}

struct sim_topic *oracle_topic_opened(struct sim_seat *seat)
{
	struct sim_topic *topic;

	if (topic_count == SIM_TOPICS)
		return NULL;
	topic = &topics[topic_count++];
	*topic = (struct sim_topic){ .seat = seat, .life = seat->life,
		.slot = (uint32_t)seat->slot, .tag = oracle_tag(),
		.target = sim_pick(2 * sim.config.messages + 2) };
	if (sim.config.policy != MSG_TOPIC_BACK_PRESSURE)
		topic->target *= 3;
	return topic;
}

static uint32_t message_tag(const struct sim_topic *topic, uint64_t number)
{
	return topic->tag + (uint32_t)number * 0x85ebca6bu;
}

unsigned oracle_topic_length(const struct sim_topic *topic, uint64_t number)
{
	uint32_t tag = message_tag(topic, number);

	return (tag >> 13) % ((tag & 3) ? 60 : 480);
}

void oracle_topic_fill(const struct sim_topic *topic, uint64_t number, uint8_t *data)
{
	unsigned len = oracle_topic_length(topic, number), i;

	for (i = 0; i < len; i++)
		data[i] = oracle_byte(message_tag(topic, number), i);
}

void oracle_topics_over(struct sim_seat *seat, bool cut)
{
	unsigned i;

	for (i = 0; i < topic_count; i++)
		if (topics[i].seat == seat && !topics[i].over) {
			topics[i].over = true;
			topics[i].cut = cut;
		}
}

/* ---- subscriptions ---- */

void oracle_subscribing(struct sim_subscriber *sub)
{
	unsigned i;

	for (i = 0; i < SIM_TOPICS; i++)
		sub->before[i] = i < topic_count ? topics[i].published : 0;
}

void oracle_subscribed(struct sim_subscriber *sub, struct sim_seat *seat,
	const struct msg_peer *peer, bool retained)
{
	unsigned i;

	sub->seat = seat;
	sub->topic = NULL;
	sub->last = 0;
	sub->got = false;
	for (i = 0; i < topic_count; i++)
		if (CLAIM_EPOCH(topics[i].life) == peer->epoch &&
			topics[i].slot == peer->slot && topics[i].seat->where == seat->where)
			sub->topic = &topics[i];
	if (!sub->topic)
		return;
	sub->first = sub->before[sub->topic - topics];
	sub->first += !retained || !sub->first;
	sub->first_most = sub->topic->attempted + 1;
}

bool oracle_topic_may_fail(const struct sim_subscriber *sub)
{
	return sim.config.lies == LIES_WILD || sub->seat->peer->liar || sim.spoiled ||
	       !sub->topic || sub->topic->seat->peer->liar;
}

void oracle_topic_got(struct sim_subscriber *sub, const uint8_t *data, uint64_t len,
	const struct msg_topic_mark *mark, uint64_t published_then)
{
	const struct sim_topic *topic = sub->topic;
	uint64_t from = mark->number - mark->lost, i;

	sim.messages_received++;
	if (oracle_topic_may_fail(sub))
		return;
	if (!mark->number || mark->number > topic->attempted)
		sim_fail("peer %u got message %llu of a topic that has %llu",
			sub->seat->peer->index, (unsigned long long)mark->number,
			(unsigned long long)topic->attempted);
	if (sub->got ? from != sub->last + 1 : from < sub->first || from > sub->first_most)
		sim_fail("peer %u got message %llu of a topic and lost %llu before, but the last was "
			 "%llu (the first %llu..%llu)", sub->seat->peer->index,
			(unsigned long long)mark->number, (unsigned long long)mark->lost,
			(unsigned long long)sub->last, (unsigned long long)sub->first,
			(unsigned long long)sub->first_most);
	if (mark->lost && sim.config.policy == MSG_TOPIC_BACK_PRESSURE)
		sim_fail("peer %u lost %llu messages of a topic with back-pressure",
			sub->seat->peer->index, (unsigned long long)mark->lost);
	if (sim.config.policy == MSG_TOPIC_LATEST && mark->number < published_then &&
		sim.config.fences)
		sim_fail("peer %u got message %llu of a topic when %llu was the latest",
			sub->seat->peer->index, (unsigned long long)mark->number,
			(unsigned long long)published_then);
	sub->got = true;
	sub->last = mark->number;
	if (len != oracle_topic_length(topic, mark->number))
		sim_fail("peer %u: message %llu of a topic has %llu bytes, not %u",
			sub->seat->peer->index, (unsigned long long)mark->number,
			(unsigned long long)len, oracle_topic_length(topic, mark->number));
	for (i = 0; i < len; i++)
		if (data[i] != oracle_byte(message_tag(topic, mark->number), (unsigned)i))
			sim_fail("peer %u: message %llu of a topic is wrong at byte %llu",
				sub->seat->peer->index, (unsigned long long)mark->number,
				(unsigned long long)i);
}

void oracle_topic_ended(struct sim_subscriber *sub, int64_t err)
{
	const struct sim_topic *topic = sub->topic;

	sim_trace("a subscription is over: %s", msg_strerror(err));
	if (oracle_topic_may_fail(sub) || err == -ESTALE || err == -ENODEV)
		return;
	if (err != -EPIPE)
		sim_fail("peer %u: a subscription ended: %s", sub->seat->peer->index,
			msg_strerror(err));
	if (topic->cut || !sim.config.atomic)
		return;
	if (!topic->over && !topic->seat->peer->stalled_ns)
		sim_fail("peer %u: a subscription ended, and the publisher lives",
			sub->seat->peer->index);
	if (topic->over &&
		(sub->got ? sub->last < topic->published : topic->published >= sub->first_most))
		sim_fail("peer %u: a subscription ended at message %llu of %llu",
			sub->seat->peer->index, (unsigned long long)sub->last,
			(unsigned long long)topic->published);
}

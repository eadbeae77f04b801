// SPDX-License-Identifier: BSD-2-Clause
/*
 * A conversation over channels alone, as an app without a link has to hold it (talk.c has one).
 * "channels stays" listens at the endpoint "hub"; "channels moves"
 * connects to it, and again after each unplug, death or reset. Both send numbered messages with
 * checked payloads, each at its own pace; both demand that every number comes once and in order,
 * over all channels.
 *
 *   channels stays|moves [WHERE] [--rounds N] [--messages N] [--deaf] [--no-events] [--delay MS]
 *
 * moves: after N rounds (attachments) and N more messages it says END with its total, is answered
 * with the other's total, and both stop. --deaf: receives nothing until the first channel is over,
 * so that the other's ring fills up and its send blocks. --no-events: never asks for events, and
 * blocks in msg_send and msg_recv. --delay: asks for so much time when its device shall leave, and
 * goes on talking.
 *
 * What makes it exactly once: a message that msg_send refused was not sent; what was accepted and
 * not released when the other left is asked for with msg_unreleased, and goes first on the next
 * channel. What the mover sent before it left, the other receives to the end of the channel.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <isthmus/msg.h>

#define MS 1000000ull
#define S (1000 * MS)
#define PATIENCE (60 * S)
#define PAYLOAD 120
#define BURST 16
#define KEPT_MAX 4096

struct message {
	uint64_t number;
	uint64_t end; /* 0, or total + 1 */
	uint64_t length;
	uint8_t payload[PAYLOAD];
};

struct talk {
	bool stays, deaf, no_events;
	const char *where;
	unsigned int rounds, messages;
	uint64_t delay_ns;
	struct msg_region *region;
	struct msg_listener *listener;
	struct msg_channel *channel;
	uint64_t sent, received;      /* accepted by msg_send; checked. Over all channels */
	struct message kept[KEPT_MAX]; /* to be sent again, first */
	unsigned int kept_first, kept_count;
	bool said_end, ended;
	unsigned int round, in_round, again;
};

static struct talk talk;

static uint8_t byte_of(uint64_t number, unsigned int i)
{
	return (uint8_t)((number * 0x9e3779b97f4a7c15ull >> 32) + i * 7);
}

static int fail(const char *what, int64_t code)
{
	printf("FAIL %s: %s\n", what, msg_strerror(code));
	fflush(stdout);
	return 1;
}

static void message_make(struct message *m, uint64_t number, uint64_t end)
{
	memset(m, 0, sizeof(*m));
	m->number = number;
	m->end = end;
	m->length = number % (PAYLOAD + 1);
	for (unsigned int i = 0; i < m->length; i++)
		m->payload[i] = byte_of(number, i);
}

static size_t message_size(const struct message *m)
{
	return offsetof(struct message, payload) + m->length;
}

static int message_check(const struct message *m, int64_t size)
{
	if (size < (int64_t)offsetof(struct message, payload) || m->length > PAYLOAD ||
		(size_t)size != message_size(m))
		return fail("a message of an impossible size", 0);
	if (m->number != talk.received) {
		printf("FAIL message %" PRIu64 " where %" PRIu64 " should come\n", m->number,
			talk.received);
		return 1;
	}
	for (unsigned int i = 0; i < m->length; i++)
		if (m->payload[i] != byte_of(m->number, i))
			return fail("a payload that was not sent so", 0);
	talk.received++;
	if (m->end && m->end != talk.received)
		return fail("totals that differ", 0);
	talk.ended |= m->end != 0;
	return 0;
}

/* The channel is over. What was accepted and never released is kept for the next one. */
static int channel_lost(void)
{
	struct msg_span span;
	unsigned int count = 0;

	/* What is left of the older ones comes behind: they were to be sent again after these. */
	static struct message fresh[KEPT_MAX];

	while (count < KEPT_MAX && !msg_unreleased(talk.channel, count, &span)) {
		if (span.len > sizeof(struct message))
			return fail("an unreleased message of an impossible size", 0);
		memset(&fresh[count], 0, sizeof(fresh[count]));
		memcpy(&fresh[count++], span.data, span.len);
	}
	for (; talk.kept_count && count < KEPT_MAX; talk.kept_count--)
		fresh[count++] = talk.kept[talk.kept_first++];
	if (count == KEPT_MAX)
		return fail("too much to send again", 0);
	memcpy(talk.kept, fresh, sizeof(fresh));
	talk.kept_first = 0;
	talk.kept_count = count;
	talk.again += count;
	msg_close(talk.channel);
	talk.channel = NULL;
	return 0;
}

static bool is_over(int64_t error)
{
	return error == -EPIPE || error == -ENODEV || error == -ESTALE || error == -ECONNRESET;
}

/* One message, an old or a new one. 1: sent; 0: no room; negative: the channel is over. */
static int send_one(uint64_t end, uint64_t deadline)
{
	struct message m;
	int err;

	if (talk.kept_count) {
		err = msg_send(talk.channel, &talk.kept[talk.kept_first],
			message_size(&talk.kept[talk.kept_first]), deadline);
		if (!err) {
			talk.kept_first++;
			talk.kept_count--;
		}
	} else {
		message_make(&m, talk.sent, end);
		err = msg_send(talk.channel, &m, message_size(&m), deadline);
		if (!err)
			talk.sent++;
	}
	return !err ? 1 : err == -EAGAIN || err == -ETIMEDOUT ? 0 : err;
}

/* All that is there. Negative: the channel is over; 1: a fault of the conversation. */
static int receive_all(uint64_t deadline)
{
	struct message m;
	int64_t got;

	while (!talk.ended && (got = msg_recv(talk.channel, &m, sizeof(m), deadline)) >= 0) {
		if (message_check(&m, got))
			return 1;
		talk.in_round++;
		deadline = 0;
	}
	return talk.ended || got == -EAGAIN || got == -ETIMEDOUT ? 0 : (int)got;
}

static int events_read(bool *leaving)
{
	struct msg_event event;

	while (!talk.no_events && msg_next_event(talk.region, &event)) {
		if (event.type == MSG_EVENT_REGION_LEAVING) {
			printf("leaving\n");
			*leaving = !talk.delay_ns;
			if (talk.delay_ns)
				msg_delay_leaving(talk.region, msg_now_ns() + talk.delay_ns);
		} else if (event.type == MSG_EVENT_REGION_GONE) {
			printf("gone\n");
			*leaving = true;
		} else if (event.type == MSG_EVENT_FAULT) {
			return fail("a fault", 0);
		}
	}
	return 0;
}

static uint64_t now_and(uint64_t ns)
{
	return ns ? msg_now_ns() + ns : 0;
}

static bool may_end(void)
{
	return !talk.stays && talk.round >= talk.rounds && talk.in_round >= talk.messages;
}

/* Sends and receives until the channel is over (a negative error), all is said (0), or a fault (1). */
static int converse(void)
{
	bool deaf = talk.deaf && talk.round == 1, leaving = false;
	int err;

	for (;;) {
		uint64_t pace = msg_now_ns() + MS;

		if (events_read(&leaving))
			return 1;
		if (leaving)
			return -ENODEV;
		err = deaf ? 0 : receive_all(talk.no_events ? pace : 0);
		if (err)
			return err;
		if (talk.stays && talk.ended && !talk.kept_count) {
			/* The last word, then the other closes. */
			err = send_one(talk.sent + 1, msg_now_ns() + PATIENCE);
			return err < 0 ? err : 0;
		}
		if (talk.ended)
			return 0;
		for (int i = 0; i < BURST && !talk.said_end; i++) {
			bool end = may_end() && !talk.kept_count;

			/* The stayer blocks, as apps do; the mover has to look at events. */
			err = send_one(end ? talk.sent + 1 : 0, now_and(talk.stays ? 5 * MS :
				talk.no_events ? PATIENCE : 0));
			if (err < 0)
				return err;
			talk.said_end |= end && err == 1;
			if (!err)
				break;
		}
		struct msg_wait_item items[] = {
			{ .type = MSG_WAIT_TIMER, .at = pace },
			{ .type = MSG_WAIT_EVENT, .region = talk.region },
		};
		msg_wait(items, talk.no_events ? 1 : 2, pace);
	}
}

static int mover_connect(void)
{
	struct msg_channel_options options = { .ring = 4096 };
	struct msg_options wishes = { .name = "mover" };
	struct msg_peer self;
	int err;

	if (!talk.region) {
		err = msg_await(talk.where, msg_now_ns() + PATIENCE);
		if (!err)
			err = msg_attach(talk.where, &wishes, &talk.region);
		if (err)
			return err;
		talk.round++;
		talk.in_round = 0;
		msg_self(talk.region, &self);
		printf("attached %u epoch %u id %d\n", talk.round, self.epoch, (int)self.id);
		fflush(stdout);
	}
	return msg_connect(talk.region, "hub", &options, &talk.channel, msg_now_ns() + PATIENCE);
}

static int region_left(void)
{
	int err = talk.channel ? channel_lost() : 0;

	msg_leave(talk.region);
	talk.region = NULL;
	printf("left\n");
	fflush(stdout);
	return err;
}

/* When it leaves, what it sent is delivered by the ring: nothing is kept. When the other left, what
 * that one didn't receive is. */
static int mover(void)
{
	for (;;) {
		int err = mover_connect();

		if (!err) {
			printf("connected\n");
			fflush(stdout);
			err = converse();
		}
		if (!err || err == 1)
			return err;
		if (err == -EPIPE || err == -ECONNRESET) {
			if (channel_lost())
				return 1;
		} else if (is_over(err)) {
			if (talk.region && region_left())
				return 1;
		} else {
			return fail("mover", err);
		}
	}
}

static int stayer(void)
{
	struct msg_channel_options options = { .ring = 4096 };
	struct msg_options wishes = { .name = "stayer" };
	int err = msg_attach(talk.where, &wishes, &talk.region);

	if (!err)
		err = msg_listen(talk.region, "hub", &options, &talk.listener);
	if (err)
		return fail("stayer", err);
	printf("listening\n");
	fflush(stdout);
	for (;;) {
		err = msg_accept(talk.listener, &talk.channel, msg_now_ns() + PATIENCE);
		if (err)
			return fail("accept", err);
		talk.round++;
		printf("accepted %u, again %u\n", talk.round, talk.kept_count);
		fflush(stdout);
		err = converse();
		if (!err || err == 1)
			break;
		if (!is_over(err))
			return fail("stayer", err);
		/* To the last message that came before the end, whichever side noticed first. */
		if (receive_all(0) == 1 || channel_lost())
			return 1;
	}
	return err;
}

static int parse(int argc, char **argv)
{
	talk.rounds = 1;
	talk.messages = 200;
	for (int i = 1; i < argc; i++) {
		bool more = i + 1 < argc;

		if (!strcmp(argv[i], "stays"))
			talk.stays = true;
		else if (!strcmp(argv[i], "--deaf"))
			talk.deaf = true;
		else if (!strcmp(argv[i], "--no-events"))
			talk.no_events = true;
		else if (!strcmp(argv[i], "--rounds") && more)
			talk.rounds = (unsigned int)atoi(argv[++i]);
		else if (!strcmp(argv[i], "--messages") && more)
			talk.messages = (unsigned int)atoi(argv[++i]);
		else if (!strcmp(argv[i], "--delay") && more)
			talk.delay_ns = (uint64_t)atoi(argv[++i]) * MS;
		else if (strcmp(argv[i], "moves"))
			talk.where = argv[i];
	}
	return 0;
}

int main(int argc, char **argv)
{
	int err;

	parse(argc, argv);
	err = talk.stays ? stayer() : mover();
	if (!err) {
		printf("PASS sent %" PRIu64 ", received %" PRIu64 ", %u rounds, %u sent again\n",
			talk.sent, talk.received, talk.round, talk.again);
		msg_close(talk.channel);
	}
	msg_leave(talk.region);
	return err ? 1 : 0;
}

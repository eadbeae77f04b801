// SPDX-License-Identifier: BSD-2-Clause
/*
 * A conversation that outlives its channels. "talk stays" and "talk moves" are the two ends of the
 * link "hub". Both send numbered messages with checked payloads, each at its own pace; both demand
 * that every number comes once and in order, over all channels, unplugs, deaths and migrations.
 *
 *   talk stays|moves [WHERE] [--rounds N] [--messages N] [--deaf] [--no-events] [--delay MS]
 *        [--ask] [--full] [--anew]
 *
 * Whoever loses its region waits for the next one. moves: after N rounds (attachments) and N more
 * messages it finishes; the other one answers with its own end, and both tell their totals.
 * --deaf: receives nothing until the first channel is over, so that the other's send blocks.
 * --no-events: never asks for events, and blocks in msg_link_send and msg_link_recv. --delay: asks
 * for so much time when its device shall leave, and goes on talking. --ask: the rounds don't
 * count, it finishes when a "q" comes on standard input. --full: sends all that there is room for.
 * --anew: when the two memories of the conversation don't fit, says what was lost and begins a new
 * one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>
#include <isthmus/msg_link.h>

#define MS 1000000ull
#define S (1000 * MS)
#define PATIENCE (60 * S)
#define PAYLOAD 120
#define BURST 16

struct message {
	uint64_t number;
	uint64_t length;
	uint8_t payload[PAYLOAD];
};

struct talk {
	bool stays, deaf, no_events, ask, full, anew;
	const char *where;
	unsigned int rounds, messages;
	uint64_t delay_ns;
	struct msg_region *region;
	struct msg_link *link;
	uint64_t sent, received; /* accepted by msg_link_send; checked */
	uint64_t channels;       /* that were told of */
	unsigned int round, in_round;
	bool finished;           /* nothing more comes from the other one */
	bool said_end, asked_to_end;
};

static struct talk talk;
static char memory[16384] __attribute__((aligned(8)));

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

static void say(const char *what)
{
	printf("%s\n", what);
	fflush(stdout);
}

static void message_make(struct message *m, uint64_t number)
{
	memset(m, 0, sizeof(*m));
	m->number = number;
	m->length = number % (PAYLOAD + 1);
	for (unsigned int i = 0; i < m->length; i++)
		m->payload[i] = byte_of(number, i);
}

static int message_check(const struct message *m, int64_t size)
{
	if (size < (int64_t)offsetof(struct message, payload) || m->length > PAYLOAD ||
		(size_t)size != offsetof(struct message, payload) + m->length)
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
	talk.in_round++;
	return 0;
}

/* All that is there. Negative: the region is gone, or worse; 1: a fault of the conversation. */
static int receive_all(uint64_t deadline)
{
	struct message m;
	int64_t got;

	while ((got = msg_link_recv(talk.link, &m, sizeof(m), deadline)) >= 0) {
		if (message_check(&m, got))
			return 1;
		deadline = 0;
	}
	talk.finished |= got == -EPIPE;
	return got == -EPIPE || got == -EAGAIN || got == -ETIMEDOUT ? 0 : (int)got;
}

/* A few messages, as far as there is room until the deadline. Negative as receive_all. */
static int send_some(uint64_t deadline)
{
	struct message m;
	int err = 0;

	for (int i = 0; i < BURST && !err; i++) {
		message_make(&m, talk.sent);
		err = msg_link_send(talk.link, &m, offsetof(struct message, payload) + m.length,
			deadline);
		talk.sent += !err;
	}
	return err == -EAGAIN || err == -ETIMEDOUT ? 0 : err;
}

static int events_read(bool *leaving)
{
	struct msg_event event;

	while (!talk.no_events && msg_next_event(talk.region, &event)) {
		if (event.type == MSG_EVENT_REGION_LEAVING) {
			say("leaving");
			*leaving = !talk.delay_ns;
			if (talk.delay_ns)
				msg_delay_leaving(talk.region, msg_now_ns() + talk.delay_ns);
		} else if (event.type == MSG_EVENT_REGION_GONE) {
			say("gone");
			*leaving = true;
		} else if (event.type == MSG_EVENT_FAULT) {
			return fail("a fault", 0);
		}
	}
	return 0;
}

/* Says so for each channel. Is the other one there? */
static bool look_who_is_there(void)
{
	struct msg_link_stats stats;

	msg_link_stats(talk.link, &stats);
	for (; talk.channels < stats.channels; talk.channels++)
		say("connected");
	return stats.connected;
}

static bool asked_to_end(void)
{
	struct timeval none = { 0 };
	fd_set reading;
	char c = 0;

	FD_ZERO(&reading);
	FD_SET(STDIN_FILENO, &reading);
	if (talk.ask && !talk.asked_to_end &&
		select(STDIN_FILENO + 1, &reading, NULL, NULL, &none) > 0)
		talk.asked_to_end = read(STDIN_FILENO, &c, 1) == 1 && c == 'q';
	return talk.asked_to_end;
}

static bool may_end(void)
{
	if (talk.stays)
		return talk.finished;
	if (talk.ask)
		return asked_to_end();
	return talk.round >= talk.rounds && talk.in_round >= talk.messages;
}

/* Until all is said (0), the region is gone (negative), or there is a fault (1). */
static int converse(void)
{
	bool leaving = false;
	int err = 0;

	while (!err) {
		uint64_t pace = msg_now_ns() + MS;
		bool there = look_who_is_there(), deaf = talk.deaf && talk.channels == 1 && there;
		uint64_t before = talk.sent + talk.received;

		err = events_read(&leaving);
		if (!err && leaving)
			err = -ENODEV;
		if (!err && !deaf)
			err = receive_all(talk.no_events ? pace : 0);
		if (!err && !talk.said_end && may_end()) {
			err = msg_link_finish(talk.link);
			talk.said_end = !err;
			err = err == -EAGAIN ? 0 : err;
		}
		if (!err && talk.said_end && talk.finished)
			return msg_link_flush(talk.link, msg_now_ns() + PATIENCE);
		/* Who blocks can't look at events, nor say what happens. */
		if (!err && !talk.said_end)
			err = send_some(talk.stays ? msg_now_ns() + 5 * MS :
				talk.no_events ? msg_now_ns() + PATIENCE : 0);
		if (!err && !(talk.full && talk.sent + talk.received != before)) {
			struct msg_wait_item items[3] = {
				{ .type = MSG_WAIT_TIMER, .at = pace },
			};
			unsigned int count = 1;

			if (talk.full)
				items[count++] = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN,
					.pattern = msg_link_item(talk.link) };
			if (!talk.no_events)
				items[count++] = (struct msg_wait_item){ .type = MSG_WAIT_EVENT,
					.region = talk.region };
			msg_wait(items, count, pace);
		}
	}
	return err;
}

/* The other end remembers another conversation. */
static void begin_anew(void)
{
	struct msg_link_stats stats;
	struct msg_span message;
	unsigned int count = 0;

	while (!msg_link_undelivered(talk.link, count, &message))
		count++;
	msg_link_stats(talk.link, &stats);
	printf("reset, %u of %" PRIu64 " not received, %" PRIu64 " received\n", count, stats.sent,
		stats.received);
	fflush(stdout);
	msg_link_restart(talk.link);
	talk.sent = talk.received = talk.channels = 0;
}

static int come(void)
{
	struct msg_options wishes = { .name = talk.stays ? "stayer" : "mover" };
	struct msg_peer self;
	int err = msg_await(talk.where, msg_now_ns() + PATIENCE);

	if (!err)
		err = msg_attach(talk.where, &wishes, &talk.region);
	if (!err)
		err = msg_link_attach(talk.link, talk.region);
	if (err)
		return err;
	talk.round++;
	talk.in_round = 0;
	msg_self(talk.region, &self);
	printf("%s %u epoch %u id %d\n", talk.stays ? "listening" : "attached", talk.round,
		self.epoch, (int)self.id);
	fflush(stdout);
	return 0;
}

static void go(void)
{
	msg_leave(talk.region);
	talk.region = NULL;
}

static int talk_all(void)
{
	for (;;) {
		int err = come();

		if (!err)
			err = converse();
		for (; err == -ECONNRESET && talk.anew; err = converse())
			begin_anew();
		if (!err || err == 1)
			return err;
		if (err != -ENODEV && err != -ESTALE)
			return fail("the conversation", err);
		go();
		say("left");
	}
}

static void parse(int argc, char **argv)
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
		else if (!strcmp(argv[i], "--anew"))
			talk.anew = true;
		else if (!strcmp(argv[i], "--full"))
			talk.full = true;
		else if (!strcmp(argv[i], "--ask"))
			talk.ask = true;
		else if (!strcmp(argv[i], "--rounds") && more)
			talk.rounds = (unsigned int)atoi(argv[++i]);
		else if (!strcmp(argv[i], "--messages") && more)
			talk.messages = (unsigned int)atoi(argv[++i]);
		else if (!strcmp(argv[i], "--delay") && more)
			talk.delay_ns = (uint64_t)atoi(argv[++i]) * MS;
		else if (strcmp(argv[i], "moves"))
			talk.where = argv[i];
	}
}

int main(int argc, char **argv)
{
	struct msg_link_stats stats;
	int err;

	parse(argc, argv);
	err = msg_link_open(memory, sizeof(memory), "hub", talk.stays, &talk.link);
	if (err)
		return fail("the link", err);
	err = talk_all();
	msg_link_stats(talk.link, &stats);
	if (!err && (stats.sent != talk.sent || stats.received != talk.received ||
		stats.delivered != stats.sent))
		err = fail("the link counts otherwise", 0);
	if (!err)
		printf("PASS sent %" PRIu64 ", received %" PRIu64 ", %u rounds, %" PRIu64
			" sent again, %" PRIu64 " dropped as known\n", talk.sent, talk.received,
			talk.round, stats.again, stats.duplicates);
	msg_link_close(talk.link);
	msg_leave(talk.region);
	return err ? 1 : 0;
}

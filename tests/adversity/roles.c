// SPDX-License-Identifier: BSD-2-Clause
/*
 * Who dies, and what whoever talked to it must find. A message is a number and bytes that follow from
 * it. The victim writes down (struct ledger) what it is about to do and what it has done; so at its
 * death the survivor knows what was certainly accepted or released, and what may have been.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/adversity/points.h"

#define BUFFER 3000

static struct msg_channel_options small_ring = { .ring = STAGE_RING };

/* ---- messages ---- */

static void compose(void *data, size_t len, uint64_t number)
{
	memcpy(data, &number, 8);
	test_fill((uint8_t *)data + 8, len - 8, number);
}

static void check_message(const void *data, size_t len, uint64_t number)
{
	uint64_t seen;

	CHECK(len >= 8);
	memcpy(&seen, data, 8);
	EQUAL(seen, number);
	CHECK(test_filled((const uint8_t *)data + 8, len - 8, number));
}

/* ---- what the victims do ---- */

static struct msg_region *victim_join(struct stage *stage)
{
	struct msg_region *region;

	stage->wishes.name = "victim";
	OK(msg_attach(stage->path, &stage->wishes, &region));
	return region;
}

static int64_t sure(int64_t result)
{
	if (result == -ESTALE)
		_exit(STAGE_EVICTED);
	return OK(result);
}

// The other side has closed.
static void ended(int64_t result)
{
	if (result == -ESTALE)
		_exit(STAGE_EVICTED);
	EQUAL(result, -EPIPE);
}

static void victim_leave(struct stage *stage, struct msg_region *region)
{
	sure(msg_leave(region));
	stage->ledger->finished = true;
}

static void join_victim(struct stage *stage)
{
	point_arm(stage);
	victim_leave(stage, victim_join(stage));
}

static struct msg_channel *victim_connect(struct msg_region *region)
{
	struct msg_channel *channel;

	sure(msg_connect(region, "hub", &small_ring, &channel, in_ms(20000)));
	return channel;
}

// What was accepted of what was tried.
static void account(struct ledger *ledger, int64_t accepted)
{
	ledger->accepted += (uint64_t)sure(accepted);
	ledger->trying = 0;
}

static void send_in_place(struct msg_channel *channel, struct ledger *ledger)
{
	void *data;

	sure(msg_reserve(channel, 60, &data, in_ms(20000)));
	compose(data, 60, ledger->accepted);
	sure(msg_reserve(channel, 200, &data, in_ms(20000)));
	compose(data, 200, ledger->accepted + 1);
	sure(msg_trim(channel, 150));
	ledger->trying = 2;
	sure(msg_commit(channel));
	account(ledger, 2);
	sure(msg_reserve(channel, 60, &data, in_ms(20000)));
	msg_discard(channel);
}

static void send_many(struct msg_channel *channel, struct ledger *ledger)
{
	uint8_t data[6][24], longer[5][100];
	struct msg_span spans[5];
	unsigned i;

	for (i = 0; i < 6; i++)
		compose(data[i], 24, ledger->accepted + i);
	ledger->trying = 6;
	account(ledger, msg_send_array(channel, data, 24, 6, in_ms(20000)));
	for (i = 0; i < 5; i++) {
		compose(longer[i], 60 + 10 * i, ledger->accepted + i);
		spans[i] = (struct msg_span){ longer[i], 60 + 10 * i };
	}
	ledger->trying = 5;
	account(ledger, msg_send_batch(channel, spans, 5, in_ms(20000)));
}

static void send_buffer(struct msg_region *region, struct msg_channel *channel,
	struct ledger *ledger)
{
	struct msg_buffer *buffer;

	sure(msg_buffer_alloc(region, BUFFER, &buffer));
	compose(msg_buffer_data(buffer), BUFFER, ledger->accepted);
	ledger->trying = 1;
	sure(msg_buffer_send(channel, buffer, BUFFER, in_ms(20000)));
	account(ledger, 1);
	msg_buffer_free(buffer);
}

static void sender_victim(struct stage *stage)
{
	struct msg_region *region = victim_join(stage);
	struct ledger *ledger = stage->ledger;
	struct msg_wait_item item = { .type = MSG_WAIT_SEND };
	struct msg_channel *channel;
	struct msg_stats stats;
	uint8_t data[1200];
	unsigned i;

	point_arm(stage);
	channel = victim_connect(region);
	for (i = 0; i < 4; i++) {
		compose(data, 40 + 30 * i, ledger->accepted);
		ledger->trying = 1;
		sure(msg_send(channel, data, 40 + 30 * i, in_ms(20000)));
		account(ledger, 1);
	}
	send_many(channel, ledger);
	send_in_place(channel, ledger);
	// Larger than the ring takes: copied into a buffer.
	compose(data, sizeof(data), ledger->accepted);
	ledger->trying = 1;
	sure(msg_send(channel, data, sizeof(data), in_ms(20000)));
	account(ledger, 1);
	send_buffer(region, channel, ledger);
	// Until the ring is full, and then until it isn't.
	for (i = 0; i < 6; i++) {
		int err;

		compose(data, 300, ledger->accepted);
		ledger->trying = 1;
		err = msg_trysend(channel, data, 300);
		if (err == -EAGAIN) {
			ledger->trying = 0;
			item.channel = channel;
			msg_wait(&item, 1, in_ms(20000));
		} else {
			account(ledger, !sure(err));
		}
	}
	msg_stats(channel, &stats);
	msg_close(channel);
	victim_leave(stage, region);
}

static void receive_next(struct msg_channel *channel, struct ledger *ledger, unsigned turn)
{
	static uint8_t data[4][BUFFER];
	struct msg_span spans[4];
	uint64_t first = ledger->released;
	int64_t got, i;

	switch (turn % 4) {
	case 0:
		ledger->releasing = 1;
		got = sure(msg_recv(channel, data[0], BUFFER, in_ms(20000)));
		check_message(data[0], (size_t)got, first);
		got = 1;
		break;
	case 1:
		for (i = 0; i < 4; i++)
			spans[i] = (struct msg_span){ data[i], BUFFER };
		ledger->releasing = 4;
		got = sure(msg_recv_batch(channel, spans, 4, in_ms(20000)));
		for (i = 0; i < got; i++)
			check_message(data[i], spans[i].len, first + (uint64_t)i);
		break;
	case 2:
		got = sure(msg_peek(channel, spans, 3, in_ms(20000)));
		for (i = 0; i < got; i++)
			check_message(spans[i].data, spans[i].len, first + (uint64_t)i);
		ledger->releasing = (uint64_t)got;
		sure(msg_release(channel, (unsigned)got));
		break;
	default:
		ledger->releasing = 4;
		got = msg_recv_array(channel, data[0], 24, 4, in_ms(20000));
		if (got == -EMSGSIZE) {
			ledger->releasing = 0;
			return;
		}
		sure(got);
		for (i = 0; i < got; i++)
			check_message(data[0] + 24 * i, 24, first + (uint64_t)i);
	}
	ledger->released += (uint64_t)got;
	ledger->releasing = 0;
}

#define TO_RECEIVE 34

static void receiver_victim(struct stage *stage)
{
	struct msg_region *region = victim_join(stage);
	struct msg_channel *channel;
	unsigned turn = 0;

	point_arm(stage);
	channel = victim_connect(region);
	while (stage->ledger->released < TO_RECEIVE)
		receive_next(channel, stage->ledger, turn++);
	msg_close(channel);
	victim_leave(stage, region);
}

static void listener_victim(struct stage *stage)
{
	struct msg_channel_options greedy = { .ring = 1 << 20 };
	struct msg_region *region = victim_join(stage);
	struct msg_listener *listener, *second;
	struct msg_channel *channels[3];
	uint8_t data[64];
	unsigned i;
	int err;

	point_arm(stage);
	sure(msg_listen(region, "victim", &small_ring, &listener));
	sure(msg_listen(region, "greedy", &greedy, &second));
	for (i = 0; i < 2; i++) {
		sure(msg_accept(listener, &channels[i], in_ms(20000)));
		EQUAL(sure(msg_recv(channels[i], data, sizeof(data), in_ms(20000))), 64);
		check_message(data, 64, i);
		sure(msg_send(channels[i], data, 64, in_ms(20000)));
	}
	err = msg_accept(second, &channels[2], in_ms(20000));
	if (err == -ESTALE)
		sure(err);
	EQUAL(err, -ENOSPC);
	msg_unlisten(second);
	msg_close(channels[0]);
	msg_unlisten(listener);
	victim_leave(stage, region);
}

// Holds the hub's buffers and leaves its own with the hub.
static void holder_victim(struct stage *stage)
{
	struct msg_region *region = victim_join(stage);
	struct ledger *ledger = stage->ledger;
	struct msg_channel *channel;
	struct msg_span span;
	unsigned i;

	point_arm(stage);
	channel = victim_connect(region);
	for (i = 0; i < 2; i++) {
		EQUAL(sure(msg_peek(channel, &span, 1, in_ms(20000))), 1);
		check_message(span.data, span.len, i);
		send_buffer(region, channel, ledger);
	}
	ledger->releasing = 2;
	sure(msg_release(channel, 2));
	ledger->released = 2;
	ledger->releasing = 0;
	// Until the hub, which holds ours, has closed: it received them all.
	ended(msg_recv(channel, &i, sizeof(i), in_ms(20000)));
	msg_close(channel);
	victim_leave(stage, region);
}

static void doomed(struct stage *stage)
{
	struct msg_region *region;
	struct msg_listener *listener;
	struct msg_channel *channel;
	struct msg_buffer *buffer;
	int err;

	stage->wishes.name = "doomed";
	OK(msg_attach(stage->path, &stage->wishes, &region));
	sure(msg_listen(region, "victim", &small_ring, &listener));
	// A newcomer that is about to clear a dead peer's slot still stands for the dead's land.
	while ((err = msg_buffer_alloc(region, 20000, &buffer)) == -ENOSPC)
		msg_sleep_until(in_ms(1));
	sure(err);
	sure(msg_accept(listener, &channel, in_ms(20000)));
	sure(msg_send(channel, "last", 4, in_ms(20000)));
	stage->ledger->stage = 1;
	for (;;)
		pause();
}

// It ends before it is killed only where it was taken for dead too early: nothing is shown then.
static void still_doomed(pid_t pid)
{
	int status;

	if (!waitpid(pid, &status, WNOHANG))
		return;
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == STAGE_EVICTED);
	_exit(STAGE_EVICTED);
}

// Cleans up after another, who held a name, a channel, land and a slot, while the hub looks away.
static void cleaner_victim(struct stage *stage)
{
	struct stage other = *stage;
	pid_t pid = stage_spawn(&other, doomed);
	struct msg_region *region = victim_join(stage), *again[2];
	struct msg_region_info info;
	struct msg_listener *listener;
	struct msg_channel *channel;
	struct msg_event event = { 0 };
	struct msg_buffer *buffer;
	char data[8];
	unsigned i;
	int err;

	do {
		still_doomed(pid);
		err = msg_connect(region, "victim", &small_ring, &channel, in_ms(500));
	} while (err == -ETIMEDOUT);
	sure(err);
	while (!stage->ledger->stage) {
		still_doomed(pid);
		msg_sleep_until(in_ms(1));
	}
	test_kill(pid);
	point_arm(stage);
	while (event.type != MSG_EVENT_DIED) {
		struct msg_wait_item item = { .type = MSG_WAIT_EVENT, .region = region };

		msg_wait(&item, 1, in_ms(50));
		msg_next_event(region, &event);
		if (event.type == MSG_EVENT_EVICTED)
			_exit(STAGE_EVICTED);
	}
	// What the dead sent is still there.
	EQUAL(sure(msg_recv(channel, data, sizeof(data), in_ms(20000))), 4);
	ended(msg_recv(channel, data, sizeof(data), in_ms(20000)));
	msg_close(channel);
	sure(msg_listen(region, "victim", NULL, &listener));
	// Its land, too: all but what the two that live hold (nothing).
	msg_region_describe(region, &info);
	EQUAL(info.land_free, info.land_bytes);
	sure(msg_buffer_alloc(region, info.land_bytes, &buffer));
	msg_buffer_free(buffer);
	// Of four slots the second one is the dead's.
	stage->wishes.name = "again";
	for (i = 0; i < 2; i++)
		sure(msg_attach(stage->path, &stage->wishes, &again[i]));
	for (i = 0; i < 2; i++)
		sure(msg_leave(again[i]));
	victim_leave(stage, region);
}

/* ---- what the hub does ---- */

static struct msg_channel *hub_accept(struct stage *stage)
{
	struct msg_channel *channel;

	for (;;) {
		if (!HUB(msg_accept(stage->listener, &channel, in_ms(5))))
			return channel;
		if (stage_over(stage))
			return NULL;
	}
}

// Receives to the end: all that was accepted, and at most what was under way.
static void sender_survivor(struct stage *stage)
{
	struct msg_channel *channel = hub_accept(stage);
	static uint8_t data[BUFFER];
	uint64_t received = 0;
	int64_t len = 0;

	while (channel && len != -EPIPE) {
		// Not too fast: the sender shall find the ring full.
		if (received % 8 == 3)
			msg_sleep_until(in_ms(1));
		len = HUB(msg_recv(channel, data, sizeof(data), in_ms(10)));
		if (len >= 0)
			check_message(data, (size_t)len, received++);
	}
	CHECK(received >= stage->ledger->accepted);
	CHECK(received <= stage->ledger->accepted + stage->ledger->trying);
	msg_close(channel);
}

static uint64_t hub_send(struct msg_channel *channel)
{
	uint8_t data[6][24], longer[BUFFER];
	struct msg_span spans[3];
	uint64_t sent = 0;
	int64_t result = 0;
	unsigned i;

	while (sent < TO_RECEIVE) {
		if (sent % 3 == 1)
			msg_sleep_until(in_ms(1));
		switch (sent % 5) {
		case 0:
		case 1:
			compose(longer, 200, sent);
			result = HUB(msg_send(channel, longer, 200, in_ms(20000)));
			result += !result;
			break;
		case 2:
			for (i = 0; i < 6; i++)
				compose(data[i], 24, sent + i);
			result = HUB(msg_send_array(channel, data, 24,
				TO_RECEIVE - sent < 6 ? (unsigned)(TO_RECEIVE - sent) : 6,
				in_ms(20000)));
			break;
		case 3:
			compose(longer, 1500, sent);
			result = HUB(msg_send(channel, longer, 1500, in_ms(20000)));
			result += !result;
			break;
		case 4:
			for (i = 0; i < 3; i++) {
				compose(data[i], 24, sent + i);
				spans[i] = (struct msg_span){ data[i], 24 };
			}
			result = HUB(msg_send_batch(channel, spans,
				TO_RECEIVE - sent < 3 ? (unsigned)(TO_RECEIVE - sent) : 3,
				in_ms(20000)));
			break;
		}
		if (result < 0)
			break;
		sent += (uint64_t)result;
	}
	return sent;
}

// Sends, and finds after the end which of its messages were not released.
static void receiver_survivor(struct stage *stage)
{
	struct msg_channel *channel = hub_accept(stage);
	const struct ledger *ledger = stage->ledger;
	struct msg_span span;
	uint64_t sent, first, number;
	struct msg_stats stats;
	unsigned i;

	if (!channel)
		return;
	sent = hub_send(channel);
	while (!stage_over(stage))
		msg_sleep_until(in_ms(1));
	msg_stats(channel, &stats);
	EQUAL(stats.sent, sent);
	first = sent - stats.unreleased;
	CHECK(first >= ledger->released && first <= ledger->released + ledger->releasing);
	for (i = 0, number = first; !msg_unreleased(channel, i, &span); i++, number++)
		check_message(span.data, span.len, number);
	EQUAL(number, sent);
	msg_close(channel);
}

static bool hub_connect(struct stage *stage, const char *name, struct msg_channel **channel)
{
	for (;;) {
		int err = msg_connect(stage->hub, name, &small_ring, channel, in_ms(10));

		if (err == -ECONNREFUSED) {
			CHECK(!strcmp(name, "greedy"));
			return false;
		}
		if (!HUB(err))
			return true;
		// Given up, and given up while it was answered: what it held comes back.
		if (stage_over(stage))
			return false;
	}
}

static void listener_survivor(struct stage *stage)
{
	struct msg_channel *channels[2], *none;
	uint8_t data[64];
	int64_t got;
	unsigned i, open;

	for (open = 0; open < 2 && hub_connect(stage, "victim", &channels[open]); open++) {
		compose(data, 64, open);
		if (HUB(msg_send(channels[open], data, 64, in_ms(20000))))
			continue;
		got = HUB(msg_recv(channels[open], data, 64, in_ms(20000)));
		CHECK(got == 64 || (stage->faulty && got == -EPIPE));
	}
	if (open == 2)
		CHECK(!hub_connect(stage, "greedy", &none));
	for (i = 0; i < open; i++) {
		got = HUB(msg_recv(channels[i], data, 64, in_ms(20000)));
		EQUAL(got, -EPIPE);
		msg_close(channels[i]);
	}
}

static void holder_survivor(struct stage *stage)
{
	struct msg_channel *channel = hub_accept(stage);
	struct msg_buffer *buffers[2];
	struct msg_span spans[2];
	uint64_t end = in_ms(20000);
	int n = 0, got, i;

	if (!channel)
		return;
	for (i = 0; i < 2; i++) {
		HUB(msg_buffer_alloc(stage->hub, BUFFER, &buffers[i]));
		compose(msg_buffer_data(buffers[i]), BUFFER, (uint64_t)i);
		HUB(msg_buffer_send(channel, buffers[i], BUFFER, in_ms(20000)));
	}
	while (n < 2) {
		got = (int)HUB(msg_peek(channel, spans + n, (unsigned)(2 - n), in_ms(20000)));
		if (got < 0)
			break;
		n += got;
	}
	CHECK(n == 2 || stage->faulty);
	// What it sent stays whole while we hold it, whatever became of it.
	while (stage->faulty && n < 2 && !stage_over(stage))
		msg_sleep_until(in_ms(1));
	for (i = 0; i < n; i++)
		check_message(spans[i].data, spans[i].len, (uint64_t)i);
	CHECK((uint64_t)n >= stage->ledger->accepted);
	HUB(msg_release(channel, (unsigned)n));
	while (msg_buffer_busy(buffers[0]) || msg_buffer_busy(buffers[1])) {
		CHECK(msg_now_ns() < end);
		// Busy until the receiver released it, or died and we closed.
		if (stage_over(stage))
			break;
		msg_sleep_until(in_ms(1));
	}
	msg_close(channel);
	for (i = 0; i < 2; i++) {
		while (msg_buffer_busy(buffers[i]) && !stage_over(stage))
			msg_sleep_until(in_ms(1));
		msg_buffer_free(buffers[i]);
	}
}

// Looks away until the victim is over: only the victim cleans up.
static void cleaner_survivor(struct stage *stage)
{
	siginfo_t info;

	CHECK(!waitid(P_PID, (id_t)stage->victim, &info, WEXITED | WNOWAIT));
}

const struct role roles[] = {
	{ "formatter", true, join_victim, NULL },
	{ "joiner", false, join_victim, NULL },
	{ "sender", false, sender_victim, sender_survivor },
	{ "receiver", false, receiver_victim, receiver_survivor },
	{ "listener", false, listener_victim, listener_survivor },
	{ "holder", false, holder_victim, holder_survivor },
	{ "cleaner", false, cleaner_victim, cleaner_survivor },
};
const unsigned role_count = sizeof(roles) / sizeof(roles[0]);

// SPDX-License-Identifier: BSD-2-Clause
/* The cases between two peers, each on a channel of its own. */
#include "tests/msg/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define STOP 0xee

/* What the follower gets it gives back; one byte STOP ends it. */
static void echo(struct msg_channel *channel)
{
	for (;;) {
		int64_t length = OK(msg_recv(channel, in_bytes, BYTES_MAX, soon()));

		if (length == 1 && in_bytes[0] == STOP)
			return;
		OK(msg_send(channel, in_bytes, (size_t)length, soon()));
	}
}

static void echo_end(struct msg_channel *channel)
{
	uint8_t stop = STOP;

	OK(msg_send(channel, &stop, 1, soon()));
}

static void echo_one(struct msg_channel *channel, size_t length, uint32_t seed)
{
	fill(out_bytes, length, seed);
	if (length == 1)
		out_bytes[0] = 0x11;
	OK(msg_send(channel, out_bytes, length, soon()));
	memset(in_bytes, 0xa5, length);
	EQUAL(msg_recv(channel, in_bytes, BYTES_MAX, soon()), length);
	CHECK(!memcmp(in_bytes, out_bytes, length));
}

/* The named sizes, what just goes in half a ring, and what doesn't. */
static void sizes(struct pair *pair)
{
	static const size_t fixed[] = {0, 1, 7, 8, 9, 55, 56, 57, 63, 64, 65, 127, 128, 129, 1000};
	uint32_t half = msg_ring_limit(pair->channel), seed = 1;

	if (!pair->leads) {
		echo(pair->channel);
		return;
	}
	for (unsigned int round = 0; round < 3; round++) {
		size_t large[] = {
			half - 1, half, half + 1, 2 * half, 2 * half + 1, 5 * half + 3, 300001};

		for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
			echo_one(pair->channel, fixed[i], seed++);
		for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++)
			echo_one(pair->channel, large[i], seed++);
	}
	echo_end(pair->channel);
}

/* A record begins at, and would cross the end from, every place of the ring. */
static void wrap(struct pair *pair)
{
	uint32_t half = msg_ring_limit(pair->channel);

	if (!pair->leads) {
		echo(pair->channel);
		return;
	}
	for (uint32_t length = 0; length <= half; length += half > 1024 ? 61 : 1)
		echo_one(pair->channel, length, length);
	/* 8 bytes further each time, then the largest. */
	for (uint32_t i = 0; i < 2 * half / 8 && i < 300; i++) {
		echo_one(pair->channel, i % 9, i);
		echo_one(pair->channel, half - i % 64, i);
	}
	echo_end(pair->channel);
}

/*
 * Filled up from every place, so that one of them is full exactly at the wrap. The follower
 * receives nothing before it hears through the gate how many there are.
 */
static void full(struct pair *pair)
{
	struct msg_channel *channel = pair->channel, *gate = meet(pair, "gate");
	uint32_t rounds = msg_ring_limit(channel) / 4 + 4, sent, size, number;

	if (rounds > 260)
		rounds = 260;
	for (uint32_t round = 0; round < rounds; round++) {
		size = round % 3 ? 40 : 8;
		if (pair->leads) {
			OK(msg_send(channel, out_bytes, round % 2 * 8, soon()));
			for (sent = 0; ; sent++) {
				int error;

				memcpy(out_bytes, &sent, sizeof(sent));
				error = msg_trysend(channel, out_bytes, size);
				if (error) {
					EQUAL(error, -EAGAIN);
					break;
				}
			}
			CHECK(sent > 8);
			if (round % 16 == 0) {
				/* The deadline may pass before the call, on a busy machine. */
				int error = msg_send(channel, out_bytes, size, msg_now_ns() + MS);

				if (error != -EAGAIN)
					EQUAL(error, -ETIMEDOUT);
			}
			OK(msg_send(gate, &sent, sizeof(sent), soon()));
			OK(msg_send(channel, out_bytes, size, soon())); /* waits for room */
			EQUAL(msg_recv(gate, &number, sizeof(number), soon()), sizeof(number));
		} else {
			EQUAL(msg_recv(gate, &sent, sizeof(sent), soon()), sizeof(sent));
			EQUAL(msg_recv(channel, in_bytes, 8, soon()), round % 2 * 8);
			for (uint32_t i = 0; i <= sent; i++) {
				EQUAL(msg_recv(channel, in_bytes, 40, soon()), size);
				memcpy(&number, in_bytes, sizeof(number));
				EQUAL(number, i);
			}
			EQUAL(msg_tryrecv(channel, in_bytes, 40), -EAGAIN);
			OK(msg_send(gate, &sent, sizeof(sent), soon()));
		}
	}
	msg_close(gate);
}

/* Batches of spans, and arrays of equal messages, received in all ways. */
static void batch(struct pair *pair)
{
	static uint8_t memory[MSG_BATCH_MAX][200];
	struct msg_span spans[MSG_BATCH_MAX];
	uint32_t random = 7, done = 0, count = settings.count * 4;

	while (done < count) {
		uint32_t want = 1 + next_random(&random) % MSG_BATCH_MAX;
		int n;

		want = want < count - done ? want : count - done;
		for (uint32_t i = 0; i < want; i++) {
			spans[i] = (struct msg_span){
				memory[i], pair->leads ? (done + i) * 7 % 200 : 200};
			if (pair->leads)
				fill(memory[i], spans[i].len, done + i);
		}
		n = (int)OK(pair->leads ? msg_send_batch(pair->channel, spans, want, soon()) :
					  msg_recv_batch(pair->channel, spans, want, soon()));
		CHECK(n > 0);
		for (int i = 0; !pair->leads && i < n; i++) {
			EQUAL(spans[i].len, (done + (uint32_t)i) * 7 % 200);
			check(memory[i], spans[i].len, done + (uint32_t)i);
		}
		done += (uint32_t)n;
	}
	for (done = 0; done < count; ) {
		uint32_t want = 1 + next_random(&random) % MSG_BATCH_MAX;
		int n;

		want = want < count - done ? want : count - done;
		for (uint32_t i = 0; pair->leads && i < want; i++)
			fill(out_bytes + i * 24, 24, done + i);
		n = (int)OK(pair->leads
				    ? msg_send_array(pair->channel, out_bytes, 24, want, soon())
				    : msg_recv_array(pair->channel, in_bytes, 24, want, soon()));
		CHECK(n > 0);
		for (int i = 0; !pair->leads && i < n; i++)
			check(in_bytes + i * 24, 24, done + (uint32_t)i);
		done += (uint32_t)n;
	}
}

/*
 * Without copying: reserve, trim, commit; peek, release. And buffers, which are larger than the
 * ring.
 */
static void views(struct pair *pair)
{
	uint32_t limit = msg_ring_limit(pair->channel), count = settings.count, done = 0,
		 random = 3;
	uint32_t large = 3 * limit + 100;
	struct msg_span spans[16];
	struct msg_buffer *buffer;
	void *data;

	if (pair->leads)
		EQUAL(msg_reserve(pair->channel, limit + 1, &data, 0), -EMSGSIZE);
	while (done < count && pair->leads) {
		uint32_t group = 1 + next_random(&random) % 8;

		for (uint32_t i = 0; i < group && done < count; i++) {
			uint32_t length = done * 13 % (limit - 20);
			int error = msg_reserve(pair->channel, length + 20, &data, i ? 0 : soon());

			if (error == -EAGAIN)
				break;
			OK(error);
			fill(data, length, done++);
			OK(msg_trim(pair->channel, length));
		}
		OK(msg_commit(pair->channel));
	}
	while (done < count) {
		uint32_t want = 1 + next_random(&random) % 16, left = count - done;
		int n = (int)OK(msg_peek(pair->channel, spans, want < left ? want : left, soon()));

		for (int i = 0; i < n; i++, done++) {
			EQUAL(spans[i].len, done * 13 % (limit - 20));
			check(spans[i].data, spans[i].len, done);
		}
		OK(msg_release(pair->channel, (unsigned int)n));
	}
	for (uint32_t i = 0; i < 20; i++) {
		if (pair->leads) {
			OK(msg_buffer_alloc(pair->region, large, &buffer));
			fill(msg_buffer_data(buffer), large, i);
			OK(msg_buffer_send(pair->channel, buffer, large, soon()));
			msg_buffer_free(buffer);
			EQUAL(msg_recv(pair->channel, in_bytes, 1, soon()), 0);
		} else {
			EQUAL(msg_peek(pair->channel, spans, 1, soon()), 1);
			EQUAL(spans[0].len, large);
			check(spans[0].data, large, i);
			OK(msg_release(pair->channel, 1));
			OK(msg_send(pair->channel, NULL, 0, soon()));
		}
	}
}

/* count times 1000 bytes without borders, in pieces of any size on both sides. */
static void stream(struct pair *pair)
{
	uint32_t at = 0, random = pair->leads ? 5 : 6, end = 1000 * settings.count;

	while (at < end) {
		uint32_t want = 1 + next_random(&random) % 50000;
		int64_t n;

		want = want < end - at ? want : end - at;
		for (uint32_t i = 0; pair->leads && i < want; i++)
			out_bytes[i] = (uint8_t)((at + i) * 2654435761u >> 13);
		n = OK(pair->leads ? msg_write(pair->channel, out_bytes, want, soon()) :
				     msg_read(pair->channel, in_bytes, want, soon()));
		CHECK(n > 0);
		for (uint32_t i = 0; !pair->leads && i < n; i++)
			EQUAL(in_bytes[i], (uint8_t)((at + i) * 2654435761u >> 13));
		at += (uint32_t)n;
	}
}

static size_t flow_length(uint32_t *random, uint32_t limit)
{
	uint32_t r = next_random(random);

	return r % 8 ? r / 8 % 100 : r / 8 % limit;
}

/* count messages each way at once, of random length, each checked; whoever can do nothing waits for
 * both. */
static void flow(struct pair *pair)
{
	uint32_t limit = msg_ring_limit(pair->channel), sent = 0, received = 0;
	uint32_t out_random = pair->leads ? 11 : 12, in_random = pair->leads ? 12 : 11;
	size_t length = 0;
	bool ready = false;
	struct msg_stats stats;

	while (sent < settings.count || received < settings.count) {
		struct msg_wait_item items[2];
		unsigned int n = 0;
		int64_t result;

		while (sent < settings.count) {
			if (!ready) {
				length = flow_length(&out_random, limit);
				fill(out_bytes, length, sent);
				ready = true;
			}
			result = msg_trysend(pair->channel, out_bytes, length);
			if (result == -EAGAIN)
				break;
			OK(result);
			ready = false;
			sent++;
		}
		while (received < settings.count) {
			result = msg_tryrecv(pair->channel, in_bytes, BYTES_MAX);
			if (result == -EAGAIN)
				break;
			EQUAL(OK(result), flow_length(&in_random, limit));
			check(in_bytes, (size_t)result, received++);
		}
		if (received < settings.count)
			items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_RECV,
							     .channel = pair->channel };
		if (sent < settings.count)
			items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_SEND,
							     .channel = pair->channel };
		if (n)
			OK(msg_wait(items, n, soon()));
	}
	msg_stats(pair->channel, &stats);
	EQUAL(stats.sent, settings.count);
	EQUAL(stats.received, settings.count);
	printf("flow: %u messages each way, %llu doorbells, %llu not needed\n",
	       (unsigned int)settings.count, (unsigned long long)stats.doorbells,
	       (unsigned long long)stats.suppressed);
}

/* count times asleep until the other's message comes. */
static void sleeps(struct pair *pair)
{
	for (uint32_t i = 0, got; i < settings.count; i++) {
		if (pair->leads)
			OK(msg_send(pair->channel, &i, sizeof(i), soon()));
		EQUAL(msg_recv(pair->channel, &got, sizeof(got), soon()), sizeof(got));
		EQUAL(got, i);
		if (!pair->leads)
			OK(msg_send(pair->channel, &i, sizeof(i), soon()));
	}
}

/*
 * The follower waits asleep for a while in which nothing happens: how much of a core does that
 * take? The driver watches from outside between the two lines.
 */
static void idle(struct pair *pair)
{
	uint8_t byte = 0;

	if (pair->leads) {
		msg_sleep_until(msg_now_ns() + 4 * S);
		OK(msg_send(pair->channel, &byte, 1, soon()));
	} else {
		printf("idle begins\n");
		EQUAL(msg_recv(pair->channel, &byte, 1, soon()), 1);
		printf("idle ends\n");
	}
}

const struct pair_case pair_cases[] = {
	{ "sizes", sizes }, { "wrap", wrap },	  { "full", full }, { "batch", batch },
	{ "views", views }, { "stream", stream }, { "flow", flow }, { "sleeps", sleeps },
	{ "idle", idle },   { NULL, NULL },
};

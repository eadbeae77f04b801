// SPDX-License-Identifier: BSD-2-Clause
// Many messages of one size at once: they travel as runs and arrive as messages like any others.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/msg/harness.h"

#define RING   4096
#define REGION (1u << 20)
#define ROUNDS 400

struct side {
	const char *path;
	struct msg_region *region;
	struct msg_listener *listener;
	struct msg_channel *channel;
	struct msg_channel_options options;
	bool mortal; /* the other one is killed, and must be found dead */
};

static struct msg_region *attach(const struct side *side, const char *name)
{
	struct msg_options options = { .name = name,
		.death_ns = side->mortal ? 500 * MS : PATIENT_DEATH };
	struct msg_region *region;

	OK(msg_attach(side->path, &options, &region));
	return region;
}

static void serve(struct side *side)
{
	side->region = attach(side, "server");
	OK(msg_listen(side->region, "service", &side->options, &side->listener));
	OK(msg_accept(side->listener, &side->channel, in_ms(20000)));
}

static void join(struct side *side)
{
	side->region = attach(side, "client");
	OK(msg_connect(side->region, "service", &side->options, &side->channel, in_ms(20000)));
}

static void leave(struct side *side)
{
	msg_close(side->channel);
	msg_unlisten(side->listener);
	OK(msg_leave(side->region));
}

/* ---- every way to send against every way to receive ---- */

static const size_t sizes[] = { 0, 1, 8, 24, 63, 64, 65, 500, RING / 2 };
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

// Number n of the sequence: its size, and how many of that size follow each other.
static size_t size_of(unsigned round)
{
	return sizes[round * 7 % SIZES];
}

static unsigned count_of(unsigned round)
{
	return 1 + round * 13 % 70;
}

static void send_round(struct side *side, unsigned round)
{
	size_t size = size_of(round);
	unsigned count = count_of(round), done = 0, i;
	uint8_t *data = malloc(size * count + 1);

	for (i = 0; i < count; i++)
		test_fill(data + i * size, size, (uint64_t)round << 32 | i);
	while (done < count)
		done += (unsigned)OK(msg_send_array(side->channel, data + done * size, size,
		count - done,
			in_ms(20000)));
	EQUAL(done, count);
	free(data);
}

static void sender(void *arg)
{
	struct side *side = arg;
	unsigned round;

	join(side);
	for (round = 0; round < ROUNDS; round++)
		send_round(side, round);
	// Until the other has everything.
	EQUAL(msg_recv(side->channel, &round, sizeof(round), in_ms(20000)), 1);
	leave(side);
}

// Takes up to most messages of size bytes in one of four ways.
static unsigned receive(struct side *side, unsigned way, uint8_t *data, size_t size, unsigned most)
{
	struct msg_span spans[MSG_BATCH_MAX];
	unsigned i, n;

	if (most > MSG_BATCH_MAX)
		most = MSG_BATCH_MAX;
	switch (way % 4) {
	case 0:
		return (unsigned)OK(msg_recv_array(side->channel, data, size, most, in_ms(20000)));
	case 1:
		EQUAL(msg_next_length(side->channel, in_ms(20000)), size);
		EQUAL(msg_recv(side->channel, data, size, in_ms(20000)), size);
		return 1;
	case 2:
		for (i = 0; i < most; i++)
			spans[i] = (struct msg_span){ data + i * size, size };
		n = (unsigned)OK(msg_recv_batch(side->channel, spans, most, in_ms(20000)));
		for (i = 0; i < n; i++)
			EQUAL(spans[i].len, size);
		return n;
	default:
		n = (unsigned)OK(msg_peek(side->channel, spans, most < 3 ? most : 3, in_ms(20000)));
		for (i = 0; i < n; i++) {
			EQUAL(spans[i].len, size);
			memcpy(data + i * size, spans[i].data, size);
			OK(msg_release(side->channel, 1));
		}
		return n;
	}
}

static void run_ways(uint32_t start)
{
	struct side side = { .path = test_region(REGION), .options = { RING, start } };
	pid_t pid = test_spawn(sender, &side);
	uint8_t *data = malloc(RING / 2 * 70);
	unsigned round, way = 0;
	struct msg_stats stats;
	uint64_t total = 0;

	serve(&side);
	for (round = 0; round < ROUNDS; round++) {
		size_t size = size_of(round);
		unsigned count = count_of(round), done = 0;

		while (done < count) {
			unsigned n = receive(&side, way++, data, size, count - done), i;

			CHECK(n >= 1 && n <= count - done);
			for (i = 0; i < n; i++)
				CHECK(test_filled(data + i * size, size,
					(uint64_t)round << 32 | (done + i)));
			done += n;
		}
		total += count;
	}
	msg_stats(side.channel, &stats);
	EQUAL(stats.received, total);
	OK(msg_send(side.channel, "", 1, in_ms(20000)));
	test_join(pid);
	leave(&side);
	free(data);
}

static void ways(void)
{
	run_ways(0);
}

static void ways_past_wrap(void)
{
	run_ways(0u - 3 * RING);
}

/* ---- limits ---- */

static void limits_peer(void *arg)
{
	struct side *side = arg;
	uint8_t data[RING];
	int64_t n;

	serve(side);
	EQUAL(msg_recv_array(side->channel, data, 8, 0, 0), 0);
	n = msg_recv_array(side->channel, data, 9, 4, in_ms(20000));
	EQUAL(n, -EMSGSIZE);
	EQUAL(msg_recv_array(side->channel, data, 8, 4, in_ms(20000)), 4);
	EQUAL(msg_recv_array(side->channel, data, 8, 4, in_ms(20000)), 1);
	EQUAL(msg_recv_array(side->channel, data, 8, 4, 0), -EAGAIN);
	OK(msg_send(side->channel, "", 1, in_ms(20000)));
	EQUAL(msg_recv(side->channel, data, sizeof(data), in_ms(20000)), -EPIPE);
	leave(side);
}

static void limits(void)
{
	struct side side = { .path = test_region(REGION), .options = { RING, 0 } };
	pid_t pid = test_spawn(limits_peer, &side);
	uint8_t data[RING] = { 0 };

	join(&side);
	EQUAL(msg_send_array(side.channel, data, 8, 0, 0), 0);
	EQUAL(msg_send_array(side.channel, data, RING / 2 + 1, 1, 0), -EMSGSIZE);
	EQUAL(msg_send_array(side.channel, data, 8, 5, in_ms(20000)), 5);
	EQUAL(msg_recv(side.channel, data, sizeof(data), in_ms(20000)), 1);
	leave(&side);
	test_join(pid);
}

/* A full ring takes a part, then nothing. */
static void full_peer(void *arg)
{
	struct side *side = arg;

	serve(side);
	pause();
}

static void full(void)
{
	struct side side = { .path = test_region(REGION), .options = { RING, 0 } };
	pid_t pid = test_spawn(full_peer, &side);
	uint8_t data[RING * 2] = { 0 };
	struct msg_stats stats;
	int64_t n, total = 0;

	join(&side);
	while ((n = msg_send_array(side.channel, data, 64, 100, 0)) > 0)
		total += n;
	EQUAL(n, -EAGAIN);
	CHECK(total >= RING / 64 * 3 / 4 && total < RING / 64);
	msg_stats(side.channel, &stats);
	EQUAL(stats.sent, total);
	EQUAL(stats.unreleased, total);
	EQUAL(stats.unreleased_bytes, total * 64);
	test_kill(pid);
	leave(&side);
}

/* ---- what a dead receiver had not taken ---- */

static void taker(void *arg)
{
	struct side *side = arg;
	uint8_t data[3 * 8];

	serve(side);
	EQUAL(msg_recv_array(side->channel, data, 8, 3, in_ms(20000)), 3);
	OK(msg_send(side->channel, "", 1, in_ms(20000)));
	pause();
}

static void unreleased(void)
{
	struct side side = { .path = test_region(REGION), .options = { RING, 0 }, .mortal = true };
	pid_t pid = test_spawn(taker, &side);
	uint64_t numbers[10], i;
	struct msg_span message;
	struct msg_stats stats;
	uint8_t byte;

	join(&side);
	for (i = 0; i < 10; i++)
		numbers[i] = 100 + i;
	EQUAL(msg_send_array(side.channel, numbers, 8, 10, in_ms(20000)), 10);
	OK(msg_send(side.channel, "last", 4, in_ms(20000)));
	EQUAL(msg_recv(side.channel, &byte, 1, in_ms(20000)), 1);
	test_kill(pid);
	EQUAL(msg_recv(side.channel, &byte, 1, in_ms(20000)), -EPIPE);
	msg_stats(side.channel, &stats);
	EQUAL(stats.unreleased, 8);
	EQUAL(stats.unreleased_bytes, 7 * 8 + 4);
	for (i = 0; i < 7; i++) {
		OK(msg_unreleased(side.channel, (unsigned)i, &message));
		EQUAL(message.len, 8);
		EQUAL(*(uint64_t *)message.data, 103 + i);
	}
	OK(msg_unreleased(side.channel, 7, &message));
	EQUAL(message.len, 4);
	CHECK(!memcmp(message.data, "last", 4));
	EQUAL(msg_unreleased(side.channel, 8, &message), -ENOENT);
	leave(&side);
}

/* ---- a run that can't be ---- */

static const uint64_t impossible[] = {
	(uint64_t)6 << 32 | 24,		 /* more messages than bytes */
	(uint64_t)5 << 32 | 25,		 /* larger ones */
	24,				 /* none */
	UINT64_MAX,			 /* a product past 2^64 */
	(uint64_t)1 << 63 | 1u << 31,
};

static void hostile_sender(void *arg)
{
	struct side *side = arg;
	uint8_t data[5 * 24] = { 0 };

	join(side);
	EQUAL(msg_send_array(side->channel, data, 24, 5, in_ms(20000)), 5);
	pause();
}

static void hostile_run(uint64_t word)
{
	struct side side = { .path = test_region(REGION), .options = { RING, 0 } };
	uint64_t *words = test_map(side.path, REGION);
	pid_t pid = test_spawn(hostile_sender, &side);
	struct msg_fault fault;
	uint8_t data[5 * 24];
	size_t i, found = 0;

	serve(&side);
	while (!found)
		for (i = 0; i < REGION / 8; i++)
			if (words[i] == ((uint64_t)5 << 32 | 24)) {
				words[i] = word;
				found++;
			}
	EQUAL(found, 1);
	EQUAL(msg_recv_array(side.channel, data, 24, 5, in_ms(20000)), -ECONNRESET);
	CHECK(msg_fault_of(side.channel, &fault));
	EQUAL(fault.seen, word);
	test_kill(pid);
	leave(&side);
}

static void hostile(void)
{
	size_t i;

	for (i = 0; i < sizeof(impossible) / sizeof(impossible[0]); i++)
		hostile_run(impossible[i]);
}

static const struct test_case cases[] = {
	{ "every way to send and receive", ways, 120 },
	{ "past the wrap at 2^32", ways_past_wrap, 120 },
	{ "limits", limits, 0 },
	{ "a full ring takes a part", full, 0 },
	{ "what a dead receiver had not taken", unreleased, 0 },
	{ "impossible runs", hostile, 0 },
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

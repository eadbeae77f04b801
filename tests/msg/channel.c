// SPDX-License-Identifier: BSD-2-Clause
// Channels between two processes over a bare region file.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/msg/harness.h"

#define RING 4096
#define MEGA (1u << 20)

struct side {
	const char *path;
	struct msg_region *region;
	struct msg_listener *listener;
	struct msg_channel *channel;
	struct msg_channel_options options;
	uint64_t spin;
	volatile bool *said; /* by the other process, past the region */
};

static void attach(struct side *side, const char *name)
{
	struct msg_options options = { .name = name, .spin_ns = side->spin,
		.death_ns = PATIENT_DEATH };

	OK(msg_attach(side->path, &options, &side->region));
}

static void serve(struct side *side)
{
	attach(side, "server");
	OK(msg_listen(side->region, "service", &side->options, &side->listener));
	OK(msg_accept(side->listener, &side->channel, in_ms(20000)));
}

static void join(struct side *side)
{
	attach(side, "client");
	OK(msg_connect(side->region, "service", &side->options, &side->channel, in_ms(20000)));
}

static void leave(struct side *side)
{
	msg_close(side->channel);
	msg_unlisten(side->listener);
	OK(msg_leave(side->region));
}

/* ---- echo: every size, from every place of the ring, past 2^32 ---- */

static const size_t sizes[] = { 0, 1, 7, 8, 9, 24, 48, 55, 56, 57, 63, 64, 65, 127, 128, 129, 1000,
	RING / 2 - 1, RING / 2, RING / 2 + 1, RING, 65536, MEGA };
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void echo_peer(void *arg)
{
	struct side *side = arg;
	uint8_t *data = malloc(MEGA);
	int64_t len;

	serve(side);
	while ((len = msg_recv(side->channel, data, MEGA, in_ms(20000))) != -EPIPE)
		OK(msg_send(side->channel, data, (size_t)OK(len), in_ms(20000)));
	leave(side);
	free(data);
}

static void echo_with(uint64_t spin, uint32_t start, unsigned rounds)
{
	struct side side = { .path = test_region(16 * MEGA), .options = { RING, start },
		.spin = spin };
	pid_t pid = test_spawn(echo_peer, &side);
	uint8_t *data = malloc(MEGA);
	unsigned i, k;

	join(&side);
	for (k = 0; k < rounds; k++)
		for (i = 0; i < SIZES; i++) {
			// A small one in between, so that the next begins somewhere else.
			test_fill(data, 3, k);
			OK(msg_send(side.channel, data, k % 4 * 16, in_ms(20000)));
			EQUAL(msg_recv(side.channel, data, MEGA, in_ms(20000)), k % 4 * 16);
			test_fill(data, sizes[i], i + k);
			OK(msg_send(side.channel, data, sizes[i], in_ms(20000)));
			memset(data, 0, sizes[i]);
			EQUAL(msg_recv(side.channel, data, MEGA, in_ms(20000)), sizes[i]);
			CHECK(test_filled(data, sizes[i], i + k));
		}
	leave(&side);
	test_join(pid);
	free(data);
}

static void echo(void)
{
	echo_with(0, 0, 40);
}

static void echo_at_2_32(void)
{
	echo_with(0, 0u - 3 * RING, 20);
}

static void echo_asleep(void)
{
	echo_with(MSG_SPIN_NEVER, 64, 10);
}

/* ---- a million messages with checksums, both ways at once ---- */

struct flow {
	uint64_t random;
	unsigned done;
};

static size_t flow_next(struct flow *flow, uint64_t *seed)
{
	*seed = test_random(&flow->random);
	return *seed % 8 ? *seed / 8 % 64 : *seed / 8 % (RING / 2);
}

static uint64_t checksum(const uint8_t *data, size_t len)
{
	uint64_t sum = len, word = 0;
	size_t i;

	for (i = 0; i + 8 <= len; i += 8) {
		memcpy(&word, data + i, 8);
		sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
		sum ^= sum >> 29;
	}
	for (; i < len; i++)
		sum = (sum ^ data[i]) * 0x100000001b3u;
	return sum;
}

static size_t make(uint8_t *data, struct flow *flow)
{
	uint64_t seed, word;
	size_t len = flow_next(flow, &seed), i;

	for (i = 0; i + 8 <= len; i += 8) {
		word = seed * (i + 1);
		memcpy(data + 8 + i, &word, 8);
	}
	for (; i < len; i++)
		data[8 + i] = (uint8_t)(seed >> i % 56);
	word = checksum(data + 8, len);
	memcpy(data, &word, 8);
	return len + 8;
}

static void flow_both_ways(struct side *side, unsigned messages, uint64_t out, uint64_t in)
{
	struct flow sending = { out, 0 }, receiving = { in, 0 };
	static uint8_t mine[RING], got[RING];
	size_t pending = 0;

	while (sending.done < messages || receiving.done < messages) {
		struct msg_wait_item items[2] = {
			{ .type = MSG_WAIT_RECV, .channel = side->channel },
			{ .type = MSG_WAIT_SEND, .channel = side->channel },
		};
		bool moved = false;

		if (sending.done < messages) {
			int err;

			if (!pending)
				pending = make(mine, &sending);
			err = msg_trysend(side->channel, mine, pending);
			if (!err) {
				pending = 0;
				sending.done++;
				moved = true;
			} else {
				EQUAL(err, -EAGAIN);
			}
		}
		if (receiving.done < messages) {
			int64_t len = msg_tryrecv(side->channel, got, sizeof(got));
			uint64_t seed, sum;

			if (len == -EAGAIN && !moved)
				OK(msg_wait(items, sending.done < messages ? 2 : 1, in_ms(20000)));
			if (len == -EAGAIN)
				continue;
			EQUAL(OK(len), flow_next(&receiving, &seed) + 8);
			sum = checksum(got + 8, (size_t)len - 8);
			CHECK(!memcmp(&sum, got, 8));
			receiving.done++;
		} else if (!moved) {
			OK(msg_wait(items + 1, 1, in_ms(20000)));
		}
	}
}

static void million_peer(void *arg)
{
	struct side *side = arg;

	serve(side);
	flow_both_ways(side, 1000000, 1, 2);
	leave(side);
}

static void million(void)
{
	struct side side = { .path = test_region(4 * MEGA), .options = { RING, 0u - 65536 } };
	struct msg_stats stats;
	pid_t pid = test_spawn(million_peer, &side);

	join(&side);
	flow_both_ways(&side, 1000000, 2, 1);
	msg_stats(side.channel, &stats);
	EQUAL(stats.sent, 1000000);
	EQUAL(stats.received, 1000000);
	EQUAL(stats.doorbells + stats.suppressed >= stats.sent, 1);
	test_join(pid);
	leave(&side);
}

/* ---- batches and views ---- */

static void views_peer(void *arg)
{
	struct side *side = arg;
	struct msg_span spans[MSG_BATCH_MAX];
	unsigned seen = 0, i;
	int n;

	serve(side);
	while ((n = msg_peek(side->channel, spans, 1 + seen % 64, in_ms(20000))) != -EPIPE) {
		OK(n);
		for (i = 0; i < (unsigned)n; i++)
			CHECK(test_filled(spans[i].data, spans[i].len, seen + i));
		// Given back in two parts.
		OK(msg_release(side->channel, (unsigned)n / 2));
		OK(msg_release(side->channel, (unsigned)n - (unsigned)n / 2));
		EQUAL(msg_release(side->channel, 1), -EINVAL);
		seen += (unsigned)n;
	}
	EQUAL(seen, 50000);
	leave(side);
}

static void views(void)
{
	struct side side = { .path = test_region(4 * MEGA), .options = { RING, 0 } };
	pid_t pid = test_spawn(views_peer, &side);
	unsigned sent = 0;
	uint64_t random = 9;
	void *data;

	join(&side);
	EQUAL(msg_reserve(side.channel, RING / 2 + 1, &data, MSG_FOREVER), -EMSGSIZE);
	EQUAL(msg_trim(side.channel, 0), -EINVAL);
	OK(msg_commit(side.channel));
	while (sent < 50000) {
		unsigned batch = 1 + (unsigned)test_random(&random) % 20, i;

		for (i = 0; i < batch && sent < 50000; i++) {
			size_t len = test_random(&random) % 100;
			int err = msg_reserve(side.channel, len + 50, &data,
				i ? 0 : in_ms(20000));

			if (err == -EAGAIN)
				break;
			OK(err);
			CHECK((uintptr_t)data % 8 == 0);
			test_fill(data, len, sent++);
			OK(msg_trim(side.channel, len));
		}
		OK(msg_commit(side.channel));
	}
	leave(&side);
	test_join(pid);
}

static void batch_peer(void *arg)
{
	struct side *side = arg;
	static uint8_t memory[MSG_BATCH_MAX][200];
	struct msg_span spans[MSG_BATCH_MAX];
	unsigned seen = 0, i;
	int n;

	serve(side);
	for (;;) {
		for (i = 0; i < MSG_BATCH_MAX; i++)
			spans[i] = (struct msg_span){ memory[i], sizeof(memory[i]) };
		n = msg_recv_batch(side->channel, spans, 1 + seen % MSG_BATCH_MAX, in_ms(20000));
		if (n == -EPIPE)
			break;
		OK(n);
		for (i = 0; i < (unsigned)n; i++)
			CHECK(test_filled(spans[i].data, spans[i].len, seen++));
	}
	EQUAL(seen, 100000);
	leave(side);
}

static void batch(void)
{
	struct side side = { .path = test_region(4 * MEGA), .options = { RING, 0 } };
	static uint8_t memory[MSG_BATCH_MAX][200];
	struct msg_span spans[MSG_BATCH_MAX];
	pid_t pid = test_spawn(batch_peer, &side);
	unsigned sent = 0, i, want;
	uint64_t random = 5;

	join(&side);
	while (sent < 100000) {
		want = 100000 - sent < MSG_BATCH_MAX ? 100000 - sent : MSG_BATCH_MAX;
		for (i = 0; i < want; i++) {
			spans[i] = (struct msg_span){ memory[i], test_random(&random) % 200 };
			test_fill(memory[i], spans[i].len, sent + i);
		}
		sent += (unsigned)OK(msg_send_batch(side.channel, spans, want, in_ms(20000)));
	}
	leave(&side);
	test_join(pid);
}

/* ---- a stream of bytes ---- */

static void stream_peer(void *arg)
{
	struct side *side = arg;
	static uint8_t data[10000];
	uint64_t at = 0, random = 3;
	int64_t n;
	unsigned i;

	serve(side);
	while ((n = OK(msg_read(side->channel, data, 1 + test_random(&random) % sizeof(data),
			in_ms(20000)))) > 0) {
		for (i = 0; i < n; i++, at++)
			EQUAL(data[i], (uint8_t)(at ^ at >> 8));
	}
	EQUAL(at, 20000000);
	leave(side);
}

static void stream(void)
{
	struct side side = { .path = test_region(4 * MEGA), .options = { 16384, 0 } };
	pid_t pid = test_spawn(stream_peer, &side);
	static uint8_t data[50000];
	uint64_t at = 0, random = 4, n, i;

	join(&side);
	while (at < 20000000) {
		n = 1 + test_random(&random) % sizeof(data);
		if (n > 20000000 - at)
			n = 20000000 - at;
		for (i = 0; i < n; i++)
			data[i] = (uint8_t)((at + i) ^ (at + i) >> 8);
		EQUAL(msg_write(side.channel, data, n, in_ms(20000)), n);
		at += n;
	}
	leave(&side);
	test_join(pid);
}

/* ---- back-pressure, ends, and what was not received ---- */

static void full_peer(void *arg)
{
	struct side *side = arg;
	uint8_t data[100];
	unsigned i;

	serve(side);
	EQUAL(msg_recv(side->channel, data, sizeof(data), in_ms(20000)), 1);
	for (i = 0; i < data[0] * 1u; i++)
		EQUAL(msg_recv(side->channel, data + 1, 99, in_ms(20000)), 40);
	EQUAL(msg_recv(side->channel, data + 1, 99, in_ms(20000)), 99);
	UNTIL(*side->said);
	leave(side);
}

static void idle_peer(void *arg)
{
	serve(arg);
	for (;;)
		msg_sleep_until(in_ms(1000));
}

static void full(void)
{
	struct side side = { .path = test_region(MEGA), .options = { 1024, 0 } };
	struct msg_stats stats;
	struct msg_span span;
	uint8_t data[100] = { 0 };
	unsigned n = 0, i;
	pid_t pid = test_spawn(idle_peer, &side);

	join(&side);
	EQUAL(msg_tryrecv(side.channel, data, sizeof(data)), -EAGAIN);
	TIMES_OUT(msg_recv(side.channel, data, sizeof(data), in_ms(20)));
	EQUAL(msg_unreleased(side.channel, 0, &span), -EBUSY);
	// Nobody takes anything yet: fill it up.
	while (!msg_trysend(side.channel, data, 40))
		n++;
	EQUAL(n, 16);
	EQUAL(msg_trysend(side.channel, data, 0), -EAGAIN);
	TIMES_OUT(msg_send(side.channel, data, 40, in_ms(20)));
	msg_stats(side.channel, &stats);
	EQUAL(stats.unreleased, 16);
	EQUAL(stats.unreleased_bytes, 16 * 40);
	CHECK(stats.full_waits >= 2);
	leave(&side);
	test_kill(pid);

	side.path = test_region(MEGA);
	side.said = test_shared(sizeof(*side.said));
	pid = test_spawn(full_peer, &side);
	join(&side);
	data[0] = 100;
	OK(msg_send(side.channel, data, 1, in_ms(20000)));
	for (i = 0; i < 100; i++)
		OK(msg_send(side.channel, data, 40, in_ms(20000)));
	OK(msg_send(side.channel, data, 99, in_ms(20000)));
	for (i = 0; i < 3; i++) {
		data[1] = (uint8_t)i;
		OK(msg_send(side.channel, data, 10 + i, in_ms(20000)));
	}
	// It closes without having received those three.
	*side.said = true;
	EQUAL(msg_recv(side.channel, data, sizeof(data), in_ms(20000)), -EPIPE);
	EQUAL(msg_send(side.channel, data, 1, in_ms(20000)), -EPIPE);
	for (i = 0; i < 3; i++) {
		OK(msg_unreleased(side.channel, i, &span));
		EQUAL(span.len, 10 + i);
		EQUAL(((uint8_t *)span.data)[1], i);
	}
	EQUAL(msg_unreleased(side.channel, 3, &span), -ENOENT);
	leave(&side);
	test_join(pid);
}

// What was sent before a close, a leave or a kill is received.
static void last_words_peer(void *arg)
{
	struct side *side = arg;
	uint8_t *data = malloc(MEGA);
	unsigned i;

	join(side);
	for (i = 0; i < 10; i++) {
		test_fill(data, i * 20, i);
		OK(msg_send(side->channel, data, i * 20, in_ms(20000)));
	}
	test_fill(data, 300000, 99);
	OK(msg_send(side->channel, data, 300000, in_ms(20000)));
	if (side->spin == 1)
		leave(side);
	else if (side->spin == 2)
		OK(msg_leave(side->region));
	free(data);
	if (side->spin == 3)
		_exit(0);
}

static void last_words(void)
{
	uint8_t *data = malloc(MEGA);
	unsigned how, i;

	for (how = 1; how <= 3; how++) {
		struct side side = { .path = test_region(4 * MEGA), .options = { RING, 0 },
			.spin = how };
		struct msg_options options = { .name = "server", .death_ns = 500 * MS };
		struct msg_region_info before, after;
		pid_t pid;

		// Only who was killed has to be found dead.
		OK(msg_attach(side.path, how == 3 ? &options : NULL, &side.region));
		OK(msg_listen(side.region, "service", NULL, &side.listener));
		msg_region_describe(side.region, &before);
		pid = test_spawn(last_words_peer, &side);
		OK(msg_accept(side.listener, &side.channel, in_ms(20000)));
		test_join(pid);
		for (i = 0; i < 10; i++) {
			EQUAL(msg_recv(side.channel, data, MEGA, in_ms(20000)), i * 20);
			CHECK(test_filled(data, i * 20, i));
		}
		EQUAL(msg_next_length(side.channel, in_ms(20000)), 300000);
		EQUAL(msg_recv(side.channel, data, 299999, in_ms(20000)), -EMSGSIZE);
		EQUAL(msg_recv(side.channel, data, MEGA, in_ms(20000)), 300000);
		CHECK(test_filled(data, 300000, 99));
		EQUAL(msg_recv(side.channel, data, MEGA, in_ms(20000)), -EPIPE);
		msg_close(side.channel);
		// Rings and buffers of both sides are free again.
		msg_region_describe(side.region, &after);
		EQUAL(after.land_free, before.land_free);
		msg_unlisten(side.listener);
		OK(msg_leave(side.region));
	}
	free(data);
}

/* ---- buffers ---- */

static void buffers_peer(void *arg)
{
	struct side *side = arg;
	struct msg_span span;
	unsigned i;

	serve(side);
	for (i = 0; i < 400; i++) {
		EQUAL(msg_peek(side->channel, &span, 1, in_ms(20000)), 1);
		CHECK(test_filled(span.data, span.len, i));
		OK(msg_release(side->channel, 1));
	}
	leave(side);
}

static void buffers(void)
{
	struct side side = { .path = test_region(4 * MEGA), .options = { RING, 0 } };
	pid_t pid = test_spawn(buffers_peer, &side);
	struct msg_region_info before, after;
	struct msg_buffer *buffer, *other;
	uint64_t random = 8;
	unsigned i;

	join(&side);
	msg_region_describe(side.region, &before);
	EQUAL(msg_buffer_alloc(side.region, 5 * MEGA, &buffer), -EMSGSIZE);
	EQUAL(msg_buffer_alloc(side.region, before.land_bytes, &buffer), -ENOSPC);
	for (i = 0; i < 400; i++) {
		size_t len = 1 + test_random(&random) % (i % 10 ? 5000 : 500000);
		int err;

		while ((err = msg_buffer_alloc(side.region, len, &buffer)) == -ENOSPC)
			msg_sleep_until(in_ms(1));
		OK(err);
		test_fill(msg_buffer_data(buffer), len, i);
		EQUAL(msg_buffer_send(side.channel, buffer, len + 1, 0), -EINVAL);
		OK(msg_buffer_send(side.channel, buffer, len, in_ms(20000)));
		msg_buffer_free(buffer);
	}
	// All come back, and with them the land, but for one pool that is kept for the next.
	test_join(pid);
	OK(msg_buffer_alloc(side.region, 1, &buffer));
	EQUAL(msg_buffer_busy(buffer), 0);
	OK(msg_buffer_alloc(side.region, 1, &other));
	msg_buffer_free(other);
	msg_buffer_free(buffer);
	EQUAL(msg_recv(side.channel, &i, sizeof(i), in_ms(20000)), -EPIPE);
	msg_close(side.channel);
	msg_region_describe(side.region, &after);
	CHECK(after.land_free + 500000 + 8192 >= before.land_free);
	OK(msg_leave(side.region));
}

/* ---- waiting on many ---- */

static void many_peer(void *arg)
{
	struct side *side = arg;
	struct msg_channel *channels[8];
	unsigned i, k;

	attach(side, "client");
	for (i = 0; i < 8; i++) {
		OK(msg_connect(side->region, "service", NULL, &channels[i], in_ms(20000)));
		OK(msg_send(channels[i], &i, sizeof(i), in_ms(20000)));
	}
	for (k = 0; k < 1000; k++) {
		i = k * 5 % 8;
		OK(msg_send(channels[i], &k, sizeof(k), in_ms(20000)));
		EQUAL(msg_recv(channels[i], &i, sizeof(i), in_ms(20000)), sizeof(i));
		EQUAL(i, k + 1);
	}
	OK(msg_leave(side->region));
}

static void many(void)
{
	struct side side = { .path = test_region(4 * MEGA) };
	struct msg_wait_item items[8 + 3];
	struct msg_channel *channels[8] = { 0 };
	unsigned open = 0, echoed = 0, timers = 0, joined = 0, left = 0, i, value;
	struct msg_event event;
	pid_t pid;

	attach(&side, "server");
	OK(msg_listen(side.region, "service", NULL, &side.listener));
	items[0] = (struct msg_wait_item){ .type = MSG_WAIT_TIMER, .at = in_ms(1) };
	EQUAL(msg_wait(items, 1, MSG_FOREVER), 1);
	EQUAL(msg_wait(items, 0, MSG_FOREVER), -EINVAL);
	pid = test_spawn(many_peer, &side);
	items[0] = (struct msg_wait_item){ .type = MSG_WAIT_ACCEPT, .listener = side.listener };
	items[1] = (struct msg_wait_item){ .type = MSG_WAIT_EVENT, .region = side.region };
	items[2] = (struct msg_wait_item){ .type = MSG_WAIT_TIMER, .at = in_ms(5) };
	// All the talk may be over before the timer's first time: then that is what is waited for.
	while (!left || !timers) {
		OK(msg_wait(items, 3 + open, in_ms(20000)));
		if (items[1].ready) {
			CHECK(msg_next_event(side.region, &event));
			joined += event.type == MSG_EVENT_JOINED;
			left += event.type == MSG_EVENT_LEFT;
			CHECK(!strcmp(event.peer.name, "client"));
		}
		if (items[2].ready) {
			timers++;
			items[2].at += 5 * MS;
		}
		for (i = 0; i < open; i++) {
			if (!items[3 + i].ready)
				continue;
			if (msg_tryrecv(channels[i], &value, sizeof(value)) == -EPIPE)
				continue;
			value++;
			OK(msg_send(channels[i], &value, sizeof(value), in_ms(20000)));
			echoed++;
		}
		if (items[0].ready) {
			OK(msg_accept(side.listener, &channels[open], 0));
			EQUAL(msg_recv(channels[open], &value, sizeof(value), in_ms(20000)), 4);
			EQUAL(value, open);
			items[3 + open] = (struct msg_wait_item){ .type = MSG_WAIT_RECV,
				.channel = channels[open] };
			open++;
		}
	}
	EQUAL(open, 8);
	EQUAL(echoed, 1000);
	EQUAL(joined, 1);
	test_join(pid);
	OK(msg_leave(side.region));
}

// A batch that fills the ring can't be waited for: said at once.
static void reserve_too_much(void)
{
	struct side side = { .path = test_region(MEGA), .options = { 1024, 0 } };
	pid_t pid = test_spawn(idle_peer, &side);
	void *data;

	join(&side);
	OK(msg_reserve(side.channel, 400, &data, MSG_FOREVER));
	OK(msg_reserve(side.channel, 400, &data, MSG_FOREVER));
	EQUAL(msg_reserve(side.channel, 400, &data, MSG_FOREVER), -EAGAIN);
	msg_discard(side.channel);
	OK(msg_reserve(side.channel, 512, &data, MSG_FOREVER));
	leave(&side);
	test_kill(pid);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "echo", echo, 0 },
		{ "echo_at_2_32", echo_at_2_32, 0 },
		{ "echo_asleep", echo_asleep, 0 },
		{ "views", views, 0 },
		{ "batch", batch, 0 },
		{ "stream", stream, 0 },
		{ "full", full, 0 },
		{ "last_words", last_words, 0 },
		{ "buffers", buffers, 0 },
		{ "many", many, 0 },
		{ "reserve_too_much", reserve_too_much, 0 },
		{ "million", million, 170 },
	};

	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

// SPDX-License-Identifier: BSD-2-Clause
// The cases: round trips, one way, without touching the payload, asleep, under a steady load.

#include "bench/guest/bench_app.h"

#include <isthmus/clock.h>
#include <isthmus/msg_inline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUND_TRIPS 50 /* per sample: short, so that most go by undisturbed on a busy host */
#define SAMPLES 600
#define RAW_CHANGE_MAX 1.25
#define ONE_WAY_SAMPLES 101
#define ONE_WAY_BYTES (4u << 20) /* per sample, at most */
#define ONE_WAY_MESSAGES 10000u
#define ALWAYS inline __attribute__((always_inline))
#define BATCH 64u /* at most APP_MESSAGE_MAX bytes */

/* The blocking calls: attached with spin=forever, they poll. */
static ALWAYS void send_now(struct app *app, const void *data, size_t bytes)
{
	int result = msg_send(app->channel, data, bytes, MSG_FOREVER);

	if (result)
		app_die("send", result);
}

static ALWAYS void receive_now(struct app *app, void *data, size_t bytes)
{
	int64_t result = msg_recv(app->channel, data, APP_MESSAGE_MAX, MSG_FOREVER);

	if (result != (int64_t)bytes)
		app_die("receive", result);
}

/* Round trips with the inline calls, in loops compiled for their size of message, as those between
 * processes are. */
#define ROUND_TRIPS_OF(bytes)                                                                      \
	static MSG_ONE_PAGE void lead_##bytes(struct msg_channel *channel, uint64_t count)          \
	{                                                                                          \
		lead(channel, bytes, count);                                                       \
	}                                                                                          \
	static MSG_ONE_PAGE void follow_##bytes(struct msg_channel *channel, uint64_t count)        \
	{                                                                                          \
		follow(channel, bytes, count);                                                     \
	}

static ALWAYS void check_calls(int sent, int64_t received, size_t bytes)
{
	if (__builtin_expect(sent, 0))
		app_die("send", sent);
	if (__builtin_expect(received != (int64_t)bytes, 0))
		app_die("receive", received);
}

static ALWAYS void lead(struct msg_channel *channel, size_t bytes, uint64_t count)
{
	uint64_t n;

	for (n = 0; n < count; n++) {
		int64_t received;
		int sent;

		app_stamp(app_buffer, bytes, n);
		sent = msg_send_inline(channel, app_buffer, bytes, MSG_FOREVER);
		received = msg_recv_inline(channel, app_buffer, APP_MESSAGE_MAX, MSG_FOREVER);
		check_calls(sent, received, bytes);
		app_check(app_buffer, bytes, n);
	}
}

static ALWAYS void follow(struct msg_channel *channel, size_t bytes, uint64_t count)
{
	uint64_t n;

	for (n = 0; n < count; n++) {
		int64_t received = msg_recv_inline(channel, app_buffer, APP_MESSAGE_MAX, MSG_FOREVER);
		int sent;

		app_check(app_buffer, bytes, n);
		sent = msg_send_inline(channel, app_buffer, bytes, MSG_FOREVER);
		check_calls(sent, received, bytes);
	}
}

ROUND_TRIPS_OF(8)
ROUND_TRIPS_OF(64)

static void round_trips_inline(struct app *app, size_t bytes, uint64_t count)
{
	if (bytes == 8)
		(app->leads ? lead_8 : follow_8)(app->channel, count);
	else
		(app->leads ? lead_64 : follow_64)(app->channel, count);
}

static void round_trips(struct app *app, size_t bytes, uint64_t count)
{
	uint64_t n;

	for (n = 0; n < count; n++) {
		if (app->leads) {
			app_stamp(app_buffer, bytes, n);
			send_now(app, app_buffer, bytes);
			receive_now(app, app_buffer, bytes);
			app_check(app_buffer, bytes, n);
		} else {
			receive_now(app, app_buffer, bytes);
			app_check(app_buffer, bytes, n);
			send_now(app, app_buffer, bytes);
		}
	}
}

/* Polled round trips, each sample between two looks at the raw flag. */
static ALWAYS void
run_round_trips(struct app *app, size_t bytes, const char *name,
		void (*trips)(struct app *app, size_t bytes, uint64_t count))
{
	static double value[SAMPLES], ratio[SAMPLES], raws[SAMPLES];
	size_t kept = 0, i;
	double before;

	app_meet(app);
	trips(app, bytes, ROUND_TRIPS);
	before = app_raw(app);
	for (i = 0; i < SAMPLES; i++) {
		uint64_t start = clock_ticks();
		double took, after;

		trips(app, bytes, ROUND_TRIPS);
		took = (double)clock_ticks_to_ns(clock_ticks() - start) / ROUND_TRIPS;
		after = app_raw(app);
		if (after <= before * RAW_CHANGE_MAX && before <= after * RAW_CHANGE_MAX) {
			value[kept] = took;
			raws[kept] = (before + after) / 2;
			ratio[kept] = raws[kept] > 0 ? took / raws[kept] : 0;
			kept++;
		}
		before = after;
	}
	if (app->leads && kept)
		app_print(name, bytes, "p50", "ns", app_median(value, kept),
			  app_median(ratio, kept), app_median(raws, kept), kept);
}

static void run_round_trip(struct app *app, size_t bytes)
{
	run_round_trips(app, bytes, "round-trip", round_trips);
}

static void run_round_trip_inline(struct app *app, size_t bytes)
{
	run_round_trips(app, bytes, "round-trip-inline", round_trips_inline);
}

static uint64_t messages_for(const struct app *app, size_t bytes)
{
	uint64_t count = ONE_WAY_BYTES / bytes;

	if (app->count)
		return app->count;
	return count < ONE_WAY_MESSAGES ? count : ONE_WAY_MESSAGES;
}

/* The side that does not lead sends; the leader's clock runs from its call to the last message. */
static void one_way(struct app *app, size_t bytes, const char *name,
		    void (*send)(struct app *app, size_t bytes, uint64_t count),
		    void (*receive)(struct app *app, size_t bytes, uint64_t count))
{
	static double value[ONE_WAY_SAMPLES];
	uint64_t count = messages_for(app, bytes);
	double ns;
	size_t i;

	for (i = 0; i < ONE_WAY_SAMPLES; i++) {
		uint64_t start;

		app_meet(app);
		start = clock_ticks();
		if (app->leads)
			receive(app, bytes, count);
		else
			send(app, bytes, count);
		value[i] = (double)clock_ticks_to_ns(clock_ticks() - start) / (double)count;
	}
	if (!app->leads)
		return;
	/* As in the floor's ring: what the channel does while no neighbour stops one of the guests. */
	app_median(value, ONE_WAY_SAMPLES);
	ns = value[ONE_WAY_SAMPLES / 10];
	app_print(name, bytes, "rate", "M/s", 1e3 / ns, 0, 0, ONE_WAY_SAMPLES);
	app_print(name, bytes, "throughput", "GB/s", (double)bytes / ns, 0, 0, ONE_WAY_SAMPLES);
}

static void send_single(struct app *app, size_t bytes, uint64_t count)
{
	uint64_t n;

	for (n = 0; n < count; n++) {
		app_stamp(app_buffer, bytes, n);
		send_now(app, app_buffer, bytes);
	}
}

static void receive_single(struct app *app, size_t bytes, uint64_t count)
{
	uint64_t n;

	for (n = 0; n < count; n++) {
		receive_now(app, app_buffer, bytes);
		app_check(app_buffer, bytes, n);
	}
}

static void run_one_way(struct app *app, size_t bytes)
{
	one_way(app, bytes, "one-way", send_single, receive_single);
}

static void send_batches(struct app *app, size_t bytes, uint64_t count)
{
	uint64_t n = 0;

	while (n < count) {
		unsigned int want = count - n < BATCH ? (unsigned int)(count - n) : BATCH;
		unsigned int done = 0, i;

		for (i = 0; i < want; i++)
			app_stamp(app_buffer + i * bytes, bytes, n + i);
		while (done < want) {
			int result = msg_send_array(app->channel, app_buffer + done * bytes, bytes,
						    want - done, MSG_FOREVER);

			if (result < 0)
				app_die("send an array", result);
			done += (unsigned int)result;
		}
		n += want;
	}
}

static void receive_batches(struct app *app, size_t bytes, uint64_t count)
{
	uint64_t n = 0;

	while (n < count) {
		int i, result = msg_recv_array(app->channel, app_buffer, bytes, BATCH, MSG_FOREVER);

		if (result < 0)
			app_die("receive an array", result);
		for (i = 0; i < result; i++)
			app_check(app_buffer + (size_t)i * bytes, bytes, n + (uint64_t)i);
		n += (uint64_t)result;
	}
}

static void run_batches(struct app *app, size_t bytes)
{
	one_way(app, bytes, "one-way-batch", send_batches, receive_batches);
}

static void send_unwritten(struct app *app, size_t bytes, uint64_t count)
{
	uint64_t n;
	void *at;

	for (n = 0; n < count; n++) {
		int result = msg_reserve(app->channel, bytes, &at, MSG_FOREVER);
		if (!result) {
			app_stamp(at, 8, n);
			result = msg_commit(app->channel);
		}
		if (result)
			app_die("reserve and commit", result);
	}
}

static void receive_unread(struct app *app, size_t bytes, uint64_t count)
{
	struct msg_span span;
	uint64_t n;

	for (n = 0; n < count; n++) {
		int result = msg_peek(app->channel, &span, 1, MSG_FOREVER);

		if (result != 1 || span.len != bytes)
			app_die("peek", result);
		app_check(span.data, 8, n);
		msg_release(app->channel, 1);
	}
}

/* Only a number is written into each message: what a message costs apart from its payload. */
static void run_in_place(struct app *app, size_t bytes)
{
	uint64_t count = app->count;

	app->count = count ? count : 5000;
	one_way(app, bytes, "in-place", send_unwritten, receive_unread);
	app->count = count;
}

/* Blocking calls, each round trip on its own clock: asleep or adaptive, as attached. */
static void run_blocking(struct app *app, size_t bytes)
{
	uint64_t count = app->count ? app->count : 4000, n;
	static double value[APP_SAMPLES_MAX];

	if (count > APP_SAMPLES_MAX)
		count = APP_SAMPLES_MAX;
	app_meet(app);
	for (n = 0; n < count; n++) {
		uint64_t start = clock_ticks();
		int64_t result = 0;

		app_stamp(app_buffer, bytes, n);
		if (app->leads)
			result = msg_send(app->channel, app_buffer, bytes, MSG_FOREVER);
		if (!result)
			result = msg_recv(app->channel, app_buffer, APP_MESSAGE_MAX, MSG_FOREVER);
		if (result == (int64_t)bytes)
			app_check(app_buffer, bytes, n);
		if (result == (int64_t)bytes && !app->leads)
			result = msg_send(app->channel, app_buffer, bytes, MSG_FOREVER);
		if (result < 0)
			app_die("round trip", result);
		value[n] = (double)clock_ticks_to_ns(clock_ticks() - start) / 1e3;
	}
	if (app->leads)
		app_print("blocking", bytes, "p50", "us", app_median(value, count), 0, 0, count);
}

/* The sender never stops, the receiver blocks: how often is a doorbell rung? */
static void run_steady(struct app *app, size_t bytes)
{
	uint64_t count = app->count ? app->count : 500000, n, doorbells;
	struct msg_stats before, after;
	int64_t result = 0;

	app_meet(app);
	msg_stats(app->channel, &before);
	for (n = 0; n < count && result >= 0; n++) {
		if (app->leads) {
			app_stamp(app_buffer, bytes, n);
			result = msg_send(app->channel, app_buffer, bytes, MSG_FOREVER);
		} else {
			result = msg_recv(app->channel, app_buffer, APP_MESSAGE_MAX, MSG_FOREVER);
			app_check(app_buffer, bytes, n);
		}
	}
	if (result < 0)
		app_die("steady load", result);
	msg_stats(app->channel, &after);
	doorbells = after.doorbells - before.doorbells;
	if (app->leads)
		app_print("steady", bytes, "doorbells-per-message", "1",
			  (double)doorbells / (double)count, 0, 0, count);
}

/* Nothing happens: bench/run.py looks at the processor time of the receiver's QEMU meanwhile. */
static void run_idle(struct app *app, size_t seconds)
{
	int64_t result;

	app_meet(app);
	if (app->leads) {
		printf("idle begins\n");
		fflush(stdout);
		result = msg_recv(app->channel, app_buffer, APP_MESSAGE_MAX, MSG_FOREVER);
		if (result < 0)
			app_die("idle", result);
		printf("idle ends\n");
		fflush(stdout);
	} else {
		msg_sleep_until(msg_now_ns() + (uint64_t)seconds * 1000000000);
		result = msg_send(app->channel, "", 1, MSG_FOREVER);
		if (result < 0)
			app_die("idle", result);
	}
	app_meet(app);
}

const struct app_case app_cases[] = {
	{ "round-trip", run_round_trip },
	{ "round-trip-inline", run_round_trip_inline },
	{ "one-way", run_one_way },
	{ "one-way-batch", run_batches },
	{ "in-place", run_in_place },
	{ "blocking", run_blocking },
	{ "steady", run_steady },
	{ "idle", run_idle },
	{ NULL, NULL },
};

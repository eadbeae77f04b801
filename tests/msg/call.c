// SPDX-License-Identifier: BSD-2-Clause
// Calls between processes over a bare region file.
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <isthmus/msg_call.h>
#include "tests/msg/harness.h"

#define MEGA (1u << 20)
#define MANY 3000

struct stage {
	const char *path;
	uint32_t ring;
	uint64_t seed;
	volatile uint64_t *replies; /* an echo server's; the one who asks reads */
	volatile bool *end;         /* past the region, too */
};

struct question {
	uint64_t number, delay; /* answer behind so many others */
};

static struct msg_server *serve(struct stage *stage, struct msg_region **region, uint32_t calls)
{
	struct msg_call_options options = { .channel = { .ring = stage->ring }, .calls = calls };
	struct msg_server *server;

	*region = test_attach_patient(stage->path, "server");
	OK(msg_server_open(*region, "service", &options, &server));
	return server;
}

static struct msg_caller *join(struct stage *stage, struct msg_region **region, uint32_t calls)
{
	struct msg_call_options options = { .channel = { .ring = stage->ring }, .calls = calls };
	struct msg_caller *caller;

	*region = test_attach_patient(stage->path, "caller");
	OK(msg_caller_open(*region, "service", &options, &caller, in_ms(20000)));
	return caller;
}

/* ---- one after the other, all sizes ---- */

// Answers with what it was asked, until asked for nothing.
static void echo_server(void *arg)
{
	struct stage *stage = arg;
	struct msg_region *region;
	struct msg_server *server = serve(stage, &region, 0);
	struct msg_request request;

	do {
		OK(msg_server_next(server, &request, in_ms(20000)));
		EQUAL(request.type, MSG_REQUEST_CALL);
		OK(msg_reply(server, request.token, request.data, request.len, in_ms(20000)));
		EQUAL(msg_reply(server, request.token, "", 0, 0), -ENOENT);
		if (stage->replies)
			++*stage->replies;
	} while (request.len);
	msg_server_close(server);
	OK(msg_leave(region));
}

static void sizes(void)
{
	static const size_t each[] = { 1, 7, 8, 24, 31, 32, 33, 100, 999, 2023, 2024, 2025, 2048, 5000,
		100000, MEGA };
	struct stage stage = { .path = test_region(16 * MEGA), .ring = 4096 };
	pid_t pid = test_spawn(echo_server, &stage);
	struct msg_region *region;
	struct msg_caller *caller = join(&stage, &region, 0);
	uint8_t *data = malloc(MEGA), *reply = malloc(MEGA);
	struct msg_call_stats stats;
	unsigned i, k;

	for (k = 0; k < 20; k++)
		for (i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
			test_fill(data, each[i], k * 100 + i);
			EQUAL(OK(msg_call(caller, data, each[i], reply, MEGA, in_ms(20000))), each[i]);
			CHECK(test_filled(reply, each[i], k * 100 + i));
		}
	EQUAL(msg_call(caller, data, 100, reply, 99, in_ms(20000)), -EMSGSIZE);
	msg_caller_stats(caller, &stats);
	EQUAL(stats.outstanding, 0);
	EQUAL(stats.started, stats.answered);
	EQUAL(msg_call(caller, data, 0, reply, 0, in_ms(20000)), 0);
	test_join(pid);
	EQUAL(msg_call(caller, data, 1, reply, 1, in_ms(20000)), -EPIPE);
	msg_caller_close(caller);
	free(data);
	free(reply);
	OK(msg_leave(region));
}

/* ---- thousands under way, answered out of order ---- */

static void scrambling_server(void *arg)
{
	struct stage *stage = arg;
	struct msg_region *region;
	struct msg_server *server = serve(stage, &region, MANY);
	static uint64_t tokens[MANY], numbers[MANY];
	struct msg_request request;
	unsigned n = 0, i;
	bool ended = false;

	for (;;) {
		int err = msg_server_next(server, &request, ended || n == MANY ? 0 : in_ms(20000));

		if (!err && request.type == MSG_REQUEST_CALL && request.len) {
			numbers[n] = ((struct question *)request.data)->number;
			tokens[n++] = request.token;
			if (n < MANY)
				continue;
		} else if (!err) {
			ended = true;
			OK(msg_reply(server, request.token, NULL, 0, in_ms(20000)));
			continue;
		} else {
			EQUAL(err, -EAGAIN);
		}
		if (!n)
			break;
		while (n) {
			i = (unsigned)(test_random(&stage->seed) % n);
			OK(msg_reply(server, tokens[i], &numbers[i], 8, in_ms(20000)));
			tokens[i] = tokens[--n];
			numbers[i] = numbers[n];
		}
		if (ended)
			break;
	}
	msg_server_close(server);
	OK(msg_leave(region));
}

static void thousands(void)
{
	struct stage stage = { .path = test_region(16 * MEGA), .ring = 8192, .seed = 7 };
	pid_t pid = test_spawn(scrambling_server, &stage);
	struct msg_region *region;
	struct msg_caller *caller = join(&stage, &region, MANY + 1);
	static bool answered[MANY];
	struct msg_call_stats stats;
	struct msg_call_result result;
	struct question question = { 0 };
	unsigned round, i, disorder = 0;

	for (round = 0; round < 5; round++) {
		memset(answered, 0, sizeof(answered));
		for (i = 0; i < MANY; i++) {
			question.number = i;
			// The last ones find the ring full, and the server answers the first.
			OK(msg_call_start(caller, &question, sizeof(question), MSG_FOREVER,
				(void *)(uintptr_t)(i + 1), NULL, in_ms(20000)));
		}
		msg_caller_stats(caller, &stats);
		EQUAL(stats.outstanding + stats.answered, (round + 1) * MANY);
		for (i = 0; i < MANY; i++) {
			uint64_t number;

			OK(msg_call_take(caller, &result, in_ms(20000)));
			EQUAL(result.result, 8);
			memcpy(&number, result.data, 8);
			EQUAL(number + 1, (uintptr_t)result.user);
			CHECK(!answered[number]);
			answered[number] = true;
			disorder += number != i;
		}
		EQUAL(msg_call_take(caller, &result, in_ms(20000)), -ENOENT);
	}
	CHECK(disorder > MANY);
	OK(msg_call(caller, NULL, 0, NULL, 0, in_ms(20000)));
	test_join(pid);
	msg_caller_close(caller);
	OK(msg_leave(region));
}

/* ---- deadlines and cancels ---- */

// Holds every request until told of its end; a request of one byte is answered at once.
static void holding_server(void *arg)
{
	struct stage *stage = arg;
	struct msg_region *region;
	struct msg_server *server = serve(stage, &region, 8);
	struct msg_request request;
	uint64_t held[8];
	unsigned n = 0, cancelled = 0, i;
	struct msg_call_stats stats;

	for (;;) {
		OK(msg_server_next(server, &request, in_ms(20000)));
		if (request.type == MSG_REQUEST_CANCELLED) {
			for (i = 0; i < n && held[i] != request.token; i++)
				;
			CHECK(i < n);
			held[i] = held[--n];
			// Either way of letting go.
			if (cancelled++ % 2)
				EQUAL(msg_reply(server, request.token, "late", 4, 0), -ECANCELED);
			else
				OK(msg_request_refuse(server, request.token, 0));
		} else if (request.len == 1) {
			uint64_t count = cancelled;

			OK(msg_reply(server, request.token, &count, 8, in_ms(20000)));
		} else if (request.len == 2) {
			OK(msg_request_refuse(server, request.token, in_ms(20000)));
		} else if (!request.len) {
			break;
		} else {
			CHECK(n < 8);
			held[n++] = request.token;
		}
	}
	EQUAL(n, 0);
	OK(msg_reply(server, request.token, "", 0, in_ms(20000)));
	msg_server_stats(server, &stats);
	EQUAL(stats.outstanding, 0);
	EQUAL(stats.cancelled, cancelled);
	EQUAL(stats.late, cancelled / 2);
	msg_server_close(server);
	OK(msg_leave(region));
}

static void cancels(void)
{
	struct stage stage = { .path = test_region(MEGA), .ring = 1024 };
	pid_t pid = test_spawn(holding_server, &stage);
	struct msg_region *region;
	struct msg_caller *caller = join(&stage, &region, 6);
	struct msg_call_result result;
	struct msg_call_stats stats;
	uint64_t id, other, count;
	unsigned i;

	TIMES_OUT(msg_call(caller, "held", 4, NULL, 0, in_ms(20)));
	EQUAL(msg_call(caller, "no", 2, NULL, 0, in_ms(20000)), -ECANCELED);
	OK(msg_call_start(caller, "held", 4, MSG_FOREVER, NULL, &id, in_ms(20000)));
	TIMES_OUT(msg_call_take(caller, &result, in_ms(10)));
	OK(msg_call_cancel(caller, id));
	EQUAL(msg_call_cancel(caller, id), -ENOENT);
	EQUAL(msg_call_cancel(caller, 12345), -ENOENT);
	EQUAL(msg_call_take(caller, &result, in_ms(20000)), -ENOENT);
	// As many as it may have; their deadlines end them in the order of time.
	for (i = 0; i < 6; i++)
		OK(msg_call_start(caller, "held", 4, in_ms(60 - 10 * i), (void *)(uintptr_t)i, &other,
			in_ms(20000)));
	EQUAL(msg_call_start(caller, "x", 1, MSG_FOREVER, NULL, NULL, in_ms(20000)), -ENOBUFS);
	for (i = 0; i < 6; i++) {
		OK(msg_call_take(caller, &result, in_ms(20000)));
		EQUAL(result.result, -ETIMEDOUT);
	}
	// The server knew of each end before this.
	EQUAL(msg_call(caller, "x", 1, &count, 8, in_ms(20000)), 8);
	EQUAL(count, 8);
	OK(msg_call(caller, "", 0, NULL, 0, in_ms(20000)));
	msg_caller_stats(caller, &stats);
	EQUAL(stats.outstanding, 0);
	EQUAL(stats.cancelled, 8);
	EQUAL(stats.answered, 2);
	test_join(pid);
	msg_caller_close(caller);
	OK(msg_leave(region));
}

// Replies and cancels that cross: each call ends once, and no reply goes to another call.
static void crossing(void)
{
	struct stage stage = { .path = test_region(MEGA), .ring = 1024,
		.replies = test_shared(sizeof(*stage.replies)) };
	pid_t pid = test_spawn(echo_server, &stage);
	struct msg_region *region;
	struct msg_caller *caller = join(&stage, &region, 16);
	struct msg_call_result result;
	struct msg_call_stats stats;
	uint64_t random = 5, ids[16], number = 0, ended = 0;
	unsigned i;

	// One is on its way for certain when its call is cancelled, whoever is quicker below.
	OK(msg_call_start(caller, &number, sizeof(number), MSG_FOREVER, NULL, ids, in_ms(20000)));
	UNTIL(*stage.replies);
	OK(msg_call_cancel(caller, ids[0]));
	number = ended = 1;
	while (number < 20000) {
		for (i = 0; i < 8; i++) {
			struct question question = { .number = ++number };

			OK(msg_call_start(caller, &question, sizeof(question),
				test_random(&random) % 3 ? MSG_FOREVER :
				msg_now_ns() + test_random(&random) % 20000,
				(void *)(uintptr_t)number, &ids[i], in_ms(20000)));
			if (test_random(&random) % 2 &&
				!msg_call_cancel(caller, ids[test_random(&random) % (i + 1)]))
				ended++;
		}
		while (!msg_call_take(caller, &result, in_ms(20000))) {
			struct question question;

			ended++;
			if (result.result == -ETIMEDOUT)
				continue;
			EQUAL(result.result, sizeof(question));
			memcpy(&question, result.data, sizeof(question));
			EQUAL(question.number, (uintptr_t)result.user);
		}
	}
	EQUAL(ended, number);
	EQUAL(msg_call(caller, "", 0, NULL, 0, in_ms(20000)), 0);
	msg_caller_stats(caller, &stats);
	EQUAL(stats.outstanding, 0);
	EQUAL(stats.answered - 1 + stats.cancelled, number);
	CHECK(stats.late > 0 && stats.cancelled >= stats.late);
	test_join(pid);
	msg_caller_close(caller);
	OK(msg_leave(region));
}

// Both rings full of calls and replies: neither end waits for the other for ever.
static void both_full(void)
{
	struct stage stage = { .path = test_region(MEGA), .ring = 1024 };
	pid_t pid = test_spawn(echo_server, &stage);
	struct msg_region *region;
	struct msg_caller *caller = join(&stage, &region, 1000);
	struct msg_call_result result;
	uint8_t data[300];
	unsigned i;

	for (i = 0; i < 999; i++) {
		test_fill(data, sizeof(data), i);
		OK(msg_call_start(caller, data, sizeof(data), MSG_FOREVER, (void *)(uintptr_t)i, NULL,
			in_ms(20000)));
	}
	EQUAL(msg_call(caller, "sync", 4, data, 4, in_ms(20000)), 4);
	for (i = 0; i < 999; i++) {
		OK(msg_call_take(caller, &result, in_ms(20000)));
		EQUAL(result.result, sizeof(data));
		EQUAL((uintptr_t)result.user, i);
		CHECK(test_filled(result.data, sizeof(data), i));
	}
	OK(msg_call(caller, "", 0, NULL, 0, in_ms(20000)));
	test_join(pid);
	msg_caller_close(caller);
	OK(msg_leave(region));
}

// Requests and replies in buffers, without a copy; who asked; letting a reply go early.
static void buffer_server(void *arg)
{
	struct msg_region *region;
	struct msg_server *server = serve(arg, &region, 0);
	struct msg_request request;
	struct msg_buffer *buffer;
	struct msg_peer peer;

	for (;;) {
		OK(msg_server_next(server, &request, in_ms(20000)));
		OK(msg_request_peer(server, request.token, &peer));
		CHECK(!strcmp(peer.name, "caller"));
		if (!request.len)
			break;
		CHECK(test_filled(request.data, request.len, request.len));
		OK(msg_buffer_alloc(region, request.len, &buffer));
		memcpy(msg_buffer_data(buffer), request.data, request.len);
		OK(msg_reply_buffer(server, request.token, buffer, request.len, in_ms(20000)));
		EQUAL(msg_request_peer(server, request.token, &peer), -ENOENT);
		msg_buffer_free(buffer);
	}
	OK(msg_reply(server, request.token, NULL, 0, in_ms(20000)));
	msg_server_close(server);
	OK(msg_leave(region));
}

static void buffers(void)
{
	struct stage stage = { .path = test_region(4 * MEGA), .ring = 1024 };
	pid_t pid = test_spawn(buffer_server, &stage);
	struct msg_region *region;
	struct msg_caller *caller = join(&stage, &region, 16);
	struct msg_call_result result;
	struct msg_buffer *buffer;
	struct msg_peer peer;
	unsigned i;

	msg_caller_peer(caller, &peer);
	CHECK(!strcmp(peer.name, "server"));
	for (i = 0; i < 300; i++) {
		size_t len = 1 + i * 997 % 70000;

		OK(msg_buffer_alloc(region, len, &buffer));
		test_fill(msg_buffer_data(buffer), len, len);
		OK(msg_call_start_buffer(caller, buffer, len, MSG_FOREVER, NULL, NULL,
			in_ms(20000)));
		if (i % 3)
			msg_buffer_free(buffer);
		OK(msg_call_take(caller, &result, in_ms(20000)));
		EQUAL(result.result, len);
		CHECK(test_filled(result.data, len, len));
		if (i % 2)
			msg_call_release(caller);
		if (i % 3)
			continue;
		// The server gives it back when it looks for the next one.
		while (msg_buffer_busy(buffer))
			msg_sleep_until(in_ms(1));
		msg_buffer_free(buffer);
	}
	OK(msg_call(caller, NULL, 0, NULL, 0, in_ms(20000)));
	test_join(pid);
	msg_caller_close(caller);
	OK(msg_leave(region));
}

// More replies behind one that is looked at than can be viewed at once, in one record or in two.
static void behind(void)
{
	struct stage stage = { .path = test_region(8 * MEGA), .ring = 32768 };
	pid_t pid = test_spawn(echo_server, &stage);
	struct msg_region *region;
	struct msg_caller *caller = join(&stage, &region, 256);
	struct msg_wait_item item = { .type = MSG_WAIT_PATTERN, .pattern = caller };
	static uint8_t data[20000];
	struct msg_call_result result;
	unsigned round, i;

	for (round = 0; round < 20; round++) {
		for (i = 0; i < 100; i++) {
			size_t len = (i + round) % (2 + round % 3) ? 10 + i : 17000 + i;

			test_fill(data, len, i);
			OK(msg_call_start(caller, data, len, MSG_FOREVER, (void *)(uintptr_t)len,
				NULL, in_ms(20000)));
		}
		for (i = 0; i < 100; i++) {
			OK(msg_call_take(caller, &result, in_ms(20000)));
			EQUAL(result.result, (uintptr_t)result.user);
			// It stays where it is while the others come.
			if (i < 3)
				msg_sleep_until(in_ms(10));
			msg_wait(&item, 1, 0);
			CHECK(test_filled(result.data, (size_t)result.result, i));
		}
	}
	OK(msg_call(caller, NULL, 0, NULL, 0, in_ms(20000)));
	test_join(pid);
	msg_caller_close(caller);
	OK(msg_leave(region));
}

/* ---- many callers; peers that die ---- */

// For ever: calls, some of them cancelled, some given up, some large.
static void busy_caller(void *arg)
{
	struct stage *stage = arg;
	struct msg_call_options options = { .channel = { .ring = 2048 }, .calls = 50 };
	static uint8_t data[20000], reply[20000];
	struct msg_call_result result;

	for (;;) {
		struct msg_region *region = test_attach(stage->path, "busy");
		uint64_t n, rounds = test_random(&stage->seed) % 300, id;
		struct msg_caller *caller;
		int64_t len;
		int err = msg_caller_open(region, "service", &options, &caller, in_ms(20000));

		for (n = 0; !err && n < rounds; n++) {
			size_t size = 1 + test_random(&stage->seed) % 400;
			uint64_t seed = test_random(&stage->seed);

			if (n % 32 == 9)
				size = sizeof(data);
			test_fill(data, size, seed);
			if (n % 4) {
				err = msg_call_start(caller, data, size, in_ms(20000), NULL, &id,
					in_ms(20000));
				if (!err && n % 8 == 5)
					msg_call_cancel(caller, id);
				while (!err && !msg_call_take(caller, &result, 0))
					CHECK(result.result > 0 || result.result == -EPIPE);
				continue;
			}
			len = msg_call(caller, data, size, reply, sizeof(reply), in_ms(20000));
			if (len >= 0) {
				EQUAL(len, size);
				CHECK(test_filled(reply, size, seed));
			} else {
				err = (int)len;
			}
		}
		// Taken for dead by a starved observer, or its server killed: comes back.
		if (err)
			CHECK(err == -ESTALE || err == -EPIPE || err == -ENOBUFS);
		err = msg_leave(region);
		CHECK(!err || err == -ESTALE);
	}
}

// Answers late, and the newest first.
static void serve_some(struct msg_server *server, uint64_t until, uint64_t *answered)
{
	static uint8_t copies[32][20000];
	uint64_t tokens[32];
	size_t sizes_[32];
	unsigned n = 0, i;

	while (msg_now_ns() < until || n) {
		struct msg_request request;
		int err = msg_server_next(server, &request, n ? 0 : until);

		if (!err && request.type == MSG_REQUEST_CALL) {
			CHECK(request.len <= sizeof(copies[0]));
			memcpy(copies[n], request.data, request.len);
			sizes_[n] = request.len;
			tokens[n++] = request.token;
			if (n < 32)
				continue;
		} else if (!err) {
			for (i = 0; i < n && tokens[i] != request.token; i++)
				;
			CHECK(i < n);
			OK(msg_request_refuse(server, request.token, 0));
			n--;
			tokens[i] = tokens[n];
			sizes_[i] = sizes_[n];
			memmove(copies[i], copies[n], sizes_[i]);
			continue;
		} else {
			CHECK(err == -EAGAIN || err == -ETIMEDOUT);
		}
		while (n) {
			n--;
			err = msg_reply(server, tokens[n], copies[n], sizes_[n], in_ms(20000));
			CHECK(!err || err == -EPIPE || err == -ECANCELED);
			*answered += !err;
		}
	}
}

static void callers_die(void)
{
	struct stage stage = { .path = test_region(8 * MEGA), .ring = 2048, .seed = 1 };
	struct msg_options options = { .name = "server", .death_ns = 400 * MS, .slots = 32 };
	struct msg_region_info before, after;
	struct msg_call_stats stats;
	struct msg_server *server;
	struct msg_region *region;
	struct msg_buffer *buffer;
	uint64_t random = 99, answered = 0, end;
	pid_t pids[4];
	unsigned i, k;

	OK(msg_attach(stage.path, &options, &region));
	OK(msg_server_open(region, "service", NULL, &server));
	// Large replies leave one pool for the next ones.
	OK(msg_buffer_alloc(region, 1, &buffer));
	msg_buffer_free(buffer);
	msg_region_describe(region, &before);
	for (i = 0; i < 4; i++, stage.seed++)
		pids[i] = test_spawn(busy_caller, &stage);
	for (k = 0; k < 150; k++) {
		// However slow they are: as many answers as deaths.
		do
			serve_some(server, msg_now_ns() + test_random(&random) % (30 * MS), &answered);
		while (answered <= k);
		i = test_random(&random) % 4;
		test_kill(pids[i]);
		stage.seed++;
		pids[i] = test_spawn(busy_caller, &stage);
	}
	for (i = 0; i < 4; i++)
		test_kill(pids[i]);
	// The last ones are found dead, and all that they had comes back.
	end = in_ms(60000);
	do {
		serve_some(server, in_ms(20), &answered);
		msg_server_stats(server, &stats);
		msg_region_describe(region, &after);
	} while ((msg_server_callers(server) || after.land_free != before.land_free) &&
		msg_now_ns() < end);
	EQUAL(msg_server_callers(server), 0);
	EQUAL(stats.outstanding, 0);
	EQUAL(after.land_free, before.land_free);
	msg_server_close(server);
	OK(msg_leave(region));
}

// Serves until killed.
static void mortal_server(void *arg)
{
	struct stage *stage = arg;
	struct msg_region *region;
	struct msg_server *server = serve(stage, &region, 64);
	uint64_t answered = 0;

	for (;;)
		serve_some(server, in_ms(50), &answered);
}

// Killed servers: every call under way ends with -EPIPE, and the next server is found.
static void servers_die_times(unsigned times)
{
	struct stage stage = { .path = test_region(8 * MEGA), .ring = 2048 };
	struct msg_options options = { .name = "caller", .death_ns = 300 * MS };
	struct msg_call_options calls = { .channel = { .ring = 2048 }, .calls = 40 };
	struct msg_region *region;
	struct msg_call_result result;
	struct msg_caller *caller;
	uint64_t random = 3, started, ended, replies = 0;
	unsigned k;
	pid_t pid;

	OK(msg_attach(stage.path, &options, &region));
	for (k = 0; k < times; k++) {
		uint64_t until;
		int err = 0;

		pid = test_spawn(mortal_server, &stage);
		OK(msg_caller_open(region, "service", &calls, &caller, in_ms(20000)));
		until = msg_now_ns() + test_random(&random) % (20 * MS);
		// The first one lives until it has answered something, however slow it is.
		for (started = ended = 0; msg_now_ns() < until || !replies;) {
			err = msg_call_start(caller, "question", 8, MSG_FOREVER, NULL, NULL, 0);
			started += !err;
			if (err) {
				CHECK(err == -ENOBUFS || err == -EAGAIN);
				OK(msg_call_take(caller, &result, in_ms(20000)));
				EQUAL(result.result, 8);
				ended++;
				replies++;
			}
		}
		kill(pid, SIGSTOP);
		while (!(err = msg_call_start(caller, "question", 8, MSG_FOREVER, NULL, NULL, 0)))
			started++;
		// -EPIPE: this process was put off for so long that the stopped one counts as dead.
		CHECK(err == -ENOBUFS || err == -EAGAIN || err == -EPIPE);
		test_kill(pid);
		while (!(err = msg_call_take(caller, &result, in_ms(20000)))) {
			CHECK(result.result == 8 || result.result == -EPIPE);
			ended++;
		}
		EQUAL(err, -ENOENT);
		EQUAL(ended, started);
		EQUAL(msg_call(caller, "more", 4, NULL, 0, MSG_FOREVER), -EPIPE);
		msg_caller_close(caller);
	}
	OK(msg_leave(region));
}

static void servers_die(void)
{
	servers_die_times(6);
}

static void servers_die_more(void)
{
	servers_die_times(40);
}

/* ---- what isn't there ---- */

static void plain_listener(void *arg)
{
	struct stage *stage = arg;
	struct msg_region *region = test_attach(stage->path, "plain");
	struct msg_listener *listener;
	struct msg_channel *channel;

	OK(msg_listen(region, "service", NULL, &listener));
	while (!*stage->end)
		TIMES_OUT(msg_accept(listener, &channel, in_ms(5)));
	OK(msg_leave(region));
}

static void kinds(void)
{
	struct stage stage = { .path = test_region(MEGA), .ring = 1024,
		.end = test_shared(sizeof(*stage.end)) };
	struct msg_region *region = test_attach_patient(stage.path, "caller");
	struct msg_caller *caller;
	struct msg_channel *channel;
	struct msg_server *server, *second;
	struct msg_request request;
	pid_t pid;

	TIMES_OUT(msg_caller_open(region, "nobody", NULL, &caller, in_ms(10)));
	pid = test_spawn(plain_listener, &stage);
	EQUAL(msg_caller_open(region, "service", NULL, &caller, in_ms(20000)), -EPROTOTYPE);
	*stage.end = true;
	test_join(pid);
	pid = test_spawn(echo_server, &stage);
	EQUAL(msg_connect(region, "service", NULL, &channel, in_ms(20000)), -EPROTOTYPE);
	OK(msg_caller_open(region, "service", NULL, &caller, in_ms(20000)));
	OK(msg_call(caller, "", 0, NULL, 0, in_ms(20000)));
	test_join(pid);
	msg_caller_close(caller);
	OK(msg_server_open(region, "own", NULL, &server));
	EQUAL(msg_server_open(region, "own", NULL, &second), -EADDRINUSE);
	EQUAL(msg_server_next(server, &request, 0), -EAGAIN);
	TIMES_OUT(msg_server_next(server, &request, in_ms(5)));
	EQUAL(msg_reply(server, 0, NULL, 0, 0), -ENOENT);
	EQUAL(msg_reply(server, 1ull << 32 | 1, NULL, 0, 0), -ENOENT);
	// Left to msg_leave, open.
	OK(msg_leave(region));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "sizes", sizes, 0 },
		{ "thousands", thousands, 0 },
		{ "cancels", cancels, 0 },
		{ "crossing", crossing, 0 },
		{ "both_full", both_full, 0 },
		{ "buffers", buffers, 0 },
		{ "behind", behind, 0 },
		{ "kinds", kinds, 0 },
		{ "callers_die", callers_die, 90 },
		{ "servers_die", servers_die, 90 },
		{ "servers_die_more", servers_die_more, 200 },
	};

	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

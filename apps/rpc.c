// SPDX-License-Identifier: BSD-2-Clause
/*
 * Calls from one peer to another. The server adds numbers, at once or after the time that the
 * request asks for, so that answers come out of order; the client shows calls one by one, many under
 * way at once, a deadline that passes and a call that is cancelled.
 *
 * Without a role, whoever comes first serves and the others call. The server ends when so many
 * callers as it was told of have said that they are done.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <isthmus/msg_call.h>

#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull
#define TRY_NS (50 * NS_PER_MS)
#define HELD 4096 /* requests that the server may hold */

static const char usage[] =
	"usage: rpc [serve|call] [--callers N] [--calls N] [--timeout SECONDS]\n"
	"  serve, call        without one of them: who comes first serves\n"
	"  --callers N        serve: how many callers to wait for (default 1)\n"
	"  --calls N          how many calls to make of each sort (default 1000, at most 4000)\n"
	"  --timeout SECONDS  longest wait for the other side (default 60)\n";

enum role { ANY, SERVE, CALL };

struct question {
	uint64_t a, b;
	uint64_t delay_ns; /* to be answered so much later */
	uint64_t last;     /* 1: this caller is done */
};

struct answer {
	uint64_t sum;
};

static uint64_t timeout_ns = 60 * NS_PER_S;

static uint64_t deadline(void)
{
	return msg_now_ns() + timeout_ns;
}

/* ---- serving ---- */

struct later {
	uint64_t token, due, sum;
};

static struct later later[HELD];
static unsigned held;

/* The request that is due next. */
static unsigned earliest(void)
{
	unsigned first = 0, i;

	for (i = 1; i < held; i++)
		if (later[i].due < later[first].due)
			first = i;
	return first;
}

static void answer_due(struct msg_server *server)
{
	while (held) {
		unsigned i = earliest();
		struct answer answer = { later[i].sum };

		if (later[i].due > msg_now_ns())
			return;
		/* A caller that has gone meanwhile is no fault of ours. */
		msg_reply(server, later[i].token, &answer, sizeof(answer), deadline());
		later[i] = later[--held];
	}
}

static void forget(struct msg_server *server, uint64_t token)
{
	unsigned i;

	for (i = 0; i < held && later[i].token != token; i++)
		;
	if (i < held)
		later[i] = later[--held];
	msg_request_refuse(server, token, 0);
}

/* Returns 1 if its caller is done. */
static unsigned answer(struct msg_server *server, const struct msg_request *request)
{
	struct question question;
	struct answer sum;

	if (request->type == MSG_REQUEST_CANCELLED) {
		forget(server, request->token);
		return 0;
	}
	if (request->len != sizeof(question)) {
		msg_request_refuse(server, request->token, deadline());
		return 0;
	}
	/* The caller could change it while we look at it. */
	memcpy(&question, request->data, sizeof(question));
	sum.sum = question.a + question.b;
	if (question.delay_ns && held < HELD)
		later[held++] = (struct later){ request->token,
			msg_now_ns() + question.delay_ns, sum.sum };
	else
		msg_reply(server, request->token, &sum, sizeof(sum), deadline());
	return question.last == 1;
}

static int serve(struct msg_server *server, unsigned callers)
{
	uint64_t limit = deadline();
	struct msg_call_stats stats;

	while (callers || msg_server_callers(server)) {
		struct msg_wait_item items[2] = {
			{ .type = MSG_WAIT_PATTERN, .pattern = server },
			{ .type = MSG_WAIT_TIMER, .at = msg_now_ns() + 100 * NS_PER_MS },
		};
		struct msg_request request;
		int error;

		if (held && later[earliest()].due < items[1].at)
			items[1].at = later[earliest()].due;
		msg_wait(items, 2, limit);
		while (!(error = msg_server_next(server, &request, 0))) {
			unsigned done = answer(server, &request);

			callers -= callers ? done : 0;
			limit = deadline();
		}
		if (error != -EAGAIN) {
			fprintf(stderr, "rpc: %s\n", msg_strerror(error));
			return 1;
		}
		answer_due(server);
		if (msg_now_ns() >= limit) {
			fprintf(stderr, "rpc: nobody calls\n");
			return 1;
		}
	}
	msg_server_stats(server, &stats);
	printf("rpc: served %llu calls: %llu answered, %llu cancelled\n",
		(unsigned long long)stats.started, (unsigned long long)stats.answered,
		(unsigned long long)stats.cancelled);
	return 0;
}

/* ---- calling ---- */

static int fail(const char *what, int64_t error)
{
	fprintf(stderr, "rpc: FAIL: %s: %s\n", what, msg_strerror(error));
	return 1;
}

static int one_by_one(struct msg_caller *caller, unsigned calls)
{
	uint64_t start = msg_now_ns(), i;
	struct answer answer;

	for (i = 0; i < calls; i++) {
		struct question question = { .a = i, .b = 1000000 - i };
		int64_t len = msg_call(caller, &question, sizeof(question), &answer,
			sizeof(answer), deadline());

		if (len != sizeof(answer) || answer.sum != 1000000)
			return fail("a call", len < 0 ? len : -EPROTO);
	}
	printf("rpc: %u calls one by one, %.1f us each\n", calls,
		(double)(msg_now_ns() - start) / 1000 / calls);
	return 0;
}

/* All at once; the server answers each after a time of its own. */
static int many_at_once(struct msg_caller *caller, unsigned calls)
{
	static bool answered[HELD];
	struct msg_call_result result;
	struct answer answer;
	unsigned overtaken = 0;
	uint64_t i, highest = 0;

	memset(answered, 0, sizeof(answered));
	for (i = 0; i < calls; i++) {
		struct question question = { .a = i, .b = i,
			.delay_ns = NS_PER_MS + i * 7919 % 50 * NS_PER_MS };
		int error = msg_call_start(caller, &question, sizeof(question), deadline(),
			(void *)(uintptr_t)i, NULL, deadline());

		if (error)
			return fail("starting a call", error);
	}
	for (i = 0; i < calls; i++) {
		uint64_t number;
		int error = msg_call_take(caller, &result, deadline());

		if (error || result.result != sizeof(answer))
			return fail("one of many calls", error ? error : result.result);
		number = (uintptr_t)result.user;
		memcpy(&answer, result.data, sizeof(answer));
		if (answer.sum != 2 * number || answered[number])
			return fail("the answer of another call", -EPROTO);
		answered[number] = true;
		overtaken += number < highest;
		highest = number > highest ? number : highest;
	}
	printf("rpc: %u calls at once, each answered once, %u of them after a later one\n", calls,
		overtaken);
	return 0;
}

static int deadline_and_cancel(struct msg_caller *caller)
{
	struct question slow = { .a = 1, .b = 2, .delay_ns = 3600 * NS_PER_S };
	struct msg_call_stats stats;
	struct answer answer;
	uint64_t id;
	int64_t error = msg_call(caller, &slow, sizeof(slow), &answer, sizeof(answer),
		msg_now_ns() + 50 * NS_PER_MS);

	if (error != -ETIMEDOUT)
		return fail("a call that takes an hour", error);
	error = msg_call_start(caller, &slow, sizeof(slow), MSG_FOREVER, NULL, &id, deadline());
	if (!error)
		error = msg_call_cancel(caller, id);
	if (error)
		return fail("cancelling a call", error);
	msg_caller_stats(caller, &stats);
	printf("rpc: %llu calls ended by deadline or cancelled, %llu answers came late\n",
		(unsigned long long)stats.cancelled, (unsigned long long)stats.late);
	return 0;
}

static int say_done(struct msg_caller *caller)
{
	struct question last = { .last = 1 };
	struct answer answer;
	int64_t len = msg_call(caller, &last, sizeof(last), &answer, sizeof(answer), deadline());

	return len < 0 ? fail("the last call", len) : 0;
}

static int call(struct msg_caller *caller, unsigned calls)
{
	struct msg_peer peer;

	msg_caller_peer(caller, &peer);
	printf("rpc: calling %s\n", peer.name);
	return one_by_one(caller, calls) || many_at_once(caller, calls) ||
	       deadline_and_cancel(caller) || say_done(caller);
}

/* ---- */

/* Opens one of the two. The name of a server that died is taken until its heart has been missed for
 * long enough: who would take its place tries again. */
static int open_role(struct msg_region *region, enum role role, struct msg_server **server,
	struct msg_caller **caller)
{
	struct msg_call_options options = { .calls = HELD };
	uint64_t limit = deadline(), patience;
	struct msg_region_info info;
	int error = -EADDRINUSE;

	msg_region_describe(region, &info);
	patience = msg_now_ns() + 2 * info.death_ns;
	for (;;) {
		if (role != CALL)
			error = msg_server_open(region, "rpc", &options, server);
		if (role == SERVE && error == -EADDRINUSE && msg_now_ns() < patience) {
			msg_sleep_until(msg_now_ns() + TRY_NS);
			continue;
		}
		if (role == SERVE || error != -EADDRINUSE)
			return error;
		error = msg_caller_open(region, "rpc", &options, caller,
			role == CALL ? limit : msg_now_ns() + TRY_NS);
		if (role == CALL || error != -ETIMEDOUT || msg_now_ns() >= limit)
			return error;
	}
}

static int run(struct msg_region *region, enum role role, unsigned calls, unsigned callers)
{
	struct msg_server *server = NULL;
	struct msg_caller *caller = NULL;
	int error = open_role(region, role, &server, &caller), status;

	if (error)
		return fail("no partner", error);
	if (server) {
		printf("rpc: serving\n");
		status = serve(server, callers);
		msg_server_close(server);
		return status;
	}
	status = call(caller, calls);
	msg_caller_close(caller);
	return status;
}

int main(int argc, char **argv)
{
	enum role role = ANY;
	unsigned calls = 1000, callers = 1;
	struct msg_region *region;
	int error, status, i;

	for (i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";
		char *end;
		unsigned long number = strtoul(value, &end, 10);

		if (*end) /* it isn't one */
			number = 0;

		if (!strcmp(argv[i], "--help")) {
			fputs(usage, stdout);
			return 0;
		} else if (!strcmp(argv[i], "serve")) {
			role = SERVE;
		} else if (!strcmp(argv[i], "call")) {
			role = CALL;
		} else if (!strcmp(argv[i], "--calls") && number > 0 && number <= 4000) {
			calls = (unsigned)number;
			i++;
		} else if (!strcmp(argv[i], "--callers") && number > 0 && number < 1000) {
			callers = (unsigned)number;
			i++;
		} else if (!strcmp(argv[i], "--timeout") && number > 0 && number < 100000) {
			timeout_ns = number * NS_PER_S;
			i++;
		} else {
			fprintf(stderr, "rpc: %s%s%s: not understood; --help lists the options\n",
				argv[i], *value ? " " : "", value);
			return 2;
		}
	}
	/* Whoever reads along through a pipe wants each line at once. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	error = msg_attach(NULL, NULL, &region);
	if (error) {
		fprintf(stderr, "rpc: can't join: %s\n", msg_strerror(error));
		return 1;
	}
	status = run(region, role, calls, callers);
	msg_leave(region);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "rpc: the output could not be written\n");
		status = 1;
	}
	return status;
}

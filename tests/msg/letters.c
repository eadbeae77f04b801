// SPDX-License-Identifier: BSD-2-Clause
/*
 * Peers that break the rules of calls and queues, letter by letter and at random: the victim ends
 * that channel with a report of what was seen, keeps its own books right and serves others. The
 * rogue speaks through a bare channel of the kind, so that each letter is exact. All in one thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <isthmus/msg_call.h>
#include <isthmus/msg_queue.h>
#include "msg/patterns/call.h"
#include "msg/patterns/queue.h"
#include "tests/msg/harness.h"

#define MEGA (1u << 20)

struct stage {
	struct msg_region *victim, *rogue, *honest;
	struct msg_server *server;
	struct msg_dispatcher *dispatcher;
	struct msg_caller *caller;
	struct msg_producer *producer;
	struct msg_worker *worker;
	struct msg_listener *listener; /* the rogue's */
	struct msg_channel *channel;   /* the rogue's end */
	struct connecting connecting;
	char name[8];
};

static const struct msg_channel_options small = { .ring = 4096 };

static void stage_begin(struct stage *stage)
{
	const char *path = test_region(4 * MEGA);

	memset(stage, 0, sizeof(*stage));
	stage->victim = test_attach_patient(path, "victim");
	stage->rogue = test_attach_patient(path, "rogue");
	stage->honest = test_attach_patient(path, "honest");
	strcpy(stage->name, "v");
}

static void stage_end(struct stage *stage)
{
	OK(msg_leave(stage->honest));
	OK(msg_leave(stage->rogue));
	OK(msg_leave(stage->victim));
}

// The victim does what can be done at once.
static void turn(struct stage *stage)
{
	struct msg_request request;
	struct msg_call_result result;
	struct msg_queue_result done;
	struct msg_work work;
	unsigned i;

	for (i = 0; i < 4; i++) {
		msg_peers(stage->victim, NULL, 0);
		msg_peers(stage->rogue, NULL, 0);
		while (stage->server && !msg_server_next(stage->server, &request, 0))
			if (request.type == MSG_REQUEST_CANCELLED)
				OK(msg_request_refuse(stage->server, request.token, 0));
		if (stage->dispatcher)
			msg_dispatcher_run(stage->dispatcher, 0);
		while (stage->caller && !msg_call_take(stage->caller, &result, 0))
			;
		while (stage->producer && !msg_producer_result(stage->producer, &done, 0))
			;
		while (stage->worker && !msg_worker_take(stage->worker, &work, 0))
			OK(msg_worker_done(stage->worker, work.token, work.data, work.len));
	}
}

// A bare channel of the kind to the victim's name.
static void rogue_connect(struct stage *stage, enum wire_kind kind)
{
	uint64_t end = in_ms(20000);
	int err;

	OK(connect_begin(&stage->connecting, stage->rogue, stage->name, &small, kind));
	while ((err = connect_step(&stage->connecting, &stage->channel)) == -EAGAIN) {
		CHECK(msg_now_ns() < end);
		turn(stage);
	}
	OK(err);
}

// A bare channel of the kind from the victim, which connects to the rogue's name.
static void rogue_accept(struct stage *stage)
{
	uint64_t end = in_ms(20000);

	while (msg_accept(stage->listener, &stage->channel, 0)) {
		CHECK(msg_now_ns() < end);
		turn(stage);
	}
	turn(stage);
}

static void letter(struct stage *stage, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3,
	unsigned words)
{
	uint64_t head[4] = { w0, w1, w2, w3 };

	OK(msg_send(stage->channel, head, 8 * words, 0));
}

static void expect_fault(struct stage *stage, const char *what)
{
	struct msg_event event;
	unsigned faults = 0;
	char c[64];

	turn(stage);
	while (msg_next_event(stage->victim, &event) > 0)
		if (event.type == MSG_EVENT_FAULT) {
			faults++;
			if (strcmp(event.fault.what, what))
				fprintf(stderr, "'%s', not '%s'\n", event.fault.what, what);
			CHECK(!strcmp(event.fault.what, what));
			CHECK(!strcmp(event.peer.name, "rogue"));
		}
	EQUAL(faults, 1);
	msg_peers(stage->rogue, NULL, 0);
	while (msg_recv(stage->channel, c, sizeof(c), 0) >= 0)
		;
	EQUAL(msg_recv(stage->channel, c, sizeof(c), 0), -ECONNRESET);
	msg_close(stage->channel);
	turn(stage);
}

#define CALL(...) letter(stage, __VA_ARGS__, 0, CALL_WORDS)
#define QUEUE(...) letter(stage, __VA_ARGS__, 0, QUEUE_WORDS)

/* ---- a server ---- */

static void server_rules(void)
{
	struct stage s, *stage = &s;
	struct msg_caller *caller;
	uint64_t word = 1;
	unsigned i;

	stage_begin(stage);
	OK(msg_server_open(stage->victim, "v", NULL, &stage->server));
	for (i = 0; i < 6; i++) {
		rogue_connect(stage, KIND_CALLS);
		CALL(CALL_REQUEST, 1, MSG_FOREVER);
		CALL(CALL_REQUEST, 1, 5);
		CALL(CALL_CANCEL, 77, 0);
		turn(stage);
		switch (i) {
		case 0: CALL(CALL_REPLY, 1, 0); break;
		case 1: CALL(CALL_REQUEST, 0, 0); break;
		case 2: CALL(200, 1, 0); break;
		case 3: OK(msg_send(stage->channel, &word, 8, 0)); break;
		case 4: CALL(CALL_REQUEST | LETTER_BODY, 9, 0); break;
		case 5: OK(msg_send(stage->channel, NULL, 0, 0)); break;
		}
		expect_fault(stage, i < 3 ? "unknown type of a request" :
			i == 4 ? "a body was announced and isn't there" :
			"message without the head of its kind");
		EQUAL(msg_server_callers(stage->server), 0);
	}
	// Others are served.
	OK(connect_begin(&stage->connecting, stage->honest, "v", &small, KIND_CALLS));
	while (connect_step(&stage->connecting, &stage->channel) == -EAGAIN)
		turn(stage);
	EQUAL(msg_server_callers(stage->server), 1);
	EQUAL(msg_caller_open(stage->victim, "v", NULL, &caller, 0), -EINVAL);
	stage_end(stage);
}

/* ---- a caller ---- */

static const struct lie {
	uint64_t type, id; /* id: added to the call's */
	const char *what;
} lies[] = {
	{ CALL_REPLY, 1ull << 32, "reply to a call that never was" },
	{ CALL_REPLY, 5000, "reply to a call that never was" },
	{ CALL_REFUSAL, 1ull << 63, "reply to a call that never was" },
	{ CALL_REQUEST, 0, "unknown type of a reply" },
	{ CALL_REPLY | LETTER_BODY, 0, "a body was announced and isn't there" },
};
#define LIES (sizeof(lies) / sizeof(lies[0]))

// Answers the first call, twice; then lies.
static void lying_server(void *arg)
{
	struct msg_region *region = test_attach_patient(arg, "rogue");
	struct msg_listener *listener;
	unsigned i, k;

	OK(endpoint_listen(region, "r", &small, KIND_CALLS, &listener));
	for (i = 0; i < LIES; i++) {
		struct msg_channel *channel;
		uint64_t head[3], id;

		OK(msg_accept(listener, &channel, in_ms(20000)));
		for (k = 0; k < 2; k++) {
			EQUAL(msg_recv(channel, head, sizeof(head), in_ms(20000)), 24);
			EQUAL(head[0], CALL_REQUEST);
			id = head[1];
			head[0] = CALL_REPLY;
			head[2] = 0;
			if (k) {
				head[0] = lies[i].type;
				head[1] = id + lies[i].id;
			}
			OK(msg_send(channel, head, 24, 0));
			if (!k)
				OK(msg_send(channel, head, 24, 0));
		}
		EQUAL(msg_recv(channel, head, sizeof(head), in_ms(20000)), -ECONNRESET);
		msg_close(channel);
	}
	OK(msg_leave(region));
}

static void caller_rules(void)
{
	const char *path = test_region(MEGA);
	struct msg_region *region = test_attach_patient(path, "victim");
	struct msg_call_options options = { .channel = small, .calls = 4 };
	pid_t pid = test_spawn(lying_server, (void *)(uintptr_t)path);
	unsigned i;

	for (i = 0; i < LIES; i++) {
		struct msg_call_stats stats;
		struct msg_caller *caller;
		struct msg_event event;
		struct msg_fault fault;
		unsigned faults = 0;

		OK(msg_caller_open(region, "r", &options, &caller, in_ms(20000)));
		EQUAL(msg_call(caller, NULL, 0, NULL, 0, in_ms(20000)), 0);
		EQUAL(msg_call(caller, NULL, 0, NULL, 0, in_ms(20000)), -ECONNRESET);
		EQUAL(msg_call(caller, NULL, 0, NULL, 0, in_ms(20000)), -ECONNRESET);
		msg_caller_stats(caller, &stats);
		EQUAL(stats.late, 1);
		EQUAL(stats.outstanding, 0);
		CHECK(msg_caller_fault(caller, &fault));
		CHECK(!strcmp(fault.what, lies[i].what));
		while (msg_next_event(region, &event) > 0)
			faults += event.type == MSG_EVENT_FAULT;
		EQUAL(faults, 1);
		msg_caller_close(caller);
	}
	test_join(pid);
	OK(msg_leave(region));
}

/* ---- a dispatcher ---- */

static uint64_t rogue_life(struct stage *stage)
{
	return stage->rogue->life;
}

static void dispatcher_rules(void)
{
	static const char *const whats[] = {
		"neither a producer nor a worker", "neither a producer nor a worker",
		"item of another producer", "item of another producer", "item of another producer",
		"the same item twice", "more items than were granted",
		"unknown type of a letter to a dispatcher", "reported twice",
		"a report that can't be", "result of work that it doesn't have",
		"return of work that it doesn't have", "unknown type of a letter to a dispatcher",
		"unknown type of a letter to a dispatcher",
	};
	struct msg_queue_options options = { .channel = { .ring = 4096 }, .window = 3 };
	struct stage s, *stage = &s;
	struct msg_queue_stats stats;
	uint64_t life;
	unsigned i;

	stage_begin(stage);
	life = rogue_life(stage);
	OK(msg_dispatcher_open(stage->victim, "v", &options, &stage->dispatcher));
	turn(stage);
	for (i = 0; i < sizeof(whats) / sizeof(whats[0]); i++) {
		unsigned k;

		rogue_connect(stage, KIND_QUEUE);
		if (i >= 2)
			QUEUE(QUEUE_HEAD(i < 9 ? QUEUE_PRODUCER : QUEUE_WORKER, 100), 0,
				i < 9 ? 5ull << 48 : 0);
		if (i >= 2 && i < 9)
			QUEUE(QUEUE_REPORTED, 0, 0);
		turn(stage);
		switch (i) {
		case 0: QUEUE(QUEUE_ITEM, life, 1); break;
		case 1: QUEUE(QUEUE_HEAD(QUEUE_WORKER, 0), 0, 0); break;
		case 2: QUEUE(QUEUE_ITEM, life + 4, 5ull << 48 | 1); break;
		case 3: QUEUE(QUEUE_ITEM, life, 6ull << 48 | 1); break;
		case 4: QUEUE(QUEUE_ITEM, life, 5ull << 48); break;
		case 5:
			for (k = 0; k < 2; k++)
				QUEUE(QUEUE_ITEM, life, 5ull << 48 | 1000);
			break;
		case 6:
			for (k = 0; k < 4; k++)
				QUEUE(QUEUE_ITEM, life, 5ull << 48 | (2000 + k));
			break;
		case 7: QUEUE(QUEUE_DONE, life, 5ull << 48 | 1); break;
		case 8: QUEUE(QUEUE_REPORTED, 0, 0); break;
		case 9:
			QUEUE(QUEUE_REPORTED, 0, 0);
			QUEUE(QUEUE_HELD, life, 1);
			break;
		case 10:
			QUEUE(QUEUE_REPORTED, 0, 0);
			QUEUE(QUEUE_DONE, life, 1);
			break;
		case 11: QUEUE(QUEUE_RETURN, life, 1); break;
		case 12: QUEUE(QUEUE_ITEM, life, 1); break;
		case 13: QUEUE(QUEUE_RESULT, life, 1); break;
		}
		expect_fault(stage, whats[i]);
		msg_dispatcher_stats(stage->dispatcher, &stats);
		EQUAL(stats.connects, 0);
	}
	// What it put before is there, and an honest worker gets it.
	EQUAL(stats.outstanding, 4);
	OK(msg_worker_open(stage->honest, "v", NULL, &stage->worker));
	for (i = 0; i < 100 && stats.outstanding; i++) {
		turn(stage);
		msg_sleep_until(in_ms(5));
		msg_dispatcher_stats(stage->dispatcher, &stats);
	}
	EQUAL(stats.outstanding, 0);
	EQUAL(stats.done, 4);
	stage_end(stage);
}

// Reports of work that nobody put: bounded, and forgotten.
static void reports_in_time(bool living)
{
	struct stage s, *stage = &s;
	struct msg_queue_options options = { .channel = { .ring = 4096 }, .items = 16 };
	struct msg_queue_stats stats;
	uint64_t number = 0, lives[3], limit, end;
	unsigned i;

	stage_begin(stage);
	lives[0] = stage->honest->life;
	lives[1] = 12345;
	lives[2] = stage->victim->life;
	OK(msg_dispatcher_open(stage->victim, "v", &options, &stage->dispatcher));
	turn(stage);
	for (i = 0; i < 3; i++) {
		rogue_connect(stage, KIND_QUEUE);
		QUEUE(QUEUE_HEAD(QUEUE_WORKER, 4), 0, 0);
		for (;;) {
			uint64_t head[] = { number % 2 ? QUEUE_HELD : QUEUE_DONE,
				lives[number % 3], 1ull << 48 | (number + 1), 0 };
			int err = msg_send(stage->channel, head, 32, 0);

			number++;
			if (err == -EAGAIN)
				turn(stage);
			else if (err)
				break;
		}
		expect_fault(stage, i < 1 ? "a report that can't be" : "more reports than can be");
		msg_dispatcher_stats(stage->dispatcher, &stats);
		CHECK(stats.outstanding <= 16 + 2 * MSG_QUEUE_WINDOW_MAX);
	}
	CHECK(number > 10000);
	// Of peers that don't live: forgotten soon; of those that do: when their time is over, 10 s.
	limit = stats.outstanding;
	for (end = in_ms(60000); stats.outstanding >= limit && msg_now_ns() < end;) {
		msg_sleep_until(in_ms(10));
		turn(stage);
		msg_dispatcher_stats(stage->dispatcher, &stats);
		if (living && stats.outstanding)
			limit = stats.outstanding;
	}
	CHECK(stats.outstanding < limit);
	CHECK(!living || !stats.outstanding);
	stage_end(stage);
}

static void wild_reports(void)
{
	reports_in_time(false);
}

static void wild_reports_more(void)
{
	reports_in_time(true);
}

// Reports about items that their producer has no need of any more: settled at once, nothing is kept.
static void settled(void)
{
	struct stage s, *stage = &s;
	struct msg_queue_stats stats;
	struct letter_view view;
	uint64_t life, end = in_ms(20000);
	unsigned i;

	stage_begin(stage);
	life = stage->honest->life;
	OK(msg_dispatcher_open(stage->victim, "v", NULL, &stage->dispatcher));
	OK(msg_producer_open(stage->honest, "v", NULL, &stage->producer));
	OK(msg_producer_put(stage->producer, "item", 4, NULL, 0));
	do {
		CHECK(msg_now_ns() < end);
		turn(stage);
		msg_producer_flush(stage->producer, 0);
		msg_dispatcher_stats(stage->dispatcher, &stats);
	} while (!stats.outstanding);
	rogue_connect(stage, KIND_QUEUE);
	QUEUE(QUEUE_HEAD(QUEUE_WORKER, 1), 0, 0);
	QUEUE(QUEUE_DONE, life, 1ull << 48 | 5 << 16);
	QUEUE(QUEUE_HELD, life, 1ull << 48 | 6 << 16);
	QUEUE(QUEUE_REPORTED, 0, 0);
	turn(stage);
	QUEUE(QUEUE_DONE, life, 1ull << 48 | 6 << 16);
	turn(stage);
	for (i = 0; i < 4; i++) {
		static const enum queue_type types[] = { QUEUE_WELCOME, QUEUE_SAFE, QUEUE_SAFE,
			QUEUE_GIVE };

		EQUAL(letter_peek(stage->channel, QUEUE_WORDS, &view), 1);
		EQUAL(LETTER_TYPE(view.head[0]), types[i]);
		EQUAL(view.head[2] & 0xffffffff, i == 1 ? 5 << 16 : i == 2 ? 6 << 16 :
			i == 3 ? 1 << 16 : 0);
		letter_release(stage->channel, &view);
	}
	msg_dispatcher_stats(stage->dispatcher, &stats);
	EQUAL(stats.outstanding, 1);
	EQUAL(stats.done, 0);
	stage_end(stage);
}

/* ---- producers and workers ---- */

static void member_rules(void)
{
	struct msg_queue_options options = { .channel = { .ring = 4096 }, .window = 2 };
	struct stage s, *stage = &s;
	struct msg_queue_stats stats;
	uint64_t life, number = 0;
	struct letter_view view;
	unsigned i;

	stage_begin(stage);
	life = stage->victim->life;
	OK(endpoint_listen(stage->rogue, "r", &small, KIND_QUEUE, &stage->listener));
	OK(msg_producer_open(stage->victim, "r", &options, &stage->producer));
	OK(msg_producer_put(stage->producer, "item", 4, NULL, 0));
	for (i = 0; i < 7; i++) {
		rogue_accept(stage);
		EQUAL(letter_peek(stage->channel, QUEUE_WORDS, &view), 1);
		EQUAL(LETTER_TYPE(view.head[0]), QUEUE_PRODUCER);
		letter_release(stage->channel, &view);
		if (i >= 2) {
			QUEUE(QUEUE_HEAD(QUEUE_WELCOME, 1), 0, 0);
			turn(stage);
			EQUAL(letter_peek(stage->channel, QUEUE_WORDS, &view), 1);
			// Reports come before what is new, and after what is not.
			if (i == 2) {
				EQUAL(LETTER_TYPE(view.head[0]), QUEUE_REPORTED);
				letter_release(stage->channel, &view);
				EQUAL(letter_peek(stage->channel, QUEUE_WORDS, &view), 1);
			}
			EQUAL(LETTER_TYPE(view.head[0]), QUEUE_ITEM);
			// It was put at the one before, too, from the second time on.
			EQUAL(!!(view.head[0] & QUEUE_BEFORE), i > 2);
			number = view.head[2];
			letter_release(stage->channel, &view);
		}
		switch (i) {
		case 0: QUEUE(QUEUE_HEAD(QUEUE_WELCOME, 0), 0, 0); break;
		case 1: QUEUE(QUEUE_RESULT, life, 1); break;
		case 2: QUEUE(QUEUE_RESULT, life + 4, number); break;
		case 3: QUEUE(QUEUE_RESULT, life, number + 1); break;
		case 4: QUEUE(QUEUE_RESULT, life, number + (1u << 16)); break;
		case 5: QUEUE(QUEUE_GIVE, life, number); break;
		case 6:
			QUEUE(QUEUE_RESULT, life, number);
			QUEUE(QUEUE_RESULT, life, number);
			break;
		}
		expect_fault(stage, i < 2 ? "not the welcome of a dispatcher" :
			"not a result that this producer waits for");
		msg_producer_stats(stage->producer, &stats);
		EQUAL(stats.done, i == 6);
		EQUAL(stats.outstanding, i != 6);
	}
	msg_producer_close(stage->producer);
	stage->producer = NULL;
	OK(msg_worker_open(stage->victim, "r", &options, &stage->worker));
	for (i = 0; i < 3; i++) {
		rogue_accept(stage);
		QUEUE(QUEUE_HEAD(QUEUE_WELCOME, 5), 0, 0);
		switch (i) {
		case 0: QUEUE(QUEUE_SAFE, life, 1); break;
		case 1:
			// Five at once, to a window of two.
			for (number = 1; number < 6; number++)
				QUEUE(QUEUE_GIVE, life, number);
			break;
		case 2: QUEUE(QUEUE_WELCOME, 0, 0); break;
		}
		expect_fault(stage, "not an item or receipt for this worker");
	}
	stage_end(stage);
}

/* ---- at random ---- */

// Mostly one that may come here.
static uint64_t random_type(uint64_t r, enum wire_kind kind, bool accepts, bool first)
{
	if (r % 16 == 0)
		return r >> 8 & 15;
	if (kind == KIND_CALLS)
		return r >> 8 & 1 ? CALL_REQUEST : CALL_CANCEL;
	if (accepts)
		return first ? QUEUE_WELCOME : QUEUE_GIVE + (r >> 8) % 3;
	return first ? QUEUE_PRODUCER + (r >> 8 & 1) : QUEUE_ITEM + (r >> 8) % 5;
}

static void random_letters(struct stage *stage, uint64_t *random, enum wire_kind kind, bool accepts,
	bool first)
{
	uint64_t lives[] = { stage->rogue->life, stage->victim->life, stage->honest->life, 0 };
	static uint8_t body[6000];
	uint64_t *head = (uint64_t *)body;
	unsigned i, n = test_random(random) % 60;
	int err = 0;

	for (i = 0; i < n && !err; i++) {
		uint64_t r = test_random(random);
		size_t len = r % 13 ? kind == KIND_CALLS ? 24 : 32 : r % 11 ? r % 100 :
			r % sizeof(body);

		test_fill(body, sizeof(body), r);
		if (r >> 48 & 63) {
			bool hello = first && !i;

			head[0] = random_type(r, kind, accepts, hello) |
				  (r >> 16 & 31 ? 0 : LETTER_BODY) |
				  (r >> 21 & 7 ? 0 : r & 0xfffffe00) | (hello ? r % 9 << 32 : 0);
			head[1] = kind == KIND_CALLS ? (r >> 24 & 3) << 32 | (r >> 26 & 7) :
				lives[r >> 24 & 3];
			head[2] = kind == KIND_CALLS ? r >> 28 : 1ull << 48 | (r >> 28 & 15);
			head[3] = 0;
		}
		if (r >> 40 & 31)
			err = msg_send(stage->channel, body, len, 0);
		else
			err = msg_send_array(stage->channel, body, 32, 3, 0) < 0 ? -EAGAIN : 0;
	}
	turn(stage);
}

static void wild(struct stage *stage, enum wire_kind kind, bool accepts, unsigned rounds)
{
	uint64_t random = kind * 77 + accepts;
	unsigned round;

	for (round = 0; round < rounds; round++) {
		bool first = true;
		struct msg_event event;
		struct msg_queue_stats stats;

		if (stage->producer)
			msg_producer_put(stage->producer, &random, 8, NULL, 0);
		if (accepts)
			rogue_accept(stage);
		else
			rogue_connect(stage, kind);
		while (!stage->channel->send_error && test_random(&random) % 8) {
			if (stage->caller)
				msg_call_start(stage->caller, "x", 1, in_ms(1), NULL, NULL, 0);
			random_letters(stage, &random, kind, accepts, first);
			first = false;
		}
		msg_close(stage->channel);
		turn(stage);
		while (msg_next_event(stage->victim, &event) > 0)
			;
		if (stage->dispatcher) {
			msg_dispatcher_stats(stage->dispatcher, &stats);
			CHECK(stats.outstanding < 20000);
			EQUAL(stats.connects, 0);
		}
	}
}

static void wild_server(void)
{
	struct stage stage;

	stage_begin(&stage);
	OK(msg_server_open(stage.victim, "v", NULL, &stage.server));
	wild(&stage, KIND_CALLS, false, 500);
	stage_end(&stage);
}

static void wild_dispatcher(void)
{
	struct msg_queue_options options = { .items = 50, .bytes = 100000 };
	struct stage stage;

	stage_begin(&stage);
	OK(msg_dispatcher_open(stage.victim, "v", &options, &stage.dispatcher));
	turn(&stage);
	wild(&stage, KIND_QUEUE, false, 500);
	stage_end(&stage);
}

// Who was lied to waits a little before it connects again: that is what the rounds take.
static void members_in(unsigned rounds)
{
	struct stage stage;

	stage_begin(&stage);
	OK(endpoint_listen(stage.rogue, "r", &small, KIND_QUEUE, &stage.listener));
	OK(msg_producer_open(stage.victim, "r", NULL, &stage.producer));
	wild(&stage, KIND_QUEUE, true, rounds);
	msg_producer_close(stage.producer);
	stage.producer = NULL;
	OK(msg_worker_open(stage.victim, "r", NULL, &stage.worker));
	wild(&stage, KIND_QUEUE, true, rounds);
	stage_end(&stage);
}

static void wild_members(void)
{
	members_in(60);
}

static void wild_members_more(void)
{
	members_in(1000);
}

/* ---- a region that is gone ---- */

// Serves one call, dispatches and works, until killed.
static void partner(void *arg)
{
	struct msg_region *region = test_attach_patient(arg, "partner");
	struct msg_dispatcher *dispatcher;
	struct msg_server *server;
	struct msg_wait_item items[2];
	struct msg_request request;

	OK(msg_server_open(region, "s", NULL, &server));
	OK(msg_dispatcher_open(region, "q", NULL, &dispatcher));
	items[0] = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN, .pattern = server };
	items[1] = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN, .pattern = dispatcher };
	for (;;) {
		msg_wait(items, 2, MSG_FOREVER);
		msg_dispatcher_run(dispatcher, 0);
		if (!msg_server_next(server, &request, 0) && request.type == MSG_REQUEST_CALL &&
			request.len)
			OK(msg_reply(server, request.token, request.data, request.len, 0));
	}
}

// All of them are called again and again: nobody may touch what isn't there.
static void gone(void)
{
	const char *path = test_region(4 * MEGA);
	pid_t pid = test_spawn(partner, (void *)(uintptr_t)path);
	struct msg_region *region = test_attach_patient(path, "victim");
	struct msg_dispatcher *dispatcher, *standby;
	struct msg_producer *producer;
	struct msg_worker *worker;
	struct msg_caller *caller;
	struct msg_server *server;
	struct msg_call_result result;
	struct msg_queue_result done;
	struct msg_request request;
	struct msg_wait_item item;
	struct msg_work work;
	uint64_t id;
	unsigned i;
	char c[8];

	OK(msg_server_open(region, "own", NULL, &server));
	OK(msg_dispatcher_open(region, "mine", NULL, &dispatcher));
	OK(msg_dispatcher_run(dispatcher, 0));
	OK(msg_dispatcher_open(region, "q", NULL, &standby));
	OK(msg_caller_open(region, "s", NULL, &caller, in_ms(20000)));
	for (i = 0; i < 3; i++)
		OK(msg_call_start(caller, "reply", 6, MSG_FOREVER, NULL, &id, in_ms(20000)));
	OK(msg_call_start(caller, NULL, 0, in_ms(100000), NULL, &id, in_ms(20000)));
	OK(msg_call_take(caller, &result, in_ms(20000)));
	OK(msg_producer_open(region, "q", NULL, &producer));
	OK(msg_worker_open(region, "q", NULL, &worker));
	for (i = 0; i < 3; i++)
		OK(msg_producer_put(producer, "item", 5, NULL, 0));
	TIMES_OUT(msg_producer_flush(producer, in_ms(100)));
	OK(msg_worker_take(worker, &work, in_ms(20000)));
	item = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN, .pattern = caller };
	OK(msg_wait(&item, 1, in_ms(20000)));
	test_kill(pid);
	msg_region_gone(region);
	CHECK(!mprotect(region->ops.base, region->ops.size, PROT_NONE));
	for (i = 0; i < 2; i++) {
		EQUAL(msg_server_next(server, &request, 0), -ENODEV);
		EQUAL(msg_dispatcher_run(dispatcher, in_ms(5)), -ENODEV);
		EQUAL(msg_dispatcher_run(standby, in_ms(5)), -ENODEV);
		EQUAL(msg_call(caller, "x", 1, c, 8, in_ms(5)), -ENODEV);
		CHECK(msg_call_cancel(caller, id) <= 0);
		EQUAL(msg_producer_put(producer, "x", 1, NULL, in_ms(5)), -ENODEV);
		EQUAL(msg_producer_result(producer, &done, in_ms(5)), -ENODEV);
		EQUAL(msg_producer_flush(producer, in_ms(5)), -ENODEV);
		CHECK(msg_worker_take(worker, &work, in_ms(5)) <= 0);
		EQUAL(msg_worker_done(worker, work.token, "x", 1), i ? -ENODEV : 0);
		EQUAL(msg_worker_flush(worker, in_ms(5)), -ENODEV);
	}
	// Replies that were in private memory by then are still good.
	while (!msg_call_take(caller, &result, in_ms(5)))
		CHECK(result.result == -ENODEV || !strcmp(result.data, "reply"));
	for (i = 0; i < 3; i++) {
		item.pattern = i == 0 ? (void *)server : i == 1 ? (void *)worker : (void *)producer;
		EQUAL(msg_wait(&item, 1, in_ms(5)), 1);
	}
	msg_server_close(server);
	msg_dispatcher_close(dispatcher);
	msg_caller_close(caller);
	msg_producer_close(producer);
	// The others are left to this.
	EQUAL(msg_leave(region), -ENODEV);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "server_rules", server_rules, 0 },
		{ "caller_rules", caller_rules, 0 },
		{ "dispatcher_rules", dispatcher_rules, 0 },
		{ "settled", settled, 0 },
		{ "member_rules", member_rules, 0 },
		{ "gone", gone, 0 },
		{ "wild_reports", wild_reports, 0 },
		{ "wild_server", wild_server, 0 },
		{ "wild_dispatcher", wild_dispatcher, 0 },
		{ "wild_members", wild_members, 0 },
		{ "wild_reports_more", wild_reports_more, 90 },
		{ "wild_members_more", wild_members_more, 120 },
	};

	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * Who dies among those that call, publish, work and gather (roles.c has those that use bare channels). The
 * survivor's second and third selves are further peers of its own thread.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <isthmus/msg_call.h>
#include <isthmus/msg_group.h>
#include <isthmus/msg_queue.h>
#include <isthmus/msg_topic.h>
#include "tests/adversity/points.h"

#define CALLS    8
#define NEWS     14
#define ITEMS    6

static const struct msg_channel_options small = { .ring = STAGE_RING };

static int64_t sure(int64_t result)
{
	if (result == -ESTALE)
		_exit(STAGE_EVICTED);
	return OK(result);
}

static struct msg_region *join_as(struct stage *stage, const char *name)
{
	struct msg_region *region;

	stage->wishes.name = name;
	sure(msg_attach(stage->path, &stage->wishes, &region));
	return region;
}

static void victim_leave(struct stage *stage, struct msg_region *region)
{
	sure(msg_leave(region));
	stage->ledger->finished = true;
}

static bool victim_lives(struct stage *stage)
{
	stage_over(stage);
	return stage->victim;
}

/* ---- calls ---- */

static void caller_victim(struct stage *stage)
{
	struct msg_region *region = join_as(stage, "victim");
	struct msg_call_options options = { .channel = small };
	struct ledger *ledger = stage->ledger;
	struct msg_call_result result;
	struct msg_caller *caller;
	uint64_t number, reply, id;

	point_arm(stage);
	sure(msg_caller_open(region, "server", &options, &caller, in_ms(20000)));
	for (number = 0; number < CALLS; number++) {
		ledger->trying = 1;
		EQUAL(sure(msg_call(caller, &number, 8, &reply, 8, in_ms(20000))), 8);
		EQUAL(reply, number * 3);
		ledger->accepted++;
		ledger->trying = 0;
	}
	// Several at once, one of them cancelled.
	for (; number < CALLS + 3; number++) {
		ledger->trying = 1;
		sure(msg_call_start(caller, &number, 8, in_ms(20000), NULL, &id, in_ms(20000)));
		ledger->accepted++;
		ledger->trying = 0;
	}
	msg_call_cancel(caller, id);
	while ((id = (uint64_t)msg_call_take(caller, &result, in_ms(20000))) == 0)
		EQUAL(result.result, 8);
	CHECK((int64_t)id == -ENOENT);
	msg_caller_close(caller);
	victim_leave(stage, region);
}

static void caller_survivor(struct stage *stage)
{
	struct msg_call_options options = { .channel = small };
	struct msg_server *server;
	struct msg_request request;
	struct msg_call_stats stats;
	uint64_t taken = 0, number, held = 0;
	bool over;

	HUB(msg_server_open(stage->hub, "server", &options, &server));
	do {
		// Before the server's turn: it is to see the end, too.
		over = stage_over(stage);
		while (!HUB(msg_server_next(server, &request, in_ms(3)))) {
			int err;

			if (request.type == MSG_REQUEST_CANCELLED) {
				msg_request_refuse(server, request.token, 0);
				continue;
			}
			EQUAL(request.len, 8);
			memcpy(&number, request.data, 8);
			EQUAL(number, taken++);
			number *= 3;
			err = msg_reply(server, request.token, &number, 8, in_ms(20000));
			if (err == -ESTALE)
				_exit(STAGE_EVICTED);
			CHECK(!err || err == -EPIPE || err == -ECANCELED);
			held += err == -ETIMEDOUT;
		}
	} while (!over);
	// Each request once, none of those that were accepted missing.
	CHECK(taken >= stage->ledger->accepted);
	CHECK(taken <= stage->ledger->accepted + stage->ledger->trying);
	msg_server_stats(server, &stats);
	EQUAL(stats.outstanding, held);
	EQUAL(msg_server_callers(server), 0);
	msg_server_close(server);
}

static void server_victim(struct stage *stage)
{
	struct msg_region *region = join_as(stage, "victim");
	struct msg_call_options options = { .channel = small };
	struct msg_server *server;
	struct msg_request request[2];
	uint64_t number, served = 0;
	unsigned i;

	point_arm(stage);
	sure(msg_server_open(region, "server", &options, &server));
	while (served < CALLS) {
		// Two at a time, answered in the other order.
		uint64_t numbers[2];

		for (i = 0; i < 2; i++) {
			sure(msg_server_next(server, &request[i], in_ms(20000)));
			memcpy(&numbers[i], request[i].data, 8);
		}
		for (; i-- > 0;) {
			number = numbers[i] * 5;
			sure(msg_reply(server, request[i].token, &number, 8, in_ms(20000)));
		}
		served += 2;
	}
	msg_server_close(server);
	victim_leave(stage, region);
}

static void server_survivor(struct stage *stage)
{
	struct msg_call_options options = { .channel = small };
	struct msg_call_result result;
	struct msg_caller *caller;
	uint64_t number, reply, start, ended = 0;
	int err;

	do {
		err = (int)HUB(msg_caller_open(stage->hub, "server", &options, &caller, in_ms(10)));
		if (err && stage_over(stage))
			return;
	} while (err);
	for (number = 0; number < CALLS; number++) {
		err = msg_call_start(caller, &number, 8, in_ms(20000), (void *)(uintptr_t)number, NULL,
			in_ms(20000));
		if (err == -ESTALE)
			_exit(STAGE_EVICTED);
		CHECK(!err || (err == -EPIPE && stage->faulty));
		if (err)
			break;
	}
	// A dead server ends all of them, long before their deadline.
	start = msg_now_ns();
	while ((err = msg_call_take(caller, &result, in_ms(20000))) == 0) {
		if (result.result == 8) {
			memcpy(&reply, result.data, 8);
			EQUAL(reply, (uint64_t)(uintptr_t)result.user * 5);
		} else {
			if (result.result == -ESTALE)
				_exit(STAGE_EVICTED);
			CHECK(result.result == -EPIPE && stage->faulty);
		}
		ended++;
	}
	if (err == -ESTALE)
		_exit(STAGE_EVICTED);
	CHECK(err == -ENOENT || err == -EPIPE);
	EQUAL(ended, number);
	CHECK(msg_now_ns() - start < 15000 * MS);
	msg_caller_close(caller);
}

/* ---- topics ---- */

struct news {
	uint64_t number;
	uint8_t data[200];
};

static void publisher_victim(struct stage *stage)
{
	struct msg_region *region = join_as(stage, "victim");
	struct msg_topic_options options = { .ring = STAGE_RING };
	struct ledger *ledger = stage->ledger;
	struct msg_topic_stats stats = { 0 };
	struct msg_topic *topic;
	struct news news;
	unsigned i;

	point_arm(stage);
	sure(msg_topic_open(region, "news", &options, &topic));
	for (i = 0; i < 500 && !stats.subscribers; i++) {
		struct msg_wait_item item = { .type = MSG_WAIT_EVENT, .region = region };

		if (msg_wait(&item, 1, in_ms(5)) > 0) {
			struct msg_event event;

			msg_next_event(region, &event);
		}
		msg_topic_stats(topic, &stats);
	}
	for (i = 0; i < NEWS; i++) {
		news.number = i;
		test_fill(news.data, sizeof(news.data), i);
		ledger->trying = 1;
		sure(msg_publish(topic, &news, sizeof(news), in_ms(20000)));
		ledger->accepted++;
		ledger->trying = 0;
	}
	msg_topic_close(topic);
	victim_leave(stage, region);
}

static void take_news(struct msg_subscription *subscription, uint64_t *next, int64_t *len,
	uint64_t deadline)
{
	struct msg_topic_mark mark;
	struct news news;

	*len = msg_topic_recv(subscription, &news, sizeof(news), &mark, deadline);
	if (*len < 0)
		return;
	EQUAL(*len, sizeof(news));
	EQUAL(news.number, *next);
	EQUAL(mark.lost, 0);
	CHECK(test_filled(news.data, sizeof(news.data), news.number));
	++*next;
}

static void publisher_survivor(struct stage *stage)
{
	struct msg_subscription *subscription;
	uint64_t next = 0;
	int64_t len = 0;
	int err;

	do {
		err = (int)HUB(msg_subscribe(stage->hub, "news", NULL, &subscription, in_ms(10)));
		if (err && stage_over(stage))
			return;
	} while (err);
	while (len != -EPIPE) {
		take_news(subscription, &next, &len, in_ms(10));
		HUB(len);
	}
	CHECK(next >= stage->ledger->accepted);
	CHECK(next <= stage->ledger->accepted + stage->ledger->trying);
	msg_unsubscribe(subscription);
}

static void subscriber_victim(struct stage *stage)
{
	struct msg_region *region = join_as(stage, "victim");
	struct msg_subscription *subscription;
	uint64_t next;
	int64_t len = 0;

	point_arm(stage);
	sure(msg_subscribe(region, "news", NULL, &subscription, in_ms(20000)));
	stage->ledger->stage = 1;
	for (next = 0; next < NEWS && len != -EPIPE;) {
		take_news(subscription, &next, &len, in_ms(20000));
		if (len != -EPIPE)
			sure(len);
	}
	EQUAL(next, NEWS);
	msg_unsubscribe(subscription);
	victim_leave(stage, region);
}

static void subscriber_survivor(struct stage *stage)
{
	struct msg_topic_options options = { .ring = STAGE_RING };
	uint64_t end = in_ms(20000);
	struct msg_topic_stats stats;
	struct msg_topic *topic;
	struct news news;
	unsigned i;

	HUB(msg_topic_open(stage->hub, "news", &options, &topic));
	while (!stage->ledger->stage && victim_lives(stage)) {
		struct msg_wait_item item = { .type = MSG_WAIT_EVENT, .region = stage->hub };

		msg_wait(&item, 1, in_ms(2));
	}
	// Whoever dies holds up nobody for longer than its death takes.
	for (i = 0; i < NEWS; i++) {
		news.number = i;
		test_fill(news.data, sizeof(news.data), i);
		EQUAL(HUB(msg_publish(topic, &news, sizeof(news), in_ms(20000))), 0);
	}
	do {
		struct msg_wait_item item = { .type = MSG_WAIT_EVENT, .region = stage->hub };

		msg_wait(&item, 1, in_ms(1));
		msg_topic_stats(topic, &stats);
		CHECK(msg_now_ns() < end);
	} while (!stage_over(stage) || stats.subscribers);
	EQUAL(stats.published, NEWS);
	msg_topic_close(topic);
}

/* ---- queues ---- */

struct queue_scene {
	struct msg_region *second, *third;
	struct msg_producer *producer;
	struct msg_worker *worker;
	struct msg_dispatcher *dispatcher;
	unsigned results, redelivered, put;
	bool had[ITEMS];
};

static const struct msg_queue_options queue_options = { .channel = { .ring = STAGE_RING }, .items = 64,
	.window = ITEMS };

static uint64_t work_of(uint64_t number)
{
	return number * 7 + 1;
}

static void do_work(struct msg_worker *worker, unsigned *redelivered)
{
	struct msg_work work;
	uint64_t number;
	int err = 0;

	while (worker && !(err = msg_worker_take(worker, &work, 0))) {
		EQUAL(work.len, 8);
		memcpy(&number, work.data, 8);
		number = work_of(number);
		if (redelivered)
			*redelivered += work.redelivered;
		sure(msg_worker_done(worker, work.token, &number, 8));
	}
	if (err == -ESTALE)
		_exit(STAGE_EVICTED);
}

// Whatever is ours of the queue goes on, for some milliseconds.
static void queue_turn(struct queue_scene *q)
{
	struct msg_wait_item items[3];
	unsigned n = 0;

	if (q->producer && q->put < ITEMS) {
		uint64_t number = q->put;

		if (!HUB(msg_producer_put(q->producer, &number, 8, (void *)(uintptr_t)number, 0)))
			q->put++;
	}
	if (q->dispatcher) {
		int64_t run = msg_dispatcher_run(q->dispatcher, 0);

		HUB(run);
		items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN,
			.pattern = q->dispatcher };
	}
	if (q->worker)
		items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN, .pattern = q->worker };
	if (q->producer)
		items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN, .pattern = q->producer };
	if (n)
		HUB(msg_wait(items, n, in_ms(2)));
	do_work(q->worker, &q->redelivered);
	if (q->producer) {
		struct msg_queue_result result;
		uint64_t value;
		int err;

		while (!(err = msg_producer_result(q->producer, &result, 0))) {
			unsigned number = (unsigned)(uintptr_t)result.user;

			// Each item's result once.
			CHECK(number < ITEMS && !q->had[number]);
			q->had[number] = true;
			EQUAL(result.len, 8);
			memcpy(&value, result.data, 8);
			EQUAL(value, work_of(number));
			q->results++;
		}
		if (err != -ENOENT)
			HUB(err);
	}
}

static void queue_end(struct queue_scene *q)
{
	msg_producer_close(q->producer);
	msg_worker_close(q->worker);
	msg_dispatcher_close(q->dispatcher);
	if (q->second && msg_leave(q->second) == -ESTALE)
		_exit(STAGE_EVICTED);
	if (q->third && msg_leave(q->third) == -ESTALE)
		_exit(STAGE_EVICTED);
}

static void worker_victim(struct stage *stage)
{
	struct msg_region *region = join_as(stage, "victim");
	struct msg_worker *worker;

	point_arm(stage);
	sure(msg_worker_open(region, "jobs", &queue_options, &worker));
	while (!stage->ledger->stage) {
		struct msg_wait_item item = { .type = MSG_WAIT_PATTERN, .pattern = worker };

		msg_wait(&item, 1, in_ms(5));
		do_work(worker, NULL);
	}
	msg_worker_close(worker);
	victim_leave(stage, region);
}

// The victim works; when it is dead, somebody else does, what it held included.
static void worker_survivor(struct stage *stage)
{
	struct queue_scene q = { .second = join_as(stage, "second") };
	uint64_t end = in_ms(20000);

	HUB(msg_dispatcher_open(stage->hub, "jobs", &queue_options, &q.dispatcher));
	HUB(msg_producer_open(q.second, "jobs", &queue_options, &q.producer));
	while (q.results < ITEMS) {
		CHECK(msg_now_ns() < end);
		queue_turn(&q);
		if (!victim_lives(stage) && !q.worker) {
			CHECK(stage->faulty);
			HUB(msg_worker_open(q.second, "jobs", &queue_options, &q.worker));
		}
	}
	stage->ledger->stage = 1;
	queue_end(&q);
}

static void dispatcher_victim(struct stage *stage)
{
	struct msg_region *region = join_as(stage, "victim");
	struct msg_dispatcher *dispatcher;

	point_arm(stage);
	sure(msg_dispatcher_open(region, "jobs", &queue_options, &dispatcher));
	while (!stage->ledger->stage) {
		int err = msg_dispatcher_run(dispatcher, in_ms(5));

		if (err == -ESTALE)
			_exit(STAGE_EVICTED);
		CHECK(!err || test_late(err));
	}
	msg_dispatcher_close(dispatcher);
	victim_leave(stage, region);
}

// The victim dispatches; when it is dead, who stands by takes over, and nothing that was put is missing.
static void dispatcher_survivor(struct stage *stage)
{
	struct queue_scene q = { .second = join_as(stage, "second") };
	uint64_t end = in_ms(20000);

	HUB(msg_worker_open(stage->hub, "jobs", &queue_options, &q.worker));
	HUB(msg_producer_open(q.second, "jobs", &queue_options, &q.producer));
	while (q.results < ITEMS) {
		CHECK(msg_now_ns() < end);
		queue_turn(&q);
		if (!victim_lives(stage) && !q.dispatcher) {
			CHECK(stage->faulty);
			q.third = join_as(stage, "third");
			HUB(msg_dispatcher_open(q.third, "jobs", &queue_options, &q.dispatcher));
		}
	}
	stage->ledger->stage = 1;
	queue_end(&q);
}

static void producer_victim(struct stage *stage)
{
	struct msg_region *region = join_as(stage, "victim");
	struct ledger *ledger = stage->ledger;
	struct msg_producer *producer;
	struct msg_queue_result result;
	uint64_t number, value;

	point_arm(stage);
	sure(msg_producer_open(region, "jobs", &queue_options, &producer));
	for (number = 0; number < ITEMS; number++) {
		ledger->trying = 1;
		sure(msg_producer_put(producer, &number, 8, (void *)(uintptr_t)number, in_ms(20000)));
		ledger->accepted++;
		ledger->trying = 0;
	}
	for (number = 0; number < ITEMS; number++) {
		sure(msg_producer_result(producer, &result, in_ms(20000)));
		memcpy(&value, result.data, 8);
		EQUAL(value, work_of((uint64_t)(uintptr_t)result.user));
	}
	msg_producer_close(producer);
	victim_leave(stage, region);
}

static void producer_survivor(struct stage *stage)
{
	struct queue_scene q = { .second = join_as(stage, "second") };
	uint64_t end = in_ms(20000);

	HUB(msg_dispatcher_open(stage->hub, "jobs", &queue_options, &q.dispatcher));
	HUB(msg_worker_open(q.second, "jobs", &queue_options, &q.worker));
	while (victim_lives(stage)) {
		CHECK(msg_now_ns() < end);
		queue_turn(&q);
	}
	EQUAL(q.redelivered, 0);
	queue_end(&q);
}

/* ---- groups ---- */

static void gather(struct stage *stage, struct msg_region *region, bool victim)
{
	struct msg_group *group;
	uint64_t data = 0;
	unsigned i;
	int64_t got;
	int err;

	do {
		err = msg_group_join(region, "crew", 2, &group, in_ms(victim ? 20000 : 20));
		if (err == -ESTALE)
			_exit(STAGE_EVICTED);
		if (err && !victim && !victim_lives(stage))
			return;
	} while (err == -ETIMEDOUT && !victim);
	if (err)
		OK(err);
	for (i = 0; i < 4; i++) {
		got = msg_barrier(group, in_ms(20000));
		if (got == -ESTALE)
			_exit(STAGE_EVICTED);
		OK(got);
		data = msg_group_rank(group) == 0 ? 100 + i : 0;
		got = msg_broadcast(group, 0, &data, 8, in_ms(20000));
		if (got == -ESTALE)
			_exit(STAGE_EVICTED);
		CHECK(got == 8 || (got == -EPIPE && stage->faulty && !victim));
		if (got == 8)
			EQUAL(data, 100 + i);
	}
	msg_group_leave(group);
}

static void member_victim(struct stage *stage)
{
	struct msg_region *region = join_as(stage, "victim");

	point_arm(stage);
	gather(stage, region, true);
	victim_leave(stage, region);
}

static void member_survivor(struct stage *stage)
{
	gather(stage, stage->hub, false);
}

const struct role pattern_roles[] = {
	{ "caller", false, caller_victim, caller_survivor },
	{ "server", false, server_victim, server_survivor },
	{ "publisher", false, publisher_victim, publisher_survivor },
	{ "subscriber", false, subscriber_victim, subscriber_survivor },
	{ "worker", false, worker_victim, worker_survivor },
	{ "dispatcher", false, dispatcher_victim, dispatcher_survivor },
	{ "producer", false, producer_victim, producer_survivor },
	{ "member", false, member_victim, member_survivor },
};
const unsigned pattern_role_count = sizeof(pattern_roles) / sizeof(pattern_roles[0]);

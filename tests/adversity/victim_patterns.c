// SPDX-License-Identifier: BSD-2-Clause
// Calls, topics, queues and groups of a peer among liars; see victim.h.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <isthmus/msg_call.h>
#include <isthmus/msg_group.h>
#include <isthmus/msg_queue.h>
#include <isthmus/msg_topic.h>
#include "tests/adversity/bounds.h"
#include "tests/adversity/victim_life.h"
#include "tests/msg/harness.h"

#define LONGEST 3000

static uint8_t memory[LONGEST];

static void name_of(struct life *life, char name[16], char kind)
{
	snprintf(name, 16, "%c%u", kind, (unsigned)victim_pick(life, life->victim->others));
}

static void own_name(struct life *life, char name[16], char kind)
{
	snprintf(name, 16, "%c%u", kind, life->victim->number);
}

static void call_some(struct life *life)
{
	struct patterns *p = &life->patterns;
	struct msg_call_result ended;
	struct msg_fault fault;
	uint8_t reply[300];
	char name[16];
	uint64_t id;

	if (!p->caller) {
		name_of(life, name, 's');
		if (victim_result(life, msg_caller_open(life->region, name, NULL, &p->caller, in_ms(3))))
			p->caller = NULL;
		return;
	}
	switch (victim_pick(life, 5)) {
	case 0:
		CHECK(victim_result(life, msg_call(p->caller, memory, victim_pick(life, LONGEST), reply,
			sizeof(reply), in_ms(3))) <= (int64_t)sizeof(reply));
		break;
	case 1:
		if (!victim_result(life, msg_call_start(p->caller, memory, victim_pick(life, 300),
			in_ms(5), NULL, &id, in_ms(1))) && victim_pick(life, 2))
			victim_result(life, msg_call_cancel(p->caller, id));
		break;
	case 2:
	case 3:
		if (!victim_result(life, msg_call_take(p->caller, &ended, in_ms(1))) &&
			ended.result > 0)
			memcpy(memory, ended.data, (size_t)ended.result < LONGEST ?
				(size_t)ended.result : LONGEST);
		break;
	case 4:
		if (msg_caller_fault(p->caller, &fault))
			CHECK(fault.what);
		if (victim_pick(life, 4))
			break;
		msg_caller_close(p->caller);
		p->caller = NULL;
	}
}

static void serve_some(struct life *life)
{
	struct patterns *p = &life->patterns;
	struct msg_request request;
	struct msg_span span;
	char name[16];

	if (!p->server) {
		own_name(life, name, 's');
		if (victim_result(life, msg_server_open(life->region, name, NULL, &p->server)))
			p->server = NULL;
		return;
	}
	if (!victim_result(life, msg_server_next(p->server, &request, in_ms(1)))) {
		span = (struct msg_span){ (void *)(uintptr_t)request.data, request.len };
		if (request.type == MSG_REQUEST_CALL)
			victim_touch(&span, 1);
		if (request.type == MSG_REQUEST_CALL && victim_pick(life, 4))
			victim_result(life, msg_reply(p->server, request.token, memory,
				victim_pick(life, 300), in_ms(1)));
		else
			victim_result(life, msg_request_refuse(p->server, request.token, 0));
	}
	if (!victim_pick(life, 60)) {
		msg_server_close(p->server);
		p->server = NULL;
	}
}

static void publish_some(struct life *life)
{
	struct patterns *p = &life->patterns;
	struct msg_topic_options options = { .ring = 4096,
		.policy = (enum msg_topic_policy)(life->victim->number % 3) };
	struct msg_topic_subscriber subscriber;
	char name[16];
	void *at;

	if (!p->topic) {
		own_name(life, name, 't');
		if (victim_result(life, msg_topic_open(life->region, name, &options, &p->topic)))
			p->topic = NULL;
		return;
	}
	if (victim_pick(life, 2)) {
		victim_result(life, msg_publish(p->topic, memory, victim_pick(life, 1000), in_ms(1)));
	} else if (!victim_result(life, msg_publish_reserve(p->topic, 64, &at, 0))) {
		bounds_check(at, 64, 8);
		memset(at, 1, 64);
		victim_result(life, msg_publish_commit(p->topic, 10));
	}
	victim_result(life, msg_topic_subscriber(p->topic, 0, &subscriber));
	if (!victim_pick(life, 60)) {
		msg_topic_close(p->topic);
		p->topic = NULL;
	}
}

static void subscribe_some(struct life *life)
{
	struct patterns *p = &life->patterns;
	struct msg_subscribe_options options = { .retained = victim_pick(life, 2) };
	struct msg_subscription_stats stats;
	struct msg_topic_mark mark;
	char name[16];

	if (!p->subscription) {
		name_of(life, name, 't');
		if (victim_result(life, msg_subscribe(life->region, name, &options, &p->subscription,
			in_ms(3))))
			p->subscription = NULL;
		return;
	}
	CHECK(victim_result(life, msg_topic_recv(p->subscription, memory, LONGEST, &mark, in_ms(1))) <=
		LONGEST);
	msg_subscription_stats(p->subscription, &stats);
	if (!victim_pick(life, 30)) {
		msg_unsubscribe(p->subscription);
		p->subscription = NULL;
	}
}

static void produce_some(struct life *life)
{
	struct patterns *p = &life->patterns;
	struct msg_queue_options options = { .window = 16, .items = 64, .bytes = 100000 };
	struct msg_queue_result done;

	if (!p->producer) {
		if (victim_result(life, msg_producer_open(life->region, "queue", &options, &p->producer)))
			p->producer = NULL;
		return;
	}
	victim_result(life, msg_producer_put(p->producer, memory, victim_pick(life, 500), NULL, in_ms(1)));
	if (!victim_result(life, msg_producer_result(p->producer, &done, 0)) && done.len)
		memcpy(memory, done.data, done.len < LONGEST ? done.len : LONGEST);
	if (!victim_pick(life, 60)) {
		msg_producer_close(p->producer);
		p->producer = NULL;
	}
}

static void work_some(struct life *life)
{
	struct patterns *p = &life->patterns;
	struct msg_queue_options options = { .window = 4, .items = 64, .bytes = 100000 };
	struct msg_work work;

	if (!p->worker) {
		if (victim_result(life, msg_worker_open(life->region, "queue", &options, &p->worker)))
			p->worker = NULL;
		return;
	}
	if (!victim_result(life, msg_worker_take(p->worker, &work, in_ms(1)))) {
		if (work.len)
			memcpy(memory, work.data, work.len < LONGEST ? work.len : LONGEST);
		if (victim_pick(life, 4))
			victim_result(life, msg_worker_done(p->worker, work.token, memory, 20));
		else
			victim_result(life, msg_worker_return(p->worker, work.token));
	}
	if (!victim_pick(life, 60)) {
		msg_worker_close(p->worker);
		p->worker = NULL;
	}
}

static void dispatch_some(struct life *life)
{
	struct patterns *p = &life->patterns;
	struct msg_queue_options options = { .window = 16, .items = 64, .bytes = 100000 };

	if (!p->dispatcher) {
		if (victim_result(life, msg_dispatcher_open(life->region, "queue", &options,
			&p->dispatcher)))
			p->dispatcher = NULL;
		return;
	}
	victim_result(life, msg_dispatcher_run(p->dispatcher, in_ms(1)));
	if (!victim_pick(life, 60)) {
		msg_dispatcher_close(p->dispatcher);
		p->dispatcher = NULL;
	}
}

static void gather_some(struct life *life)
{
	struct patterns *p = &life->patterns;

	if (!p->group) {
		if (victim_result(life, msg_group_join(life->region, "crew", 2, &p->group, in_ms(3))))
			p->group = NULL;
		return;
	}
	if (victim_pick(life, 2))
		victim_result(life, msg_barrier(p->group, in_ms(2)));
	else
		CHECK(victim_result(life, msg_broadcast(p->group, (unsigned)victim_pick(life, 2), memory,
			victim_pick(life, 200), in_ms(2))) <= LONGEST);
	if (!victim_pick(life, 20)) {
		msg_group_leave(p->group);
		p->group = NULL;
	}
}

void victim_patterns(struct life *life)
{
	switch (victim_pick(life, 8)) {
	case 0: call_some(life); break;
	case 1: serve_some(life); break;
	case 2: publish_some(life); break;
	case 3: subscribe_some(life); break;
	case 4: produce_some(life); break;
	case 5: work_some(life); break;
	case 6: dispatch_some(life); break;
	case 7: gather_some(life); break;
	}
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * Calls, topics, queues and groups with a liar between any two calls or two looks (region.c has bare
 * channels). Two peers play all roles with each other, the second while the first one sleeps.
 */
#include <errno.h>
#include <string.h>
#include <isthmus/msg_call.h>
#include <isthmus/msg_group.h>
#include <isthmus/msg_queue.h>
#include <isthmus/msg_topic.h>
#include "tests/fuzz/lie.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct player {
	struct msg_caller *caller;
	struct msg_server *server;
	struct msg_topic *topic;
	struct msg_subscription *subscription;
	struct msg_producer *producer;
	struct msg_worker *worker;
	struct msg_dispatcher *dispatcher;
	struct msg_group *group;
	uint64_t held[4]; /* tokens of requests */
	unsigned holds;
};

static struct geometry geo;
static struct fuzz_input input;
static struct player players[2];
static uint8_t memory[4096];

static int64_t result(int64_t value)
{
	switch (-value) {
	case EAGAIN: case ETIMEDOUT: case EPIPE: case ECONNRESET: case ESTALE: case ENOSPC:
	case EMSGSIZE: case ECONNREFUSED: case ENOENT: case EBUSY: case ENOBUFS: case EADDRINUSE:
	case EINVAL: case EPROTOTYPE: case ECANCELED:
		return value;
	}
	fuzz_must(value >= 0);
	return value;
}

static void read_all(const void *data, size_t len)
{
	volatile uint8_t sum = 0;
	size_t i;

	for (i = 0; i < len; i += 8)
		sum = (uint8_t)(sum + ((const volatile uint8_t *)data)[i]);
}

static void call(struct player *p, uint8_t how, uint64_t until)
{
	struct msg_call_result ended;
	uint64_t id;

	switch (how & 3) {
	case 0: result(msg_call(p->caller, memory, how, memory, 256, until)); break;
	case 1:
		if (!result(msg_call_start(p->caller, memory, how * 10, until, NULL, &id, until)) &&
			how & 4)
			result(msg_call_cancel(p->caller, id));
		break;
	default:
		if (!result(msg_call_take(p->caller, &ended, until)) && ended.result > 0)
			read_all(ended.data, (size_t)ended.result);
	}
}

static void serve(struct player *p, uint8_t how, uint64_t until)
{
	struct msg_request request;

	if (p->holds < 4 && !result(msg_server_next(p->server, &request, until)) &&
		request.type == MSG_REQUEST_CALL) {
		read_all(request.data, request.len);
		p->held[p->holds++] = request.token;
	}
	if (p->holds && how & 1) {
		uint64_t token = p->held[--p->holds];

		if (result(how & 2 ? msg_request_refuse(p->server, token, until) :
			msg_reply(p->server, token, memory, how, until)))
			msg_request_refuse(p->server, token, 0);
	}
}

static void topic(struct player *p, uint8_t how, uint64_t until)
{
	struct msg_topic_subscriber subscriber;
	struct msg_topic_mark mark;

	if (how & 1)
		result(msg_publish(p->topic, memory, how * 2, until));
	else
		fuzz_must(result(msg_topic_recv(p->subscription, memory, sizeof(memory), &mark, until)) <=
			(int64_t)sizeof(memory));
	result(msg_topic_subscriber(p->topic, how >> 6, &subscriber));
}

static void queue(struct player *p, uint8_t how, uint64_t until)
{
	struct msg_queue_result done;
	struct msg_work work;

	switch (how & 3) {
	case 0: result(msg_producer_put(p->producer, memory, how, NULL, until)); break;
	case 1:
		if (!result(msg_producer_result(p->producer, &done, until)))
			read_all(done.data, done.len);
		break;
	case 2:
		if (result(msg_worker_take(p->worker, &work, until)))
			break;
		read_all(work.data, work.len);
		if (how & 4)
			result(msg_worker_done(p->worker, work.token, memory, how));
		else
			result(msg_worker_return(p->worker, work.token));
		break;
	case 3: result(msg_dispatcher_run(p->dispatcher, until)); break;
	}
}

static void other_peer(void)
{
	struct player *p = &players[1];
	struct msg_event event;

	if (!fuzz_peers[1].region)
		return;
	if (p->server)
		serve(p, 1, 0);
	if (p->caller)
		call(p, 3, 0);
	if (p->topic && p->subscription) {
		topic(p, 8, 0);
		topic(p, 9, 0);
	}
	queue(p, 3, 0);
	queue(p, 6, 0);
	queue(p, 1, 0);
	if (p->group)
		result(msg_barrier(p->group, 0));
	else if (msg_group_join(fuzz_peers[1].region, "crew", 2, &p->group, 0))
		p->group = NULL;
	msg_next_event(fuzz_peers[1].region, &event);
}

static void step(void)
{
	struct player *p = &players[0];
	uint8_t what = fuzz_byte(&input), how = fuzz_byte(&input);
	struct msg_region *region = fuzz_peers[0].region;
	uint64_t until = what & 0x80 ? msg_now_ns() + 3 * FUZZ_MS : 0;
	struct msg_wait_item items[3] = {
		{ .type = MSG_WAIT_PATTERN, .pattern = p->producer },
		{ .type = MSG_WAIT_PATTERN, .pattern = p->dispatcher },
		{ .type = MSG_WAIT_EVENT, .region = region },
	};
	struct msg_event event;

	switch (what & 15) {
	case 0: case 1: case 2: fuzz_lie(&input, &geo); break;
	case 3: case 4: if (p->caller) call(p, how, until); break;
	case 5: if (p->server) serve(p, how, until); break;
	case 6: case 7: if (p->topic && p->subscription) topic(p, how, until); break;
	case 8: case 9: queue(p, how, until); break;
	case 10:
		if (!p->group && result(msg_group_join(region, "crew", 2, &p->group, until)))
			p->group = NULL;
		else if (p->group && how & 1)
			result(msg_barrier(p->group, until));
		else if (p->group)
			result(msg_broadcast(p->group, how >> 1 & 1, memory, how, until));
		break;
	case 11: other_peer(); break;
	case 12:
		fuzz_loads_left = 1 + how;
		fuzz_load_flip = what & 16 ? 1ull << (what >> 5) * 8 : fuzz_word(&input);
		break;
	case 13: fuzz_pass(how * FUZZ_MS / 2); break;
	case 14: msg_next_event(region, &event); result(msg_wait(items, 3, until)); break;
	case 15:
		if (how & 1 && p->caller) {
			msg_caller_close(p->caller);
			p->caller = NULL;
		} else if (how & 2 && p->group) {
			msg_group_leave(p->group);
			p->group = NULL;
		} else if (how & 4 && p->subscription) {
			msg_unsubscribe(p->subscription);
			p->subscription = NULL;
		} else if (!p->caller && result(msg_caller_open(region, "server1", NULL, &p->caller, until))) {
			p->caller = NULL;
		} else if (!p->subscription && result(msg_subscribe(region, "topic1", NULL,
			&p->subscription, until))) {
			p->subscription = NULL;
		}
		break;
	}
}

static void begin(unsigned number, bool asks)
{
	struct player *p = &players[number];
	struct msg_region *region = fuzz_peers[number].region;
	struct msg_queue_options queues = { .channel = { .ring = 1024 }, .window = 4, .items = 8,
		.bytes = 20000 };
	struct msg_call_options calls = { .channel = { .ring = 1024 }, .calls = 8 };
	struct msg_topic_options topics = { .ring = 1024, .policy = (enum msg_topic_policy)number };

	if (!asks) {
		fuzz_must(!msg_server_open(region, number ? "server1" : "server0", &calls, &p->server));
		fuzz_must(!msg_topic_open(region, number ? "topic1" : "topic0", &topics, &p->topic));
		fuzz_must(!msg_producer_open(region, "queue", &queues, &p->producer));
		fuzz_must(!msg_worker_open(region, "queue", &queues, &p->worker));
		fuzz_must(!msg_dispatcher_open(region, "queue", &queues, &p->dispatcher));
		return;
	}
	fuzz_must(!msg_caller_open(region, number ? "server0" : "server1", &calls, &p->caller,
		msg_now_ns() + 200 * FUZZ_MS));
	fuzz_must(!msg_subscribe(region, number ? "topic0" : "topic1", NULL, &p->subscription,
		msg_now_ns() + 200 * FUZZ_MS));
}

static void end(struct player *p)
{
	msg_caller_close(p->caller);
	msg_server_close(p->server);
	msg_unsubscribe(p->subscription);
	msg_topic_close(p->topic);
	msg_producer_close(p->producer);
	msg_worker_close(p->worker);
	msg_dispatcher_close(p->dispatcher);
	msg_group_leave(p->group);
	memset(p, 0, sizeof(*p));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msg_options wishes = { .name = "peer", .death_ns = 20 * FUZZ_MS, .slots = 3,
		.channels = 8 };
	unsigned steps = 0;

	fuzz_begin();
	fuzz_must(!geometry_choose(&geo, FUZZ_SIZE, &wishes));
	fuzz_must(!fuzz_join(0, &wishes));
	wishes.name = "other";
	fuzz_must(!fuzz_join(1, &wishes));
	begin(0, false);
	begin(1, false);
	fuzz_idle = other_peer;
	begin(0, true);
	input = (struct fuzz_input){ data, size };
	while (input.size && steps++ < 150)
		step();
	fuzz_loads_left = 0;
	fuzz_idle = NULL;
	// Closed by hand, or with the region.
	if (size & 1)
		end(&players[0]);
	memset(players, 0, sizeof(players));
	fuzz_end();
	return 0;
}

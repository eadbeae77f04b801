// SPDX-License-Identifier: BSD-2-Clause
// See threads.c: each of these is a thread that attaches for itself, some of them again and again.
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <isthmus/msg_call.h>
#include <isthmus/msg_group.h>
#include <isthmus/msg_queue.h>
#include <isthmus/msg_topic.h>
#include "tests/adversity/threads.h"
#include "tests/msg/harness.h"

#define LIVES 6
#define EACH  200 /* calls, items and news of one life */

static const char *path;
static _Atomic unsigned asking, reading; /* who has something to do yet */

static struct msg_region *join(const char *name)
{
	struct msg_options wishes = { .name = name, .death_ns = 20 * S };
	struct msg_region *region;

	OK(msg_attach(path, &wishes, &region));
	return region;
}

static void *serve(void *arg)
{
	struct msg_region *region = join("server");
	struct msg_server *server;
	struct msg_request request;
	uint64_t number;

	OK(msg_server_open(region, "server", NULL, &server));
	while (asking) {
		if (msg_server_next(server, &request, in_ms(20)))
			continue;
		if (request.type == MSG_REQUEST_CANCELLED) {
			msg_request_refuse(server, request.token, 0);
			continue;
		}
		memcpy(&number, request.data, 8);
		number *= 3;
		OK(msg_reply(server, request.token, &number, 8, in_ms(60000)));
	}
	OK(msg_leave(region));
	return arg;
}

static void *call(void *arg)
{
	uint64_t number, reply;
	unsigned life;

	for (life = 0; life < LIVES; life++) {
		struct msg_region *region = join("caller");
		struct msg_caller *caller;

		OK(msg_caller_open(region, "server", NULL, &caller, in_ms(60000)));
		for (number = 0; number < EACH; number++) {
			EQUAL(OK(msg_call(caller, &number, 8, &reply, 8, in_ms(60000))), 8);
			EQUAL(reply, 3 * number);
		}
		OK(msg_leave(region));
	}
	asking--;
	return arg;
}

static void *dispatch(void *arg)
{
	struct msg_region *region = join("dispatcher");
	struct msg_dispatcher *dispatcher;

	OK(msg_dispatcher_open(region, "queue", NULL, &dispatcher));
	while (asking) {
		int err = msg_dispatcher_run(dispatcher, in_ms(20));

		CHECK(!err || err == -ETIMEDOUT || err == -EAGAIN);
	}
	OK(msg_leave(region));
	return arg;
}

static void *work(void *arg)
{
	while (asking) {
		struct msg_region *region = join("worker");
		struct msg_worker *worker;
		struct msg_work item;
		unsigned n = 0;

		OK(msg_worker_open(region, "queue", NULL, &worker));
		while (asking && n < EACH) {
			if (msg_worker_take(worker, &item, in_ms(20)))
				continue;
			OK(msg_worker_done(worker, item.token, item.data, item.len));
			n++;
		}
		// Leaves with what it may still have.
		OK(msg_leave(region));
	}
	return arg;
}

static void *produce(void *arg)
{
	struct msg_queue_result result;
	unsigned life;
	uint64_t i;

	for (life = 0; life < LIVES; life++) {
		struct msg_region *region = join("producer");
		struct msg_producer *producer;
		unsigned done = 0;

		OK(msg_producer_open(region, "queue", NULL, &producer));
		for (i = 0; i < EACH; i++)
			OK(msg_producer_put(producer, &i, 8, (void *)(uintptr_t)i, in_ms(60000)));
		for (; done < EACH; done++) {
			OK(msg_producer_result(producer, &result, in_ms(60000)));
			EQUAL(memcmp(result.data, &result.user, 8), 0);
		}
		EQUAL(msg_producer_result(producer, &result, 0), -ENOENT);
		OK(msg_leave(region));
	}
	asking--;
	return arg;
}

static void *publish(void *arg)
{
	struct msg_region *region = join("publisher");
	struct msg_topic *topic;
	uint64_t number;

	OK(msg_topic_open(region, "news", NULL, &topic));
	for (number = 0; reading; number++) {
		OK(msg_publish(topic, &number, 8, in_ms(60000)));
		if (number % 32 == 0)
			msg_sleep_until(msg_now_ns() + MS);
	}
	OK(msg_leave(region));
	return arg;
}

static void *subscribe(void *arg)
{
	uint64_t number, last;
	unsigned life, i;

	for (life = 0; life < LIVES; life++) {
		struct msg_region *region = join("subscriber");
		struct msg_subscription *subscription;

		OK(msg_subscribe(region, "news", NULL, &subscription, in_ms(60000)));
		for (i = 0; i < EACH; i++, last = number) {
			EQUAL(OK(msg_topic_recv(subscription, &number, 8, NULL, in_ms(60000))), 8);
			if (i)
				EQUAL(number, last + 1);
		}
		OK(msg_leave(region));
	}
	reading--;
	return arg;
}

static void *gather(void *arg)
{
	unsigned life, i;

	for (life = 0; life < LIVES; life++) {
		struct msg_region *region = join("member");
		struct msg_group *group;
		uint64_t word;

		OK(msg_group_join(region, "team", 2, &group, in_ms(60000)));
		for (i = 0; i < EACH / 4; i++) {
			word = msg_group_rank(group) == i % 2 ? i * 5 : 0;
			EQUAL(OK(msg_broadcast(group, i % 2, &word, 8, in_ms(60000))), 8);
			EQUAL(word, i * 5);
			EQUAL(OK(msg_barrier(group, in_ms(60000))), 0);
		}
		OK(msg_leave(region));
	}
	return arg;
}

void threads_patterns(void)
{
	static void *(*const roles[])(void *) = { serve, call, call, dispatch, work, work, produce,
		produce, publish, subscribe, subscribe, gather, gather };
	pthread_t thread[sizeof(roles) / sizeof(roles[0])];
	unsigned i;

	path = test_region(4 << 20);
	asking = 4;
	reading = 2;
	for (i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		CHECK(!pthread_create(&thread[i], NULL, roles[i], NULL));
	for (i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		pthread_join(thread[i], NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the peers of pattern_kills.c do for one life, which may end at any instruction, and what each of
 * them checks: it must never see what no kill explains.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <isthmus/msg_call.h>
#include <isthmus/msg_group.h>
#include <isthmus/msg_queue.h>
#include <isthmus/msg_topic.h>
#include "tests/adversity/pattern_kills.h"

#define LONG (60 * 1000) /* ms: nobody waits so long unless something is wrong */

static const struct msg_channel_options small = { .ring = 2048 };

// Errors that say: not now, or the other one is gone, or this peer was taken for dead.
static bool explained(int64_t err)
{
	return err == -EAGAIN || err == -ETIMEDOUT || err == -EPIPE || err == -ESTALE ||
	       err == -ENOSPC || err == -ECONNREFUSED || err == -EADDRINUSE || err == -ENOBUFS;
}

#define EXPECT(expression) \
	({ \
		int64_t result_ = (expression); \
		if (result_ < 0 && !explained(result_)) \
			test_fail(__FILE__, __LINE__, #expression, result_); \
		result_; \
	})

/* ---- calls ---- */

static uint64_t reply_to(uint64_t id)
{
	return id * 0x9e3779b97f4a7c15u + 1;
}

static void serve(struct peer *peer)
{
	struct msg_call_options options = { .channel = small };
	struct msg_request held[4], request;
	struct msg_server *server;
	uint64_t ids[4];
	unsigned n = 0;
	uint32_t which = (uint32_t)(test_random(&peer->random) % NAMES);
	char name[16];
	int64_t err;

	snprintf(name, sizeof(name), "s%u.%u", peer->number, which);
	if (EXPECT(msg_server_open(peer->region, name, &options, &server)))
		return;
	world->server_name[peer->number] = which;
	do {
		err = EXPECT(msg_server_next(server, &request, in_ms(n ? 1 : 10)));
		if (!err && request.type == MSG_REQUEST_CANCELLED) {
			msg_request_refuse(server, request.token, 0);
			continue;
		}
		if (!err) {
			EQUAL(request.len, 8);
			held[n] = request;
			memcpy(&ids[n], request.data, 8);
			CHECK(ids[n] < CALLS);
			// Nobody is asked twice for the same.
			EQUAL(__atomic_fetch_add(&world->executed[ids[n]], 1, __ATOMIC_RELAXED), 0);
			n++;
		}
		// Answered late, in the other order.
		while (n && (n == 4 || err)) {
			uint64_t reply = reply_to(ids[--n]);
			int64_t sent = msg_reply(server, held[n].token, &reply, 8, in_ms(LONG));

			CHECK(!sent || sent == -EPIPE || sent == -ECANCELED || sent == -ESTALE ||
				sent == -ENOENT);
			if (!sent)
				COUNT(progress[peer->number]);
		}
	} while (err != -ESTALE && peer_goes_on(peer));
	msg_server_close(server);
}

// True: it goes on with this server.
static bool take_answers(struct peer *peer, struct msg_caller *caller, uint64_t *waiting)
{
	struct msg_call_result result;
	uint64_t reply;
	int64_t err;

	while (!(err = msg_call_take(caller, &result, in_ms(LONG)))) {
		uint64_t id = (uintptr_t)result.user;

		--*waiting;
		if (result.result == -EPIPE || result.result == -ESTALE) {
			COUNT(lost_servers);
			continue;
		}
		// A dead server ends its callers' waits, long before their deadlines do.
		EQUAL(result.result, 8);
		memcpy(&reply, result.data, 8);
		EQUAL(reply, reply_to(id));
		EQUAL(world->executed[id], 1);
		COUNT(answered);
		COUNT(progress[peer->number]);
	}
	CHECK(err == -ENOENT || err == -EPIPE || err == -ESTALE);
	if (err != -ESTALE)
		EQUAL(*waiting, 0);
	return err == -ENOENT;
}

static void call(struct peer *peer)
{
	struct msg_call_options options = { .channel = small };

	while (peer_goes_on(peer)) {
		unsigned server = (unsigned)(test_random(&peer->random) % servers), i;
		struct msg_caller *caller;
		bool up = true;
		char name[16];
		int64_t err;

		snprintf(name, sizeof(name), "s%u.%u", server, world->server_name[server]);
		err = EXPECT(msg_caller_open(peer->region, name, &options, &caller, in_ms(20)));
		if (err == -ESTALE)
			return;
		if (err)
			continue;
		while (up && peer_goes_on(peer)) {
			unsigned count = 1 + (unsigned)(test_random(&peer->random) % 12);
			uint64_t waiting = 0;

			for (i = 0; i < count && !err; i++) {
				uint64_t id = COUNT(calls);

				CHECK(id < CALLS);
				err = EXPECT(msg_call_start(caller, &id, 8, in_ms(LONG),
					(void *)(uintptr_t)id, NULL, in_ms(LONG)));
				waiting += !err;
				CHECK(err != -ETIMEDOUT);
			}
			up = take_answers(peer, caller, &waiting) && !err;
			// Each call has its place in the ledger.
			msg_sleep_until(msg_now_ns() + MS);
		}
		msg_caller_close(caller);
		if (msg_peers(peer->region, NULL, 0) == -ESTALE)
			return;
	}
}

/* ---- a topic ---- */

struct news {
	uint32_t edition, number, policy;
	uint8_t data[300];
};

static void publish(struct peer *peer)
{
	struct msg_topic_options options = { .ring = 8192,
		.policy = peer->life & 1 ? MSG_TOPIC_DROP_OLDEST : MSG_TOPIC_BACK_PRESSURE };
	struct edition *edition = &world->edition[peer->life];
	struct news news = { .edition = peer->life, .policy = options.policy };
	struct msg_topic *topic;
	int64_t err;

	err = EXPECT(msg_topic_open(peer->region, "news", &options, &topic));
	if (err) {
		msg_sleep_until(in_ms(5));
		return;
	}
	do {
		size_t len = 50 + test_random(&peer->random) % (sizeof(news) - 50);

		news.number = edition->accepted;
		test_fill(news.data, len - offsetof(struct news, data), news.number);
		edition->trying = 1;
		err = EXPECT(msg_publish(topic, &news, len, in_ms(20)));
		edition->accepted += !err;
		edition->trying = 0;
		if (!err)
			COUNT(progress[peer->number]);
		if (news.number % 16 == 0)
			msg_sleep_until(msg_now_ns() + MS);
		edition->evicted = err == -ESTALE;
	} while (err != -ESTALE && peer_goes_on(peer));
	msg_topic_close(topic);
	if (msg_peers(peer->region, NULL, 0) == -ESTALE)
		edition->evicted = true;
}

// All of one edition from where it came in.
static int64_t read_edition(struct peer *peer, struct msg_subscription *subscription)
{
	uint32_t edition = 0, next = 0;
	bool any = false;
	int64_t len;

	do {
		struct msg_topic_mark mark;
		struct news news;

		// So slow now and then that it makes the publisher wait, or drop.
		if (test_random(&peer->random) % 100 == 0)
			msg_sleep_until(in_ms(4));
		len = EXPECT(msg_topic_recv(subscription, &news, sizeof(news), &mark, in_ms(20)));
		if (len < 0)
			continue;
		CHECK(len >= 50 && news.edition < LIVES);
		CHECK(test_filled(news.data, (size_t)len - offsetof(struct news, data), news.number));
		EQUAL(mark.number, news.number + 1);
		if (news.policy == MSG_TOPIC_BACK_PRESSURE)
			EQUAL(mark.lost, 0);
		if (any) {
			EQUAL(news.edition, edition);
			// What was lost is counted, and nothing else is missing.
			EQUAL(news.number, next + mark.lost);
			__atomic_fetch_add(&world->dropped, mark.lost, __ATOMIC_RELAXED);
		}
		any = true;
		edition = news.edition;
		next = news.number + 1;
		COUNT(progress[peer->number]);
	} while (len != -EPIPE && len != -ESTALE && peer_goes_on(peer));
	if (len == -EPIPE && any && !world->edition[edition].evicted) {
		const struct edition *e = &world->edition[edition];

		// Up to the last that its publisher had published when it died.
		CHECK(next >= e->accepted && next <= e->accepted + e->trying);
		COUNT(ends_heard);
	}
	return len;
}

static void subscribe(struct peer *peer)
{
	struct msg_subscription *subscription;
	int64_t err = 0;

	while (err != -ESTALE && peer_goes_on(peer)) {
		err = EXPECT(msg_subscribe(peer->region, "news", NULL, &subscription, in_ms(20)));
		if (err)
			continue;
		err = read_edition(peer, subscription);
		msg_unsubscribe(subscription);
	}
}

/* ---- a queue ---- */

static const struct msg_queue_options queue_options = { .channel = { .ring = 2048 }, .window = 8 };

static void dispatch(struct peer *peer)
{
	struct msg_dispatcher *dispatcher;
	int64_t err;

	if (EXPECT(msg_dispatcher_open(peer->region, "jobs", &queue_options, &dispatcher)))
		return;
	do {
		err = EXPECT(msg_dispatcher_run(dispatcher, in_ms(20)));
		if (!err)
			COUNT(progress[peer->number]);
	} while (err != -ESTALE && peer_goes_on(peer));
	msg_dispatcher_close(dispatcher);
}

static void work(struct peer *peer)
{
	struct msg_worker *worker;
	struct msg_work work;
	int64_t err;

	if (EXPECT(msg_worker_open(peer->region, "jobs", &queue_options, &worker)))
		return;
	do {
		uint64_t item, result;

		err = EXPECT(msg_worker_take(worker, &work, in_ms(20)));
		if (err)
			continue;
		EQUAL(work.len, 8);
		memcpy(&item, work.data, 8);
		CHECK(item < ITEMS);
		// Who may not be the first is told.
		if (work.redelivered)
			COUNT(redelivered);
		else
			EQUAL(__atomic_fetch_add(&world->fresh[item], 1, __ATOMIC_RELAXED), 0);
		result = reply_to(item);
		world->done[item] = 1;
		EXPECT(msg_worker_done(worker, work.token, &result, 8));
		COUNT(progress[peer->number]);
	} while (err != -ESTALE && peer_goes_on(peer));
	if (err != -ESTALE)
		msg_worker_flush(worker, in_ms(50));
	msg_worker_close(worker);
}

static int64_t take_results(struct peer *peer, struct msg_producer *producer, uint64_t *put,
	uint64_t deadline)
{
	struct msg_queue_result result;
	int64_t err;

	while (!(err = msg_producer_result(producer, &result, deadline))) {
		uint64_t item = (uintptr_t)result.user, value;

		EQUAL(result.len, 8);
		memcpy(&value, result.data, 8);
		EQUAL(value, reply_to(item));
		CHECK(world->done[item]);
		EQUAL(world->told[item]++, 0);
		--*put;
		COUNT(results);
		COUNT(progress[peer->number]);
	}
	return err;
}

static void produce(struct peer *peer)
{
	struct msg_producer *producer;
	uint64_t put = 0;
	int64_t err;

	if (EXPECT(msg_producer_open(peer->region, "jobs", &queue_options, &producer)))
		return;
	do {
		uint64_t item = COUNT(items);

		CHECK(item < ITEMS);
		err = EXPECT(msg_producer_put(producer, &item, 8, (void *)(uintptr_t)item, in_ms(5)));
		put += !err;
		if (err != -ESTALE && (err || put >= 6))
			err = take_results(peer, producer, &put, in_ms(50));
	} while (err != -ESTALE && peer_goes_on(peer));
	// Whoever else dies: all that was put comes back done, once.
	if (err != -ESTALE)
		err = take_results(peer, producer, &put, in_ms(LONG));
	if (err != -ESTALE) {
		EQUAL(err, -ENOENT);
		EQUAL(put, 0);
	}
	msg_producer_close(producer);
}

/* ---- a group ---- */

// The members that are there, as far as we know, have come as far as we have.
static void check_came(struct msg_group *group, uint32_t step)
{
	struct msg_peer other;
	unsigned rank;

	for (rank = 0; rank < msg_group_size(group); rank++) {
		unsigned number, life;

		if (OK(msg_group_member(group, rank, &other)) != 1)
			continue;
		EQUAL(sscanf(other.name, "p%u.%u", &number, &life), 2);
		CHECK(number < PEERS_MAX && life < LIVES);
		CHECK(world->came[number][life] >= step);
	}
}

static int64_t group_step(struct peer *peer, struct msg_group *group, uint32_t step)
{
	uint64_t data[3] = { 0 }, deadline = in_ms(LONG);
	unsigned size = msg_group_size(group), root = step / 2 % size;
	struct msg_peer other;
	int64_t result;

	world->came[peer->number][peer->life] = step;
	if (step & 1) {
		result = EXPECT(msg_barrier(group, deadline));
		CHECK(result != -ETIMEDOUT);
		if (result >= 0) {
			check_came(group, step);
			COUNT(barriers);
		}
		return result;
	}
	if (msg_group_rank(group) == root) {
		data[0] = step;
		data[1] = reply_to(step);
		data[2] = root;
	}
	result = EXPECT(msg_broadcast(group, root, data, sizeof(data), deadline));
	CHECK(result != -ETIMEDOUT);
	if (result >= 0) {
		EQUAL(result, sizeof(data));
		EQUAL(data[0], step);
		EQUAL(data[1], reply_to(step));
		EQUAL(data[2], root);
		COUNT(broadcasts);
	} else if (result == -EPIPE) {
		// For all of them, and only if it is gone.
		EQUAL(msg_group_member(group, root, &other), 0);
		COUNT(lost_roots);
	}
	return result == -EPIPE ? 1 : result;
}

static void gather(struct peer *peer)
{
	int64_t err = 0;

	while (err != -ESTALE && peer_goes_on(peer)) {
		struct msg_group *group;
		uint32_t step = 0;

		err = EXPECT(msg_group_join(peer->region, "team", 2, &group, in_ms(50)));
		if (err)
			continue;
		// One group in a life: `came` counts its calls.
		do {
			err = group_step(peer, group, ++step);
			COUNT(progress[peer->number]);
		} while (!err && peer_goes_on(peer));
		msg_group_leave(group);
		return;
	}
}

void (*const lives[ROLES])(struct peer *peer) = { [SERVER] = serve, [CALLER] = call, [PUBLISHER] = publish,
	[SUBSCRIBER] = subscribe, [DISPATCHER] = dispatch, [PRODUCER] = produce, [WORKER] = work,
	[MEMBER] = gather };

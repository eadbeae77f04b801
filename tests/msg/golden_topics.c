// SPDX-License-Identifier: BSD-2-Clause
/*
 * A scripted exchange of topics, one of each policy, and a group: the region must come out as in
 * golden/topics.hex. Usage: msg_golden_topics [--write] FILE.
 */
#include <ucontext.h>
#include <isthmus/msg_group.h>
#include <isthmus/msg_topic.h>
#include "tests/msg/golden.h"

static struct msg_region *alpha, *beta;
static uint8_t data[600];

/* ---- topics ---- */

static struct msg_topic *topics[3];
static const char *const names[] = { "all of it", "the recent", "the latest" };

// Whatever the publisher does takes who asks.
static void alpha_publishes(void)
{
	CHECK(!msg_publish(topics[0], "hello", 5, 0));
}

static struct msg_subscription *subscribe(struct msg_region *region, unsigned which, bool retained)
{
	struct msg_subscribe_options options = { .retained = retained };
	struct msg_subscription *subscription;

	golden_meanwhile(alpha_publishes);
	CHECK(!msg_subscribe(region, names[which], &options, &subscription, golden_in_ms(1000)));
	return subscription;
}

static int64_t take(struct msg_subscription *subscription, uint64_t number, uint64_t lost)
{
	struct msg_topic_mark mark;
	int64_t len = msg_topic_recv(subscription, data, sizeof(data), &mark, 0);

	CHECK(len < 0 || (mark.number == number && mark.lost == lost));
	return len;
}

static void publish_and_receive(void)
{
	struct msg_subscription *all, *recent, *latest;
	struct msg_region *gamma_;
	void *place;
	unsigned i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + 1);
	alpha = golden_join(0, "alpha", 3, 2);
	for (i = 0; i < 3; i++) {
		struct msg_topic_options options = { .policy = (enum msg_topic_policy)i, .ring = 1024,
			.start = i == 1 ? 0xffffff80 : 64 * i };

		CHECK(!msg_topic_open(alpha, names[i], &options, &topics[i]));
	}
	beta = golden_join(1, "beta", 5, 1);
	for (i = 1; i < 3; i++)
		CHECK(!msg_publish(topics[i], "before", 6, 0));
	all = subscribe(beta, 0, false);
	recent = subscribe(beta, 1, true);
	latest = subscribe(beta, 2, false);
	CHECK(take(recent, 1, 0) == 6);
	CHECK(take(latest, 0, 0) == -EAGAIN);
	for (i = 1; i <= 3; i++)
		CHECK(take(all, i, 0) == 5);

	// Back-pressure: until nothing goes, then one taken and one more.
	while (!msg_publish(topics[0], data, 100, 0))
		;
	CHECK(take(all, 4, 0) == 100);
	CHECK(!msg_publish(topics[0], data, 40, 0));
	// The others lose some; a message of half the ring, an empty one, and one in place.
	for (i = 0; i < 20; i++) {
		CHECK(!msg_publish(topics[1], data, 10 * i, 0));
		CHECK(!msg_publish(topics[2], data, 10 * i, 0));
	}
	CHECK(take(recent, 19, 17) == 170);
	CHECK(take(latest, 21, 19) == 190);
	CHECK(!msg_publish(topics[1], data, msg_topic_limit(topics[1]), 0));
	CHECK(!msg_publish(topics[1], data, 0, 0));
	CHECK(!msg_publish_reserve(topics[2], 64, &place, 0));
	memcpy(place, "in place", 8);
	CHECK(!msg_publish_commit(topics[2], 8));
	gamma_ = golden_join(2, "gamma", 7, 1);
	subscribe(gamma_, 2, true);
}

/* ---- a group: two peers that wait for each other, so each has a stack of its own ---- */

static ucontext_t contexts[2];
static unsigned running;

// Whoever waits lets the other one run.
static void other_one(void)
{
	unsigned me = running;

	running = !me;
	swapcontext(&contexts[me], &contexts[!me]);
	golden_meanwhile(other_one);
}

static void together(struct msg_region *region, unsigned *rank)
{
	struct msg_group *group;
	uint8_t bytes[64];

	CHECK(!msg_group_join(region, "golden group", 2, &group, golden_in_ms(5000)));
	*rank = msg_group_rank(group);
	CHECK(!msg_barrier(group, golden_in_ms(5000)));
	memset(bytes, 0x40 + (int)*rank, sizeof(bytes));
	CHECK(msg_broadcast(group, 1, bytes, sizeof(bytes), golden_in_ms(5000)) == sizeof(bytes));
	CHECK(bytes[0] == 0x41 && bytes[63] == 0x41);
	if (!*rank)
		return;
	// One goes on, the other doesn't.
	CHECK(msg_barrier(group, 0) == -EAGAIN);
}

static void beta_runs(void)
{
	unsigned rank;

	golden_meanwhile(other_one);
	together(beta, &rank);
	CHECK(rank == 0); // by slot
	golden_meanwhile(NULL);
	running = 0;
	setcontext(&contexts[0]);
}

static void gather(void)
{
	static uint8_t stack[256 * 1024];
	unsigned rank;

	getcontext(&contexts[1]);
	contexts[1].uc_stack.ss_sp = stack;
	contexts[1].uc_stack.ss_size = sizeof(stack);
	makecontext(&contexts[1], beta_runs, 0);
	golden_meanwhile(other_one);
	together(alpha, &rank);
	CHECK(rank == 1);
	golden_meanwhile(NULL);
}

static void script(void)
{
	publish_and_receive();
	gather();
}

int main(int argc, char **argv)
{
	return golden_main(argc, argv, script);
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * A scripted piece of work in a queue: the region must come out as in golden/queue.hex.
 * Usage: msg_golden_queue [--write] FILE.
 */
#include <isthmus/msg_queue.h>
#include "tests/msg/golden.h"

static struct msg_dispatcher *dispatcher;
static struct msg_producer *producer;
static struct msg_worker *first, *second;

// Everybody does what can be done at once.
static void turn(void)
{
	struct msg_wait_item items[1];
	unsigned i;

	for (i = 0; i < 6; i++) {
		void *patterns[] = { dispatcher, producer, first, second };
		unsigned k;

		golden_pass(50 * MS);
		for (k = 0; k < 4; k++) {
			items[0] = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN,
				.pattern = patterns[k] };
			if (patterns[k])
				msg_wait(items, 1, 0);
		}
	}
}

static void dispatch(void)
{
	unsigned i;

	for (i = 0; i < 3; i++)
		CHECK(msg_dispatcher_run(dispatcher, 0) == -EAGAIN);
}

static void queue(void)
{
	struct msg_queue_options options = { .channel = { .ring = 1024 }, .window = 4 };
	struct msg_region *alpha, *beta, *gamma_, *delta;
	struct msg_queue_result result;
	struct msg_work work;
	uint8_t data[800];
	unsigned i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + 1);
	alpha = golden_join(0, "alpha", 3, 2);
	options.deliveries = 2;
	CHECK(!msg_dispatcher_open(alpha, "golden queue", &options, &dispatcher));
	CHECK(!msg_dispatcher_run(dispatcher, 0));
	beta = golden_join(1, "beta", 5, 2);
	CHECK(!msg_producer_open(beta, "golden queue", &options, &producer));
	gamma_ = golden_join(2, "gamma", 7, 2);
	options.window = 1;
	CHECK(!msg_worker_open(gamma_, "golden queue", &options, &first));
	turn();
	// The first worker is given one, and leaves with it; the second one gets it marked.
	for (i = 0; i < 3; i++)
		CHECK(!msg_producer_put(producer, data, i == 1 ? sizeof(data) : 20 + i, NULL, 0));
	turn();
	CHECK(!msg_worker_take(first, &work, 0) && work.len == 20 && !work.redelivered);
	msg_worker_close(first);
	first = NULL;
	CHECK(!msg_leave(gamma_));
	turn();
	delta = golden_join(3, "delta", 9, 2);
	CHECK(!msg_worker_open(delta, "golden queue", &options, &second));
	turn();
	CHECK(!msg_worker_take(second, &work, 0) && work.len == 20 && work.redelivered);
	CHECK(!msg_worker_done(second, work.token, "result", 6));
	turn();
	CHECK(!msg_producer_result(producer, &result, 0) && result.len == 6);
	// Left in the rings: items, results, receipts; the last one's result is that it failed.
	CHECK(!msg_worker_take(second, &work, 0) && work.len == sizeof(data));
	CHECK(!msg_worker_done(second, work.token, "large", 5));
	dispatch();
	CHECK(!msg_producer_put(producer, "one more", 8, NULL, 0));
	for (i = 0; i < 2; i++) {
		CHECK(!msg_worker_take(second, &work, 0) && work.len == 22 && work.deliveries == i);
		CHECK(!msg_worker_return(second, work.token));
		dispatch();
	}
}

int main(int argc, char **argv)
{
	return golden_main(argc, argv, queue);
}

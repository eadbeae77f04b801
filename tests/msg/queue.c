// SPDX-License-Identifier: BSD-2-Clause
/*
 * Work queues between processes over a bare region file. What workers were given is written down in
 * memory that survives them.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <isthmus/msg_queue.h>
#include "tests/msg/harness.h"

#define MEGA  (1u << 20)
#define ITEMS 200000
#define MORTAL_DEATH (400 * MS) /* where peers are killed; whoever was only slow comes back */

struct log {
	_Atomic uint32_t fresh[ITEMS]; /* times that the item was taken unmarked */
	_Atomic uint32_t taken[ITEMS];
	_Atomic uint32_t done[ITEMS];  /* msg_worker_done was called */
	_Atomic uint64_t takeovers;
	_Atomic pid_t active;          /* the dispatcher that took over last */
	_Atomic bool stop, wake;
};

struct stage {
	const char *path;
	struct log *log;
	struct msg_queue_options options;
	uint64_t death_ns, seed, work_ns;
	uint64_t first, count; /* producer: numbers of its items */
};

struct task {
	uint64_t number, seed;
	uint8_t data[];
};

static struct stage stage_new(uint64_t size)
{
	struct stage stage = { .path = test_region(size), .seed = 1, .death_ns = PATIENT_DEATH,
		.options = { .channel = { .ring = 4096 } } };

	stage.log = test_shared(sizeof(*stage.log));
	return stage;
}

static struct msg_region *attach(const struct stage *stage, const char *name)
{
	struct msg_options options = { .name = name, .death_ns = stage->death_ns,
		.slots = 32 };
	struct msg_region *region;

	OK(msg_attach(stage->path, &options, &region));
	return region;
}

// Attaches again whenever it was taken for dead by a starved observer.
static void dispatcher_peer(void *arg)
{
	struct stage *stage = arg;

	while (!stage->log->stop) {
		struct msg_region *region = attach(stage, "dispatcher");
		struct msg_dispatcher *dispatcher;
		int err;

		OK(msg_dispatcher_open(region, "queue", &stage->options, &dispatcher));
		do {
			err = msg_dispatcher_run(dispatcher, in_ms(50));
			if (!err) {
				stage->log->active = getpid();
				stage->log->takeovers++;
			}
		} while ((!err || test_late(err)) && !stage->log->stop);
		CHECK(!err || test_late(err) || err == -ESTALE);
		msg_dispatcher_close(dispatcher);
		err = msg_leave(region);
		CHECK(!err || err == -ESTALE);
	}
}

static void do_work(struct stage *stage, struct msg_worker *worker, const struct msg_work *work)
{
	const struct task *task = work->data;
	uint64_t result[2] = { task->number, task->seed * 3 };

	CHECK(work->len >= sizeof(*task) && task->number < ITEMS);
	CHECK(test_filled(task->data, work->len - sizeof(*task), task->seed));
	// Whoever comes second must know it.
	stage->log->taken[task->number]++;
	stage->log->fresh[task->number] += !work->redelivered;
	if (stage->work_ns)
		msg_sleep_until(msg_now_ns() + test_random(&stage->seed) % stage->work_ns);
	stage->log->done[task->number]++;
	OK(msg_worker_done(worker, work->token, result, task->seed % 5 ? 16 : 16 + 0));
}

static void worker_peer(void *arg)
{
	struct stage *stage = arg;

	while (!stage->log->stop) {
		struct msg_region *region = attach(stage, "worker");
		struct msg_worker *worker;
		struct msg_work work;
		int err = 0;

		OK(msg_worker_open(region, "queue", &stage->options, &worker));
		while (!stage->log->stop && (!err || test_late(err))) {
			err = msg_worker_take(worker, &work, in_ms(50));
			if (!err)
				do_work(stage, worker, &work);
		}
		CHECK(!err || test_late(err) || err == -ESTALE);
		if (!err)
			msg_worker_flush(worker, in_ms(1000));
		msg_worker_close(worker);
		err = msg_leave(region);
		CHECK(!err || err == -ESTALE);
	}
}

static void put(struct msg_producer *producer, uint64_t number, size_t size, uint64_t deadline)
{
	static uint8_t memory[100000];
	struct task *task = (struct task *)memory;

	task->number = number;
	task->seed = number * 7 + 1;
	test_fill(task->data, size, task->seed);
	OK(msg_producer_put(producer, task, sizeof(*task) + size, (void *)(uintptr_t)number, deadline));
}

// Takes results until the deadline passed or none is under way; how many.
static uint64_t results(struct msg_producer *producer, bool *seen, uint64_t deadline)
{
	struct msg_queue_result result;
	uint64_t data[2], n = 0;

	while (!msg_producer_result(producer, &result, deadline)) {
		uint64_t number = (uintptr_t)result.user;

		EQUAL(result.len, 16);
		memcpy(data, result.data, 16);
		EQUAL(data[0], number);
		EQUAL(data[1], (number * 7 + 1) * 3);
		CHECK(!seen[number]);
		seen[number] = true;
		n++;
	}
	return n;
}

static size_t task_size(uint64_t number)
{
	return number % 50 == 7 ? 60000 : number * 37 % 900;
}

// Puts count items and takes all their results.
static void produce(struct stage *stage, struct msg_region *region, uint64_t first, uint64_t count)
{
	static bool seen[ITEMS];
	struct msg_producer *producer;
	struct msg_queue_stats stats;
	uint64_t i, n = 0;

	OK(msg_producer_open(region, "queue", &stage->options, &producer));
	for (i = 0; i < count; i++) {
		put(producer, first + i, task_size(first + i), in_ms(60000));
		if (i % 16 == 0)
			n += results(producer, seen, 0);
		msg_producer_stats(producer, &stats);
		if (stats.outstanding + stats.done - n > 200)
			n += results(producer, seen, in_ms(100));
	}
	OK(msg_producer_flush(producer, in_ms(60000)));
	n += results(producer, seen, in_ms(20000));
	EQUAL(n, count);
	for (i = 0; i < count; i++)
		CHECK(seen[first + i]);
	msg_producer_stats(producer, &stats);
	EQUAL(stats.outstanding, 0);
	EQUAL(stats.done, count);
	msg_producer_close(producer);
}

// Each item was done; who got one that another had, was told.
static void check_log(const struct stage *stage, uint64_t count)
{
	uint64_t i, again = 0;

	for (i = 0; i < count; i++) {
		CHECK(stage->log->done[i] >= 1);
		CHECK(stage->log->fresh[i] <= 1);
		again += stage->log->taken[i] > 1;
	}
	CHECK(again < count);
}

/* ---- one thread with everything ---- */

static void alone(void)
{
	struct stage stage = stage_new(4 * MEGA);
	struct msg_region *a = attach(&stage, "a"), *b = attach(&stage, "b"), *c = attach(&stage, "c");
	struct msg_queue_options options = { .channel = { .ring = 2048 }, .window = 4 };
	struct msg_dispatcher *dispatcher, *standby;
	struct msg_listener *listener;
	struct msg_queue_stats stats;
	struct msg_queue_result result;
	struct msg_producer *producer;
	struct msg_worker *worker;
	struct msg_work work, other;
	struct msg_wait_item items[3];
	uint64_t said;
	unsigned i;

	EQUAL(msg_producer_open(a, "", NULL, &producer), -EINVAL);
	options.window = MSG_QUEUE_WINDOW_MAX + 1;
	EQUAL(msg_worker_open(b, "queue", &options, &worker), -EINVAL);
	options.window = 4;
	// Nobody is there yet, and what is put is kept.
	OK(msg_producer_open(a, "queue", &options, &producer));
	EQUAL(msg_producer_result(producer, &result, in_ms(1)), -ENOENT);
	for (i = 0; i < 4; i++)
		OK(msg_producer_put(producer, &i, sizeof(i), NULL, 0));
	EQUAL(msg_producer_put(producer, &i, sizeof(i), NULL, 0), -EAGAIN);
	TIMES_OUT(msg_producer_put(producer, &i, sizeof(i), NULL, in_ms(1)));
	TIMES_OUT(msg_producer_result(producer, &result, in_ms(1)));
	OK(msg_worker_open(b, "queue", &options, &worker));
	EQUAL(msg_worker_take(worker, &work, 0), -EAGAIN);
	OK(msg_dispatcher_open(c, "queue", NULL, &dispatcher));
	CHECK(!msg_dispatcher_active(dispatcher));
	EQUAL(msg_dispatcher_run(dispatcher, 0), 0);
	CHECK(msg_dispatcher_active(dispatcher));
	// A name that something else has: said as long as it is so, but who ignores that still
	// sleeps in between.
	OK(msg_listen(a, "else", NULL, &listener));
	OK(msg_dispatcher_open(b, "else", NULL, &standby));
	EQUAL(msg_dispatcher_run(standby, in_ms(60000)), -EPROTOTYPE);
	said = msg_now_ns();
	EQUAL(msg_dispatcher_run(standby, in_ms(60000)), -EPROTOTYPE);
	items[0] = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN, .pattern = standby };
	for (i = 0; i < 4; i++) {
		EQUAL(msg_wait(items, 1, in_ms(60000)), 1);
		EQUAL(msg_dispatcher_run(standby, 0), -EPROTOTYPE);
	}
	CHECK(msg_now_ns() - said >= 40 * MS);
	msg_unlisten(listener);
	OK(msg_dispatcher_run(standby, in_ms(60000)));
	msg_dispatcher_close(standby);
	OK(msg_dispatcher_open(a, "queue", NULL, &standby));
	TIMES_OUT(msg_dispatcher_run(standby, in_ms(5)));
	// The dispatcher works while we wait for the others.
	items[0] = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN, .pattern = dispatcher };
	items[1] = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN, .pattern = worker };
	items[2] = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN, .pattern = producer };
	for (i = 0; i < 4; i++) {
		unsigned number;

		OK(msg_wait(items, 3, in_ms(20000)));
		CHECK(items[1].ready && !items[0].ready);
		OK(msg_worker_take(worker, &work, 0));
		memcpy(&number, work.data, sizeof(number));
		EQUAL(number, i);
		CHECK(!work.redelivered && !work.deliveries);
		if (i == 2) {
			OK(msg_worker_return(worker, work.token));
			EQUAL(msg_worker_return(worker, work.token), -ENOENT);
			// It comes again, behind the last one that is here already.
			while (msg_worker_take(worker, &other, 0) == -EAGAIN)
				OK(msg_wait(items, 2, in_ms(20000)));
			OK(msg_worker_done(worker, other.token, "other", 6));
			OK(msg_wait(items, 2, in_ms(20000)));
			OK(msg_worker_take(worker, &work, 0));
			CHECK(work.redelivered);
			EQUAL(work.deliveries, 1);
			i++;
		}
		OK(msg_worker_done(worker, work.token, "done", 5));
		EQUAL(msg_worker_done(worker, work.token, "done", 5), -ENOENT);
	}
	for (i = 0; i < 4; i++) {
		items[1] = items[2];
		OK(msg_wait(items, 2, in_ms(20000)));
		OK(msg_producer_result(producer, &result, 0));
		EQUAL(result.len, i == 2 ? 6 : 5);
		EQUAL(result.deliveries, i == 3 ? 2 : 1);
	}
	EQUAL(msg_producer_result(producer, &result, 0), -ENOENT);
	msg_dispatcher_run(dispatcher, in_ms(1));
	OK(msg_worker_flush(worker, in_ms(20000)));
	msg_worker_stats(worker, &stats);
	EQUAL(stats.done, 4);
	EQUAL(stats.redelivered, 1);
	msg_dispatcher_stats(dispatcher, &stats);
	EQUAL(stats.outstanding, 0);
	EQUAL(stats.done, 4);
	EQUAL(stats.connects, 2);
	// The other one takes over; the worker's peer finds it, the producer is its own.
	msg_dispatcher_close(dispatcher);
	EQUAL(msg_dispatcher_run(standby, in_ms(20000)), 0);
	msg_producer_close(producer);
	OK(msg_producer_open(c, "queue", &options, &producer));
	OK(msg_producer_put(producer, "more", 5, NULL, 0));
	items[0].pattern = standby;
	items[1].pattern = worker;
	items[2].pattern = producer;
	items[1].pattern = worker;
	OK(msg_wait(items, 3, in_ms(20000)));
	OK(msg_worker_take(worker, &work, 0));
	CHECK(!work.redelivered);
	OK(msg_leave(a));
	OK(msg_leave(b));
	OK(msg_leave(c));
}

/* ---- items that nobody can do ---- */

// Dies of the items that are poison.
static void poisoned_worker(void *arg)
{
	struct stage *stage = arg;
	struct msg_region *region = attach(stage, "worker");
	struct msg_worker *worker;
	struct msg_work work;

	OK(msg_worker_open(region, "queue", &stage->options, &worker));
	for (;;) {
		uint64_t number;

		OK(msg_worker_take(worker, &work, in_ms(60000)));
		EQUAL(work.len, 8);
		memcpy(&number, work.data, 8);
		stage->log->taken[number]++;
		if (number % 5 == 3)
			_exit(0);
		OK(msg_worker_done(worker, work.token, &number, 8));
	}
}

// An item that kills whoever takes it comes back to its producer, and kills no more than so many; all the
// others are done.
static void poison(void)
{
	struct stage stage = stage_new(4 * MEGA);
	struct msg_region *region, *other;
	struct msg_queue_options options = { .channel = { .ring = 4096 }, .deliveries = 3 };
	struct msg_dispatcher *dispatcher;
	struct msg_queue_result result;
	struct msg_producer *producer;
	struct msg_wait_item items[2];
	struct msg_queue_stats stats;
	unsigned n = 0, failed = 0;
	uint64_t number;
	pid_t worker;

	// One item at a time: what else a worker held when it died has been given, too.
	stage.options.window = 1;
	stage.death_ns = MORTAL_DEATH;
	region = attach(&stage, "producer");
	other = attach(&stage, "dispatcher");
	OK(msg_dispatcher_open(other, "queue", &options, &dispatcher));
	OK(msg_producer_open(region, "queue", NULL, &producer));
	for (number = 0; number < 10; number++)
		OK(msg_producer_put(producer, &number, 8, (void *)(uintptr_t)number, 0));
	items[0] = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN, .pattern = dispatcher };
	items[1] = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN, .pattern = producer };
	worker = test_spawn(poisoned_worker, &stage);
	while (n < 10) {
		int status;

		if (waitpid(worker, &status, WNOHANG)) {
			CHECK(!status);
			worker = test_spawn(poisoned_worker, &stage);
		}
		msg_wait(items, 2, in_ms(20));
		while (!msg_producer_result(producer, &result, 0)) {
			number = (uintptr_t)result.user;
			EQUAL(result.failed, number % 5 == 3);
			EQUAL(result.deliveries, result.failed ? 3 : 1);
			EQUAL(stage.log->taken[number], result.deliveries);
			// The item itself, or what its worker answered: the same here.
			EQUAL(result.len, 8);
			EQUAL(memcmp(result.data, &number, 8), 0);
			failed += result.failed;
			n++;
		}
	}
	EQUAL(failed, 2);
	msg_producer_stats(producer, &stats);
	EQUAL(stats.failed, 2);
	EQUAL(stats.done, 8);
	EQUAL(stats.outstanding, 0);
	msg_dispatcher_stats(dispatcher, &stats);
	EQUAL(stats.failed, 2);
	EQUAL(stats.redelivered, 4);
	test_kill(worker);
	OK(msg_leave(region));
	OK(msg_leave(other));
}

/* ---- many, and nobody dies ---- */

static void many(void)
{
	struct stage stage = stage_new(16 * MEGA);
	struct msg_region *region = attach(&stage, "producer");
	pid_t pids[4];
	unsigned i;

	pids[0] = test_spawn(dispatcher_peer, &stage);
	for (i = 1; i < 4; i++)
		pids[i] = test_spawn(worker_peer, &stage);
	produce(&stage, region, 0, 3000);
	check_log(&stage, 3000);
	for (i = 0; i < 3000; i++)
		EQUAL(stage.log->taken[i], 1);
	EQUAL(stage.log->takeovers, 1);
	stage.log->stop = true;
	for (i = 0; i < 4; i++)
		test_join(pids[i]);
	EQUAL(msg_peers(region, NULL, 0), 1);
	OK(msg_leave(region));
}

/* ---- peers that die ---- */

static void producing_peer(void *arg)
{
	struct stage *stage = arg;
	struct msg_region *region = attach(stage, "producer");

	produce(stage, region, stage->first, stage->count);
	OK(msg_leave(region));
}

// A producer at work in a process of its own, while those of a kind are killed.
static void killing(struct stage *stage, void (*peer)(void *arg), pid_t *pids, unsigned n,
	unsigned kills, uint64_t pause)
{
	uint64_t random = 4711;
	unsigned k, i;

	for (k = 0; k < kills; k++) {
		msg_sleep_until(msg_now_ns() + pause / 2 + test_random(&random) % pause);
		i = (unsigned)(test_random(&random) % n);
		test_kill(pids[i]);
		stage->seed++;
		pids[i] = test_spawn(peer, stage);
	}
}

static bool is_active(const struct stage *stage, const pid_t *pids, unsigned *i)
{
	for (*i = 0; *i < 2; ++*i)
		if (pids[*i] == stage->log->active)
			return true;
	return false;
}

// By turns the one that dispatches, whose place the other takes, and either of them.
static void kill_dispatchers(struct stage *stage, pid_t *pids, unsigned kills)
{
	uint64_t random = 4711, before;
	unsigned k, i;

	for (k = 0; k < kills; k++) {
		msg_sleep_until(msg_now_ns() + test_random(&random) % (300 * MS));
		if (k % 2 == 0)
			UNTIL(is_active(stage, pids, &i));
		else
			i = (unsigned)(test_random(&random) % 2);
		before = stage->log->takeovers;
		test_kill(pids[i]);
		stage->seed++;
		pids[i] = test_spawn(dispatcher_peer, stage);
		if (k % 2 == 0)
			UNTIL(stage->log->takeovers > before);
	}
}

static void deaths(uint64_t count, unsigned workers_killed, unsigned dispatchers_killed)
{
	struct stage stage = stage_new(16 * MEGA);
	pid_t dispatchers[2], workers[3], producer;
	unsigned i;

	stage.death_ns = MORTAL_DEATH;
	stage.work_ns = 2 * MS;
	stage.count = count;
	for (i = 0; i < 2; i++)
		dispatchers[i] = test_spawn(dispatcher_peer, &stage);
	for (i = 0; i < 3; i++, stage.seed++)
		workers[i] = test_spawn(worker_peer, &stage);
	producer = test_spawn(producing_peer, &stage);
	killing(&stage, worker_peer, workers, 3, workers_killed, 60 * MS);
	kill_dispatchers(&stage, dispatchers, dispatchers_killed);
	test_join(producer);
	check_log(&stage, count);
	stage.log->stop = true;
	for (i = 0; i < 3; i++)
		test_join(workers[i]);
	for (i = 0; i < 2; i++)
		test_join(dispatchers[i]);
}

static void workers_die(void)
{
	deaths(2000, 20, 0);
}

static void dispatchers_die_more(void)
{
	deaths(6000, 0, 8);
}

static void all_die(void)
{
	deaths(3000, 15, 3);
}

static void all_die_more(void)
{
	deaths(12000, 80, 16);
}

// Stopped for longer than the death time and resumed: the others went on without it, and it comes back.
static void stalls_times(unsigned times)
{
	struct stage stage = stage_new(16 * MEGA);
	pid_t peers[5], producer;
	uint64_t random = 17;
	unsigned k, i;

	stage.death_ns = MORTAL_DEATH;
	stage.work_ns = 2 * MS;
	stage.count = 500 * times;
	for (i = 0; i < 5; i++, stage.seed++)
		peers[i] = test_spawn(i < 2 ? dispatcher_peer : worker_peer, &stage);
	producer = test_spawn(producing_peer, &stage);
	for (k = 0; k < times; k++) {
		i = (unsigned)(test_random(&random) % 5);
		msg_sleep_until(in_ms(50 + test_random(&random) % 100));
		kill(peers[i], SIGSTOP);
		msg_sleep_until(in_ms(700));
		kill(peers[i], SIGCONT);
	}
	test_join(producer);
	check_log(&stage, stage.count);
	stage.log->stop = true;
	for (i = 0; i < 5; i++)
		test_join(peers[i]);
}

static void stalls(void)
{
	stalls_times(4);
}

static void stalls_more(void)
{
	stalls_times(24);
}

// Puts without end.
static void mortal_producer(void *arg)
{
	struct stage *stage = arg;
	struct msg_region *region = attach(stage, "mortal");
	struct msg_producer *producer;
	uint64_t n = 0;

	stage->options.no_results = true;
	OK(msg_producer_open(region, "queue", &stage->options, &producer));
	for (;; n++)
		put(producer, n % ITEMS, n % 20 == 3 ? 30000 : 100, MSG_FOREVER);
}

static void producers_die(void)
{
	struct stage stage = stage_new(16 * MEGA);
	struct msg_region *region;
	struct msg_region_info before, after;
	struct msg_dispatcher *dispatcher;
	struct msg_queue_stats stats;
	struct msg_buffer *buffer;
	uint64_t random = 5, end;
	pid_t worker, producers[2];
	unsigned i, k;

	stage.death_ns = MORTAL_DEATH;
	region = attach(&stage, "dispatcher");
	stage.options.items = 100;
	OK(msg_buffer_alloc(region, 1, &buffer));
	msg_buffer_free(buffer);
	msg_region_describe(region, &before);
	OK(msg_dispatcher_open(region, "queue", &stage.options, &dispatcher));
	EQUAL(msg_dispatcher_run(dispatcher, 0), 0);
	worker = test_spawn(worker_peer, &stage);
	for (i = 0; i < 2; i++)
		producers[i] = test_spawn(mortal_producer, &stage);
	for (k = 0; k < 30; k++) {
		// However slow they are, four are done between two deaths.
		do {
			int err = msg_dispatcher_run(dispatcher,
				msg_now_ns() + test_random(&random) % (60 * MS));

			CHECK(test_late(err));
			msg_dispatcher_stats(dispatcher, &stats);
		} while (stats.done < 4 * k);
		i = k % 2;
		test_kill(producers[i]);
		producers[i] = test_spawn(mortal_producer, &stage);
		msg_dispatcher_stats(dispatcher, &stats);
		CHECK(stats.outstanding <= 100);
	}
	for (i = 0; i < 2; i++)
		test_kill(producers[i]);
	// What they put is done all the same.
	for (end = in_ms(60000); msg_now_ns() < end;) {
		msg_dispatcher_run(dispatcher, in_ms(10));
		msg_dispatcher_stats(dispatcher, &stats);
		if (!stats.outstanding && stats.connects == 1)
			break;
	}
	EQUAL(stats.outstanding, 0);
	EQUAL(stats.connects, 1);
	CHECK(stats.done >= 100);
	stage.log->stop = true;
	// It leaves, and what the dead ones had held comes back.
	end = in_ms(60000);
	do {
		msg_dispatcher_run(dispatcher, in_ms(10));
		msg_dispatcher_stats(dispatcher, &stats);
		msg_region_describe(region, &after);
	} while ((stats.connects || after.land_free != before.land_free) && msg_now_ns() < end);
	EQUAL(stats.connects, 0);
	test_join(worker);
	EQUAL(after.land_free, before.land_free);
	msg_dispatcher_close(dispatcher);
	OK(msg_leave(region));
}

// A producer that lives and takes no results holds nobody up.
static void sluggish_peer(void *arg)
{
	struct stage *stage = arg;
	struct msg_region *region = attach(stage, "sluggish");
	struct msg_producer *producer;
	static bool seen[ITEMS];
	uint64_t i;

	// All of it fits into the ring to the dispatcher, and not into the one back.
	stage->options.channel.ring = 65536;
	OK(msg_producer_open(region, "queue", &stage->options, &producer));
	put(producer, 1000, 100, in_ms(20000));
	TIMES_OUT(msg_producer_flush(producer, in_ms(500)));
	for (i = 1; i < 250; i++)
		put(producer, 1000 + i, 100, in_ms(20000));
	stage->log->takeovers = 100;
	while (!stage->log->wake)
		msg_sleep_until(in_ms(20));
	EQUAL(results(producer, seen, in_ms(20000)), 250);
	OK(msg_leave(region));
}

static void sluggish(void)
{
	struct stage stage = stage_new(4 * MEGA);
	struct msg_region *region = attach(&stage, "producer");
	pid_t pids[4];
	unsigned i;

	stage.options.channel.ring = 1024;
	pids[0] = test_spawn(dispatcher_peer, &stage);
	pids[3] = test_spawn(sluggish_peer, &stage);
	while (stage.log->takeovers < 100)
		msg_sleep_until(in_ms(5));
	for (i = 1; i < 3; i++)
		pids[i] = test_spawn(worker_peer, &stage);
	produce(&stage, region, 0, 500);
	check_log(&stage, 500);
	// Now it takes them, each once.
	stage.log->wake = true;
	test_join(pids[3]);
	stage.log->stop = true;
	for (i = 0; i < 3; i++)
		test_join(pids[i]);
	OK(msg_leave(region));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "alone", alone, 0 },
		{ "poison", poison, 120 },
		{ "many", many, 0 },
		{ "sluggish", sluggish, 0 },
		{ "workers_die", workers_die, 90 },
		{ "all_die", all_die, 120 },
		{ "stalls", stalls, 120 },
		{ "producers_die", producers_die, 90 },
		{ "dispatchers_die_more", dispatchers_die_more, 300 },
		{ "all_die_more", all_die_more, 300 },
		{ "stalls_more", stalls_more, 300 },
	};

	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

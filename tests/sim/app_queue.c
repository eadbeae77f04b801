// SPDX-License-Identifier: BSD-2-Clause
// Work queues: some peers dispatch or stand by for it, the others put items and do them.
#include "tests/sim/app_pattern.h"

#define QUEUE_NAME "works"

static bool dispatches(unsigned peer)
{
	return peer < sim.config.dispatchers;
}

static void open_worker(struct place *place)
{
	struct queues *q = &place->queues;
	struct msg_queue_options options = { .channel = { .ring = 1024 },
		.window = q->worker_window };
	int err;

	q->hand = oracle_hand_new(place->seat);
	if (!q->hand)
		return;
	err = msg_worker_open(place->region, QUEUE_NAME, &options, &q->worker);
	if (!err)
		return;
	q->worker = NULL;
	if (!app_lost(place, err) && !app_excused())
		sim_fail("msg_worker_open: %s", msg_strerror(err));
}

static void open_producer(struct place *place)
{
	struct queues *q = &place->queues;
	struct msg_queue_options options = { .channel = { .ring = 1024 },
		.window = q->producer_window };
	int err;

	q->maker = oracle_maker_new(place->seat);
	if (!q->maker)
		return;
	err = msg_producer_open(place->region, QUEUE_NAME, &options, &q->producer);
	if (!err)
		return;
	q->producer = NULL;
	if (!app_lost(place, err) && !app_excused())
		sim_fail("msg_producer_open: %s", msg_strerror(err));
}

static void open_dispatcher(struct place *place)
{
	struct queues *q = &place->queues;
	struct msg_queue_options options = { .channel = { .ring = 1024 },
		.window = sim_chance(128) ? 1 + sim_pick(4) : 0,
		.items = sim.config.items ? sim.config.items : 4 + sim_pick(30) };
	int err = msg_dispatcher_open(place->region, QUEUE_NAME, &options, &q->dispatcher);

	place->seat->dispatches = !err;
	if (!err)
		return;
	q->dispatcher = NULL;
	if (!app_lost(place, err) && !app_excused())
		sim_fail("msg_dispatcher_open: %s", msg_strerror(err));
}

void queue_open(struct place *place)
{
	struct queues *q = &place->queues;

	q->left = 1 + sim_pick(2 * sim.config.messages + 6);
	q->worker_window = 1 + sim_pick(3);
	q->producer_window = 1 + sim_pick(6);
	if (dispatches(place->peer->index)) {
		open_dispatcher(place);
		return;
	}
	open_worker(place);
	if (sim_chance(200) && !place->lost)
		open_producer(place);
}

/* ---- dispatching ---- */

static void dispatch(struct place *place)
{
	struct queues *q = &place->queues;
	uint64_t deadline = sim_chance(160) ? 0 : sim.now + sim_pick(4 * MS);
	uint64_t away = place->peer->away_ns;
	int err = msg_dispatcher_run(q->dispatcher, deadline);

	app_check_deadline(place, deadline ? deadline : sim.now, away, "msg_dispatcher_run");
	if (!err)
		sim_trace("dispatches");
	else if (err != -EAGAIN && err != -ETIMEDOUT && err != -ENOSPC && !app_lost(place, err) &&
		!app_excused())
		sim_fail("msg_dispatcher_run: %s", msg_strerror(err));
	if (place->lost || sim.config.loyal || !sim_chance(sim.config.dispatchers > 1 ? 4 : 1))
		return;
	oracle_dispatcher_moved(place->seat);
	msg_dispatcher_close(q->dispatcher);
	open_dispatcher(place);
}

/* ---- producing ---- */

static void put_one(struct place *place)
{
	struct queues *q = &place->queues;
	struct sim_item *item = oracle_item_new(q->maker);
	uint64_t deadline = sim_chance(160) ? 0 : sim.now + sim_pick(4 * MS);
	uint64_t away = place->peer->away_ns;
	unsigned len;
	int err;

	if (!item) {
		q->left = 0;
		return;
	}
	len = oracle_item_fill(item, place->app->bytes);
	err = msg_producer_put(q->producer, place->app->bytes, len, item, deadline);
	app_check_deadline(place, deadline ? deadline : sim.now, away, "msg_producer_put");
	if (!err) {
		q->left--;
		if (q->maker->put - q->maker->results > q->producer_window)
			sim_fail("peer %u has put more than its window", place->peer->index);
		return;
	}
	oracle_item_refused(item);
	if (err != -EAGAIN && err != -ETIMEDOUT && err != -ENOBUFS && !app_lost(place, err) &&
		!app_excused())
		sim_fail("msg_producer_put: %s", msg_strerror(err));
}

static void take_result(struct place *place)
{
	struct queues *q = &place->queues;
	uint64_t deadline = sim_chance(160) ? 0 : sim.now + sim_pick(4 * MS);
	struct msg_queue_result result;
	int err;

	fault_reading(place->peer);
	err = msg_producer_result(q->producer, &result, deadline);
	if (!err)
		oracle_item_result(q->maker, &result);
	else if (err == -ENOENT ? q->maker->put != q->maker->results && !app_excused() :
		err != -EAGAIN && err != -ETIMEDOUT && !app_lost(place, err) && !app_excused())
		sim_fail("msg_producer_result: %s, with %llu of %llu results", msg_strerror(err),
			(unsigned long long)q->maker->results, (unsigned long long)q->maker->put);
}

static void produce(struct place *place)
{
	struct queues *q = &place->queues;
	unsigned n = 1 + sim_pick(3);

	while (n-- && q->left && !place->lost)
		put_one(place);
	for (n = sim_pick(4); n && !place->lost; n--)
		take_result(place);
	// What the dispatcher has is done all the same.
	if (!place->lost && sim_chance(1)) {
		q->maker->over = true;
		msg_producer_close(q->producer);
		q->producer = NULL;
		if (q->left)
			open_producer(place);
	}
}

/* ---- working ---- */

static void take_work(struct place *place, struct held_work *held)
{
	struct queues *q = &place->queues;
	uint64_t deadline = sim_chance(200) ? 0 : sim.now + sim_pick(4 * MS);
	struct msg_work work;
	int err;

	fault_reading(place->peer);
	app_reads(place);
	err = msg_worker_take(q->worker, &work, deadline);
	app_has_read(place, err);
	if (err == -EAGAIN || err == -ETIMEDOUT)
		return;
	if (err) {
		if (!app_lost(place, err) && !app_excused())
			sim_fail("msg_worker_take: %s", msg_strerror(err));
		return;
	}
	held->token = work.token;
	held->delivery = app_evicted(place) ? NULL : oracle_item_taken(q->hand, &work);
}

static void finish_work(struct place *place, struct held_work *held)
{
	struct queues *q = &place->queues;
	struct sim_delivery *d = held->delivery;
	bool returns = sim_chance(30);
	unsigned len = d ? oracle_work_fill(d, place->app->bytes) : 0;
	int err;

	if (d && returns)
		d->returned = true;
	else if (d)
		d->done = true;
	err = returns ? msg_worker_return(q->worker, held->token) :
			msg_worker_done(q->worker, held->token, place->app->bytes, len);
	held->token = 0;
	if (err && !app_lost(place, err) && !app_excused())
		sim_fail("msg_worker_%s: %s", returns ? "return" : "done", msg_strerror(err));
}

static void work(struct place *place)
{
	struct queues *q = &place->queues;
	unsigned i, n = 0;
	int err;

	for (i = 0; i < HELD_WORK && !place->lost; i++) {
		if (!q->held[i].token)
			take_work(place, &q->held[i]);
		else if (sim_chance(128))
			finish_work(place, &q->held[i]);
		n += q->held[i].token != 0;
	}
	if (n > q->worker_window && !app_excused())
		sim_fail("peer %u has %u items, more than its window", place->peer->index, n);
	if (!place->lost && sim_chance(8)) {
		err = msg_worker_flush(q->worker, sim.now + sim_pick(4 * MS));
		if (err && err != -EAGAIN && err != -ETIMEDOUT && !app_lost(place, err) &&
			!app_excused())
			sim_fail("msg_worker_flush: %s", msg_strerror(err));
	}
	if (place->lost || !sim_chance(3))
		return;
	for (i = 0; i < HELD_WORK; i++)
		q->held[i].token = 0;
	q->hand->over = true;
	msg_worker_close(q->worker);
	q->worker = NULL;
	open_worker(place);
}

/* ---- the whole ---- */

void queue_round(struct place *place)
{
	struct queues *q = &place->queues;

	if (q->dispatcher)
		dispatch(place);
	if (q->producer && !place->lost)
		produce(place);
	if (q->worker && !place->lost)
		work(place);
}

unsigned queue_items(struct place *place, struct msg_wait_item *items)
{
	struct queues *q = &place->queues;
	void *handles[] = { q->dispatcher, q->producer, q->worker };
	unsigned n = 0, i;

	for (i = 0; i < 3; i++)
		if (handles[i])
			items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN,
				.pattern = handles[i] };
	return n;
}

bool queue_work(const struct place *place)
{
	const struct queues *q = &place->queues;
	bool dispatched = false;
	unsigned i;

	for (i = 0; i < sim.config.dispatchers; i++)
		dispatched |= sim.peer[i].state != PEER_DONE &&
			(sim.peer[i].state != PEER_OFF || sim.peer[i].restart_at != SIM_NEVER);
	for (i = 0; i < HELD_WORK; i++)
		if (q->worker && q->held[i].token)
			return true;
	// Somebody works as long as this peer does.
	return dispatched && q->producer && q->worker &&
		(q->left || q->maker->put != q->maker->results);
}

void queue_tidy(struct place *place)
{
	struct queues *q = &place->queues;

	if (place->lost)
		return;
	oracle_queues_over(place->seat);
	if (sim_chance(128)) {
		place->kept |= q->dispatcher || q->producer || q->worker;
		return;
	}
	msg_dispatcher_close(q->dispatcher);
	msg_producer_close(q->producer);
	msg_worker_close(q->worker);
	q->dispatcher = NULL;
	q->producer = NULL;
	q->worker = NULL;
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * The dispatcher: takes the name or stands by for it, and moves items from producers to workers
 * and results back. A worker's result is told to be safe when it stands in the ring to its
 * producer, where it can be read even if the dispatcher is dead: so it is with the worker or with
 * the producer, and not only here. (Only with a producer that doesn't read is it kept here alone; if
 * the dispatcher dies then, the item is done again, as redelivered.)
 */
#include "msg/patterns/queue_dispatch.h"

// Is it time to say that something else has the name? Not each time that the app asks: who only has
// to write a kind for it must not keep those awake that stand by.
static bool foreign_news(const struct msg_dispatcher *d)
{
	return d->foreign && context_now(d->pattern.region->context) >= d->foreign_again;
}

// Standing by: is the name free? Looks once for each look at who is there, and before it is called
// foreign.
static void try_name(struct msg_dispatcher *d)
{
	struct msg_region *region = d->pattern.region;
	struct endpoint_place place;
	int err;

	if (d->looked && d->looked == region->context->last_scan_ns && !foreign_news(d))
		return;
	d->looked = region->context->last_scan_ns;
	d->foreign = false;
	if (endpoint_find(region, d->name, &place)) {
		d->foreign = place.kind != KIND_QUEUE;
		return;
	}
	err = endpoint_listen(region, d->name, &d->options, KIND_QUEUE, &d->listener);
	if (err && err != -EADDRINUSE) {
		d->error = err;
		return;
	}
	d->looked = context_now(region->context);
	d->hold_again = d->looked + DISPATCH_HOLD_NS;
}

static void figures(struct member *member)
{
	const uint64_t now[QUEUE_FIGURES] = {
		member->count, member->done, member->redelivered, member->failed,
	};

	queue_figures(member->channel, member->shown, now);
}

// A producer that doesn't read must not hold workers up: where many results wait for it, they are
// kept here alone.
static void relieve_workers(struct msg_dispatcher *d, struct member *producer)
{
	struct node *node;

	for (node = producer->finished.next; node != &producer->finished; node = node->next) {
		struct item *item = ITEM_OF(node, place);
		struct letter letter = { .words = QUEUE_WORDS,
			.head = { QUEUE_SAFE, item->id.life, item->id.number } };

		if (!item->worker || item->worker->unsafe < item->worker->window ||
			member_send(d, item->worker, &letter))
			continue;
		item->worker->unsafe--;
		item->worker = NULL;
	}
}

static void send_results(struct msg_dispatcher *d, struct member *producer)
{
	while (!list_empty(&producer->finished)) {
		struct item *item = ITEM_OF(producer->finished.next, place);
		struct letter letter = { .words = QUEUE_WORDS, .data = item->data, .len = item->len,
			.head = { QUEUE_RESULT | (item->failed ? QUEUE_FAILED : 0) |
				(uint64_t)item->deliveries << 16, item->id.life, item->id.number } };

		// One that is gone wants none, even if what it put is not all read yet.
		if (member_send(d, producer, &letter) && !producer->channel->send_error)
			break;
		item_safe(d, item);
	}
}

static void send_safe(struct msg_dispatcher *d, struct member *worker)
{
	while (!list_empty(&worker->safe)) {
		struct item *item = ITEM_OF(worker->safe.next, place);
		struct letter letter = { .words = QUEUE_WORDS,
			.head = { QUEUE_SAFE, item->id.life, item->id.number } };

		if (member_send(d, worker, &letter))
			break;
		item_free(d, item);
	}
}

// The worker with the fewest items that can take one more; NULL: none can.
static struct member *idlest(struct msg_dispatcher *d)
{
	struct member *member, *best = NULL;

	for (member = d->members; member; member = member->next)
		if (member->role == ROLE_WORKER && member->reported && !member->full &&
			!member->starved && !member->channel->send_error &&
			member->count + member->strays < member->window &&
			member->count + member->unsafe + member->strays < 2 * member->window &&
			(!best || member->count < best->count))
			best = member;
	return best;
}

// False: that one can't get it now.
static bool give(struct msg_dispatcher *d, struct item *item, struct member *worker)
{
	struct letter letter = { .words = QUEUE_WORDS, .data = item->data, .len = item->len,
		.head = { QUEUE_GIVE | (item->before ? QUEUE_BEFORE : 0) |
			(uint64_t)item->deliveries << 16, item->id.life, item->id.number } };
	int err = member_send(d, worker, &letter);

	worker->starved = err && err != -EAGAIN;
	if (err)
		return false;
	worker->redelivered += item->before;
	d->stats.redelivered += item->before;
	item_give(item, worker);
	return true;
}

static void give_all(struct msg_dispatcher *d)
{
	bool hold = d->hold_again && context_now(d->pattern.region->context) < d->hold_again;
	struct member *worker;

	if (!hold)
		d->hold_again = 0;
	while ((!hold && !list_empty(&d->again)) || !list_empty(&d->waiting)) {
		bool again = !hold && !list_empty(&d->again);

		worker = idlest(d);
		if (!worker)
			return;
		give(d, ITEM_OF(again ? d->again.next : d->waiting.next, place), worker);
	}
}

static void advance(struct msg_dispatcher *d)
{
	struct msg_context *context = d->pattern.region->context;
	struct letter smallest = { .words = QUEUE_WORDS };
	struct member *member, *next;

	if (d->pattern.region->error)
		d->error = d->pattern.region->error;
	if (!d->error && !d->listener)
		try_name(d);
	if (d->error || !d->listener)
		return;
	if (d->starved && context_now(context) >= d->starved)
		d->starved = 0;
	members_accept(d);
	for (member = d->members; member; member = next) {
		next = member->next;
		if (!d->starved)
			member->starved = false;
		member->full = member->channel->wants & WANT_LATER &&
			!letter_fits(member->channel, &smallest);
		member_receive(d, member);
	}
	for (member = d->members; member; member = member->next) {
		if (!member->full && !d->starved)
			send_results(d, member);
		if (!list_empty(&member->finished))
			relieve_workers(d, member);
	}
	give_all(d);
	for (member = d->members; member; member = member->next) {
		if (!member->full)
			send_safe(d, member);
		figures(member);
	}
	if (d->unknown && context_now(context) >= d->sweep) {
		items_sweep(d, NULL);
		d->sweep = context_now(context) + DISPATCH_SWEEP_NS;
	}
}

static bool step(struct pattern *pattern)
{
	struct msg_dispatcher *d = (struct msg_dispatcher *)pattern;

	advance(d);
	return d->error || foreign_news(d) || (d->listener && !d->told);
}

static uint64_t due(struct pattern *pattern)
{
	struct msg_dispatcher *d = (struct msg_dispatcher *)pattern;
	uint64_t when = MSG_FOREVER;

	if (!d->listener)
		return d->foreign ? d->foreign_again : when;
	if (d->unknown)
		when = d->sweep;
	if (d->starved && d->starved < when)
		when = d->starved;
	if (d->hold_again && !list_empty(&d->again) && d->hold_again < when)
		when = d->hold_again;
	return when;
}

static void forget(struct pattern *pattern)
{
	struct msg_dispatcher *d = (struct msg_dispatcher *)pattern;

	while (d->members) {
		struct member *member = d->members;

		d->members = member->next;
		context_free(pattern->region->context, member);
	}
	items_free(d);
	pattern_destroy(pattern);
}

static const struct pattern_ops dispatcher_ops = { .step = step, .due = due, .forget = forget };

int msg_dispatcher_open(struct msg_region *region, const char *name,
	const struct msg_queue_options *options, struct msg_dispatcher **result)
{
	struct msg_dispatcher *d = pattern_create(region, &dispatcher_ops, sizeof(*d));
	uint32_t rows = 16;
	int err;

	if (!d)
		return -ENOMEM;
	list_begin(&d->again);
	list_begin(&d->waiting);
	list_begin(&d->unknown_done);
	if (options)
		d->options = options->channel;
	d->limit = options && options->items ? options->items : 4096;
	// One that stands still can't fill the table.
	d->window = options && options->window ? options->window : d->limit / 8 + 1;
	if (d->window > MSG_QUEUE_WINDOW_MAX && !(options && options->window))
		d->window = MSG_QUEUE_WINDOW_MAX;
	d->bytes_max = options && options->bytes ? options->bytes : QUEUE_BYTES;
	d->deliveries = options && options->deliveries ? options->deliveries : MSG_QUEUE_DELIVERIES;
	while (rows < d->limit && rows < 65536)
		rows *= 2;
	err = d->window > MSG_QUEUE_WINDOW_MAX ? -EINVAL : name_copy(d->name, name);
	d->rows = err ? NULL : context_alloc(region->context, rows * sizeof(*d->rows));
	if (!err && !d->rows)
		err = -ENOMEM;
	if (err) {
		forget(&d->pattern);
		return err;
	}
	d->row_mask = rows - 1;
	*result = d;
	return 0;
}

void msg_dispatcher_close(struct msg_dispatcher *d)
{
	struct msg_region *region;

	if (!d)
		return;
	region = d->pattern.region;
	msg_unlisten(d->listener);
	while (d->members) {
		struct member *member = d->members;

		d->members = member->next;
		msg_close(member->channel);
		context_free(region->context, member);
	}
	forget(&d->pattern);
}

int msg_dispatcher_run(struct msg_dispatcher *d, uint64_t deadline)
{
	int err = pattern_wait(&d->pattern, deadline);

	if (err || d->error)
		return err ? err : d->error;
	if (d->foreign) {
		// The next call looks anew.
		d->looked = 0;
		d->foreign_again = context_now(d->pattern.region->context) +
			DISPATCH_FOREIGN_NS;
		return -EPROTOTYPE;
	}
	d->told = true;
	return 0;
}

bool msg_dispatcher_active(struct msg_dispatcher *d)
{
	return d->listener && !d->error;
}

void msg_dispatcher_stats(struct msg_dispatcher *d, struct msg_queue_stats *stats)
{
	*stats = d->stats;
}

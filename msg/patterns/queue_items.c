// SPDX-License-Identifier: BSD-2-Clause
/*
 * The dispatcher's items, in a table by id.
 *
 *   state            what happens                                   becomes
 *   -                ITEM                                           WAITING
 *   -                HELD by a worker (producer not yet back)       GIVEN, not known
 *   -                DONE by a worker (producer not yet back)       DONE, not known
 *   WAITING          GIVE sent; or HELD by a worker                 GIVEN
 *   GIVEN            its worker is gone, RETURN                     WAITING again; not known: -;
 *                                                                   given too often: DONE, failed
 *   GIVEN            DONE                                           DONE
 *   GIVEN, DONE      ITEM of its producer, not known before         known
 *   not known        its producer is gone, or doesn't put it        -
 *   DONE             RESULT sent, or no producer left               -, when its worker was told (SAFE)
 */
#include "msg/patterns/queue_dispatch.h"

#define UNKNOWN_NS (10000 * NS_PER_MS)

static struct item **item_row(struct msg_dispatcher *d, struct item_id id)
{
	uint64_t hash = (id.life ^ id.number * 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;

	return &d->rows[hash >> 32 & d->row_mask];
}

struct item *item_find(struct msg_dispatcher *d, struct item_id id)
{
	struct item *item = *item_row(d, id);

	while (item && !item_same(item->id, id))
		item = item->next;
	return item;
}

bool item_fill(struct msg_dispatcher *d, struct item *item, const void *data, size_t len)
{
	void *copy = queue_copy(d->pattern.region, data, len);

	if (!copy)
		return false;
	context_free(d->pattern.region->context, item->data);
	d->bytes += len - item->len;
	item->data = copy;
	item->len = len;
	return true;
}

struct item *item_create(struct msg_dispatcher *d, struct item_id id, const void *data, size_t len)
{
	struct item *item = context_alloc(d->pattern.region->context, sizeof(*item));
	struct item **row = item_row(d, id);

	if (!item || !item_fill(d, item, data, len)) {
		context_free(d->pattern.region->context, item);
		return NULL;
	}
	item->id = id;
	item->since = context_now(d->pattern.region->context);
	list_begin(&item->place);
	list_begin(&item->owned);
	item->next = *row;
	*row = item;
	d->unknown++;
	d->stats.outstanding++;
	return item;
}

void item_free(struct msg_dispatcher *d, struct item *item)
{
	struct item **row = item_row(d, item->id);

	while (*row != item)
		row = &(*row)->next;
	*row = item->next;
	list_remove(&item->place);
	list_remove(&item->owned);
	if (item->producer)
		item->producer->count--;
	if (item->worker && item->state == ITEM_GIVEN)
		item->worker->count--;
	if (item->worker && item->state == ITEM_DONE)
		item->worker->unsafe--;
	d->known -= item->known;
	d->unknown -= !item->known;
	d->bytes -= item->len;
	d->stats.outstanding--;
	context_free(d->pattern.region->context, item->data);
	context_free(d->pattern.region->context, item);
}

bool item_room(const struct msg_dispatcher *d, size_t len)
{
	return d->known < d->limit && (d->bytes + len <= d->bytes_max || !d->known);
}

void item_own(struct msg_dispatcher *d, struct item *item, struct member *producer)
{
	if (!item->known) {
		item->known = true;
		d->known++;
		d->unknown--;
	}
	if (item->producer)
		item->producer->count--;
	item->producer = producer;
	producer->count++;
	list_move(&producer->items, &item->owned);
	if (item->state == ITEM_DONE)
		list_move(&producer->finished, &item->place);
}

// Goes back to its producer, which has kept it: it may be what its workers died of.
static void item_fail(struct msg_dispatcher *d, struct item *item)
{
	context_free(d->pattern.region->context, item->data);
	d->bytes -= item->len;
	item->data = NULL;
	item->len = 0;
	item->failed = true;
	item->state = ITEM_DONE;
	d->stats.failed++;
	if (item->producer)
		list_move(&item->producer->finished, &item->place);
	else
		item_free(d, item);
}

void item_wait(struct msg_dispatcher *d, struct item *item, bool before)
{
	if (item->worker && item->state == ITEM_GIVEN)
		item->worker->count--;
	item->worker = NULL;
	if (before && item->deliveries >= d->deliveries) {
		item_fail(d, item);
		return;
	}
	item->state = ITEM_WAITING;
	item->before |= before;
	list_move(item->before ? &d->again : &d->waiting, &item->place);
}

void item_give(struct item *item, struct member *worker)
{
	item->state = ITEM_GIVEN;
	item->worker = worker;
	worker->count++;
	if (item->deliveries < UINT16_MAX)
		item->deliveries++;
	list_move(&worker->held, &item->place);
}

void item_safe(struct msg_dispatcher *d, struct item *item)
{
	list_remove(&item->owned);
	if (item->producer) {
		item->producer->count--;
		item->producer->done += !item->failed;
		item->producer->failed += item->failed;
	}
	item->producer = NULL;
	if (item->worker)
		list_move(&item->worker->safe, &item->place);
	else
		item_free(d, item);
}

void item_done(struct msg_dispatcher *d, struct item *item, struct member *worker)
{
	if (item->worker && item->state == ITEM_GIVEN)
		item->worker->count--;
	item->state = ITEM_DONE;
	item->worker = worker;
	worker->unsafe++;
	worker->done++;
	d->stats.done++;
	if (item->producer)
		list_move(&item->producer->finished, &item->place);
	else if (item->known)
		item_safe(d, item);
	else
		list_move(&d->unknown_done, &item->place);
}

static bool producer_lives(const struct msg_dispatcher *d, uint64_t life)
{
	const struct msg_region *region = d->pattern.region;
	uint32_t i;

	for (i = 0; i < region->geo.slots; i++)
		if (region->view[i].life == life)
			return true;
	return false;
}

static void forget_unknown(struct msg_dispatcher *d, struct item *item)
{
	if (item->state == ITEM_DONE) {
		item->known = true;
		d->known++;
		d->unknown--;
		item_safe(d, item);
	} else {
		// Its worker goes on with it, in vain.
		item->worker->strays++;
		item_free(d, item);
	}
}

void items_sweep(struct msg_dispatcher *d, const struct member *reported)
{
	uint64_t now = context_now(d->pattern.region->context);
	uint32_t i;

	for (i = 0; i <= d->row_mask && d->unknown; i++) {
		struct item *item = d->rows[i], *next;

		for (; item; item = next) {
			next = item->next;
			if (item->known)
				continue;
			if (reported ? item->id.life == reported->channel->peer_life &&
					item->id.number >> 48 == reported->instance >> 48 :
				now - item->since >= UNKNOWN_NS || !producer_lives(d, item->id.life))
				forget_unknown(d, item);
		}
	}
}

void items_free(struct msg_dispatcher *d)
{
	struct msg_context *context = d->pattern.region->context;
	uint32_t i;

	for (i = 0; d->rows && i <= d->row_mask; i++)
		while (d->rows[i]) {
			struct item *item = d->rows[i];

			d->rows[i] = item->next;
			context_free(context, item->data);
			context_free(context, item);
		}
	context_free(context, d->rows);
	d->rows = NULL;
}

// SPDX-License-Identifier: BSD-2-Clause
// Work queues: each item is done once for its producer, and who gets what another may have had is told.
#include <string.h>
#include "tests/sim/oracle_pattern.h"

#define ITEMS      500
#define DELIVERIES 900
#define MAKERS     SIM_MAKERS
#define HANDS      64

static struct sim_item items[ITEMS];
static struct sim_delivery deliveries[DELIVERIES];
static struct sim_maker makers[MAKERS];
static struct sim_hand hands[HANDS];
static unsigned item_count, delivery_count, maker_count, hand_count;
/* How often a dispatcher, or one that stood by, went away. */
static unsigned moves[SIM_REGIONS];

void oracle_queues_reset(void)
{
	item_count = delivery_count = maker_count = hand_count = 0;
	memset(moves, 0, sizeof(moves));
}

void oracle_dispatcher_moved(const struct sim_seat *seat)
{
	moves[seat->where]++;
}

static bool judged(void)
{
	return !sim.config.lies && !sim.spoiled && sim.config.atomic;
}

/* ---- who takes part ---- */

struct sim_maker *oracle_maker_new(struct sim_seat *seat)
{
	if (maker_count == MAKERS)
		return NULL;
	makers[maker_count] = (struct sim_maker){ .seat = seat, .life = seat->life };
	return &makers[maker_count++];
}

struct sim_hand *oracle_hand_new(struct sim_seat *seat)
{
	if (hand_count == HANDS)
		return NULL;
	memset(&hands[hand_count], 0, sizeof(hands[0]));
	hands[hand_count].seat = seat;
	hands[hand_count].life = seat->life;
	return &hands[hand_count++];
}

void oracle_queues_over(struct sim_seat *seat)
{
	unsigned i;

	if (seat->dispatches)
		moves[seat->where]++;
	seat->dispatches = false;
	for (i = 0; i < maker_count; i++)
		makers[i].over |= makers[i].seat == seat;
	for (i = 0; i < hand_count; i++)
		hands[i].over |= hands[i].seat == seat;
}

/* ---- content: a number, then bytes by a tag ---- */

static unsigned length_of(uint32_t tag)
{
	return 4 + (tag >> 11) % ((tag & 15) ? 60 : 700);
}

static unsigned fill(uint32_t number, uint32_t tag, uint8_t *data)
{
	unsigned len = length_of(tag), i;

	memcpy(data, &number, 4);
	for (i = 4; i < len; i++)
		data[i] = oracle_byte(tag, i);
	return len;
}

static bool is_whole(uint32_t tag, const uint8_t *data, uint64_t len)
{
	uint64_t i;

	if (len != length_of(tag))
		return false;
	for (i = 4; i < len; i++)
		if (data[i] != oracle_byte(tag, (unsigned)i))
			return false;
	return true;
}

static uint32_t number_of(const uint8_t *data, uint64_t len)
{
	uint32_t number = UINT32_MAX;

	if (len >= 4)
		memcpy(&number, data, 4);
	return number;
}

/* ---- items ---- */

struct sim_item *oracle_item_new(struct sim_maker *maker)
{
	struct sim_item *item = &items[item_count];

	if (item_count == ITEMS)
		return NULL;
	item_count++;
	*item = (struct sim_item){ .maker = maker, .number = ++maker->put, .tag = oracle_tag() };
	return item;
}

void oracle_item_refused(struct sim_item *item)
{
	if (item->taken && judged())
		sim_fail("item %u was taken and yet not put", (unsigned)(item - items));
	item->maker->put--;
	if (item == &items[item_count - 1])
		item_count--;
	else
		item->maker = NULL;
}

unsigned oracle_item_fill(const struct sim_item *item, uint8_t *data)
{
	return fill((uint32_t)(item - items), item->tag, data);
}

// Those who had it before.
static void check_others(const struct sim_item *item, const struct sim_hand *hand, bool marked)
{
	unsigned i, number = (unsigned)(item - items), where = hand->seat->where;

	for (i = 0; i < delivery_count; i++) {
		const struct sim_delivery *d = &deliveries[i];

		if (d->item != item)
			continue;
		if (!marked && !d->marked)
			sim_fail("item %u is new to two workers", number);
		// Who stands still, or naps, may have it from a dispatcher before this one, and says so late.
		if (sim.stalls_done || sim.config.naps || moves[where] != d->moves)
			continue;
		if (!marked)
			sim_fail("item %u was given to a worker before, and this isn't told", number);
		if (!d->hand->over && !d->returned)
			sim_fail("item %u is given to another worker, but peer %u %s it", number,
				d->hand->seat->peer->index, d->done ? "has done" : "has");
	}
}

struct sim_delivery *oracle_item_taken(struct sim_hand *hand, const struct msg_work *work)
{
	uint32_t number = number_of(work->data, work->len);
	struct sim_delivery *d = &deliveries[delivery_count];
	uint64_t *last;
	struct sim_item *item;

	sim.messages_received++;
	if (!judged() || delivery_count == DELIVERIES)
		return NULL;
	item = &items[number < item_count ? number : 0];
	if (number >= item_count || !item->maker ||
		item->maker->seat->where != hand->seat->where ||
		!is_whole(item->tag, work->data, work->len))
		sim_fail("peer %u gets work of %zu bytes that nobody put (%u)",
			hand->seat->peer->index, work->len, number);
	check_others(item, hand, work->redelivered);
	last = &hand->last[item->maker - makers];
	if (!work->redelivered && item->number <= *last)
		sim_fail("peer %u gets item %llu of a producer behind %llu",
			hand->seat->peer->index, (unsigned long long)item->number,
			(unsigned long long)*last);
	if (!work->redelivered && work->deliveries)
		sim_fail("item %u is new, and was given %u times", number, work->deliveries);
	if (!sim.stalls_done && !moves[hand->seat->where] && work->deliveries < item->taken)
		sim_fail("item %u was given %u times, but %u workers had it", number,
			work->deliveries, item->taken);
	if (!work->redelivered)
		*last = item->number;
	item->taken++;
	delivery_count++;
	*d = (struct sim_delivery){ .item = item, .hand = hand, .marked = work->redelivered,
		.moves = moves[hand->seat->where], .tag = oracle_tag() };
	return d;
}

unsigned oracle_work_fill(const struct sim_delivery *delivery, uint8_t *data)
{
	return fill((uint32_t)(delivery - deliveries), delivery->tag, data);
}

void oracle_item_result(struct sim_maker *maker, const struct msg_queue_result *result)
{
	struct sim_item *item = result->user;
	uint32_t number = number_of(result->data, result->len);
	const struct sim_delivery *d = &deliveries[number < delivery_count ? number : 0];

	sim.messages_received++;
	maker->results++;
	// What was done while it isn't judged has no number.
	if (!judged() || delivery_count == DELIVERIES || !result->len)
		return;
	if (item->maker != maker)
		sim_fail("peer %u gets the result of an item that it didn't put",
			maker->seat->peer->index);
	if (item->results++)
		sim_fail("item %u is done twice", (unsigned)(item - items));
	if (number >= delivery_count || d->item != item || !d->done ||
		!is_whole(d->tag, result->data, result->len))
		sim_fail("the result of item %u is nobody's", (unsigned)(item - items));
	if (!result->deliveries)
		sim_fail("item %u is done, and nobody had it", (unsigned)(item - items));
}

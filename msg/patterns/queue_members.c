// SPDX-License-Identifier: BSD-2-Clause
// The dispatcher's members: what producers and workers send, and what their end means.
#include "msg/patterns/queue_dispatch.h"

#define LETTERS_PER_STEP 32 /* of one member, before the next one's turn */

void members_accept(struct msg_dispatcher *d)
{
	struct msg_context *context = d->pattern.region->context;
	struct member *member;

	while (listener_waiting(d->listener)) {
		member = context_alloc(context, sizeof(*member));
		if (!member || msg_accept(d->listener, &member->channel, 0)) {
			context_free(context, member);
			return;
		}
		list_begin(&member->items);
		list_begin(&member->finished);
		list_begin(&member->held);
		list_begin(&member->safe);
		member->next = d->members;
		d->members = member;
		d->stats.connects++;
	}
}

void member_end(struct msg_dispatcher *d, struct member *member)
{
	struct member **link = &d->members;
	struct node *node;

	while (!list_empty(&member->items)) {
		struct item *item = ITEM_OF(member->items.next, owned);

		// What it put is done all the same; results are wanted by nobody.
		item->producer = NULL;
		list_remove(&item->owned);
		if (item->state == ITEM_DONE)
			item_safe(d, item);
	}
	while (!list_empty(&member->safe))
		item_free(d, ITEM_OF(member->safe.next, place));
	// Given to others in the order in which it got them.
	while (!list_empty(&member->held)) {
		struct item *item = ITEM_OF(member->held.next, place);

		if (item->known)
			item_wait(d, item, true);
		else
			item_free(d, item);
	}
	// Results of its that still wait for their producers.
	for (node = d->unknown_done.next; node != &d->unknown_done; node = node->next)
		if (ITEM_OF(node, place)->worker == member)
			ITEM_OF(node, place)->worker = NULL;
	for (link = &d->members; *link; link = &(*link)->next)
		for (node = (*link)->finished.next; node != &(*link)->finished; node = node->next)
			if (ITEM_OF(node, place)->worker == member)
				ITEM_OF(node, place)->worker = NULL;
	for (link = &d->members; *link != member; link = &(*link)->next)
		;
	*link = member->next;
	d->stats.connects--;
	msg_close(member->channel);
	context_free(d->pattern.region->context, member);
}

int member_send(struct msg_dispatcher *d, struct member *member, const struct letter *letter)
{
	int err = letter_post(member->channel, letter);

	member->full |= err == -EAGAIN;
	if (err == -ENOSPC || err == -ENOMEM)
		d->starved = context_now(d->pattern.region->context) + 5 * NS_PER_MS;
	return err;
}

static bool fault(struct member *member, const char *what, unsigned word)
{
	channel_fault(member->channel, what, member->view.where + 8 * word,
		member->view.head[word]);
	return true;
}

static bool take_hello(struct msg_dispatcher *d, struct member *member)
{
	const uint64_t *head = member->view.head;
	unsigned type = LETTER_TYPE(head[0]);
	uint32_t window = QUEUE_WINDOW(head[0]);
	struct letter welcome = { .words = QUEUE_WORDS };

	if ((type != QUEUE_PRODUCER && type != QUEUE_WORKER) || !window)
		return fault(member, "neither a producer nor a worker", 0);
	member->role = type == QUEUE_PRODUCER ? ROLE_PRODUCER : ROLE_WORKER;
	member->window = window < d->window ? window : d->window;
	member->instance = head[2];
	welcome.head[0] = QUEUE_HEAD(QUEUE_WELCOME, member->window);
	member_send(d, member, &welcome);
	return true;
}

// False: it must wait.
static bool take_item(struct msg_dispatcher *d, struct member *member)
{
	struct item_id id = { member->view.head[1], member->view.head[2] };
	const struct msg_span *body = &member->view.body;
	struct item *item;

	if (id.life != member->channel->peer_life || !(id.number << 16) ||
		id.number >> 48 != member->instance >> 48)
		return fault(member, "item of another producer", 2);
	item = item_find(d, id);
	if (!item && member->count >= member->window)
		return fault(member, "more items than were granted", 2);
	if (item && item->producer == member)
		return fault(member, "the same item twice", 2);
	if (!item) {
		if (!item_room(d, body->len))
			return false;
		item = item_create(d, id, body->data, body->len);
		if (!item)
			return false;
		item_wait(d, item, member->view.head[0] & QUEUE_BEFORE);
	} else if (!item->known && item->state != ITEM_DONE &&
		   !item_fill(d, item, body->data, body->len)) {
		return false;
	}
	item_own(d, item, member);
	return true;
}

// Was it given to the same peer, on a channel that has ended since?
static bool item_returns(const struct item *item, const struct member *member)
{
	return item->state == ITEM_GIVEN && item->worker != member &&
	       item->worker->channel->peer_life == member->channel->peer_life;
}

// Has its producer told here what it still waits for, and not that one?
static bool item_settled(const struct msg_dispatcher *d, struct item_id id)
{
	const struct member *member;

	for (member = d->members; member; member = member->next)
		if (member->role == ROLE_PRODUCER && member->reported &&
			member->channel->peer_life == id.life &&
			member->instance >> 48 == id.number >> 48)
			return true;
	return false;
}

// What a worker holds since a former dispatcher.
static bool take_held(struct msg_dispatcher *d, struct member *member)
{
	struct item_id id = { member->view.head[1], member->view.head[2] };
	struct item *item = item_find(d, id);

	if (member->reported || ++member->reports > 2 * MSG_QUEUE_WINDOW_MAX)
		return fault(member, "a report that can't be", 0);
	if (item && item_returns(item, member)) {
		item->worker->count--;
		item_give(item, member);
	} else if (item ? item->state != ITEM_WAITING : item_settled(d, id)) {
		// Somebody else has it, or did it: this one's will come to nothing.
		member->strays++;
	} else if (item) {
		item_give(item, member);
	} else if (d->unknown >= d->limit + 2 * MSG_QUEUE_WINDOW_MAX) {
		return fault(member, "more reports than can be", 0);
	} else {
		item = item_create(d, id, NULL, 0);
		if (!item)
			return false;
		item->before = true;
		item_give(item, member);
	}
	return true;
}

static bool tell_safe(struct msg_dispatcher *d, struct member *member, struct item_id id)
{
	struct letter letter = { .words = QUEUE_WORDS,
		.head = { QUEUE_SAFE, id.life, id.number } };

	return member_send(d, member, &letter) != -EAGAIN;
}

static bool take_done(struct msg_dispatcher *d, struct member *member)
{
	struct item_id id = { member->view.head[1], member->view.head[2] };
	const struct msg_span *body = &member->view.body;
	struct item *item = item_find(d, id);
	bool mine = item && item->state == ITEM_GIVEN &&
		    (item->worker == member || item_returns(item, member));

	if (!mine && member->reported && !member->strays)
		return fault(member, "result of work that it doesn't have", 2);
	if (!mine && !member->reported && ++member->reports > 2 * MSG_QUEUE_WINDOW_MAX)
		return fault(member, "a report that can't be", 0);
	if (!mine && (item ? item->state != ITEM_WAITING :
		member->reported || item_settled(d, id))) {
		// Done by another as well, or wanted by nobody.
		if (!tell_safe(d, member, id))
			return false;
		member->strays -= member->reported;
		return true;
	}
	if (!item && d->unknown >= d->limit + 2 * MSG_QUEUE_WINDOW_MAX)
		return fault(member, "more reports than can be", 0);
	// Many large ones that nobody has asked for: these first.
	if (!item && d->unknown && d->bytes + body->len > 2 * d->bytes_max)
		return false;
	if (!item)
		item = item_create(d, id, body->data, body->len);
	else if (!item_fill(d, item, body->data, body->len))
		return false;
	if (!item)
		return false;
	if (!mine) {
		member->strays -= member->reported;
		item->deliveries++;
	}
	item_done(d, item, member);
	return true;
}

static bool take_return(struct msg_dispatcher *d, struct member *member)
{
	struct item_id id = { member->view.head[1], member->view.head[2] };
	struct item *item = item_find(d, id);

	if (item && item->state == ITEM_GIVEN && item->worker == member) {
		if (item->known)
			item_wait(d, item, true);
		else
			item_free(d, item);
	} else if (member->strays) {
		member->strays--;
	} else {
		fault(member, "return of work that it doesn't have", 2);
	}
	return true;
}

static bool take_reported(struct msg_dispatcher *d, struct member *member)
{
	if (member->reported)
		return fault(member, "reported twice", 0);
	member->reported = true;
	if (member->role == ROLE_PRODUCER)
		items_sweep(d, member);
	return true;
}

// False: it must wait until something else has happened.
static bool take_letter(struct msg_dispatcher *d, struct member *member)
{
	bool producer = member->role == ROLE_PRODUCER, worker = member->role == ROLE_WORKER;

	if (member->role == ROLE_NONE)
		return take_hello(d, member);
	switch (LETTER_TYPE(member->view.head[0])) {
	case QUEUE_ITEM:
		if (producer)
			return take_item(d, member);
		break;
	case QUEUE_HELD:
		if (worker)
			return take_held(d, member);
		break;
	case QUEUE_DONE:
		if (worker)
			return take_done(d, member);
		break;
	case QUEUE_RETURN:
		if (worker)
			return take_return(d, member);
		break;
	case QUEUE_REPORTED:
		return take_reported(d, member);
	}
	return fault(member, "unknown type of a letter to a dispatcher", 0);
}

bool member_receive(struct msg_dispatcher *d, struct member *member)
{
	unsigned i;
	int n;

	for (i = 0; i < LETTERS_PER_STEP; i++) {
		n = member->waits ? 1 : letter_peek(member->channel, QUEUE_WORDS, &member->view);
		if (n < 0) {
			member_end(d, member);
			return false;
		}
		if (!n)
			return true;
		member->waits = !take_letter(d, member);
		if (member->waits && member->channel->peer_ended) {
			// Nobody asks for it any more, and waiting for room would keep the slot of who is
			// gone: perhaps from the worker that is to make room.
			member_end(d, member);
			return false;
		}
		if (member->waits)
			return true;
		letter_release(member->channel, &member->view);
	}
	return true;
}

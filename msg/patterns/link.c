// SPDX-License-Identifier: BSD-2-Clause
// Links, the side of the app. See <isthmus/msg_link.h>; link_session.c has the channels.
#include "msg/patterns/link_end.h"

#define FLUSH_NS     NS_PER_MS        /* between looks at what was released; longer and longer, */
#define FLUSH_MAX_NS (20 * NS_PER_MS) /* up to this */

_Static_assert(sizeof(struct msg_link) <= 1024, "as msg_link.h says");

static int link_error(const struct msg_link *link)
{
	if (link->phase == LINK_BROKEN)
		return link->error;
	return link->seat ? link_region(link)->error : -ENODEV;
}

/* ---- as a pattern ---- */

/*
 * The name that was ours may still be our former self's, if that could not leave in order: until
 * it is seen to be dead. Listening pauses for a moment, so it is no part of step().
 */
static int listen_here(struct msg_link *link)
{
	struct link_seat *seat = link->seat;
	struct msg_region *region = link_region(link);
	bool inside = link->inside;
	int err;

	if (!link->listens || seat->listener || inside ||
		context_now(region->context) < seat->retry_ns)
		return 0;
	link->inside = true; // tend() comes by meanwhile
	err = endpoint_listen(region, link->name, NULL, KIND_LINK, &seat->listener);
	link->inside = false;
	link->listened |= !err;
	seat->retry_ns = context_now(region->context) + LINK_RETRY_NS;
	return err == -EADDRINUSE && link->listened ? 0 : err;
}

static bool step(struct pattern *pattern)
{
	struct msg_link *link = ((struct link_seat *)pattern)->link;

	if (!link->inside) {
		if (!link_error(link))
			listen_here(link);
		link->inside = true;
		link_advance(link);
		link->inside = false;
	}
	return link_error(link) || link->seat->view.data || link->peer_finished;
}

static void tend(struct pattern *pattern)
{
	step(pattern);
}

static uint64_t due(struct pattern *pattern)
{
	struct link_seat *seat = (struct link_seat *)pattern;

	if (seat->link->phase == LINK_SEEKING && !seat->link->listens) {
		if (!seat->asking)
			return seat->retry_ns;
		// Until there is a listener to ask, its coming wakes us.
		return seat->connecting.channel ? seat->connecting.ring_again : MSG_FOREVER;
	}
	if (seat->link->listens && !seat->listener)
		return seat->retry_ns;
	return seat->link->phase == LINK_GREETING ? seat->greet_until : MSG_FOREVER;
}

static void forget(struct pattern *pattern)
{
	struct link_seat *seat = (struct link_seat *)pattern;

	if (seat->channel)
		link_see_released(seat);
	// Channel and listener end with the region.
	if (seat->asking && !pattern->region->error)
		connect_abandon(&seat->connecting);
	seat->link->seat = NULL;
	if (seat->link->phase != LINK_BROKEN)
		seat->link->phase = LINK_SEEKING;
}

static void part(struct pattern *pattern)
{
	struct link_seat *seat = (struct link_seat *)pattern;

	if (seat->channel)
		link_see_released(seat);
}

static const struct pattern_ops link_ops = {
	.step = step, .due = due, .tend = tend, .part = part, .forget = forget,
};

/* ---- waiting ---- */

struct wish {
	struct msg_link *link;
	bool (*granted)(const struct msg_link *link);
};

static bool wish_granted(void *arg)
{
	struct wish *w = arg;

	step(&w->link->seat->pattern);
	return link_error(w->link) || w->granted(w->link);
}

// A sender that waits for the other end to release something says so, to be rung; also on a channel that
// comes up meanwhile (link_push).
static void set_want(struct msg_link *link, bool want)
{
	link->for_space = want;
	if (link->seat->channel)
		channel_want(link->seat->channel, WANT_ROOM, want);
}

static int link_wait(struct msg_link *link, bool (*granted)(const struct msg_link *link),
	bool for_space, uint64_t deadline)
{
	struct wish w = { link, granted };
	struct msg_context *context;
	uint64_t pause = FLUSH_NS;
	bool first = true;

	for (;;) {
		uint64_t until = deadline, now;
		int err;

		if (link_error(link))
			return link_error(link);
		err = listen_here(link);
		if (err)
			return err;
		if (wish_granted(&w))
			return link_error(link);
		context = link_region(link)->context;
		now = context_now(context);
		if (now >= deadline)
			return first ? -EAGAIN : -ETIMEDOUT;
		first = false;
		if (due(&link->seat->pattern) < until)
			until = due(&link->seat->pattern);
		if (for_space && link->phase == LINK_UP && now + pause < until)
			until = now + pause;
		pause = 2 * pause < FLUSH_MAX_NS ? 2 * pause : FLUSH_MAX_NS;
		set_want(link, for_space);
		err = wait_for(context, wish_granted, &w, until);
		set_want(link, false);
		if (!err)
			return link_error(link);
	}
}

/* ---- the app's side ---- */

int msg_link_open(void *memory, size_t size, const char *name, bool listens,
	struct msg_link **result)
{
	struct msg_link *link = memory;
	char copy[WIRE_NAME];
	int err = name_copy(copy, name);
	unsigned i;

	if (err || (uintptr_t)memory % 8 || size < MSG_LINK_MEMORY_MIN)
		return -EINVAL;
	*link = (struct msg_link){ .listens = listens };
	for (i = 0; i < WIRE_NAME; i++)
		link->name[i] = copy[i];
	link_store_init(&link->store, (uint8_t *)memory + 1024, size - 1024);
	*result = link;
	return 0;
}

int msg_link_attach(struct msg_link *link, struct msg_region *region)
{
	struct link_seat *seat;
	int err;

	if (link->seat)
		return -EBUSY;
	if (region->error)
		return region->error;
	seat = (struct link_seat *)pattern_create(region, &link_ops, sizeof(*seat));
	if (!seat)
		return -ENOMEM;
	seat->link = link;
	link->seat = seat;
	err = listen_here(link);
	if (err) {
		link->seat = NULL;
		pattern_destroy(&seat->pattern);
	}
	return err;
}

static bool has_message(const struct msg_link *link)
{
	return link->seat->view.data || link->peer_finished;
}

int64_t msg_link_recv(struct msg_link *link, void *data, size_t size, uint64_t deadline)
{
	struct link_seat *seat;
	uint64_t len;
	int err;

	if (link->peer_finished && link->phase != LINK_BROKEN)
		return -EPIPE;
	err = link_wait(link, has_message, false, deadline);
	if (err)
		return err;
	if (link->peer_finished)
		return -EPIPE;
	seat = link->seat;
	len = seat->view.len - sizeof(struct link_head);
	if (len > size)
		return -EMSGSIZE;
	region_copy_out(link_region(link)->context->ops->copy_out, data,
		(const uint8_t *)seat->view.data + sizeof(struct link_head), len);
	// What was read may have been somebody else's by then.
	if (!presence_check_self(link_region(link)))
		return link_region(link)->error;
	link_taken(seat);
	return (int64_t)len;
}

static bool has_room(const struct msg_link *link)
{
	return link_store_fits(&link->store, link_store_limit(&link->store));
}

static int link_accept(struct msg_link *link, enum link_record type, const void *data, uint32_t len)
{
	link_store_add(&link->store, type, data, len);
	if (!link->inside) {
		link->inside = true;
		if (link->phase == LINK_UP)
			link_push(link->seat);
		link->inside = false;
	}
	return 0;
}

int msg_link_send(struct msg_link *link, const void *data, size_t len, uint64_t deadline)
{
	int err = link_error(link);

	if (err)
		return err;
	if (len > link_store_limit(&link->store))
		return -EMSGSIZE;
	if (link->finished)
		return -EPIPE;
	err = listen_here(link);
	if (err)
		return err;
	while (!link_store_fits(&link->store, (uint32_t)len)) {
		err = link_wait(link, has_room, true, deadline);
		if (err)
			return err;
	}
	return link_accept(link, LINK_DATA, data, (uint32_t)len);
}

static bool has_nothing(const struct msg_link *link)
{
	return link->store.first_number == link->store.next_number;
}

int msg_link_flush(struct msg_link *link, uint64_t deadline)
{
	return link_wait(link, has_nothing, true, deadline);
}

int msg_link_finish(struct msg_link *link)
{
	int err = link_error(link);

	if (err || link->finished)
		return err;
	if (!link_store_fits(&link->store, 0))
		step(&link->seat->pattern);
	if (link_error(link))
		return link_error(link);
	if (!link_store_fits(&link->store, 0))
		return -EAGAIN;
	link->finished = true;
	return link_accept(link, LINK_END, NULL, 0);
}

static void detach(struct msg_link *link)
{
	struct link_seat *seat = link->seat;

	if (!seat)
		return;
	link_drop(seat);
	msg_unlisten(seat->listener);
	pattern_destroy(&seat->pattern);
	link->seat = NULL;
}

void msg_link_close(struct msg_link *link)
{
	if (link)
		detach(link);
}

int msg_link_undelivered(struct msg_link *link, unsigned i, struct msg_span *message)
{
	struct link_kept *k;

	if (link->phase != LINK_BROKEN)
		return -EBUSY;
	k = link_store_at(&link->store, i);
	if (!k || k->head.type != LINK_DATA)
		return -ENOENT;
	*message = (struct msg_span){ k + 1, k->size - sizeof(struct link_head) };
	return 0;
}

int msg_link_restart(struct msg_link *link)
{
	struct link_seat *seat = link->seat;
	struct msg_link fresh = {
		.listens = link->listens, .listened = link->listened, .seat = seat,
	};
	unsigned i;

	if (seat && !link_region(link)->error)
		link_drop(seat);
	for (i = 0; i < WIRE_NAME; i++)
		fresh.name[i] = link->name[i];
	link_store_init(&fresh.store, link->store.base, link->store.capacity);
	*link = fresh;
	return 0;
}

void *msg_link_item(struct msg_link *link)
{
	return link->seat ? &link->seat->pattern : NULL;
}

void msg_link_stats(const struct msg_link *link, struct msg_link_stats *stats)
{
	*stats = (struct msg_link_stats){
		.connected = link->phase == LINK_UP && link->seat &&
			!link->seat->channel->send_error,
		.finished = link->peer_finished,
		.sent = link->store.next_number - link->finished,
		.delivered = link->store.first_number < link->store.next_number - link->finished ?
			link->store.first_number : link->store.next_number - link->finished,
		.received = link->expected - link->peer_finished,
		.channels = link->channels,
		.again = link->again,
		.duplicates = link->duplicates,
	};
}

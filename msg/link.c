// SPDX-License-Identifier: BSD-2-Clause
/*
 * Links: conversations that outlive their channels. See <isthmus/msg_link.h> and link.h.
 *
 *   phase     the connecting end                       the listening end
 *   SEEKING   asks the listener of the name            waits for a request
 *   GREETING  HELLO sent, waits for ANSWER             waits for HELLO; ANSWER sent, waits for GO
 *   UP        records flow                             records flow
 *   BROKEN    the two memories don't fit: nothing goes on before msg_link_restart
 *
 * A channel that ends leads back to SEEKING. Each end numbers its records through all channels, and keeps
 * those that the other has not released; a greeting says which one each wants next. Sessions have
 * random names, so that an end that was put back to an earlier state is found out: it doesn't know
 * the last one. The connecting end may have missed the ANSWER of some sessions that the listening
 * end has completed; those it remembers as tried.
 */
#include "msg/link.h"

#include "msg/transfer.h"

#define TRIED_MAX 16
#define RETRY_NS  (20 * NS_PER_MS)
#define GREETING_NS (5000 * NS_PER_MS)
#define FLUSH_NS  NS_PER_MS       /* between looks at what was released; longer and longer, */
#define FLUSH_MAX_NS (20 * NS_PER_MS) /* up to this */

enum phase { SEEKING, GREETING, UP, BROKEN };

/* Belongs to the region while the link is attached. */
struct link_seat {
	struct pattern pattern;
	struct msg_link *link;
	struct msg_listener *listener;
	struct connecting connecting;
	bool asking;            /* connecting is under way */
	uint64_t retry_ns;      /* not before */
	struct msg_channel *channel;
	bool heard_hello, said_hello;
	uint64_t greet_until;   /* then this channel's other end is given up */
	struct msg_span view;   /* DATA or END that the app has not taken yet; data NULL: none */
	struct link_head head;  /* of the view, read once */
};

struct msg_link {
	struct link_store store;
	struct link_seat *seat; /* NULL: not attached */
	enum phase phase;
	int error;              /* while BROKEN */
	bool listens, listened, inside, finished, peer_finished;
	char name[WIRE_NAME + 1];
	uint64_t conversation, session, last_session;
	uint64_t tried[TRIED_MAX]; /* sessions begun since the last one that was completed */
	unsigned tries;
	uint64_t peer_expected;    /* said in the HELLO, meant with the GO */
	uint64_t expected;         /* number of the record that comes next */
	uint64_t highest;          /* records below went out at least once */
	uint64_t channels, again, duplicates;
};

_Static_assert(sizeof(struct msg_link) <= 1024, "as msg_link.h says");

static bool step(struct pattern *pattern);

static struct msg_region *link_region(const struct msg_link *link)
{
	return link->seat->pattern.region;
}

static void link_break(struct msg_link *link, int error)
{
	link->phase = BROKEN;
	link->error = error;
}

/* ---- the channel ---- */

static void channel_drop(struct link_seat *seat)
{
	struct msg_link *link = seat->link;

	seat->view.data = NULL;
	if (seat->asking)
		connect_abandon(&seat->connecting);
	seat->asking = false;
	msg_close(seat->channel);
	seat->channel = NULL;
	if (link->phase != BROKEN)
		link->phase = SEEKING;
}

static uint64_t random_name(const struct msg_region *region)
{
	const struct msg_wait_ops *ops = region->context->ops;
	// A guest that was put back to an earlier state draws the same number again, but in another life.
	uint64_t name = ops->random(ops->arg) ^ region->life * 0x9e3779b97f4a7c15u;

	return name ? name : 1;
}

static void channel_found(struct link_seat *seat, struct msg_channel *channel)
{
	seat->channel = channel;
	seat->heard_hello = seat->said_hello = false;
	seat->greet_until = context_now(link_region(seat->link)->context) + GREETING_NS;
	seat->link->phase = GREETING;
}

// Goes on if this is true.
static bool seek(struct link_seat *seat)
{
	struct msg_link *link = seat->link;
	struct msg_region *region = link_region(link);
	struct msg_channel *channel;
	int err;

	if (link->listens) {
		err = seat->listener ? msg_accept(seat->listener, &channel, 0) : -EAGAIN;
	} else {
		if (!seat->asking && context_now(region->context) < seat->retry_ns)
			return false;
		err = seat->asking ? 0 : connect_begin(&seat->connecting, region, link->name, NULL,
			KIND_LINK);
		seat->asking = !err;
		if (!err)
			err = connect_step(&seat->connecting, &channel);
	}
	if (!err) {
		seat->asking = false;
		channel_found(seat, channel);
		return true;
	}
	if (err == -EAGAIN || region->error)
		return false;
	if (seat->asking)
		connect_abandon(&seat->connecting);
	seat->asking = false;
	if (err == -EPROTOTYPE)
		link_break(link, err);
	seat->retry_ns = context_now(region->context) + RETRY_NS;
	return false;
}

static bool send_head(struct link_seat *seat, enum link_record type)
{
	struct link_head head = { type, 0 };

	return !msg_trysend(seat->channel, &head, sizeof(head));
}

/* ---- greeting ---- */

static bool send_hello(struct link_seat *seat, enum link_record type)
{
	struct msg_link *link = seat->link;
	struct link_hello hello = {
		.head = { type, 0 },
		.conversation = link->conversation,
		.session = link->session,
		.last_session = link->last_session,
		.expected = link->expected,
		.oldest = link->store.first_number,
		.next = link->store.next_number,
	};

	// The ring is empty: it fits, unless the channel is over.
	return !msg_trysend(seat->channel, &hello, sizeof(hello));
}

static void say_hello(struct link_seat *seat)
{
	struct msg_link *link = seat->link;
	unsigned i;

	if (!link->conversation)
		link->conversation = random_name(link_region(link));
	link->session = random_name(link_region(link));
	if (link->tries == TRIED_MAX) {
		for (i = 1; i < TRIED_MAX; i++)
			link->tried[i - 1] = link->tried[i];
		link->tries--;
	}
	link->tried[link->tries++] = link->session;
	seat->said_hello = send_hello(seat, LINK_HELLO);
}

// Do the other end's numbers fit mine?
static bool numbers_fit(const struct msg_link *link, const struct link_hello *hello)
{
	return hello->expected >= link->store.first_number &&
	       hello->expected <= link->store.next_number && hello->oldest <= link->expected &&
	       link->expected <= hello->next;
}

static bool was_tried(const struct msg_link *link, uint64_t session)
{
	unsigned i;

	for (i = 0; i < link->tries; i++)
		if (link->tried[i] == session)
			return true;
	return false;
}

static void go_up(struct msg_link *link, uint64_t peer_expected)
{
	link_store_rewind(&link->store, peer_expected);
	link->channels++;
	link->phase = UP;
}

static void reset(struct link_seat *seat)
{
	send_head(seat, LINK_RESET);
	link_break(seat->link, -ECONNRESET);
}

// At the listening end.
static void take_hello(struct link_seat *seat, const struct link_hello *hello)
{
	struct msg_link *link = seat->link;

	if (link->conversation && hello->conversation != link->conversation) {
		// The other one has begun anew, and waits until this app has heard of it.
		link_break(link, -ECONNRESET);
		return;
	}
	if (!hello->conversation || !hello->session || !numbers_fit(link, hello) ||
		(!link->conversation && hello->last_session)) {
		reset(seat);
		return;
	}
	link->conversation = hello->conversation;
	link->session = hello->session;
	link->peer_expected = hello->expected;
	seat->heard_hello = true;
	if (send_hello(seat, LINK_ANSWER))
		link->last_session = link->session;
}

// At the connecting end.
static void take_answer(struct link_seat *seat, const struct link_hello *hello)
{
	struct msg_link *link = seat->link;

	if (hello->conversation != link->conversation || hello->session != link->session ||
		!numbers_fit(link, hello) || (hello->last_session != link->last_session &&
			!was_tried(link, hello->last_session))) {
		reset(seat);
		return;
	}
	if (!send_head(seat, LINK_GO))
		return; // the channel is over
	link->last_session = link->session;
	link->tries = 0;
	go_up(link, hello->expected);
}

static void greet(struct link_seat *seat, const struct link_head *head, const struct msg_span *view)
{
	struct msg_link *link = seat->link;
	struct link_hello hello;

	if (head->type == LINK_RESET && (seat->heard_hello || !link->listens)) {
		link_break(link, -ECONNRESET);
	} else if (head->type == LINK_GO && link->listens && seat->heard_hello) {
		go_up(link, link->peer_expected);
	} else if (head->type == (link->listens ? LINK_HELLO : LINK_ANSWER) && !seat->heard_hello &&
		view->len == sizeof(hello)) {
		region_copy_out(link_region(link)->context->ops->copy_out, &hello, view->data,
			sizeof(hello));
		if (link->listens)
			take_hello(seat, &hello);
		else
			take_answer(seat, &hello);
	} else {
		// Nothing that a link says: whoever it is, the conversation isn't harmed.
		channel_drop(seat);
	}
}

/* ---- records ---- */

// What is on its way goes out as far as there is room.
static void push(struct link_seat *seat)
{
	struct msg_link *link = seat->link;
	struct msg_channel *channel = seat->channel;
	struct link_kept *k;
	int err;

	while ((k = link_store_unsent(&link->store))) {
		err = msg_trysend(channel, &k->head, k->size);
		if (err == -EMSGSIZE)
			link_break(link, err);
		if (err)
			return;
		if (link->store.cursor_number < link->highest)
			link->again++;
		else
			link->highest = link->store.cursor_number + 1;
		link_store_sent(&link->store, channel->tx.published);
	}
}

static void see_released(struct link_seat *seat)
{
	struct msg_channel *channel = seat->channel;

	if (!channel->region->error && !channel->error && seat->link->phase == UP &&
		channel_update_released(channel))
		link_store_released(&seat->link->store, channel->tx.released);
}

// The next record, if there is one. False: nothing more to do now.
static bool pull(struct link_seat *seat)
{
	struct msg_link *link = seat->link;
	struct msg_span view;
	struct link_head head;
	int got;

	if (seat->view.data)
		return false;
	got = msg_peek(seat->channel, &view, 1, 0);
	if (got == -EAGAIN || (got < 0 && link_region(link)->error))
		return false;
	if (got < 0) {
		// The last word counts: the other end may have received all, and gone for good.
		see_released(seat);
		channel_drop(seat);
		return true;
	}
	head.type = view.len < sizeof(head) ? 0 : region_load64(view.data);
	head.number = view.len < sizeof(head) ? 0 : region_load64((uint64_t *)view.data + 1);
	if (link->phase == UP && (head.type == LINK_DATA || head.type == LINK_END) &&
		head.number <= link->expected) {
		if (head.number == link->expected) {
			seat->view = view;
			seat->head = head;
			return false;
		}
		link->duplicates++;
	} else if (link->phase == UP) {
		// RESET comes here, too: the listening end doesn't wait for the answer to its greeting.
		link_break(link, -ECONNRESET);
	} else {
		greet(seat, &head, &view);
	}
	if (seat->channel)
		msg_release(seat->channel, 1);
	return true;
}

static void taken(struct link_seat *seat)
{
	msg_release(seat->channel, 1);
	seat->view.data = NULL;
	seat->link->expected++;
}

// Goes as far as it can without blocking.
static void advance(struct msg_link *link)
{
	struct link_seat *seat = link->seat;
	bool more = true;

	while (more && !link_region(link)->error && link->phase != BROKEN) {
		if (link->phase == SEEKING) {
			more = seek(seat);
			continue;
		}
		if (link->phase == GREETING && !link->listens && !seat->said_hello)
			say_hello(seat);
		more = pull(seat);
		if (link->phase == GREETING && !more &&
			context_now(link_region(link)->context) >= seat->greet_until)
			channel_drop(seat);
		if (link->phase == UP && seat->channel) {
			see_released(seat);
			push(seat);
		}
		if (seat->view.data && seat->head.type == LINK_END) {
			taken(seat);
			link->peer_finished = true;
			more = true;
		}
	}
	if (link->phase == BROKEN && seat->channel && !link_region(link)->error)
		channel_drop(seat);
}

static int link_error(const struct msg_link *link)
{
	if (link->phase == BROKEN)
		return link->error;
	return link->seat ? link_region(link)->error : -ENODEV;
}

/* ---- as a pattern ---- */

static bool step(struct pattern *pattern)
{
	struct msg_link *link = ((struct link_seat *)pattern)->link;

	if (!link->inside) {
		link->inside = true;
		advance(link);
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

	if (seat->link->phase == SEEKING && !seat->link->listens)
		return seat->asking ? seat->connecting.ring_again : seat->retry_ns;
	if (seat->link->listens && !seat->listener)
		return seat->retry_ns;
	return seat->link->phase == GREETING ? seat->greet_until : MSG_FOREVER;
}

static void forget(struct pattern *pattern)
{
	struct link_seat *seat = (struct link_seat *)pattern;

	// Channel and listener end with the region.
	if (seat->asking && !pattern->region->error)
		connect_abandon(&seat->connecting);
	seat->link->seat = NULL;
	if (seat->link->phase != BROKEN)
		seat->link->phase = SEEKING;
}

static const struct pattern_ops link_ops = {
	.step = step, .due = due, .tend = tend, .forget = forget,
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

// A sender that waits for the other end to release something says so, to be rung.
static void set_want(struct msg_link *link, bool want)
{
	struct link_seat *seat = link->seat;

	if (seat->channel && !link_region(link)->error)
		region_store32(&seat->channel->mine->want, want);
}

/*
 * The name that was ours may still be our former self's, if that could not leave in order: until it is seen to be dead.
 * Listening pauses for a moment, so it is no part of step().
 */
static int listen_here(struct msg_link *link)
{
	struct link_seat *seat = link->seat;
	struct msg_region *region = link_region(link);
	bool inside = link->inside;
	int err;

	if (!link->listens || seat->listener || inside || context_now(region->context) < seat->retry_ns)
		return 0;
	link->inside = true; // tend() comes by meanwhile
	err = endpoint_listen(region, link->name, NULL, KIND_LINK, &seat->listener);
	link->inside = false;
	link->listened |= !err;
	seat->retry_ns = context_now(region->context) + RETRY_NS;
	return err == -EADDRINUSE && link->listened ? 0 : err;
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
		if (for_space && link->phase == UP && now + pause < until)
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

int msg_link_open(void *memory, size_t size, const char *name, bool listens, struct msg_link **result)
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

	if (link->peer_finished && link->phase != BROKEN)
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
	taken(seat);
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
		if (link->phase == UP)
			push(link->seat);
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
	channel_drop(seat);
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

	if (link->phase != BROKEN)
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
	struct msg_link fresh = { .listens = link->listens, .listened = link->listened, .seat = seat };
	unsigned i;

	if (seat && !link_region(link)->error)
		channel_drop(seat);
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
		.connected = link->phase == UP && link->seat && !link->seat->channel->send_error,
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

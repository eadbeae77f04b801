// SPDX-License-Identifier: BSD-2-Clause
/*
 * Producing. Each item is an entry of a table of `window`, and stays there until its result was
 * taken; its number is instance << 48 | generation << 16 | index.
 *
 *   entry    what happens                                     becomes
 *   FREE     msg_producer_put                                 LOCAL
 *   LOCAL    sent to the dispatcher, which granted room       SENT
 *   SENT     RESULT                                           DONE
 *   SENT     another dispatcher (or a new channel)            LOCAL, `before`
 *   DONE     result taken                                     FREE
 */
#include "msg/patterns/queue.h"

#define STALL_NS (5 * NS_PER_MS)

enum put_state {
	PUT_FREE = 0,
	PUT_LOCAL,
	PUT_SENT,
	PUT_DONE,
};

struct put {
	enum put_state state;
	bool before;
	bool failed;              /* DONE, by nobody */
	uint32_t generation;
	unsigned deliveries;
	uint64_t number;
	void *user;
	void *data;               /* the item; DONE and not failed: its result */
	size_t len;
	struct put *next;         /* in its list */
};

struct put_list {
	struct put *first, **end;
};

struct msg_producer {
	struct pattern pattern;
	struct queue_link link;
	struct put *puts, *free;
	struct put_list sent, local, done; /* the first two by age */
	uint32_t window, in_flight;
	uint64_t instance;        /* << 48 */
	uint64_t session;         /* link.connects that the entries know of */
	bool reported, no_results;
	uint64_t bytes, bytes_max;
	uint64_t stalled;         /* no memory of the region: tried again then; 0: not */
	void *shown;              /* the result that the app looks at */
	struct msg_queue_stats stats;
};

static void list_append(struct put_list *list, struct put *put)
{
	put->next = NULL;
	*list->end = put;
	list->end = &put->next;
}

static void list_clear(struct put_list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

static void list_remove(struct put_list *list, struct put *put)
{
	struct put **at = &list->first;

	while (*at != put)
		at = &(*at)->next;
	*at = put->next;
	if (!*at)
		list->end = at;
}

static void put_free(struct msg_producer *producer, struct put *put)
{
	put->state = PUT_FREE;
	put->data = NULL;
	put->next = producer->free;
	producer->free = put;
}

// Another dispatcher: what the former one had is put again, before what it never had.
static void session_begin(struct msg_producer *producer)
{
	struct put *put, *local = producer->local.first;

	producer->session = producer->link.connects;
	producer->reported = false;
	producer->stalled = 0;
	producer->in_flight = 0;
	for (put = producer->sent.first; put; put = put->next) {
		put->state = PUT_LOCAL;
		put->before = true;
		producer->stats.redelivered++;
	}
	if (!producer->sent.first)
		return;
	*producer->sent.end = local;
	producer->local.first = producer->sent.first;
	if (!local)
		producer->local.end = producer->sent.end;
	list_clear(&producer->sent);
}

// The result of an item. False: impossible.
static bool take_result(struct msg_producer *producer, const struct letter_view *view)
{
	struct msg_context *context = producer->pattern.region->context;
	uint32_t index = view->head[2] & 0xffff;
	struct put *put = &producer->puts[index < producer->window ? index : 0];
	void *result = NULL;

	if (view->head[1] != producer->link.hello[1] || view->head[2] != put->number ||
		put->state != PUT_SENT)
		return false;
	put->failed = view->head[0] & QUEUE_FAILED;
	if (!producer->no_results && !put->failed) {
		result = queue_copy(producer->pattern.region, view->body.data, view->body.len);
		// It isn't done for this producer, if that is no more.
		if (letter_ours(producer->pattern.region)) {
			context_free(context, result);
			return true;
		}
		if (!result)
			context_report(context, 1, "no memory for the result of an item; it is lost");
	}
	list_remove(&producer->sent, put);
	if (producer->no_results || !put->failed) {
		context_free(context, put->data);
		producer->bytes -= put->len;
		put->data = result;
		put->len = result ? view->body.len : 0;
		producer->bytes += put->len;
	}
	put->deliveries = QUEUE_DELIVERIES(view->head[0]);
	put->state = PUT_DONE;
	producer->in_flight--;
	producer->stats.outstanding--;
	producer->stats.done += !put->failed;
	producer->stats.failed += put->failed;
	if (producer->no_results)
		put_free(producer, put);
	else
		list_append(&producer->done, put);
	return true;
}

static void receive(struct msg_producer *producer)
{
	struct letter_view view;

	while (link_peek(&producer->link, &view)) {
		if (LETTER_TYPE(view.head[0]) != QUEUE_RESULT || !take_result(producer, &view)) {
			link_fault(&producer->link, "not a result that this producer waits for",
				&view, LETTER_TYPE(view.head[0]) == QUEUE_RESULT ? 2 : 0);
			return;
		}
		letter_release(producer->link.channel, &view);
	}
}

static int send_one(struct msg_producer *producer, struct put *put)
{
	struct letter letter = { .words = QUEUE_WORDS, .data = put->data, .len = put->len,
		.head = { QUEUE_ITEM | (put->before ? QUEUE_BEFORE : 0), producer->link.hello[1],
			put->number } };
	int err = link_send(&producer->link, &letter);

	producer->stalled = 0;
	if (err && err != -EAGAIN)
		producer->stalled = context_now(producer->pattern.region->context) + STALL_NS;
	return err;
}

static void send_all(struct msg_producer *producer)
{
	struct letter reported = { .words = QUEUE_WORDS, .head = { QUEUE_REPORTED } };
	struct put *put;

	while ((put = producer->local.first) && producer->in_flight < producer->link.granted) {
		if (!put->before && !producer->reported)
			break;
		if (send_one(producer, put))
			return;
		producer->local.first = put->next;
		if (!put->next)
			producer->local.end = &producer->local.first;
		put->state = PUT_SENT;
		list_append(&producer->sent, put);
		producer->in_flight++;
	}
	if (!producer->reported && !(put && put->before) && !link_send(&producer->link, &reported)) {
		producer->reported = true;
		send_all(producer);
	}
}

static void advance(struct msg_producer *producer)
{
	if (!link_step(&producer->link) || producer->link.error)
		return;
	if (producer->session != producer->link.connects)
		session_begin(producer);
	// Whether or not it is tried again now: a time that has passed must not be waited for.
	if (producer->stalled && context_now(producer->pattern.region->context) >= producer->stalled)
		producer->stalled = 0;
	receive(producer);
	if (producer->link.state == LINK_UP)
		send_all(producer);
	link_figures(&producer->link, &producer->stats);
}

static bool step(struct pattern *pattern)
{
	struct msg_producer *producer = (struct msg_producer *)pattern;

	advance(producer);
	return producer->done.first || link_fails(&producer->link);
}

static uint64_t due(struct pattern *pattern)
{
	struct msg_producer *producer = (struct msg_producer *)pattern;
	uint64_t when = link_due(&producer->link);

	return producer->link.state == LINK_UP && producer->stalled && producer->stalled < when ?
		producer->stalled : when;
}

static bool channels_only(struct pattern *pattern)
{
	return ((struct msg_producer *)pattern)->link.state == LINK_UP;
}

static void forget(struct pattern *pattern)
{
	struct msg_producer *producer = (struct msg_producer *)pattern;
	struct msg_context *context = pattern->region->context;
	uint32_t i;

	for (i = 0; producer->puts && i < producer->window; i++)
		context_free(context, producer->puts[i].data);
	context_free(context, producer->puts);
	context_free(context, producer->shown);
	pattern_destroy(pattern);
}

static const struct pattern_ops producer_ops = {
	.step = step, .due = due, .channels_only = channels_only, .forget = forget,
};

int msg_producer_open(struct msg_region *region, const char *name,
	const struct msg_queue_options *options, struct msg_producer **result)
{
	uint32_t i, window = options && options->window ? options->window : 256;
	struct msg_producer *producer;
	int err;

	if (window > MSG_QUEUE_WINDOW_MAX)
		return -EINVAL;
	producer = pattern_create(region, &producer_ops, sizeof(*producer));
	if (!producer)
		return -ENOMEM;
	producer->window = window;
	producer->bytes_max = options && options->bytes ? options->bytes : QUEUE_BYTES;
	producer->no_results = options && options->no_results;
	producer->instance = (uint64_t)(++region->producers & 0xffff) << 48;
	producer->puts = context_alloc(region->context, window * sizeof(*producer->puts));
	err = producer->puts ? link_begin(&producer->link, region, name, options,
		QUEUE_HEAD(QUEUE_PRODUCER, window), producer->instance) : -ENOMEM;
	if (err) {
		forget(&producer->pattern);
		return err;
	}
	list_clear(&producer->sent);
	list_clear(&producer->local);
	list_clear(&producer->done);
	for (i = window; i--;)
		put_free(producer, &producer->puts[i]);
	advance(producer);
	*result = producer;
	return 0;
}

void msg_producer_close(struct msg_producer *producer)
{
	if (!producer)
		return;
	link_end(&producer->link);
	forget(&producer->pattern);
}

static void drop_shown(struct msg_producer *producer)
{
	context_free(producer->pattern.region->context, producer->shown);
	producer->shown = NULL;
}

struct putting {
	struct msg_producer *producer;
	size_t len;
};

static bool has_room(const struct msg_producer *producer, size_t len)
{
	return producer->free && (producer->bytes + len <= producer->bytes_max || !producer->bytes);
}

static bool can_put(void *arg)
{
	struct putting *p = arg;

	advance(p->producer);
	return link_fails(&p->producer->link) || has_room(p->producer, p->len) || p->producer->done.first;
}

// pattern_wait for another condition than step.
static int wait_until(struct msg_producer *producer, wait_condition *ready, void *arg,
	uint64_t deadline)
{
	struct msg_context *context = producer->pattern.region->context;
	int err;

	do {
		uint64_t when = due(&producer->pattern);

		err = wait_for(context, ready, arg, when < deadline ? when : deadline);
	} while (err && context_now(context) < deadline);
	return err;
}

int msg_producer_put(struct msg_producer *producer, const void *data, size_t len, void *user,
	uint64_t deadline)
{
	struct putting p = { producer, len };
	struct put *put;
	void *copy;
	int err;

	drop_shown(producer);
	if (len > producer->pattern.region->geo.land_size)
		return -EMSGSIZE;
	if (!has_room(producer, len)) {
		err = wait_until(producer, can_put, &p, deadline);
		if (err)
			return err;
	}
	err = link_tell(&producer->link);
	if (!err)
		err = producer->pattern.region->error;
	if (err)
		return err;
	if (!has_room(producer, len))
		return -ENOBUFS;
	copy = queue_copy(producer->pattern.region, data, len);
	if (!copy)
		return -ENOMEM;
	put = producer->free;
	producer->free = put->next;
	if (!++put->generation)
		put->generation = 1;
	put->number = producer->instance | (uint64_t)put->generation << 16 |
		      (uint64_t)(put - producer->puts);
	put->state = PUT_LOCAL;
	put->before = false;
	put->user = user;
	put->data = copy;
	put->len = len;
	producer->bytes += len;
	producer->stats.outstanding++;
	list_append(&producer->local, put);
	advance(producer);
	return 0;
}

int msg_producer_result(struct msg_producer *producer, struct msg_queue_result *result,
	uint64_t deadline)
{
	struct put *put;
	int err;

	drop_shown(producer);
	if (!producer->done.first && !producer->stats.outstanding)
		return producer->link.error ? producer->link.error : -ENOENT;
	err = pattern_wait(&producer->pattern, deadline);
	if (err)
		return err;
	put = producer->done.first;
	if (!put)
		return link_tell(&producer->link);
	list_remove(&producer->done, put);
	*result = (struct msg_queue_result){ put->user, put->data, put->len, put->deliveries,
		put->failed };
	producer->shown = put->data;
	producer->bytes -= put->len;
	put_free(producer, put);
	return 0;
}

static bool flushed(void *arg)
{
	struct msg_producer *producer = arg;

	advance(producer);
	return link_fails(&producer->link) || !producer->stats.outstanding;
}

int msg_producer_flush(struct msg_producer *producer, uint64_t deadline)
{
	int err = wait_until(producer, flushed, producer, deadline);

	return err ? err : producer->stats.outstanding ? link_tell(&producer->link) : 0;
}

void msg_producer_stats(struct msg_producer *producer, struct msg_queue_stats *stats)
{
	*stats = producer->stats;
	stats->connects = producer->link.connects;
}

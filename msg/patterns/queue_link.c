// SPDX-License-Identifier: BSD-2-Clause
// See queue.h: how a producer or a worker finds its dispatcher, and finds the next one.
#include "msg/patterns/queue.h"

#define QUEUE_RETRY_NS (10 * NS_PER_MS)

int link_begin(struct queue_link *link, struct msg_region *region, const char *name,
	const struct msg_queue_options *options, uint64_t hello, uint64_t number)
{
	link->region = region;
	if (options)
		link->options = options->channel;
	link->hello[0] = hello;
	link->hello[1] = region->life;
	link->hello[2] = number;
	return name_copy(link->name, name);
}

static void link_lost(struct queue_link *link, bool orderly)
{
	msg_close(link->channel);
	link->channel = NULL;
	link->state = LINK_LOOKING;
	link->retry = orderly ? 0 : context_now(link->region->context) + QUEUE_RETRY_NS;
}

// A letter could not be sent, or none received.
static void link_failed(struct queue_link *link, int err)
{
	if (err == -ESTALE || err == -ENODEV)
		link->error = err;
	else
		link_lost(link, err == -EPIPE);
}

static void link_connect(struct queue_link *link)
{
	struct msg_context *context = link->region->context;
	int err;

	if (!link->searching) {
		if (link->retry && context_now(context) < link->retry)
			return;
		err = connect_begin(&link->connecting, link->region, link->name, &link->options,
			KIND_QUEUE);
		// We listen there ourselves: not now, perhaps later.
		if (err) {
			link->retry = context_now(context) + QUEUE_RETRY_NS;
			return;
		}
		link->connecting.asks = LETTER_TYPE(link->hello[0]) == QUEUE_PRODUCER ?
			OPTION_PRODUCER : OPTION_WORKER;
		link->searching = true;
	}
	err = connect_step(&link->connecting, &link->channel);
	if (err == -EAGAIN)
		return;
	connect_abandon(&link->connecting);
	link->searching = false;
	// Whoever has the name now, its dispatcher may come back: what was put is kept for that.
	link->wrong = err == -EPROTOTYPE;
	if (err == -ESTALE || err == -ENODEV) {
		link->error = err;
	} else if (err) {
		link->channel = NULL;
		link->retry = context_now(context) + QUEUE_RETRY_NS;
	} else {
		struct letter hello = { .words = QUEUE_WORDS,
			.head = { link->hello[0], link->hello[1], link->hello[2] } };

		link->connects++;
		link->shown[0] = MSG_FOREVER;
		link->state = LINK_GREETED;
		err = letter_send(link->channel, &hello);
		if (err)
			link_failed(link, err);
	}
}

int link_tell(struct queue_link *link)
{
	bool wrong = link->wrong;

	link->wrong = false;
	return link->error ? link->error : wrong ? -EPROTOTYPE : 0;
}

bool link_step(struct queue_link *link)
{
	struct letter_view view;

	if (link->region->error)
		link->error = link->region->error;
	if (link->error || link->state == LINK_UP)
		return true;
	if (link->state == LINK_LOOKING)
		link_connect(link);
	if (link->state != LINK_GREETED || !link_peek(link, &view))
		return link->error;
	link->granted = QUEUE_WINDOW(view.head[0]);
	if (LETTER_TYPE(view.head[0]) != QUEUE_WELCOME || !link->granted) {
		link_fault(link, "not the welcome of a dispatcher", &view, 0);
		return false;
	}
	letter_release(link->channel, &view);
	link->state = LINK_UP;
	return true;
}

bool link_peek(struct queue_link *link, struct letter_view *view)
{
	int n;

	if (link->error || !link->channel)
		return false;
	n = letter_peek(link->channel, QUEUE_WORDS, view);
	if (n < 0)
		link_failed(link, n);
	return n > 0;
}

int link_send(struct queue_link *link, const struct letter *letter)
{
	int err;

	if (link->error || link->state != LINK_UP)
		return link->error ? link->error : -EAGAIN;
	err = letter_post(link->channel, letter);
	// What came before the end is still read: link_peek finds out about it.
	return err == -EPIPE || err == -ECONNRESET ? -EAGAIN : err;
}

void link_fault(struct queue_link *link, const char *what, const struct letter_view *view,
	unsigned word)
{
	channel_fault(link->channel, what, view->where + 8 * word, view->head[word]);
	link_failed(link, link->region->error ? link->region->error : -ECONNRESET);
}

uint64_t link_due(const struct queue_link *link)
{
	if (link->error || link->state != LINK_LOOKING)
		return MSG_FOREVER;
	if (link->searching)
		return link->connecting.channel ? link->connecting.ring_again : MSG_FOREVER;
	return link->retry;
}

void link_end(struct queue_link *link)
{
	if (link->searching)
		connect_abandon(&link->connecting);
	if (link->channel)
		msg_close(link->channel);
}

void queue_figures(struct msg_channel *channel, uint64_t *shown, const uint64_t *now)
{
	unsigned i = 0;

	while (i < QUEUE_FIGURES && shown[i] == now[i])
		i++;
	if (i == QUEUE_FIGURES)
		return;
	for (i = 0; i < QUEUE_FIGURES; i++) {
		shown[i] = now[i];
		letter_figure(channel, i, now[i]);
	}
}

void link_figures(struct queue_link *link, const struct msg_queue_stats *stats)
{
	const uint64_t now[QUEUE_FIGURES] = {
		stats->outstanding, stats->done, stats->redelivered, stats->failed,
	};

	if (link->channel)
		queue_figures(link->channel, link->shown, now);
}

void *queue_copy(struct msg_region *region, const void *data, size_t len)
{
	void *copy = context_alloc(region->context, len ? len : 1);

	if (copy)
		region_copy_out(region->context->ops->copy_out, copy, data, len);
	return copy;
}

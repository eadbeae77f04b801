// SPDX-License-Identifier: BSD-2-Clause
/*
 * The answering end of calls. A request that the app holds is an entry of a table, in exactly one
 * list; its token is generation << 32 | index + 1.
 *
 *   list                 what happens                              goes to
 *   free                 msg_server_next shows it                  its client's
 *   its client's         replied to, refused                       free
 *   its client's         cancelled, client gone                    ended
 *   ended                msg_server_next says so                   told
 *   ended, told          replied to (-ECANCELED, -EPIPE), refused  free
 */
#include "msg/patterns/call.h"

struct held {
	uint64_t id;
	uint32_t generation;
	bool used;                  /* not in the free list */
	struct client *client;      /* who waits; NULL: nobody any more */
	bool cancelled;             /* ... because the call was cancelled */
	struct held *next, **link;  /* its list */
};

struct client {
	struct msg_channel *channel;
	struct held *held;
	struct letter_view view;    /* the oldest letter; views: 0 if none was looked at */
	bool valid;                 /* ... and it is a request that waits for an entry, or is shown */
	struct letter_view behind;  /* while that is shown: the next request, if there is one */
	bool more;
	struct client *next;
};

struct msg_server {
	struct pattern pattern;
	struct msg_listener *listener;
	struct held *entries, *free, *ended, *told;
	struct client *clients, *turn; /* turn: whose request is next, if it has one */
	struct client *shown;       /* the app looks at its oldest letter */
	uint32_t limit;
	unsigned count, steps;
	struct msg_call_stats stats;
};

static void list_put(struct held **list, struct held *held)
{
	held->next = *list;
	held->link = list;
	if (held->next)
		held->next->link = &held->next;
	*list = held;
}

static void list_move(struct held **list, struct held *held)
{
	*held->link = held->next;
	if (held->next)
		held->next->link = held->link;
	list_put(list, held);
}

static uint64_t held_token(const struct msg_server *server, const struct held *held)
{
	return (uint64_t)held->generation << 32 | (uint64_t)(held - server->entries + 1);
}

static struct held *held_find(struct msg_server *server, uint64_t token)
{
	uint32_t index = (uint32_t)token - 1;
	struct held *held = &server->entries[index < server->limit ? index : 0];

	return index < server->limit && held->used && held->generation == token >> 32 ? held : NULL;
}

static void figures(struct msg_server *server, struct client *client)
{
	letter_figure(client->channel, CALL_FIGURE_OUTSTANDING, server->stats.outstanding);
	letter_figure(client->channel, CALL_FIGURE_ANSWERED, server->stats.answered);
	letter_figure(client->channel, CALL_FIGURE_CANCELLED, server->stats.cancelled);
	letter_figure(client->channel, CALL_FIGURE_LATE, server->stats.late);
}

static void held_free(struct msg_server *server, struct held *held)
{
	if (!++held->generation)
		held->generation = 1;
	held->client = NULL;
	held->used = false;
	server->stats.outstanding--;
	list_move(&server->free, held);
}

static void client_end(struct msg_server *server, struct client *client)
{
	struct client **link = &server->clients;

	while (client->held) {
		client->held->client = NULL;
		list_move(&server->ended, client->held);
	}
	while (*link != client)
		link = &(*link)->next;
	*link = client->next;
	if (server->turn == client)
		server->turn = client->next;
	if (server->shown == client)
		server->shown = NULL;
	server->count--;
	msg_close(client->channel);
	context_free(server->pattern.region->context, client);
}

static void cancel(struct msg_server *server, struct client *client, uint64_t id)
{
	struct held *held;

	// One that was answered already isn't found: the two crossed.
	for (held = client->held; held; held = held->next)
		if (held->id == id) {
			held->cancelled = true;
			held->client = NULL;
			server->stats.cancelled++;
			list_move(&server->ended, held);
			figures(server, client);
			return;
		}
}

// Looks at what a client sent, up to its next request, behind the one that the app looks at. False:
// the client is gone. (Who left while its request waits for an entry or is shown: seen after that.)
static bool client_advance(struct msg_server *server, struct client *client)
{
	bool shown = client == server->shown;
	struct letter_view view;

	while (shown ? !client->more : !client->valid) {
		int n = letter_peek(client->channel, CALL_WORDS, &view);
		unsigned type = LETTER_TYPE(view.head[0]);

		if (n < 0 && shown)
			return true;
		if (n < 0) {
			client_end(server, client);
			return false;
		}
		if (!n)
			return true;
		if (!view.head[1] || (type != CALL_REQUEST && type != CALL_CANCEL)) {
			channel_fault(client->channel, "unknown type of a request", view.where,
				view.head[0]);
		} else if (type == CALL_CANCEL) {
			cancel(server, client, view.head[1]);
			// Given back in order.
			if (shown)
				client->view.views += view.views;
			else
				letter_release(client->channel, &view);
		} else if (shown) {
			client->behind = view;
			client->more = true;
		} else {
			client->view = view;
			client->valid = true;
		}
	}
	return true;
}

// Accepts clients, in whatever wait our peer is: two that open callers to each other at once must
// not both wait to be taken. Who asks is seen by a look around, which comes by here; step needn't.
static void tend(struct pattern *pattern)
{
	struct msg_server *server = (struct msg_server *)pattern;
	struct msg_region *region = pattern->region;
	struct client *client;
	uint32_t n;

	// A look around may come by while the server is still being opened.
	if (!server->listener)
		return;
	for (n = 0; n < region->geo.slots && !region->error && listener_waiting(server->listener); n++) {
		client = context_alloc(region->context, sizeof(*client));
		if (!client || !presence_check_self(region) ||
			listener_answer(server->listener, &client->channel)) {
			context_free(region->context, client);
			if (client)
				continue;
			return;
		}
		client->next = server->clients;
		server->clients = client;
		server->count++;
	}
}

static void drop_shown(struct msg_server *server)
{
	struct client *client = server->shown;

	server->shown = NULL;
	if (!client)
		return;
	letter_release(client->channel, &client->view);
	client->view = client->behind;
	client->valid = client->more;
	client->more = false;
}

static bool step(struct pattern *pattern)
{
	struct msg_server *server = (struct msg_server *)pattern;
	struct client *client, *next;
	bool found = false;

	if (pattern->region->error)
		return true;
	for (client = server->clients; client; client = next) {
		next = client->next;
		if (client_advance(server, client))
			found |= client == server->shown ? client->more : client->valid;
	}
	return server->ended || (found && server->free);
}

static void forget(struct pattern *pattern)
{
	struct msg_server *server = (struct msg_server *)pattern;
	struct msg_context *context = pattern->region->context;

	while (server->clients) {
		struct client *client = server->clients;

		server->clients = client->next;
		context_free(context, client);
	}
	context_free(context, server->entries);
	pattern_destroy(pattern);
}

static const struct pattern_ops server_ops = {
	.step = step, .tend = tend, .forget = forget,
};

int msg_server_open(struct msg_region *region, const char *name,
	const struct msg_call_options *options, struct msg_server **result)
{
	uint32_t i, limit = options && options->calls ? options->calls : MSG_CALLS_DEFAULT;
	struct msg_server *server;
	int err = -ENOMEM;

	if (limit > MSG_CALLS_MAX)
		return -EINVAL;
	server = pattern_create(region, &server_ops, sizeof(*server));
	if (!server)
		return -ENOMEM;
	server->limit = limit;
	server->entries = context_alloc(region->context, limit * sizeof(*server->entries));
	if (server->entries)
		err = endpoint_listen(region, name, options ? &options->channel : NULL, KIND_CALLS,
			&server->listener);
	if (err) {
		forget(&server->pattern);
		return err;
	}
	for (i = limit; i--; list_put(&server->free, &server->entries[i]))
		server->entries[i].generation = 1;
	*result = server;
	return 0;
}

void msg_server_close(struct msg_server *server)
{
	if (!server)
		return;
	msg_unlisten(server->listener);
	while (server->clients)
		client_end(server, server->clients);
	forget(&server->pattern);
}

// Turn by turn: the first client from `turn` on with a request.
static struct client *next_client(struct msg_server *server)
{
	struct client *client;

	for (client = server->turn; client; client = client->next)
		if (client->valid)
			return client;
	for (client = server->clients; client != server->turn; client = client->next)
		if (client->valid)
			return client;
	return NULL;
}

static bool tell_ended(struct msg_server *server, struct msg_request *request)
{
	struct held *held = server->ended;

	if (!held)
		return false;
	list_move(&server->told, held);
	*request = (struct msg_request){ MSG_REQUEST_CANCELLED, held_token(server, held), NULL, 0, 0 };
	return true;
}

static void show(struct msg_server *server, struct client *client, struct msg_request *request)
{
	struct held *held = server->free;
	uint64_t left = client->view.head[2], now = 0;

	held->id = client->view.head[1];
	held->client = client;
	held->cancelled = false;
	held->used = true;
	list_move(&client->held, held);
	if (left != MSG_FOREVER)
		now = context_now(server->pattern.region->context);
	server->shown = client;
	server->turn = client->next;
	server->stats.outstanding++;
	server->stats.started++;
	figures(server, client);
	*request = (struct msg_request){
		.type = MSG_REQUEST_CALL,
		.token = held_token(server, held),
		.data = client->view.body.data,
		.len = client->view.body.len,
		.deadline = left < MSG_FOREVER - now ? now + left : MSG_FOREVER,
	};
}

int msg_server_next(struct msg_server *server, struct msg_request *request, uint64_t deadline)
{
	struct msg_region *region = server->pattern.region;
	int err;

	drop_shown(server);
	// A busy server never waits, and must look around all the same.
	if (++server->steps % 64 == 0 &&
		context_now(region->context) - region->context->last_scan_ns >= NS_PER_MS)
		context_scan(region->context, false);
	err = pattern_wait(&server->pattern, deadline);
	if (!err)
		err = letter_ours(region);
	if (err)
		return err;
	if (!tell_ended(server, request))
		show(server, next_client(server), request);
	return 0;
}

/* ---- replies ---- */

struct replying {
	struct msg_server *server;
	struct held *held;
	const struct letter *letter;
	unsigned flights; /* as in call.c */
};

static bool can_reply(void *arg)
{
	struct replying *r = arg;
	struct msg_region *region = r->server->pattern.region;

	if (region->error)
		return true;
	// Its cancel may come by this very channel.
	client_advance(r->server, r->held->client);
	if (!r->held->client)
		return true;
	if (r->flights) {
		buffers_reap(region);
		return region->flights < r->flights;
	}
	return letter_fits(r->held->client->channel, r->letter);
}

// The reply will not be sent.
static int give_up(struct msg_server *server, struct held *held)
{
	int err = held->cancelled ? -ECANCELED : -EPIPE;

	server->stats.late++;
	held_free(server, held);
	return err;
}

static int reply(struct msg_server *server, uint64_t token, struct letter *letter, uint64_t deadline)
{
	struct msg_region *region = server->pattern.region;
	struct replying r = { .server = server, .letter = letter };
	struct client *client;
	int err;

	r.held = held_find(server, token);
	if (!r.held)
		return -ENOENT;
	letter->words = CALL_WORDS;
	letter->head[1] = r.held->id;
	for (;;) {
		if (region->error)
			return region->error;
		client = r.held->client;
		if (!client)
			return give_up(server, r.held);
		err = letter_send(client->channel, letter);
		r.flights = err == -ENOSPC ? region->flights : 0;
		if (!deadline || (err != -EAGAIN && !r.flights))
			break;
		channel_want(client->channel, WANT_ROOM, true);
		if (r.flights)
			buffers_want(region, true);
		err = wait_for(region->context, can_reply, &r, deadline);
		if (r.flights)
			buffers_want(region, false);
		if (r.held->client)
			channel_want(r.held->client->channel, WANT_ROOM, false);
		if (err)
			return r.flights ? -ENOSPC : err;
	}
	if (err == -EAGAIN || err == -ENOSPC || err == -EMSGSIZE || err == -ENOMEM)
		return err;
	server->stats.answered += !err && LETTER_TYPE(letter->head[0]) == CALL_REPLY;
	server->stats.late += err == -EPIPE;
	figures(server, client);
	held_free(server, r.held);
	return err;
}

int msg_reply(struct msg_server *server, uint64_t token, const void *data, size_t len,
	uint64_t deadline)
{
	struct letter letter = { .head = { CALL_REPLY }, .data = data, .len = len };

	return reply(server, token, &letter, deadline);
}

int msg_reply_buffer(struct msg_server *server, uint64_t token, struct msg_buffer *buffer,
	size_t len, uint64_t deadline)
{
	struct letter letter = { .head = { CALL_REPLY }, .buffer = buffer, .len = len };

	return reply(server, token, &letter, deadline);
}

int msg_request_refuse(struct msg_server *server, uint64_t token, uint64_t deadline)
{
	struct letter letter = { .head = { CALL_REFUSAL } };
	struct held *held = held_find(server, token);
	int err;

	if (held && !held->client) {
		held_free(server, held);
		return 0;
	}
	err = reply(server, token, &letter, deadline);
	return err == -EPIPE || err == -ECANCELED ? 0 : err;
}

int msg_request_peer(struct msg_server *server, uint64_t token, struct msg_peer *peer)
{
	struct held *held = held_find(server, token);

	if (!held || !held->client)
		return -ENOENT;
	msg_channel_peer(held->client->channel, peer);
	return 0;
}

unsigned msg_server_callers(struct msg_server *server)
{
	return server->count;
}

void msg_server_stats(struct msg_server *server, struct msg_call_stats *stats)
{
	*stats = server->stats;
}

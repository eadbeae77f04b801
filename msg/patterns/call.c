// SPDX-License-Identifier: BSD-2-Clause
/*
 * The asking end of calls. Each call is an entry of a table; its id is generation << 32 | index, so
 * that a reply to a call that has ended is known for what it is.
 *
 *   entry      what happens                        becomes
 *   FREE       started: request sent               WAITING
 *   WAITING    reply or refusal, channel's end,    ENDED, or straight to the app, then FREE
 *              deadline (the server is told)
 *   WAITING    cancelled (the server is told)      FREE
 *   ENDED      msg_call_take                       FREE
 *
 * A cancel that doesn't fit into the ring keeps the entry (`tell`) until it does.
 */
#include "msg/patterns/call.h"

enum entry_state {
	ENTRY_FREE = 0,
	ENTRY_WAITING,
	ENTRY_ENDED, /* its result waits for the app */
	ENTRY_QUIET, /* only its cancel has to be sent */
};

struct entry {
	enum entry_state state;
	uint32_t generation;
	bool tell;         /* the server must be told that nobody waits any more */
	bool alone;        /* of msg_call: the reply goes to memory, not to msg_call_take */
	int64_t result;
	uint64_t deadline;
	void *user;
	void *memory;      /* alone: the app's, of size; else: the kept reply */
	size_t size;
	struct entry *next; /* free, or ended */
};

/* The newest letter, a reply that has not been moved to private memory. */
enum shown {
	SHOWN_NONE = 0,
	SHOWN_READY, /* for the next msg_call_take */
	SHOWN_TAKEN, /* the app looks at it */
};

struct msg_caller {
	struct pattern pattern;
	struct msg_channel *channel;
	struct entry *entries, *free, *ended, **ended_end;
	uint32_t count, tells;
	int error;
	enum shown shown;
	struct letter_view view;
	struct entry *view_entry;
	void *kept;            /* the taken reply, if it was a kept one */
	uint64_t earliest;     /* no deadline of a waiting call is before that */
	struct msg_call_stats stats;
};

static void figures(struct msg_caller *caller)
{
	letter_figure(caller->channel, CALL_FIGURE_OUTSTANDING, caller->stats.outstanding);
	letter_figure(caller->channel, CALL_FIGURE_ANSWERED, caller->stats.answered);
	letter_figure(caller->channel, CALL_FIGURE_CANCELLED, caller->stats.cancelled);
	letter_figure(caller->channel, CALL_FIGURE_LATE, caller->stats.late);
}

static uint64_t entry_id(const struct msg_caller *caller, const struct entry *entry)
{
	return (uint64_t)entry->generation << 32 | (uint64_t)(entry - caller->entries);
}

static void entry_free(struct msg_caller *caller, struct entry *entry)
{
	if (entry->tell) {
		entry->state = ENTRY_QUIET;
		return;
	}
	entry->state = ENTRY_FREE;
	entry->next = caller->free;
	caller->free = entry;
}

static void entry_end(struct msg_caller *caller, struct entry *entry, int64_t result)
{
	entry->state = ENTRY_ENDED;
	entry->result = result;
	caller->stats.outstanding--;
	if (entry->alone)
		return;
	entry->next = NULL;
	*caller->ended_end = entry;
	caller->ended_end = &entry->next;
}

// Tells the server, at once or when there is room.
static void entry_tell(struct msg_caller *caller, struct entry *entry)
{
	struct letter letter = {
		.head = { CALL_CANCEL, entry_id(caller, entry) }, .words = CALL_WORDS,
	};
	bool waited = entry->tell;

	entry->tell = letter_send(caller->channel, &letter) == -EAGAIN;
	caller->tells += entry->tell - waited;
	channel_want(caller->channel, WANT_LATER, caller->tells);
}

static void tell_all(struct msg_caller *caller)
{
	struct letter letter = { .words = CALL_WORDS };
	uint32_t i;

	for (i = 0; i < caller->count && caller->tells; i++) {
		if (!caller->entries[i].tell)
			continue;
		if (!letter_fits(caller->channel, &letter))
			return;
		entry_tell(caller, &caller->entries[i]);
		if (caller->entries[i].state == ENTRY_QUIET)
			entry_free(caller, &caller->entries[i]);
	}
}

// Behind a reply that the app looks at, letters are given back together with it.
static void give_back(struct msg_caller *caller, struct letter_view *view)
{
	if (caller->shown == SHOWN_TAKEN)
		caller->view.views += view->views;
	else
		letter_release(caller->channel, view);
}

// Copies a reply out of the ring.
static void keep(struct msg_caller *caller, struct letter_view *view, struct entry *entry)
{
	struct msg_context *context = caller->pattern.region->context;
	int64_t result = caller->pattern.region->gone ? -ENODEV : (int64_t)view->body.len;
	int err;

	if (result >= 0) {
		entry->memory = context_alloc(context, view->body.len ? view->body.len : 1);
		if (entry->memory)
			region_copy_out(context->ops->copy_out, entry->memory, view->body.data,
				view->body.len);
		else
			result = -ENOMEM;
		err = letter_ours(caller->pattern.region);
		if (err)
			result = err;
	}
	give_back(caller, view);
	entry_end(caller, entry, result);
}

static void keep_shown(struct msg_caller *caller)
{
	struct entry *entry = caller->view_entry;

	caller->shown = SHOWN_NONE;
	caller->view_entry = NULL;
	keep(caller, &caller->view, entry);
}

static void drop_taken(struct msg_caller *caller)
{
	context_free(caller->pattern.region->context, caller->kept);
	caller->kept = NULL;
	if (caller->shown != SHOWN_TAKEN)
		return;
	letter_release(caller->channel, &caller->view);
	caller->shown = SHOWN_NONE;
}

// The channel has ended, and with it all calls.
static void end_all(struct msg_caller *caller, int error)
{
	uint32_t i;

	caller->error = error;
	// No deadline is still to come: one that has passed would keep a waiting app from sleeping.
	caller->earliest = MSG_FOREVER;
	for (i = 0; i < caller->count; i++) {
		struct entry *entry = &caller->entries[i];

		caller->tells -= entry->tell;
		entry->tell = false;
		if (entry->state == ENTRY_QUIET)
			entry_free(caller, entry);
		else if (entry->state == ENTRY_WAITING && entry != caller->view_entry)
			entry_end(caller, entry, error);
	}
	figures(caller);
}

// Calls whose time is over, and when to look again.
static void expire(struct msg_caller *caller)
{
	uint64_t now, earliest = MSG_FOREVER;
	uint32_t i;

	if (caller->earliest == MSG_FOREVER)
		return;
	now = context_now(caller->pattern.region->context);
	if (now < caller->earliest)
		return;
	for (i = 0; i < caller->count; i++) {
		struct entry *entry = &caller->entries[i];

		if (entry->state != ENTRY_WAITING)
			continue;
		if (entry->deadline <= now) {
			entry_tell(caller, entry);
			caller->stats.cancelled++;
			entry_end(caller, entry, -ETIMEDOUT);
		} else if (entry->deadline < earliest) {
			earliest = entry->deadline;
		}
	}
	caller->earliest = earliest;
	// Those before them, if there is room by now.
	if (caller->tells)
		tell_all(caller);
	figures(caller);
}

// Whose reply is it? NULL: of a call that has ended; or *impossible.
static struct entry *find(struct msg_caller *caller, uint64_t id, bool *impossible)
{
	uint32_t index = (uint32_t)id, generation = (uint32_t)(id >> 32);
	struct entry *entry = &caller->entries[index < caller->count ? index : 0];

	*impossible = index >= caller->count || !generation ||
		      (int32_t)(entry->generation - generation) < 0;
	return !*impossible && entry->generation == generation && entry->state == ENTRY_WAITING ?
		entry : NULL;
}

// One letter of the server's. True: a reply that can be shown.
static bool take_letter(struct msg_caller *caller, struct letter_view *view, struct entry **shown)
{
	unsigned type = LETTER_TYPE(view->head[0]);
	bool impossible;
	struct entry *entry = find(caller, view->head[1], &impossible);

	if (impossible || (type != CALL_REPLY && type != CALL_REFUSAL)) {
		channel_fault(caller->channel, impossible ? "reply to a call that never was" :
			"unknown type of a reply", view->where + (impossible ? 8 : 0),
			view->head[impossible]);
		return false;
	}
	if (!entry) {
		caller->stats.late++;
		give_back(caller, view);
	} else if (type == CALL_REFUSAL) {
		int err = letter_ours(caller->pattern.region);

		give_back(caller, view);
		entry_end(caller, entry, err ? err : -ECANCELED);
	} else if (entry->alone) {
		int err;

		caller->stats.answered++;
		if (view->body.len <= entry->size)
			region_copy_out(caller->pattern.region->context->ops->copy_out,
				entry->memory, view->body.data, view->body.len);
		err = letter_ours(caller->pattern.region);
		entry_end(caller, entry, err ? err : view->body.len <= entry->size ?
			(int64_t)view->body.len : -EMSGSIZE);
		give_back(caller, view);
	} else {
		caller->stats.answered++;
		*shown = entry;
		return true;
	}
	figures(caller);
	return false;
}

// Everything that can be done at once. keep_replies: into private memory, so that the next one can
// come; else it stops at the first one that can be shown.
static void advance(struct msg_caller *caller, bool keep_replies)
{
	struct letter_view view;
	struct entry *entry;
	int n;

	if (keep_replies && caller->shown == SHOWN_READY)
		keep_shown(caller);
	if (caller->error || caller->shown == SHOWN_READY)
		return;
	if (caller->tells)
		tell_all(caller);
	while ((n = letter_peek(caller->channel, CALL_WORDS, &view)) > 0) {
		if (!take_letter(caller, &view, &entry))
			continue;
		if (keep_replies || caller->shown == SHOWN_TAKEN) {
			keep(caller, &view, entry);
			continue;
		}
		caller->view = view;
		caller->view_entry = entry;
		caller->shown = SHOWN_READY;
		return;
	}
	// -ENOBUFS: too much behind a reply that the app looks at.
	if (n < 0 && n != -ENOBUFS)
		end_all(caller, n);
	else
		expire(caller);
}

static bool step(struct pattern *pattern)
{
	struct msg_caller *caller = (struct msg_caller *)pattern;

	advance(caller, false);
	return caller->ended || caller->shown == SHOWN_READY;
}

static uint64_t due(struct pattern *pattern)
{
	return ((struct msg_caller *)pattern)->earliest;
}

static bool channels_only(struct pattern *pattern)
{
	return pattern;
}

static void forget(struct pattern *pattern)
{
	struct msg_caller *caller = (struct msg_caller *)pattern;
	struct msg_context *context = pattern->region->context;
	uint32_t i;

	for (i = 0; i < caller->count; i++)
		if (!caller->entries[i].alone)
			context_free(context, caller->entries[i].memory);
	context_free(context, caller->kept);
	context_free(context, caller->entries);
	pattern_destroy(pattern);
}

static const struct pattern_ops caller_ops = {
	.step = step, .due = due, .channels_only = channels_only, .forget = forget,
};

int msg_caller_open(struct msg_region *region, const char *name,
	const struct msg_call_options *options, struct msg_caller **result, uint64_t deadline)
{
	uint32_t i, count = options && options->calls ? options->calls : MSG_CALLS_DEFAULT;
	struct msg_caller *caller;
	int err;

	if (count > MSG_CALLS_MAX)
		return -EINVAL;
	caller = pattern_create(region, &caller_ops, sizeof(*caller));
	if (!caller)
		return -ENOMEM;
	caller->entries = context_alloc(region->context, count * sizeof(*caller->entries));
	err = caller->entries ? connect_wait(region, name, options ? &options->channel : NULL,
		KIND_CALLS, &caller->channel, deadline) : -ENOMEM;
	if (err) {
		forget(&caller->pattern);
		return err;
	}
	caller->count = count;
	caller->earliest = MSG_FOREVER;
	caller->ended_end = &caller->ended;
	for (i = count; i--;)
		entry_free(caller, &caller->entries[i]);
	*result = caller;
	return 0;
}

void msg_caller_close(struct msg_caller *caller)
{
	if (!caller)
		return;
	msg_close(caller->channel);
	forget(&caller->pattern);
}

void msg_caller_peer(struct msg_caller *caller, struct msg_peer *peer)
{
	msg_channel_peer(caller->channel, peer);
}

bool msg_caller_fault(struct msg_caller *caller, struct msg_fault *fault)
{
	return msg_fault_of(caller->channel, fault);
}

/* ---- starting ---- */

struct starting {
	struct msg_caller *caller;
	const struct letter *letter;
	unsigned flights; /* no memory for a buffer: wait until one has landed; 0: that is not it */
};

static bool can_start(void *arg)
{
	struct starting *s = arg;
	struct msg_caller *caller = s->caller;

	advance(caller, true);
	if (s->flights) {
		buffers_reap(caller->pattern.region);
		return caller->error || caller->pattern.region->flights < s->flights;
	}
	return caller->error || letter_fits(caller->channel, s->letter);
}

static int send_request(struct msg_caller *caller, const struct letter *letter, uint64_t deadline)
{
	struct msg_context *context = caller->pattern.region->context;
	struct starting s = { .caller = caller, .letter = letter };
	int err;

	for (;;) {
		if (caller->error)
			return caller->error;
		err = letter_send(caller->channel, letter);
		s.flights = err == -ENOSPC ? caller->pattern.region->flights : 0;
		if (!deadline || (err != -EAGAIN && !s.flights))
			return err;
		channel_want(caller->channel, WANT_ROOM, true);
		// Which of our receivers gives land back first is not known.
		if (s.flights)
			buffers_want(caller->pattern.region, true);
		err = wait_for_channel(context, can_start, &s, deadline);
		if (s.flights)
			buffers_want(caller->pattern.region, false);
		channel_want(caller->channel, WANT_ROOM, false);
		if (err)
			return s.flights ? -ENOSPC : err;
	}
}

static int start(struct msg_caller *caller, struct letter *letter, uint64_t call_deadline,
	uint64_t deadline, struct entry **result)
{
	struct entry *entry = caller->free;
	uint64_t now;
	int err;

	if (caller->error)
		return caller->error;
	if (!entry)
		return -ENOBUFS;
	// A generation that wraps must not be 0.
	if (!++entry->generation)
		entry->generation = 1;
	letter->words = CALL_WORDS;
	letter->head[0] = CALL_REQUEST;
	letter->head[1] = entry_id(caller, entry);
	letter->head[2] = MSG_FOREVER;
	if (call_deadline != MSG_FOREVER) {
		now = context_now(caller->pattern.region->context);
		letter->head[2] = call_deadline > now ? call_deadline - now : 0;
	}
	// While it waits, nothing else may take the entry.
	caller->free = entry->next;
	err = send_request(caller, letter, deadline);
	if (err) {
		entry_free(caller, entry);
		return err;
	}
	entry->state = ENTRY_WAITING;
	entry->alone = false;
	entry->memory = NULL;
	entry->deadline = call_deadline;
	if (call_deadline < caller->earliest)
		caller->earliest = call_deadline;
	caller->stats.outstanding++;
	caller->stats.started++;
	figures(caller);
	*result = entry;
	return 0;
}

static int start_async(struct msg_caller *caller, struct letter *letter, uint64_t call_deadline,
	void *user, uint64_t *id, uint64_t deadline)
{
	struct entry *entry;
	int err = start(caller, letter, call_deadline, deadline, &entry);

	if (err)
		return err;
	entry->user = user;
	if (id)
		*id = entry_id(caller, entry);
	return 0;
}

int msg_call_start(struct msg_caller *caller, const void *request, size_t len,
	uint64_t call_deadline, void *user, uint64_t *id, uint64_t deadline)
{
	struct letter letter = { .data = request, .len = len };

	return start_async(caller, &letter, call_deadline, user, id, deadline);
}

int msg_call_start_buffer(struct msg_caller *caller, struct msg_buffer *buffer, size_t len,
	uint64_t call_deadline, void *user, uint64_t *id, uint64_t deadline)
{
	struct letter letter = { .buffer = buffer, .len = len };

	return start_async(caller, &letter, call_deadline, user, id, deadline);
}

/* ---- ending ---- */

struct awaited {
	struct msg_caller *caller;
	struct entry *entry;
};

static bool has_ended(void *arg)
{
	struct awaited *a = arg;

	advance(a->caller, true);
	return a->entry->state == ENTRY_ENDED;
}

int64_t msg_call(struct msg_caller *caller, const void *request, size_t len, void *reply,
	size_t size, uint64_t deadline)
{
	struct letter letter = { .data = request, .len = len };
	struct awaited a = { .caller = caller };
	struct msg_context *context = caller->pattern.region->context;
	int64_t result;
	int err;

	drop_taken(caller);
	err = start(caller, &letter, deadline, deadline, &a.entry);
	if (err)
		return err;
	a.entry->alone = true;
	a.entry->memory = reply;
	a.entry->size = size;
	while (!has_ended(&a)) {
		uint64_t until = caller->earliest < deadline ? caller->earliest : deadline;

		wait_for_channel(context, has_ended, &a, until);
	}
	result = a.entry->result;
	entry_free(caller, a.entry);
	return result;
}

int msg_call_release(struct msg_caller *caller)
{
	int err = caller->shown == SHOWN_TAKEN ? letter_ours(caller->pattern.region) : 0;

	drop_taken(caller);
	return err;
}

int msg_call_take(struct msg_caller *caller, struct msg_call_result *result, uint64_t deadline)
{
	struct entry *entry;
	int err;

	drop_taken(caller);
	if (!caller->ended && caller->shown != SHOWN_READY && !caller->stats.outstanding)
		return -ENOENT;
	err = pattern_wait(&caller->pattern, deadline);
	if (err)
		return err;
	if (caller->shown == SHOWN_READY && caller->pattern.region->gone)
		keep_shown(caller);
	if (caller->ended) {
		entry = caller->ended;
		caller->ended = entry->next;
		if (!caller->ended)
			caller->ended_end = &caller->ended;
		*result = (struct msg_call_result){ entry_id(caller, entry), entry->user,
			entry->result, entry->memory };
		caller->kept = entry->memory;
		entry->memory = NULL;
	} else {
		entry = caller->view_entry;
		err = letter_ours(caller->pattern.region);
		*result = (struct msg_call_result){ entry_id(caller, entry), entry->user,
			err ? err : (int64_t)caller->view.body.len,
			err ? NULL : caller->view.body.data };
		caller->shown = SHOWN_TAKEN;
		caller->view_entry = NULL;
		caller->stats.outstanding--;
	}
	entry_free(caller, entry);
	figures(caller);
	return 0;
}

int msg_call_cancel(struct msg_caller *caller, uint64_t id)
{
	bool impossible;
	struct entry *entry = find(caller, id, &impossible);

	if (!entry)
		return -ENOENT;
	if (entry == caller->view_entry) {
		// Its reply is there, and nobody has seen it.
		letter_release(caller->channel, &caller->view);
		caller->shown = SHOWN_NONE;
		caller->view_entry = NULL;
		caller->stats.late++;
		caller->stats.answered--;
	} else {
		entry_tell(caller, entry);
	}
	caller->stats.cancelled++;
	caller->stats.outstanding--;
	entry_free(caller, entry);
	figures(caller);
	return 0;
}

void msg_caller_stats(struct msg_caller *caller, struct msg_call_stats *stats)
{
	*stats = caller->stats;
}

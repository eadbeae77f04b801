// SPDX-License-Identifier: BSD-2-Clause
// Asking and answering: calls that wait, calls by the dozen, late answers in any order, refusals.
#include "tests/sim/app_pattern.h"

#define MOST_TRIES 6

static const char *server_name(unsigned peer)
{
	static const char *const names[SIM_PEERS] = { "desk of north", "desk of east", "desk of south",
		"desk of west" };

	return names[peer];
}

void call_open(struct place *place)
{
	struct calls *c = &place->calls;
	struct msg_call_options options = { .channel = { .ring = 1024 }, .calls = HELD_CALLS };
	unsigned i;
	int err;

	for (i = 0; i < sim.config.peers; i++)
		c->wanted[i] = i != place->peer->index && sim_chance(128);
	c->left = 1 + sim_pick(sim.config.messages < 8 ? 2 * sim.config.messages + 4 : 20);
	if (!sim_chance(160))
		return;
	err = msg_server_open(place->region, server_name(place->peer->index), &options,
		&c->server);
	if (!err)
		return;
	c->server = NULL;
	if (err != -EADDRINUSE && err != -ENOSPC && !app_lost(place, err) && !app_excused())
		sim_fail("msg_server_open: %s", msg_strerror(err));
}

/* ---- answering ---- */

static struct held_call *find_held(struct calls *c, uint64_t token)
{
	unsigned i;

	for (i = 0; i < HELD_CALLS; i++)
		if (c->held[i].token == token)
			return &c->held[i];
	return NULL;
}

// One that the app holds, in any order.
static void answer(struct place *place)
{
	struct held_call *held = &place->calls.held[sim_pick(HELD_CALLS)];
	uint64_t deadline = sim_chance(128) ? 0 : sim.now + sim_pick(10 * MS);
	unsigned len = 4;
	int err;

	if (!held->token)
		return;
	if (sim_chance(30)) {
		if (held->call)
			held->call->refused = true;
		err = msg_request_refuse(place->calls.server, held->token, deadline);
	} else {
		if (held->call) {
			held->call->replied = true;
			len = oracle_call_fill(held->call, true, place->app->bytes);
		}
		err = msg_reply(place->calls.server, held->token, place->app->bytes, len,
			deadline);
	}
	if (err == -EAGAIN || err == -ETIMEDOUT || err == -ENOSPC || err == -EMSGSIZE)
		return;
	held->token = 0;
	if (err && err != -ECANCELED && err != -EPIPE && err != -ECONNRESET &&
		!app_lost(place, err) && !app_excused())
		sim_fail("msg_reply: %s", msg_strerror(err));
	if (err == -ECONNRESET && !app_excused())
		sim_fail("msg_reply: %s", msg_strerror(err));
}

static void serve_one(struct place *place)
{
	struct calls *c = &place->calls;
	uint64_t deadline = sim_chance(200) ? 0 : sim.now + sim_pick(4 * MS);
	struct msg_request request;
	struct held_call *held;
	struct msg_peer from;
	int err;

	fault_reading(place->peer);
	app_reads(place);
	err = msg_server_next(c->server, &request, deadline);
	app_has_read(place, err);

	if (err) {
		if (err != -EAGAIN && err != -ETIMEDOUT && !app_lost(place, err) && !app_excused())
			sim_fail("msg_server_next: %s", msg_strerror(err));
		return;
	}
	held = find_held(c, request.token);
	if (request.type == MSG_REQUEST_CANCELLED) {
		if (!held)
			sim_fail("peer %u is told that a call isn't wanted, and holds none such",
				place->peer->index);
		return;
	}
	if (held)
		sim_fail("peer %u gets a token twice", place->peer->index);
	held = find_held(c, 0);
	if (!held)
		sim_fail("peer %u gets more requests than it holds", place->peer->index);
	held->token = request.token;
	held->call = NULL;
	if (place->seat->gone || request.len > LONGEST)
		return;
	sim_copy_out(place->app->bytes, request.data, request.len);
	// msg_reply will fail.
	if (app_evicted(place))
		return;
	if (msg_request_peer(c->server, request.token, &from))
		sim_fail("nobody knows who asked");
	held->call = oracle_call_served(place->seat, &from, place->app->bytes, request.len);
}

/* ---- asking ---- */

static void connect_caller(struct place *place, unsigned to)
{
	struct calls *c = &place->calls;
	struct msg_call_options options = { .channel = { .ring = 1024 }, .calls = 1 + sim_pick(8) };
	uint64_t deadline = sim.now + sim_pick(20 * MS), away = place->peer->away_ns;
	int err;

	c->tries[to]++;
	fault_moment(place->peer);
	err = msg_caller_open(place->region, server_name(to), &options, &c->caller[to], deadline);
	app_check_deadline(place, deadline, away, "msg_caller_open");
	if (!err) {
		c->wanted[to] = false;
		c->under_way[to] = 0;
		return;
	}
	c->caller[to] = NULL;
	if (err != -ETIMEDOUT && err != -ECONNREFUSED && err != -ENOSPC && err != -EAGAIN &&
		!app_lost(place, err) && !app_excused())
		sim_fail("msg_caller_open: %s", msg_strerror(err));
}

static void caller_over(struct place *place, unsigned to)
{
	msg_caller_close(place->calls.caller[to]);
	place->calls.caller[to] = NULL;
	place->calls.under_way[to] = 0;
}

static void ask(struct place *place, unsigned to)
{
	struct calls *c = &place->calls;
	uint64_t deadline = sim_chance(128) ? MSG_FOREVER :
		sim.now + sim_random() % (sim.config.patience * MS);
	uint64_t wait = sim_chance(128) ? 0 : sim.now + sim_pick(4 * MS), id;
	struct sim_call *call;
	struct msg_peer peer;
	int64_t result;
	unsigned len;

	msg_caller_peer(c->caller[to], &peer);
	if (deadline != MSG_FOREVER && sim_chance(64))
		wait = deadline;
	call = oracle_call_new(place->seat, &peer, deadline);
	if (!call) {
		c->left = 0;
		return;
	}
	len = oracle_call_fill(call, false, place->app->bytes);
	if (wait == deadline) {
		fault_reading(place->peer);
		app_reads(place);
		result = msg_call(c->caller[to], place->app->bytes, len, place->app->bytes + LONGEST,
			LONGEST, deadline);
		app_has_read(place, result);
		c->left--;
		if (result == -EAGAIN || result == -ENOBUFS || result == -ENOSPC ||
			result == -EPIPE)
			return;
		if (!app_lost(place, result))
			oracle_call_ended(call, result, place->app->bytes + LONGEST);
		return;
	}
	result = msg_call_start(c->caller[to], place->app->bytes, len, deadline, call, &id, wait);
	if (!result) {
		c->left--;
		c->under_way[to]++;
		if (sim_chance(20)) {
			call->cancelled = true;
			if (!msg_call_cancel(c->caller[to], id))
				c->under_way[to]--;
			else
				call->cancelled = false;
		}
		return;
	}
	if (result == -EPIPE)
		c->left--;
	if (result != -EAGAIN && result != -ETIMEDOUT && result != -ENOBUFS && result != -ENOSPC &&
		result != -EPIPE && !app_lost(place, result) && !app_excused())
		sim_fail("msg_call_start: %s", msg_strerror(result));
}

static bool in_region(const void *data)
{
	return (const uint8_t *)data >= sim_base &&
	       (const uint8_t *)data < sim_base + SIM_REGIONS * SIM_SPAN;
}

static void take(struct place *place, unsigned to)
{
	struct calls *c = &place->calls;
	uint64_t deadline = sim_chance(160) ? 0 :
		sim.now + sim_random() % (sim.config.patience * MS);
	struct msg_call_result result;
	struct sim_call *call;
	uint8_t *data = place->app->bytes;
	int err;

	if (c->under_way[to])
		fault_reading(place->peer);
	app_reads(place);
	err = msg_call_take(c->caller[to], &result, deadline);
	// One that was kept before is good, whatever was looked at behind it.
	if (err || result.result < 0 || in_region(result.data) || port_was_blind(result.data))
		app_has_read(place, err ? err : result.result);

	if (err == -ENOENT && c->under_way[to] && !app_excused() && !place->seat->gone)
		sim_fail("peer %u: %u calls are under way, but none is known",
			place->peer->index, c->under_way[to]);
	if (err) {
		app_lost(place, err);
		return;
	}
	call = result.user;
	c->under_way[to]--;
	if (result.result > LONGEST)
		result.result = -ECONNRESET;
	// A reply lies in the region, or in private memory.
	if (result.result > 0 && in_region(result.data)) {
		if (place->seat->gone)
			return;
		sim_copy_out(data, result.data, (size_t)result.result);
		if (sim_chance(128)) {
			err = msg_call_release(c->caller[to]);
			result.result = err ? err : result.result;
		} else if (app_evicted(place)) {
			return;
		}
	} else if (result.result > 0) {
		data = (uint8_t *)(uintptr_t)result.data;
	}
	if (!app_lost(place, result.result))
		oracle_call_ended(call, result.result, data);
	if (result.result == -EPIPE || result.result == -ECONNRESET)
		c->broken[to] = true;
}

void call_round(struct place *place)
{
	struct calls *c = &place->calls;
	unsigned i;

	for (i = 0; i < sim.config.peers && !place->lost; i++) {
		if (c->wanted[i] && !c->caller[i] && c->tries[i] < MOST_TRIES && sim_chance(100))
			connect_caller(place, i);
		if (!c->caller[i] || place->lost)
			continue;
		if (c->left && !c->broken[i] && sim_chance(128))
			ask(place, i);
		if (!place->lost && sim_chance(160))
			take(place, i);
		// An idle caller to a server that is gone would keep that one's slot.
		if (!place->lost && (sim_chance(1) || (!c->under_way[i] &&
			(c->broken[i] || (!c->left && sim_chance(60))))))
			caller_over(place, i);
	}
	if (c->server && !place->lost)
		serve_one(place);
	for (i = 0; i < 3 && c->server && !place->lost; i++)
		answer(place);
}

unsigned call_items(struct place *place, struct msg_wait_item *items)
{
	struct calls *c = &place->calls;
	unsigned n = 0, i;

	for (i = 0; i < sim.config.peers; i++)
		if (c->caller[i])
			items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN,
				.pattern = c->caller[i] };
	if (c->server)
		items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN,
			.pattern = c->server };
	return n;
}

bool call_work(const struct place *place)
{
	const struct calls *c = &place->calls;
	unsigned i;

	for (i = 0; i < sim.config.peers; i++)
		if (c->caller[i] && (c->under_way[i] || (c->left && !c->broken[i])))
			return true;
	for (i = 0; i < HELD_CALLS; i++)
		if (c->server && c->held[i].token)
			return true;
	return false;
}

void call_tidy(struct place *place)
{
	struct calls *c = &place->calls;
	unsigned i;

	for (i = 0; i < sim.config.peers; i++)
		if (c->caller[i] && sim_chance(128))
			caller_over(place, i);
		else if (c->caller[i])
			place->kept = true;
	if (c->server && sim_chance(128)) {
		oracle_servers_over(place->seat);
		msg_server_close(c->server);
		c->server = NULL;
	}
	place->kept = place->kept || c->server;
}

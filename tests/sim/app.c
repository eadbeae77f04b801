// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a peer does: joins, listens under its name, connects to others, sends and receives in every
 * way there is until all that it means to send is sent, closes, looks whether everything came
 * back, leaves. A peer that was evicted joins again.
 */
#include <stdio.h>
#include <string.h>
#include "tests/sim/sim.h"

#define CONNS     8
#define LONGEST   3000
#define GIVE_UP   (6000 * MS)
#define SLACK     (8 * MS) /* by which a call may outlast its deadline */

struct conn {
	struct msg_channel *channel;
	struct sim_end *end;
	bool blocked;              /* the last try to send found no room */
	unsigned viewed;
};

struct app {
	struct sim_peer *peer;
	struct msg_region *region;
	struct msg_listener *listener, *contended;
	struct conn conn[CONNS];
	unsigned tries[SIM_PEERS]; /* to connect to each */
	bool wanted[SIM_PEERS];
	bool evicted;
};

static struct app apps[SIM_PEERS];
static uint8_t bytes[SIM_PEERS][8 * LONGEST];

static const char *name_of(unsigned peer)
{
	static const char *const names[SIM_PEERS] = { "north", "east", "south", "west" };

	return names[peer];
}

// A call with a deadline returned.
static void check_deadline(struct app *app, uint64_t deadline, uint64_t stalled, const char *what)
{
	if (sim.now > deadline + SLACK + (app->peer->stalled_ns - stalled))
		sim_fail("peer %u: %s returned %llu us after its deadline", app->peer->index, what,
			(unsigned long long)((sim.now - deadline) / US));
}

#define TIMED(app, deadline, result, call) \
	do { \
		uint64_t stalled_ = (app)->peer->stalled_ns; \
		result = call; \
		check_deadline(app, (deadline) > sim.now ? sim.now : (deadline), stalled_, #call); \
	} while (0)

static void note_eviction(struct app *app)
{
	struct sim_peer *p = app->peer;

	if (!sim.config.lies && sim.config.atomic && !p->stalled_ns && !sim.spoiled)
		sim_fail("peer %u was evicted and never stood still", p->index);
	app->evicted = true;
}

// What every call may return when this peer lost its place.
static bool lost_place(struct app *app, int64_t err)
{
	if (err != -ESTALE)
		return false;
	note_eviction(app);
	return true;
}

static struct conn *free_conn(struct app *app)
{
	unsigned i;

	for (i = 0; i < CONNS; i++)
		if (!app->conn[i].channel)
			return &app->conn[i];
	return NULL;
}

static void conn_opened(struct app *app, struct msg_channel *channel)
{
	struct conn *conn = free_conn(app);
	struct sim_end *end = conn ? oracle_opened(app->peer, channel) : NULL;

	if (!end) {
		msg_close(channel);
		return;
	}
	*conn = (struct conn){ .channel = channel, .end = end };
}

static void conn_close(struct app *app, struct conn *conn)
{
	(void)app;
	conn->end->over = true;
	msg_close(conn->channel);
	memset(conn, 0, sizeof(*conn));
}

static void conn_failed(struct app *app, struct conn *conn, int64_t err)
{
	if (!lost_place(app, err))
		oracle_channel_ended(conn->end, conn->channel, err);
	conn_close(app, conn);
}

static bool conn_complete(struct conn *conn)
{
	struct sim_end *partner = oracle_partner(conn->end);

	return conn->end->accepted == conn->end->target && partner &&
	       conn->end->delivered >= partner->target && !conn->viewed;
}

/* ---- sending ---- */

static unsigned draw_length(void)
{
	switch (sim_pick(8)) {
	case 0: return sim_pick(3);
	case 1: case 2: return sim_pick(64);
	case 3: return 8 * sim_pick(16);
	case 4: return sim_pick(513);
	case 5: return sim_chance(60) ? sim_pick(LONGEST) : 56;
	default: return sim_pick(130);
	}
}

static void fill(struct sim_end *end, uint8_t *data, unsigned len)
{
	unsigned k = end->attempted, i;

	oracle_attempt(end, len);
	for (i = 0; i < len; i++)
		data[i] = oracle_byte(end, k, i);
}

static int send_batch(struct app *app, struct conn *conn, unsigned left, uint64_t deadline)
{
	struct msg_span spans[6];
	uint8_t *data = bytes[app->peer->index];
	unsigned n = 1 + sim_pick(left < 6 ? left : 6), i;

	for (i = 0; i < n; i++) {
		unsigned len = sim_pick(200);

		spans[i] = (struct msg_span){ data, len };
		fill(conn->end, data, len);
		data += len;
	}
	return msg_send_batch(conn->channel, spans, n, deadline);
}

static int send_array(struct app *app, struct conn *conn, unsigned left, uint64_t deadline)
{
	uint8_t *data = bytes[app->peer->index];
	unsigned n = 1 + sim_pick(left), len = sim_chance(64) ? sim_pick(100) : sim_pick(24), i;

	for (i = 0; i < n; i++)
		fill(conn->end, data + i * len, len);
	return msg_send_array(conn->channel, data, len, n, deadline);
}

static int send_reserved(struct app *app, struct conn *conn, unsigned left, uint64_t deadline)
{
	uint8_t *data = bytes[app->peer->index];
	unsigned n = 1 + sim_pick(left < 3 ? left : 3), i, done = 0;
	int err = 0;

	for (i = 0; i < n && !err; i++) {
		unsigned len = sim_pick(150), more = sim_pick(40);
		void *place;

		err = msg_reserve(conn->channel, len + more, &place, i ? 0 : deadline);
		if (err)
			break;
		fill(conn->end, data, len);
		sim_copy_in(place, data, len);
		if (more && msg_trim(conn->channel, len))
			sim_fail("msg_trim failed");
		done++;
	}
	if (!done)
		return err;
	if (sim_chance(16)) {
		msg_discard(conn->channel);
		return 0;
	}
	err = msg_commit(conn->channel);
	return err ? err : (int)done;
}

static int send_one(struct app *app, struct conn *conn, uint64_t deadline)
{
	uint8_t *data = bytes[app->peer->index];
	unsigned len = draw_length();
	int err;

	fill(conn->end, data, len);
	err = msg_send(conn->channel, data, len, deadline);
	return err ? err : 1;
}

// False: the channel is gone.
static bool conn_send(struct app *app, struct conn *conn)
{
	unsigned left = conn->end->target - conn->end->accepted;
	uint64_t deadline = sim_chance(128) ? 0 : sim.now + sim_pick(4 * MS);
	uint64_t stalled = app->peer->stalled_ns;
	int sent;

	if (!left)
		return true;
	switch (sim_pick(8)) {
	case 0: sent = send_batch(app, conn, left, deadline); break;
	case 1: sent = send_array(app, conn, left, deadline); break;
	case 2: sent = send_reserved(app, conn, left, deadline); break;
	default: sent = send_one(app, conn, deadline);
	}
	check_deadline(app, deadline ? deadline : sim.now, stalled, "sending");
	oracle_sent(conn->end, sent);
	conn->blocked = sent == -EAGAIN || sent == -ETIMEDOUT;
	if (sent >= 0 || conn->blocked)
		return true;
	if (sent == -ENOSPC)
		return true;
	// What the other side sent before it ended is still to be received.
	if (sent == -EPIPE) {
		conn->end->target = conn->end->accepted;
		return true;
	}
	conn_failed(app, conn, sent);
	return false;
}

/* ---- receiving ---- */

static bool received(struct app *app, struct conn *conn, int64_t got)
{
	if (got >= 0 || got == -EAGAIN || got == -ETIMEDOUT)
		return true;
	conn_failed(app, conn, got);
	return false;
}

static void released(struct conn *conn, unsigned n)
{
	conn->end->released += n;
}

static bool recv_views(struct app *app, struct conn *conn)
{
	uint8_t *data = bytes[app->peer->index];
	struct msg_span spans[4];
	int n, i;

	n = msg_peek(conn->channel, spans, 1 + sim_pick(4), 0);
	if (!received(app, conn, n))
		return false;
	for (i = 0; i < n; i++) {
		if (spans[i].len > LONGEST) {
			if (!oracle_may_fail(conn->end))
				sim_fail("a view of %zu bytes", spans[i].len);
			continue;
		}
		sim_copy_out(data, spans[i].data, spans[i].len);
		oracle_delivered(conn->end, data, spans[i].len);
	}
	if (n > 0)
		conn->viewed += (unsigned)n;
	return true;
}

static bool recv_batch(struct app *app, struct conn *conn, uint64_t deadline)
{
	uint8_t *data = bytes[app->peer->index];
	struct msg_span spans[4];
	int n, i;

	for (i = 0; i < 4; i++)
		spans[i] = (struct msg_span){ data + i * LONGEST, LONGEST };
	conn->end->taking = 4;
	n = msg_recv_batch(conn->channel, spans, 4, deadline);
	conn->end->taking = 0;
	for (i = 0; i < n; i++)
		oracle_delivered(conn->end, spans[i].data, spans[i].len);
	if (n > 0)
		released(conn, (unsigned)n);
	// A lie can make a message longer than any.
	if (n == -EMSGSIZE && oracle_may_fail(conn->end))
		n = -ECONNRESET;
	return received(app, conn, n);
}

static bool recv_array(struct app *app, struct conn *conn)
{
	uint8_t *data = bytes[app->peer->index];
	int64_t len = msg_next_length(conn->channel, 0);
	int n, i;

	if (len < 0)
		return received(app, conn, len);
	if (len > LONGEST && oracle_may_fail(conn->end)) {
		conn_failed(app, conn, -ECONNRESET);
		return false;
	}
	conn->end->taking = 8;
	n = msg_recv_array(conn->channel, data, (size_t)len, 1 + sim_pick(8), 0);
	conn->end->taking = 0;
	for (i = 0; i < n; i++)
		oracle_delivered(conn->end, data + i * len, (uint64_t)len);
	if (n > 0)
		released(conn, (unsigned)n);
	if (n == -EMSGSIZE && oracle_may_fail(conn->end))
		n = -ECONNRESET;
	return received(app, conn, n);
}

// False: the channel is gone.
static bool conn_recv(struct app *app, struct conn *conn)
{
	uint64_t deadline = sim_chance(200) ? 0 : sim.now + sim_pick(4 * MS);
	uint64_t stalled = app->peer->stalled_ns;
	uint8_t *data = bytes[app->peer->index];
	unsigned n;
	int64_t got;
	int err;

	if (conn->viewed) {
		if (sim_chance(64))
			return recv_views(app, conn);
		n = 1 + sim_pick(conn->viewed);
		err = msg_release(conn->channel, n);
		conn->viewed -= n;
		if (!err)
			released(conn, n);
		return received(app, conn, err);
	}
	switch (sim_pick(8)) {
	case 0: case 1:
		return recv_views(app, conn);
	case 2:
		return recv_batch(app, conn, deadline);
	case 3:
		return recv_array(app, conn);
	}
	conn->end->taking = 1;
	got = msg_recv(conn->channel, data, LONGEST, deadline);
	conn->end->taking = 0;
	check_deadline(app, deadline ? deadline : sim.now, stalled, "msg_recv");
	if (got >= 0) {
		oracle_delivered(conn->end, data, (uint64_t)got);
		released(conn, 1);
	}
	if (got == -EMSGSIZE && oracle_may_fail(conn->end))
		got = -ECONNRESET;
	return received(app, conn, got);
}

/* ---- connecting and accepting ---- */

static bool may_come(const struct sim_peer *p)
{
	return p->state != PEER_DONE && (p->state != PEER_OFF || p->restart_at != SIM_NEVER);
}

static void try_connect(struct app *app, unsigned to)
{
	uint64_t deadline = sim.now + sim_pick(30 * MS), stalled = app->peer->stalled_ns;
	struct msg_channel_options options = {
		.ring = sim_chance(200) ? 1024 : 0,
		.start = sim_chance(80) ? 0xfffffe00u + 64 * sim_pick(8) : 64 * sim_pick(64),
	};
	struct msg_channel *channel;
	int err;

	app->tries[to]++;
	err = msg_connect(app->region, name_of(to), &options, &channel, deadline);
	check_deadline(app, deadline, stalled, "msg_connect");
	if (!err) {
		conn_opened(app, channel);
		app->wanted[to] = false;
	} else if (err != -ETIMEDOUT && err != -ECONNREFUSED && err != -ENOSPC &&
		err != -EAGAIN && !lost_place(app, err) && !sim.config.lies) {
		sim_fail("msg_connect: %s", msg_strerror(err));
	}
}

static void try_accept(struct app *app)
{
	struct msg_channel *channel;
	int err;

	if (!free_conn(app))
		return;
	err = msg_accept(app->listener, &channel, 0);
	if (!err)
		conn_opened(app, channel);
	else if (err != -EAGAIN && err != -ENOSPC && !lost_place(app, err) && !sim.config.lies)
		sim_fail("msg_accept: %s", msg_strerror(err));
}

static void wait_a_while(struct app *app)
{
	struct msg_wait_item items[2 * CONNS + 2];
	uint64_t deadline = sim.now + 1 + sim_pick(30 * MS), stalled = app->peer->stalled_ns;
	unsigned n = 0, i;

	for (i = 0; i < CONNS; i++) {
		struct conn *conn = &app->conn[i];

		if (!conn->channel)
			continue;
		items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_RECV,
			.channel = conn->channel };
		if (conn->blocked && conn->end->accepted < conn->end->target)
			items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_SEND,
				.channel = conn->channel };
	}
	if (app->listener)
		items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_ACCEPT,
			.listener = app->listener };
	items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_EVENT, .region = app->region };
	msg_wait(items, n, deadline);
	check_deadline(app, deadline, stalled, "msg_wait");
}

static void take_events(struct app *app)
{
	struct msg_event event;

	while (msg_next_event(app->region, &event) > 0) {
		sim_trace("event %d, slot %u epoch %u", event.type, event.peer.slot,
			event.peer.epoch);
		if (event.type == MSG_EVENT_EVICTED)
			note_eviction(app);
		if (event.type == MSG_EVENT_FAULT && !sim.config.lies && !sim.spoiled)
			sim_fail("fault: %s: 0x%llx at %s", event.fault.what,
				(unsigned long long)event.fault.seen,
				name_word(event.fault.offset));
		if (event.type == MSG_EVENT_DIED && !sim.config.lies && sim.config.atomic &&
			!sim.kills_done && !sim.stalls_done)
			sim_fail("peer %u takes slot %u for dead", app->peer->index,
				event.peer.slot);
	}
}

/* ---- the whole ---- */

static int join(struct app *app)
{
	struct msg_options options = sim.config.options;
	int err = 0;
	unsigned i;

	options.name = name_of(app->peer->index);
	options.spin_ns = sim.config.spin_ns;
	options.deadline = sim.now + GIVE_UP;
	for (i = 0; i < 20; i++) {
		err = msg_attach(NULL, &options, &app->region);
		if (err != -ENOSPC)
			break;
	}
	if (err && !sim.config.lies)
		sim_fail("peer %u can't join: %s", app->peer->index, msg_strerror(err));
	return err;
}

// Under its own name; and under one that all want, which one alone can have.
static void listen_all(struct app *app)
{
	unsigned i;
	int err = -EADDRINUSE;

	// Its former life may not be buried yet.
	for (i = 0; i < 200 && err == -EADDRINUSE; i++) {
		if (i)
			msg_sleep_until(sim.now + 2 * MS);
		err = msg_listen(app->region, name_of(app->peer->index), NULL, &app->listener);
		take_events(app);
	}
	if (err && !lost_place(app, err) && !sim.config.lies && err != -EADDRINUSE)
		sim_fail("peer %u can't listen: %s", app->peer->index, msg_strerror(err));
	if (err)
		app->listener = NULL;
	if (sim_chance(128))
		return;
	err = msg_listen(app->region, "common", NULL, &app->contended);
	if (err)
		app->contended = NULL;
	if (err && err != -EADDRINUSE && !lost_place(app, err) && !sim.config.lies)
		sim_fail("msg_listen: %s", msg_strerror(err));
}

static bool work_left(struct app *app)
{
	unsigned i;

	for (i = 0; i < sim.config.peers; i++)
		if (app->wanted[i] && app->tries[i] < 12 && may_come(&sim.peer[i]))
			return true;
	for (i = 0; i < CONNS; i++)
		if (app->conn[i].channel && !conn_complete(&app->conn[i]))
			return true;
	return false;
}

static void serve(struct app *app, struct conn *conn)
{
	unsigned n = 1 + sim_pick(3);

	while (n--)
		if (!(sim_chance(128) ? conn_send(app, conn) : conn_recv(app, conn)))
			return;
	if (conn_complete(conn) ? sim_chance(40) : sim_chance(1)) {
		conn->end->cut = !conn_complete(conn);
		conn_close(app, conn);
	}
}

static void step(struct app *app)
{
	unsigned i;

	for (i = 0; i < sim.config.peers && !app->evicted; i++)
		if (app->wanted[i] && app->tries[i] < 12 && may_come(&sim.peer[i]) &&
			free_conn(app) && sim_chance(100))
			try_connect(app, i);
	if (!app->evicted && app->listener)
		try_accept(app);
	for (i = 0; i < CONNS && !app->evicted; i++)
		if (app->conn[i].channel && sim_chance(200))
			serve(app, &app->conn[i]);
	if (!app->evicted)
		take_events(app);
	app->peer->finished = !work_left(app);
	if (!app->evicted)
		wait_a_while(app);
}

static unsigned channels_left(const struct msg_region *region)
{
	unsigned n = 0;
	uint32_t i;

	for (i = 0; i < region->geo.channels; i++)
		n += region->channel[i] != NULL;
	return n;
}

// All channels closed, what they took must come back while the others live on.
static void check_returns(struct app *app)
{
	uint64_t until = sim.now + 500 * MS + 20 * sim.config.options.death_ns;
	struct msg_region *region = app->region;
	uint32_t k;

	while (channels_left(region) && sim.now < until + app->peer->stalled_ns) {
		wait_a_while(app);
		take_events(app);
		if (app->evicted)
			return;
	}
	if (sim.config.lies || sim.spoiled)
		return;
	if (channels_left(region))
		sim_fail("peer %u: %u closed channels never came back", app->peer->index,
			channels_left(region));
	for (k = 0; k < region->geo.deeds; k++)
		if (memory_read(&region->slot->claim, 8) == region->life &&
			DEED_STATE(sim_load(slot_deed(region, region->index, k), 8)) != DEED_NONE &&
			!region->pools)
			sim_fail("peer %u: deed %u stays behind", app->peer->index, k);
}

static void leave(struct app *app)
{
	struct sim_peer *p = app->peer;
	struct msg_wait_stats stats;
	unsigned i;

	msg_wait_stats(app->region, &stats);
	p->rescues += (unsigned)stats.rescues;
	for (i = 0; i < CONNS && app->evicted; i++)
		if (app->conn[i].channel)
			app->conn[i].end->cut = true;
	oracle_left(p, app->evicted);
	msg_leave(app->region);
	if (msg_context_regions(p->context))
		sim_fail("peer %u left, and its context still has a region", p->index);
	msg_context_destroy(p->context);
	p->context = NULL;
	if (p->allocated)
		sim_fail("peer %u: %u pieces of private memory leak", p->index, p->allocated);
}

static bool live(struct app *app)
{
	uint64_t until = sim.now + GIVE_UP;
	unsigned i;

	if (join(app))
		return true;
	listen_all(app);
	while (!app->evicted && (work_left(app) || sim_others_busy(app->peer))) {
		step(app);
		if (sim.now < until + app->peer->stalled_ns)
			continue;
		if (!sim.config.lies && !sim.spoiled)
			sim_fail("peer %u isn't done after %llu ms", app->peer->index, GIVE_UP / MS);
		break;
	}
	app->peer->finished = true;
	for (i = 0; i < CONNS && !app->evicted; i++)
		if (app->conn[i].channel)
			conn_close(app, &app->conn[i]);
	msg_unlisten(app->contended);
	app->contended = NULL;
	if (!app->evicted && sim_chance(200))
		check_returns(app);
	if (!app->evicted) {
		msg_unlisten(app->listener);
		app->listener = NULL;
	}
	leave(app);
	return !app->evicted;
}

void app_main(struct sim_peer *p)
{
	struct app *app = &apps[p->index];
	unsigned i;

	do {
		memset(app, 0, sizeof(*app));
		app->peer = p;
		p->finished = false;
		for (i = 0; i < sim.config.peers; i++)
			app->wanted[i] = i < p->index || (i > p->index && sim_chance(48));
		if (app->evicted)
			p->evictions++;
	} while (!live(app) && ++p->evictions < 8);
	p->finished = true;
}

// SPDX-License-Identifier: BSD-2-Clause
// How peers meet: names, one of which all want; connecting, accepting, closing, events.
#include <string.h>
#include "tests/sim/app.h"

#define MOST_TRIES  12
#define MOST_EVENTS 100

const char *meet_name(unsigned peer)
{
	static const char *const names[SIM_PEERS] = { "north", "east", "south", "west" };

	return names[peer];
}

/* ---- channels ---- */

static struct conn *free_conn(struct place *place)
{
	unsigned i;

	for (i = 0; i < CONNS; i++)
		if (!place->conn[i].channel)
			return &place->conn[i];
	return NULL;
}

static void conn_opened(struct place *place, struct msg_channel *channel, bool accepted)
{
	struct conn *conn = free_conn(place);
	struct sim_end *end = conn ? oracle_opened(place->seat, channel) : NULL;

	if (!end) {
		msg_close(channel);
		return;
	}
	if (accepted && sim.config.one_way)
		end->target = 0;
	msg_set_user(channel, end);
	*conn = (struct conn){ .channel = channel, .end = end };
}

void conn_close(struct place *place, struct conn *conn)
{
	conn->end->over = true;
	conn->end->channel = NULL;
	if (!conn->end->faults)
		msg_fault_of(conn->channel, &conn->end->untold);
	fault_moment(place->peer);
	msg_close(conn->channel);
	if (!place->region->error)
		oracle_closed(conn->end);
	memset(conn, 0, sizeof(*conn));
}

void conn_failed(struct place *place, struct conn *conn, int64_t err)
{
	if (!app_lost(place, err))
		oracle_channel_ended(conn->end, conn->channel, err);
	conn->end->cut = place->evicted;
	conn_close(place, conn);
}

bool conn_complete(struct conn *conn)
{
	struct sim_end *partner = oracle_partner(conn->end);

	return conn->end->accepted == conn->end->target && partner &&
	       conn->end->delivered >= partner->target && !conn->viewed;
}

/* ---- names ---- */

void meet_listen(struct place *place)
{
	struct msg_channel_options options = { 0 };
	// A liar may be about to take it for ever.
	unsigned most = sim.config.lies && sim.config.links ? 20 : 200, i;
	int err = -EADDRINUSE;

	if (sim.config.starts)
		options.start = 64 * sim_pick(64);
	// Its former life may not be buried yet.
	for (i = 0; i < most && err == -EADDRINUSE; i++) {
		if (i)
			msg_sleep_until(sim.now + 2 * MS);
		err = msg_listen(place->region, meet_name(place->peer->index),
			sim.config.starts ? &options : NULL, &place->listener);
		meet_events(place);
	}
	if (err && !app_lost(place, err) && !app_excused() && err != -EADDRINUSE)
		sim_fail("peer %u can't listen: %s", place->peer->index, msg_strerror(err));
	if (err)
		place->listener = NULL;
}

// All want one name: one at a time can have it.
void meet_contest(struct place *place)
{
	int err;

	if (place->contended) {
		if (sim_chance(160)) {
			msg_unlisten(place->contended);
			place->contended = NULL;
		}
		return;
	}
	if (!place->contests)
		return;
	place->contests--;
	// All at one time, where that is what the seed is about.
	if (sim.config.contests > 2)
		msg_sleep_until((sim.now / (300 * US) + 1) * 300 * US);
	fault_moment(place->peer);
	err = msg_listen(place->region, "common", NULL, &place->contended);
	if (err)
		place->contended = NULL;
	if (err && err != -EADDRINUSE && !app_lost(place, err) && !app_excused())
		sim_fail("msg_listen: %s", msg_strerror(err));
}

/* ---- connecting and accepting ---- */

// Is the peer there in that region, or may it still come?
static bool may_come(const struct sim_peer *p)
{
	return p->state != PEER_DONE && (p->state != PEER_OFF || p->restart_at != SIM_NEVER);
}

static bool wants(const struct place *place, unsigned to)
{
	return place->wanted[to] && place->tries[to] < MOST_TRIES && may_come(&sim.peer[to]);
}

bool meet_wanted(const struct place *place)
{
	unsigned i;

	for (i = 0; i < sim.config.peers; i++)
		if (wants(place, i))
			return true;
	return false;
}

static void try_connect(struct place *place, unsigned to)
{
	uint64_t deadline = sim.now + sim_pick(30 * MS), away = place->peer->away_ns;
	struct msg_channel_options options = {
		.ring = sim_chance(200) ? 1024 : 0,
		.start = sim_chance(80) ? 0xfffffe00u + 64 * sim_pick(8) : 64 * sim_pick(64),
	};
	struct msg_channel *channel;
	int err;

	place->tries[to]++;
	fault_moment(place->peer);
	err = msg_connect(place->region, meet_name(to), &options, &channel, deadline);
	app_check_deadline(place, deadline, away, "msg_connect");
	if (!err) {
		conn_opened(place, channel, false);
		// Now and then one after another, so that blocks and generations are used again.
		place->wanted[to] = place->reopened < 6 && sim_chance(sim.config.churn);
		place->reopened += place->wanted[to];
	} else if (err != -ETIMEDOUT && err != -ECONNREFUSED && err != -ENOSPC &&
		err != -EAGAIN && !app_lost(place, err) && !app_excused()) {
		sim_fail("msg_connect: %s", msg_strerror(err));
	}
}

void meet_connect(struct place *place)
{
	unsigned i;

	for (i = 0; i < sim.config.peers && !place->lost; i++)
		if (wants(place, i) && free_conn(place) && sim_chance(100))
			try_connect(place, i);
}

void meet_accept(struct place *place)
{
	struct msg_channel *channel;
	int err;

	if (!place->listener || !free_conn(place))
		return;
	fault_moment(place->peer);
	err = msg_accept(place->listener, &channel, 0);
	if (!err)
		conn_opened(place, channel, true);
	else if (err != -EAGAIN && err != -ENOSPC && !app_lost(place, err) && !app_excused())
		sim_fail("msg_accept: %s", msg_strerror(err));
}

/* ---- events ---- */

static void fault_told(struct place *place, const struct msg_event *event)
{
	struct sim_end *end = NULL;
	struct msg_fault fault;
	unsigned i;

	// Of two that found the same, the one that wasn't told yet.
	for (i = 0; i < CONNS && (!end || end->faults); i++)
		if (place->conn[i].channel && msg_fault_of(place->conn[i].channel, &fault) &&
			oracle_same_fault(&fault, &event->fault))
			end = place->conn[i].end;
	if (end)
		oracle_fault(end, &event->fault);
	else if (!sim.config.lies && !sim.spoiled)
		sim_fail("fault: %s: 0x%llx at %s", event->fault.what,
			(unsigned long long)event->fault.seen, name_word(event->fault.offset));
}

void meet_events(struct place *place)
{
	struct msg_event event;
	unsigned n = 0;

	while (msg_next_event(place->region, &event) > 0) {
		if (++n > MOST_EVENTS)
			sim_fail("peer %u: events without end", place->peer->index);
		sim_trace("event %d, slot %u epoch %u", event.type, event.peer.slot,
			event.peer.epoch);
		switch (event.type) {
		case MSG_EVENT_EVICTED:
			app_lost(place, -ESTALE);
			break;
		case MSG_EVENT_REGION_GONE:
			app_lost(place, -ENODEV);
			break;
		case MSG_EVENT_REGION_LEAVING:
			if (sim_chance(128))
				msg_delay_leaving(place->region, sim.now + sim_pick(100 * MS));
			break;
		case MSG_EVENT_FAULT:
			fault_told(place, &event);
			break;
		case MSG_EVENT_DIED:
			if (!sim.config.lies && sim.config.atomic && !sim.kills_done &&
				!sim.stalls_done && !sim.unplugs_done)
				sim_fail("peer %u takes slot %u for dead", place->peer->index,
					event.peer.slot);
			break;
		default:
			break;
		}
	}
}

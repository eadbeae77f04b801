// SPDX-License-Identifier: BSD-2-Clause
// The life of a peer: joins its regions, does this and that in turn, tidies up, leaves.
#include <string.h>
#include "tests/sim/app_pattern.h"

#define MOST_JOINS  8
#define MOST_NAPS   6
#define CLAIM_TIME  (100 * MS)
#define LISTEN_TIME (12 * MS)

static struct app apps[SIM_PEERS];

void app_check_deadline(struct place *place, uint64_t deadline, uint64_t away, const char *what)
{
	// Who stands by takes the name on the way, and waits for another's half a claim.
	uint64_t slack = SLACK + (sim.config.queues || sim.config.groups ? CLAIM_TIME : 0);

	// So does a link whose name another one is about to take.
	slack += sim.config.links ? 2 * LISTEN_TIME : 0;

	if (sim.now > deadline + slack + (place->peer->away_ns - away))
		sim_fail("peer %u: %s returned %llu us after its deadline", place->peer->index,
			what, (unsigned long long)((sim.now - deadline) / US));
}

bool app_excused(void)
{
	return sim.config.lies || sim.spoiled;
}

bool app_lost(struct place *place, int64_t err)
{
	if (err == -ENODEV && place->seat->gone)
		return place->lost = true;
	if (err != -ESTALE)
		return false;
	if (!sim.config.lies && sim.config.atomic && !place->peer->stalled_ns && !sim.spoiled)
		sim_fail("peer %u was evicted and never stood still", place->peer->index);
	place->evicted = true;
	return place->lost = true;
}

bool app_evicted(const struct place *place)
{
	return oracle_evicted(place->seat);
}

void app_reads(struct place *place)
{
	place->peer->blind = false;
}

void app_has_read(struct place *place, int64_t result)
{
	if (place->peer->blind && result >= 0 && sim.config.lies != LIES_WILD)
		sim_fail("peer %u takes what it read when its slot was another's by then",
			place->peer->index);
	place->peer->blind = false;
}

/* ---- waiting ---- */

static unsigned wait_items(struct place *place, struct msg_wait_item *items)
{
	unsigned n = 0, i;

	for (i = 0; i < CONNS; i++) {
		struct conn *conn = &place->conn[i];

		if (!conn->channel || (sim.config.picky && sim_chance(128)))
			continue;
		items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_RECV,
			.channel = conn->channel };
		if (conn->blocked && conn->end->accepted < conn->end->target)
			items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_SEND,
				.channel = conn->channel };
	}
	n += topic_items(place, items + n);
	n += call_items(place, items + n);
	n += queue_items(place, items + n);
	n += post_items(place, items + n);
	if (place->listener)
		items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_ACCEPT,
			.listener = place->listener };
	items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_EVENT, .region = place->region };
	return n;
}

static void note_ready(struct app *app, const struct msg_channel *channel)
{
	unsigned i, k;

	for (i = 0; i < sim.config.regions; i++)
		for (k = 0; k < CONNS; k++)
			if (app->place[i].conn[k].channel == channel)
				app->place[i].conn[k].ready = true;
}

// For everything at once, in all regions.
static void wait_for_all(struct app *app)
{
	struct msg_wait_item items[SIM_REGIONS * (2 * CONNS + 8 + 2 * SIM_PEERS) + 1];
	uint64_t deadline = sim.now + 1 + sim_pick(sim.config.idle * MS);
	uint64_t away = app->peer->away_ns;
	unsigned n = 0, i;
	int ready;

	for (i = 0; i < sim.config.regions; i++)
		if (app->place[i].region)
			n += wait_items(&app->place[i], items + n);
	if (sim_chance(20))
		items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_TIMER,
			.at = sim.now + sim_pick(40 * MS) };
	if (!n) {
		msg_sleep_until(deadline);
		return;
	}
	ready = msg_wait(items, n, deadline);
	app_check_deadline(&app->place[0], deadline, away, "msg_wait");
	for (i = 0; ready > 0 && i < n; i++) {
		ready -= items[i].ready;
		if (sim.config.waits && items[i].ready && items[i].type == MSG_WAIT_RECV)
			note_ready(app, items[i].channel);
		if (sim.config.links && items[i].ready && items[i].type == MSG_WAIT_PATTERN)
			post_ready(app, items[i].pattern);
	}
	if (ready > 0)
		sim_fail("msg_wait says that %d more are ready than it marked", ready);
}

/* ---- joining and leaving ---- */

static bool join(struct place *place)
{
	struct msg_options options = sim.config.options;
	int err;

	options.name = meet_name(place->peer->index);
	options.spin_ns = sim.config.spin_ns;
	options.deadline = sim.now + GIVE_UP;
	fault_moment(place->peer);
	err = msg_attach(place->seat->where ? "1" : "0", &options, &place->region);
	// Its former slot is kept as long as somebody has a channel to its former life.
	place->waiting = err == -ENOSPC && sim.now < place->since + GIVE_UP / 2;
	if (err && !place->waiting && !app_excused())
		sim_fail("peer %u can't join: %s", place->peer->index, msg_strerror(err));
	if (err)
		place->region = NULL;
	return !err;
}

static void settle_in(struct place *place)
{
	if (!join(place))
		return;
	if (sim.config.links)
		post_entered(place);
	meet_listen(place);
	if (sim.config.topics && !place->lost)
		topic_open(place);
	if (sim.config.calls && !place->lost)
		call_open(place);
	if (sim.config.queues && !place->lost)
		queue_open(place);
}

static void enter(struct app *app, unsigned where)
{
	struct place *place = &app->place[where];
	unsigned joins = place->joins + 1, i;

	memset(place, 0, sizeof(*place));
	place->app = app;
	place->peer = app->peer;
	place->seat = &app->peer->seat[where];
	place->joins = joins;
	place->contests = sim.config.contests ? sim_pick(sim.config.contests + 1) : 0;
	for (i = 0; i < sim.config.peers; i++)
		place->wanted[i] = i < app->peer->index ||
			(i > app->peer->index && sim_chance(48));
	place->since = sim.now;
	settle_in(place);
}

static void leave(struct place *place)
{
	struct msg_wait_stats stats;
	unsigned i;

	msg_wait_stats(place->region, &stats);
	place->peer->rescues += (unsigned)stats.rescues;
	held_drop(place);
	for (i = 0; i < CONNS && place->evicted; i++)
		if (place->conn[i].channel)
			place->conn[i].end->cut = true;
	oracle_left(place->seat, place->evicted);
	fault_moment(place->peer);
	msg_leave(place->region);
	place->region = NULL;
	if (sim.config.links)
		post_left(place);
}

// All channels closed, what they took must come back while the others live on.
static unsigned channels_left(const struct msg_region *region)
{
	unsigned n = 0;
	uint32_t i;

	for (i = 0; i < region->geo.channels; i++)
		n += region->channel[i] != NULL;
	return n;
}

static void check_returns(struct place *place)
{
	uint64_t until = sim.now + 500 * MS + 20 * sim.config.options.death_ns;
	struct msg_region *region = place->region;
	uint32_t k;

	while (channels_left(region) && sim.now < until + place->peer->stalled_ns) {
		struct msg_wait_item item = { .type = MSG_WAIT_EVENT, .region = region };

		msg_wait(&item, 1, sim.now + 1 + sim_pick(30 * MS));
		meet_events(place);
		if (place->lost)
			return;
	}
	if (app_excused() || place->seat->gone)
		return;
	if (channels_left(region))
		sim_fail("peer %u: %u closed channels never came back", place->peer->index,
			channels_left(region));
	for (k = 0; k < region->geo.deeds; k++)
		if (memory_read(&region->slot->claim, 8) == region->life &&
			DEED_STATE(sim_load(slot_deed(region, region->index, k), 8)) != DEED_NONE &&
			!region->pools)
			sim_fail("peer %u: deed %u stays behind", place->peer->index, k);
}

// The end of a place that was not lost.
static void tidy(struct place *place)
{
	unsigned i;

	for (i = 0; i < CONNS && !place->lost; i++)
		if (place->conn[i].channel)
			conn_close(place, &place->conn[i]);
	msg_unlisten(place->contended);
	place->contended = NULL;
	topic_tidy(place);
	call_tidy(place);
	queue_tidy(place);
	group_tidy(place);
	post_tidy(place);
	held_look(place);
	if (!place->lost && !place->kept && sim_chance(200))
		check_returns(place);
	if (!place->lost && sim_chance(200)) {
		msg_unlisten(place->listener);
		place->listener = NULL;
	}
}

/* ---- the whole ---- */

static bool place_work(struct place *place)
{
	unsigned i;

	if (!place->region)
		return place->waiting;
	if (place->contests || meet_wanted(place))
		return true;
	if ((!sim.config.lies || sim.now < place->since + LIAR_TIME) &&
		(topic_work(place) || call_work(place) || queue_work(place) ||
		(sim.config.groups && group_work(place))))
		return true;
	for (i = 0; i < CONNS; i++) {
		struct conn *conn = &place->conn[i];

		if (!conn->channel || conn_complete(conn))
			continue;
		if (!sim.config.lies || !oracle_may_fail(conn->end) ||
			sim.now < place->since + LIAR_TIME)
			return true;
	}
	return false;
}

static bool work_left(struct app *app)
{
	unsigned i;

	for (i = 0; i < sim.config.regions; i++)
		if (place_work(&app->place[i]))
			return true;
	return sim.config.links && post_work(app);
}

static void serve(struct place *place, struct conn *conn)
{
	unsigned n = 1 + sim_pick(3), early;

	while (n--)
		if (!(sim_chance(128) ? conn_send(place, conn) :
			sim.config.waits && !conn->ready && !conn->viewed ? true : conn_receive(place, conn)))
			return;
	conn->ready = false;
	early = sim.config.loyal ? 0 : conn->end->accepted == conn->end->target ? 4 : 1;
	if (sim_chance(conn_complete(conn) ? 40 : early))
		conn_close(place, conn);
}

static void round_in(struct place *place)
{
	struct app *app = place->app;
	unsigned i;

	meet_connect(place);
	for (i = 0; i < CONNS && !place->lost; i++)
		if (place->conn[i].channel && sim_chance(200))
			serve(place, &place->conn[i]);
	if (!place->lost && sim.config.topics)
		topic_round(place);
	if (!place->lost && sim.config.calls)
		call_round(place);
	if (!place->lost && sim.config.queues)
		queue_round(place);
	if (!place->lost && sim.config.groups)
		group_round(place);
	if (!place->lost && sim.config.links)
		post_round(place);
	if (!place->lost)
		meet_contest(place);
	if (!place->lost)
		held_look(place);
	if (!place->lost)
		meet_events(place);
	// It looks at nothing meanwhile, and beats; what it knew of the others may be old then.
	if (app->naps < MOST_NAPS && sim_chance(sim.config.naps) && ++app->naps)
		msg_sleep_until(sim.now + sim_random() % (3 * sim.config.options.death_ns));
	if (!place->lost)
		meet_accept(place);
}

static void round_of(struct app *app)
{
	unsigned i;

	// What it said about a channel's state stands for a while.
	if (app->peer->mute_until > sim.now)
		msg_sleep_until(app->peer->mute_until);
	for (i = 0; i < sim.config.regions; i++) {
		struct place *place = &app->place[i];

		if (place->waiting)
			settle_in(place);
		if (place->region && !place->lost)
			round_in(place);
		if (!place->region || !place->lost)
			continue;
		leave(place);
		if (place->joins < MOST_JOINS)
			enter(app, i);
		app->peer->evictions++;
	}
	app->peer->finished = !work_left(app);
	wait_for_all(app);
}

static bool anywhere(const struct app *app)
{
	unsigned i;

	for (i = 0; i < sim.config.regions; i++)
		if (app->place[i].region || app->place[i].waiting)
			return true;
	return false;
}

static void live(struct app *app)
{
	uint64_t until = sim.now + GIVE_UP;
	unsigned i;

	for (i = 0; i < sim.config.regions; i++)
		enter(app, i);
	while (anywhere(app) && (work_left(app) || sim_others_busy(app->peer))) {
		round_of(app);
		if (sim.now < until + app->peer->stalled_ns)
			continue;
		if (!app_excused())
			sim_fail("peer %u isn't done after %llu ms", app->peer->index,
				GIVE_UP / MS);
		break;
	}
	app->peer->finished = true;
	for (i = 0; i < sim.config.regions; i++) {
		if (app->place[i].region)
			tidy(&app->place[i]);
		if (app->place[i].region)
			leave(&app->place[i]);
	}
}

bool app_owns(const struct sim_peer *p, const void *from, size_t len)
{
	const struct app *app = &apps[p->index];
	const uint8_t *at = from;

	return at >= app->bytes && at <= app->bytes + sizeof(app->bytes) &&
	       len <= (size_t)(app->bytes + sizeof(app->bytes) - at);
}

void app_main(struct sim_peer *p)
{
	struct app *app = &apps[p->index];

	memset(app->place, 0, sizeof(app->place));
	app->peer = p;
	app->naps = 0;
	p->finished = false;
	post_begin(app);
	live(app);
	post_end(app);
	p->finished = true;
	if (!p->context)
		return;
	if (msg_context_regions(p->context))
		sim_fail("peer %u left, and its context still has a region", p->index);
	msg_context_destroy(p->context);
	p->context = NULL;
	if (p->allocated)
		sim_fail("peer %u: %u pieces of private memory leak", p->index, p->allocated);
}

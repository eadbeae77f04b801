// SPDX-License-Identifier: BSD-2-Clause
// Links: conversations that go on over channels, places and regions. Each peer listens for one,
// and seeks the listener of the peer before it; ends close early, begin anew, and are put back to
// a former state.
#include <string.h>
#include "tests/sim/app_pattern.h"

#define MOST_OPENED 4
#define CLOSED_BYTE 0xee

static const char *link_name(unsigned pair)
{
	static const char *const names[SIM_PEERS] = { "post of north", "post of east", "post of south",
		"post of west" };

	return names[pair];
}

static unsigned side_of(const struct post *post)
{
	return !post->listens;
}

static const struct sim_peer *other_peer(const struct app *app, const struct post *post)
{
	unsigned n = sim.config.peers, step = post->listens ? 1 : n - 1;

	return &sim.peer[(app->peer->index + step) % n];
}

static bool judged(const struct post *post)
{
	return !oracle_link_may_fail(post->oracle);
}

/* ---- opening and closing ---- */

static void post_open(struct app *app, struct post *post)
{
	post->oracle = oracle_link_opened(app->peer, post->pair, side_of(post), false);
	post->saved_end = NULL;
	post->listened = post->ready = false;
	if (!post->oracle)
		return;
	post->opened++;
	post->oracle->target = sim_pick(2 * sim.config.messages + 4);
	if (post->oracle->target > LINK_LETTERS)
		post->oracle->target = LINK_LETTERS;
	post->size = MSG_LINK_MEMORY_MIN + 8 * sim_pick((LINK_BYTES - MSG_LINK_MEMORY_MIN) / 8 + 1);
	if (msg_link_open(post->memory, post->size, link_name(post->pair), post->listens,
		&post->link))
		sim_fail("peer %u can't open a link", app->peer->index);
}

// The memory is the app's again.
static void check_closed(const struct post *post)
{
	size_t i;

	for (i = 0; i < post->size && !post->link && post->opened; i++)
		if (post->memory[i] != CLOSED_BYTE)
			sim_fail("a link writes byte %zu of its memory, and is closed", i);
}

static void post_close(struct post *post, bool for_good)
{
	oracle_link_over(post->pair, side_of(post), for_good);
	msg_link_close(post->link);
	post->link = NULL;
	post->place = NULL;
	memset(post->memory, CLOSED_BYTE, post->size);
}

void post_begin(struct app *app)
{
	unsigned n = sim.config.peers, i;

	for (i = 0; i < 2; i++)
		memset(&app->post[i], 0, offsetof(struct post, memory));
	if (!sim.config.links)
		return;
	app->replugs = sim.config.replugs ? sim_pick(sim.config.replugs + 1) : 0;
	app->began = sim.now;
	for (i = 0; i < 2; i++) {
		struct post *post = &app->post[i];

		post->listens = !i;
		post->pair = (app->peer->index + (i ? n - 1 : 0)) % n;
		if (post->pair < sim.config.pairs)
			post_open(app, post);
	}
}

void post_end(struct app *app)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		if (app->post[i].link)
			post_close(&app->post[i], true);
		check_closed(&app->post[i]);
	}
}

/* ---- attaching ---- */

static void attach(struct place *place, struct post *post)
{
	int err;

	fault_moment(place->peer);
	err = msg_link_attach(post->link, place->region);
	if (!err) {
		post->place = place;
		post->listened = true;
		if (sim_chance(16) && msg_link_attach(post->link, place->region) != -EBUSY)
			sim_fail("a link is attached twice");
	} else if ((err != -EADDRINUSE || (post->listened && judged(post))) &&
		!app_lost(place, err) && !app_excused()) {
		sim_fail("msg_link_attach: %s", msg_strerror(err));
	}
}

static void attach_here(struct place *place)
{
	struct app *app = place->app;
	unsigned i;

	for (i = 0; i < 2 && !place->lost; i++)
		if (app->post[i].link && !app->post[i].place &&
			*oracle_link_home(app->post[i].pair) == place->seat->where)
			attach(place, &app->post[i]);
}

void post_entered(struct place *place)
{
	// Its former self may still be there.
	if (sim_chance(128))
		attach_here(place);
}

// As the operator would do.
static void unplug(struct place *place)
{
	if (place->seat->unplug || place->seat->slot < 0)
		return;
	sim_trace("has its device in region %u unplugged", place->seat->where);
	place->seat->unplug = true;
	sim.unplugs_done++;
}

static void save_or_put_back(struct post *post)
{
	struct msg_link_stats stats;

	msg_link_stats(post->link, &stats);
	// Who had not talked yet is as one that begins anew.
	if (!sim_chance(sim.config.put_backs) || !stats.channels ||
		!oracle_link_may_put_back(post->oracle))
		return;
	if (post->saved_end != post->oracle) {
		sim_trace("link end %u is saved", post->oracle->number);
		post->saved_end = post->oracle;
		post->saved = *post->oracle;
		memcpy(post->saved_memory, post->memory, post->size);
		return;
	}
	sim_trace("link end %u is put back", post->oracle->number);
	post->saved_end = NULL;
	memcpy(post->memory, post->saved_memory, post->size);
	oracle_link_put_back(post->oracle, &post->saved);
}

void post_left(struct place *place)
{
	unsigned *home, i;

	for (i = 0; i < 2; i++) {
		struct post *post = &place->app->post[i];

		if (post->place != place)
			continue;
		post->place = NULL;
		post->ready = false;
		if (msg_link_item(post->link))
			sim_fail("link end %u is in a region that was left", post->oracle->number);
		home = oracle_link_home(post->pair);
		if (sim.config.regions > 1 && *home == place->seat->where && sim_chance(128))
			*home = !*home;
		save_or_put_back(post);
	}
}

/* ---- talking ---- */

static void reset_told(struct post *post)
{
	if (!post->oracle->reset)
		oracle_link_reset(post->oracle);
	post->oracle->reset = true;
}

// What a call returned that isn't one of those that it always may.
static void failed(struct place *place, struct post *post, int64_t err, const char *what)
{
	if (!err || err == -EAGAIN || err == -ETIMEDOUT || app_lost(place, err))
		return;
	if (err == -ECONNRESET)
		reset_told(post);
	else if (judged(post) && !app_excused())
		sim_fail("peer %u: %s: %s", place->peer->index, what, msg_strerror(err));
	else
		post->oracle->reset = true;
}

static uint64_t draw_deadline(unsigned at_once)
{
	return sim_chance(at_once) ? 0 : sim.now + sim_random() % (sim.config.patience * MS);
}

static unsigned draw_length(void)
{
	switch (sim_pick(8)) {
	case 0: return sim_pick(8);
	case 1: return sim_pick(600);
	default: return 4 + sim_pick(100);
	}
}

static void finish(struct place *place, struct post *post)
{
	struct sim_link *end = post->oracle;
	int err;

	end->finishing = true;
	err = msg_link_finish(post->link);
	end->finished |= !err;
	failed(place, post, err, "msg_link_finish");
	if (err || !sim_chance(64) || place->lost)
		return;
	err = msg_link_send(post->link, place->app->bytes, 8, 0);
	if (err != -EPIPE)
		failed(place, post, err ? err : -EINVAL, "msg_link_send behind the end");
}

static void send_one(struct place *place, struct post *post)
{
	struct sim_link *end = post->oracle;
	uint64_t deadline = draw_deadline(128), away = place->peer->away_ns;
	unsigned len;
	int err;

	if (end->accepted == end->target) {
		if (!end->finished || sim_chance(8))
			finish(place, post);
		return;
	}
	if (sim_chance(4)) {
		err = msg_link_send(post->link, place->app->bytes, post->size / 4, deadline);
		if (err != -EMSGSIZE)
			failed(place, post, err ? err : -EINVAL, "too long a message");
		return;
	}
	len = oracle_letter_fill(end, place->app->bytes, draw_length());
	err = msg_link_send(post->link, place->app->bytes, len, deadline);
	app_check_deadline(place, deadline ? deadline : sim.now, away, "msg_link_send");
	sim_trace("link end %u sends message %u: %s", end->number, end->accepted,
		msg_strerror(err));
	oracle_letter_sent(end, err);
	failed(place, post, err, "msg_link_send");
}

static void receive_one(struct place *place, struct post *post)
{
	struct sim_link *end = post->oracle;
	uint64_t deadline = draw_deadline(160), away = place->peer->away_ns;
	size_t size = sim_chance(240) ? LONGEST : sim_pick(60);
	bool ready = post->ready;
	int64_t got;

	post->ready = false;
	fault_reading(place->peer);
	app_reads(place);
	end->taking = true;
	got = msg_link_recv(post->link, place->app->bytes, size, deadline);
	end->taking = false;
	app_check_deadline(place, deadline ? deadline : sim.now, away, "msg_link_recv");
	sim_trace("link end %u receives message %u: %lld", end->number, end->received,
		(long long)got);
	app_has_read(place, got);
	if (got > (int64_t)size)
		sim_fail("msg_link_recv returned %lld of %zu bytes", (long long)got, size);
	if (got >= 0)
		oracle_letter_got(end, place->app->bytes, (uint64_t)got);
	else if (got == -EPIPE)
		oracle_link_ended(end);
	else if (got != -EMSGSIZE || size == LONGEST)
		failed(place, post, got, "msg_link_recv");
	if (ready && got == -EAGAIN && judged(post))
		sim_fail("link end %u was ready, and nothing was there", end->number);
}

static void flush(struct place *place, struct post *post)
{
	struct sim_link *end = post->oracle;
	uint64_t deadline = draw_deadline(128), away = place->peer->away_ns;
	int err = msg_link_flush(post->link, deadline);

	app_check_deadline(place, deadline ? deadline : sim.now, away, "msg_link_flush");
	if (!err) {
		oracle_link_flushed(end);
		end->flushed |= end->finished;
	}
	failed(place, post, err, "msg_link_flush");
}

static void look(struct post *post)
{
	struct msg_link_stats stats;

	msg_link_stats(post->link, &stats);
	oracle_link_stats(post->oracle, &stats);
}

/* ---- when the memories differ ---- */

static void undelivered(struct post *post)
{
	const struct sim_link *end = post->oracle;
	struct msg_span letter;
	unsigned n = 0, i;

	while (n <= LINK_LETTERS && !msg_link_undelivered(post->link, n, &letter))
		n++;
	if (n > end->accepted && judged(post))
		sim_fail("link end %u: %u messages not received of %u", end->number, n,
			end->accepted);
	if (!judged(post))
		return;
	oracle_link_undelivered_from(end, end->accepted - n);
	for (i = 0; i < n && !msg_link_undelivered(post->link, i, &letter); i++)
		oracle_link_undelivered(end, end->accepted - n, i, &letter);
}

static void begin_anew(struct place *place, struct post *post)
{
	uint64_t deadline = draw_deadline(128);
	unsigned target = post->oracle->target;
	uint8_t *bytes = place->app->bytes;
	int64_t err;

	post->ready = false;
	switch (sim_pick(4)) {
	case 0: err = msg_link_send(post->link, bytes, 8, deadline); break;
	case 1: err = msg_link_recv(post->link, bytes, LONGEST, deadline); break;
	case 2: err = msg_link_flush(post->link, deadline); break;
	default: err = msg_link_finish(post->link);
	}
	if (err != -ECONNRESET && !app_lost(place, err) && judged(post))
		sim_fail("link end %u is reset, and a call says: %s", post->oracle->number,
			msg_strerror(err));
	undelivered(post);
	if (place->lost || !sim_chance(160))
		return;
	post->oracle = oracle_link_opened(place->peer, post->pair, side_of(post), true);
	if (!post->oracle) {
		post_close(post, true);
		return;
	}
	post->oracle->target = target;
	if (msg_link_restart(post->link))
		sim_fail("msg_link_restart failed");
}

/* ---- the whole ---- */

static void talk(struct place *place, struct post *post)
{
	unsigned n = 1 + sim_pick(4);

	if (post->oracle->reset) {
		begin_anew(place, post);
		return;
	}
	while (n-- && !place->lost && !post->oracle->reset)
		switch (sim_pick(8)) {
		case 0: flush(place, post); break;
		case 1: look(post); break;
		case 2: case 3: case 4: send_one(place, post); break;
		default: receive_one(place, post); break;
		}
	if (place->lost || sim.config.loyal || !sim_chance(1))
		return;
	n = post->opened < MOST_OPENED && sim_chance(200);
	post_close(post, !n);
	check_closed(post);
	if (n)
		post_open(place->app, post);
}

void post_round(struct place *place)
{
	struct app *app = place->app;
	unsigned where = place->seat->where, i;

	attach_here(place);
	for (i = 0; i < 2 && !place->lost; i++) {
		struct post *post = &app->post[i];

		if (!post->link || post->place != place)
			continue;
		if (*oracle_link_home(post->pair) != where) {
			unplug(place);
		} else if (app->replugs && sim_chance(10)) {
			app->replugs--;
			unplug(place);
		}
		talk(place, post);
	}
}

unsigned post_items(struct place *place, struct msg_wait_item *items)
{
	unsigned n = 0, i;

	for (i = 0; i < 2; i++) {
		struct post *post = &place->app->post[i];

		if (post->link && post->place == place && !post->oracle->ended &&
			!post->oracle->reset)
			items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN,
				.pattern = msg_link_item(post->link) };
	}
	return n;
}

void post_ready(struct app *app, const void *pattern)
{
	unsigned i;

	for (i = 0; i < 2; i++)
		if (app->post[i].place && msg_link_item(app->post[i].link) == pattern)
			app->post[i].ready = true;
}

static bool has_work(struct app *app, struct post *post)
{
	const struct sim_peer *other = other_peer(app, post);
	const struct place *place = &app->place[*oracle_link_home(post->pair)];
	const struct sim_link *end = post->oracle;

	if (!post->link || (end->finished && end->ended && end->flushed))
		return false;
	if (oracle_link_gone(post->pair, !side_of(post)) || other->state == PEER_DONE ||
		(other->state == PEER_OFF && other->restart_at == SIM_NEVER) ||
		(sim.config.lies && sim.now > app->began + LIAR_TIME))
		return false;
	if (post->place || place->region || place->waiting)
		return true;
	// It has lost its place too often.
	oracle_link_over(post->pair, side_of(post), true);
	return false;
}

bool post_work(struct app *app)
{
	return has_work(app, &app->post[0]) || has_work(app, &app->post[1]);
}

void post_tidy(struct place *place)
{
	unsigned i;

	for (i = 0; i < 2 && !place->lost; i++) {
		struct post *post = &place->app->post[i];

		if (!post->link || post->place != place)
			continue;
		if (sim_chance(128))
			post_close(post, true);
		else
			place->kept = true;
	}
}

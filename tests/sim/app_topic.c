// SPDX-License-Identifier: BSD-2-Clause
// Publishing and subscribing.
#include "tests/sim/app_pattern.h"

#define MOST_TRIES 6

static const char *topic_name(unsigned peer)
{
	static const char *const names[SIM_PEERS] = { "news of north", "news of east", "news of south",
		"news of west" };

	return names[peer];
}

void topic_open(struct place *place)
{
	struct topics *t = &place->topics;
	struct msg_topic_options options = {
		.policy = sim.config.policy,
		.ring = sim_chance(128) ? 1024 : 2048,
		.start = sim_chance(80) ? 0xfffffe00u + 64 * sim_pick(8) : 0,
	};
	unsigned i;
	int err;

	for (i = 0; i < sim.config.peers; i++)
		t->wanted[i] = i != place->peer->index && sim_chance(160);
	if (!sim_chance(160))
		return;
	err = msg_topic_open(place->region, topic_name(place->peer->index), &options, &t->topic);
	if (err) {
		t->topic = NULL;
		if (err != -EADDRINUSE && err != -ENOSPC && !app_lost(place, err) && !app_excused())
			sim_fail("msg_topic_open: %s", msg_strerror(err));
		return;
	}
	t->mine = oracle_topic_opened(place->seat);
	if (!t->mine) {
		msg_topic_close(t->topic);
		t->topic = NULL;
	}
}

static int publish(struct place *place, const struct sim_topic *mine, uint64_t deadline)
{
	uint8_t *data = place->app->bytes;
	unsigned len = oracle_topic_length(mine, mine->published + 1);
	void *to;
	int err;

	oracle_topic_fill(mine, mine->published + 1, data);
	if (sim_chance(160))
		return msg_publish(place->topics.topic, data, len, deadline);
	err = msg_publish_reserve(place->topics.topic, len + sim_pick(16), &to, deadline);
	if (err == -EMSGSIZE)
		err = msg_publish_reserve(place->topics.topic, len, &to, deadline);
	if (err)
		return err;
	if (!place->seat->gone)
		sim_copy_in(to, data, len);
	return msg_publish_commit(place->topics.topic, len);
}

static void publish_some(struct place *place)
{
	struct topics *t = &place->topics;
	// Who never waits can overtake a subscriber in the middle of a message.
	unsigned n = 1 + sim_pick(sim.config.policy == MSG_TOPIC_BACK_PRESSURE ? 4 : 24);
	int err = 0;

	while (n-- && t->mine->published < t->mine->target && !err) {
		uint64_t deadline = sim_chance(128) ? 0 :
			sim.now + sim_random() % (sim.config.patience * MS);
		uint64_t away = place->peer->away_ns;

		t->mine->attempted = t->mine->published + 1;
		err = publish(place, t->mine, deadline);
		app_check_deadline(place, deadline ? deadline : sim.now, away, "msg_publish");
		if (!err)
			t->mine->published++;
		else
			t->mine->attempted = t->mine->published;
	}
	if (err && err != -EAGAIN && err != -ETIMEDOUT && !app_lost(place, err) && !app_excused())
		sim_fail("msg_publish: %s", msg_strerror(err));
	if (err && sim.config.policy != MSG_TOPIC_BACK_PRESSURE && !place->lost && !app_excused())
		sim_fail("msg_publish had to wait: %s", msg_strerror(err));
	// Who closes, lives on.
	if (!place->lost && t->mine->published == t->mine->target && sim_chance(8)) {
		t->mine->over = true;
		msg_topic_close(t->topic);
		t->topic = NULL;
	}
}

/* ---- subscribing ---- */

static void subscribe(struct place *place, unsigned to)
{
	struct topics *t = &place->topics;
	struct msg_subscribe_options options = { .retained = sim_chance(128) };
	uint64_t deadline = sim.now + sim_pick(20 * MS), away = place->peer->away_ns;
	struct subscriber *s = &t->sub[to];
	struct msg_peer peer;
	int err;

	t->tries[to]++;
	fault_moment(place->peer);
	oracle_subscribing(&s->oracle);
	err = msg_subscribe(place->region, topic_name(to), &options, &s->handle, deadline);
	app_check_deadline(place, deadline, away, "msg_subscribe");
	if (!err) {
		msg_subscription_peer(s->handle, &peer);
		oracle_subscribed(&s->oracle, place->seat, &peer, options.retained);
		t->wanted[to] = false;
		return;
	}
	s->handle = NULL;
	if (err != -ETIMEDOUT && err != -ECONNREFUSED && err != -ENOSPC && err != -EAGAIN &&
		!app_lost(place, err) && !app_excused())
		sim_fail("msg_subscribe: %s", msg_strerror(err));
}

static void receive(struct place *place, struct subscriber *s)
{
	uint64_t deadline = sim_chance(200) ? 0 :
		sim.now + sim_random() % (sim.config.patience * MS);
	uint64_t away = place->peer->away_ns;
	uint64_t published = s->oracle.topic ? s->oracle.topic->published : 0;
	struct msg_topic_mark mark;
	int64_t got;

	app_reads(place);
	got = msg_topic_recv(s->handle, place->app->bytes, LONGEST, &mark, deadline);
	app_has_read(place, got);

	app_check_deadline(place, deadline ? deadline : sim.now, away, "msg_topic_recv");
	if (got == -EAGAIN || got == -ETIMEDOUT)
		return;
	if (got >= 0) {
		oracle_topic_got(&s->oracle, place->app->bytes, (uint64_t)got, &mark, published);
		return;
	}
	if (!app_lost(place, got))
		oracle_topic_ended(&s->oracle, got);
	msg_unsubscribe(s->handle);
	s->handle = NULL;
}

void topic_round(struct place *place)
{
	struct topics *t = &place->topics;
	unsigned i;

	for (i = 0; i < sim.config.peers && !place->lost; i++)
		if (t->wanted[i] && !t->sub[i].handle && t->tries[i] < MOST_TRIES &&
			sim_chance(100))
			subscribe(place, i);
	for (i = 0; i < sim.config.peers && !place->lost; i++) {
		if (t->sub[i].handle && sim_chance(160))
			receive(place, &t->sub[i]);
		if (t->sub[i].handle && !place->lost && sim_chance(2)) {
			msg_unsubscribe(t->sub[i].handle);
			t->sub[i].handle = NULL;
		}
	}
	if (t->topic && !place->lost)
		publish_some(place);
}

unsigned topic_items(struct place *place, struct msg_wait_item *items)
{
	struct topics *t = &place->topics;
	unsigned n = 0, i;

	for (i = 0; i < sim.config.peers; i++)
		if (t->sub[i].handle)
			items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_PATTERN,
				.pattern = t->sub[i].handle };
	return n;
}

bool topic_work(const struct place *place)
{
	const struct topics *t = &place->topics;
	unsigned i;

	if (t->topic && t->mine->published < t->mine->target)
		return true;
	for (i = 0; i < sim.config.peers; i++) {
		const struct sim_topic *topic = t->sub[i].oracle.topic;

		if (t->sub[i].handle && topic && !topic->over &&
			(t->sub[i].oracle.got ? t->sub[i].oracle.last < topic->target :
						topic->published < topic->target))
			return true;
	}
	return false;
}

void topic_tidy(struct place *place)
{
	struct topics *t = &place->topics;
	unsigned i;

	for (i = 0; i < sim.config.peers; i++) {
		if (!t->sub[i].handle)
			continue;
		if (sim_chance(128))
			msg_unsubscribe(t->sub[i].handle);
		else
			place->kept = true;
		t->sub[i].handle = NULL;
	}
	if (!t->topic)
		return;
	t->mine->over = true;
	if (sim_chance(128))
		msg_topic_close(t->topic);
	else
		place->kept = true;
	t->topic = NULL;
}

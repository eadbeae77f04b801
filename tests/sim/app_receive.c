// SPDX-License-Identifier: BSD-2-Clause
// Ways of receiving: one, batches, arrays, views, as a stream.
#include "tests/sim/app.h"

static bool received(struct place *place, struct conn *conn, int64_t got)
{
	oracle_private(conn->end, conn->channel);
	if (got >= 0 || got == -EAGAIN || got == -ETIMEDOUT)
		return true;
	// A lie can make a message longer than any.
	if (got == -EMSGSIZE && oracle_may_fail(conn->end))
		got = -ECONNRESET;
	conn_failed(place, conn, got);
	return false;
}

// A call that takes at most n is under way.
static void taking(struct place *place, struct conn *conn, unsigned n)
{
	conn->end->taking = n;
	if (n)
		memory_note_deeds(place->peer, conn->channel);
	else
		place->peer->reading = NULL;
}

static bool take_views(struct place *place, struct conn *conn)
{
	struct msg_span spans[4];
	int n, i;

	memory_note_deeds(place->peer, conn->channel);
	n = msg_peek(conn->channel, spans, 1 + sim_pick(4), 0);
	place->peer->reading = NULL;
	if (!received(place, conn, n))
		return false;
	for (i = 0; i < n && !place->seat->gone; i++) {
		bool odd = spans[i].len > LONGEST;

		if (odd && !oracle_may_fail(conn->end))
			sim_fail("a view of %zu bytes", spans[i].len);
		conn->end->taking = 1;
		place->peer->reading = conn->channel;
		memory_check_reading(place->peer, spans[i].data, spans[i].len);
		if (!odd)
			sim_copy_out(place->app->bytes, spans[i].data, spans[i].len);
		taking(place, conn, 0);
		if (app_evicted(place))
			break;
		if (!odd)
			oracle_delivered(conn->end, place->app->bytes, spans[i].len);
	}
	if (n > 0)
		conn->viewed += (unsigned)n;
	return true;
}

static bool give_views_back(struct place *place, struct conn *conn)
{
	unsigned n = 1 + sim_pick(conn->viewed);
	int err = msg_release(conn->channel, n);

	conn->viewed -= n;
	if (!err)
		conn->end->released += n;
	return received(place, conn, err);
}

static bool take_batch(struct place *place, struct conn *conn, uint64_t deadline)
{
	struct msg_span spans[4];
	int n, i;

	for (i = 0; i < 4; i++)
		spans[i] = (struct msg_span){ place->app->bytes + i * LONGEST, LONGEST };
	taking(place, conn, 4);
	n = msg_recv_batch(conn->channel, spans, 4, deadline);
	taking(place, conn, 0);
	app_has_read(place, n);
	for (i = 0; i < n; i++)
		oracle_delivered(conn->end, spans[i].data, spans[i].len);
	if (n > 0)
		conn->end->released += (unsigned)n;
	return received(place, conn, n);
}

static bool take_array(struct place *place, struct conn *conn)
{
	int64_t len = msg_next_length(conn->channel, 0);
	int n, i;

	if (len < 0)
		return received(place, conn, len);
	if (len > LONGEST)
		return received(place, conn, -EMSGSIZE);
	taking(place, conn, 8);
	n = msg_recv_array(conn->channel, place->app->bytes, (size_t)len, 1 + sim_pick(8), 0);
	taking(place, conn, 0);
	app_has_read(place, n);
	for (i = 0; i < n; i++)
		oracle_delivered(conn->end, place->app->bytes + i * len, (uint64_t)len);
	if (n > 0)
		conn->end->released += (unsigned)n;
	return received(place, conn, n);
}

static bool take_one(struct place *place, struct conn *conn, uint64_t deadline)
{
	uint8_t *data = place->app->bytes;
	unsigned polls = sim_chance(6) ? 70 : 1;
	int64_t got;

	taking(place, conn, 1);
	do {
		got = msg_recv(conn->channel, data, LONGEST, deadline);
	} while (got == -EAGAIN && --polls);
	taking(place, conn, 0);
	app_has_read(place, got);
	if (got >= 0) {
		oracle_delivered(conn->end, data, (uint64_t)got);
		conn->end->released++;
	}
	return received(place, conn, got);
}

static bool read_some(struct place *place, struct conn *conn, uint64_t deadline)
{
	uint8_t *data = place->app->bytes;
	unsigned size = 1 + (sim_chance(128) ? sim_pick(100) : sim_pick(2 * LONGEST));
	int64_t got;

	taking(place, conn, size);
	got = msg_read(conn->channel, data, size, deadline);
	taking(place, conn, 0);
	// What was given back before is good, and told to nobody else any more.
	if (got > 0 && place->peer->blind && data + got <= place->peer->blind_from)
		app_reads(place);
	app_has_read(place, got);
	if (got > (int64_t)size)
		sim_fail("msg_read returned %lld of %u bytes", (long long)got, size);
	if (got > 0)
		oracle_delivered(conn->end, data, (uint64_t)got);
	// The orderly end of the stream.
	return received(place, conn, got ? got : -EPIPE);
}

static bool receive_some(struct place *place, struct conn *conn, uint64_t deadline)
{
	if (conn->end->stream)
		return read_some(place, conn, deadline);
	if (conn->viewed)
		return sim_chance(64) ? take_views(place, conn) : give_views_back(place, conn);
	switch (sim_pick(8)) {
	case 0: case 1: return take_views(place, conn);
	case 2: return take_batch(place, conn, deadline);
	case 3: return take_array(place, conn);
	default: return take_one(place, conn, deadline);
	}
}

bool conn_receive(struct place *place, struct conn *conn)
{
	uint64_t deadline = sim_chance(200) ? 0 :
		sim.now + sim_random() % (sim.config.patience * MS);
	uint64_t away = place->peer->away_ns;
	bool there;

	if (!sim.config.calls && !sim.config.queues)
		fault_reading(place->peer);
	app_reads(place);
	there = receive_some(place, conn, deadline);

	app_check_deadline(place, deadline ? deadline : sim.now, away, "receiving");
	return there;
}

// SPDX-License-Identifier: BSD-2-Clause
// Ways of sending: one, batches, arrays, in place, through buffers, as a stream.
#include "tests/sim/app.h"

static unsigned draw_length(void)
{
	if (sim.config.lengths == LENGTHS_LONG)
		return sim_chance(200) ? 300 + sim_pick(213) : sim_pick(600);
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
	uint32_t tag = end->stream ? end->tag[0] : oracle_tag();
	unsigned from = end->stream ? end->attempted : 0, i;

	oracle_attempt(end, len, tag);
	for (i = 0; i < len; i++)
		data[i] = oracle_byte(tag, from + i);
}

static int64_t send_batch(struct place *place, struct conn *conn, unsigned left, uint64_t deadline)
{
	struct msg_span spans[6];
	uint8_t *data = place->app->bytes;
	unsigned n = 1 + sim_pick(left < 6 ? left : 6), i;

	for (i = 0; i < n; i++) {
		unsigned len = sim_pick(200);

		spans[i] = (struct msg_span){ data, len };
		fill(conn->end, data, len);
		data += len;
	}
	return msg_send_batch(conn->channel, spans, n, deadline);
}

static int64_t send_array(struct place *place, struct conn *conn, unsigned left, uint64_t deadline)
{
	uint8_t *data = place->app->bytes;
	unsigned n = 1 + sim_pick(left), len = sim_chance(64) ? sim_pick(100) : sim_pick(24), i;

	for (i = 0; i < n; i++)
		fill(conn->end, data + i * len, len);
	return msg_send_array(conn->channel, data, len, n, deadline);
}

static int64_t send_in_place(struct place *place, struct conn *conn, unsigned left,
	uint64_t deadline)
{
	uint8_t *data = place->app->bytes;
	unsigned n = 1 + sim_pick(left < 3 ? left : 3), i, done = 0;
	int err = 0;

	for (i = 0; i < n; i++) {
		unsigned len = sim_pick(150), more = sim_pick(40);
		void *to;

		err = msg_reserve(conn->channel, len + more, &to, i ? 0 : deadline);
		if (err)
			break;
		fill(conn->end, data, len);
		// The device may go while the app writes: then the memory is no longer there.
		if (!place->seat->gone)
			sim_copy_in(to, data, len);
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

static int64_t send_one(struct place *place, struct conn *conn, uint64_t deadline)
{
	unsigned len = draw_length();
	int err;

	fill(conn->end, place->app->bytes, len);
	err = msg_send(conn->channel, place->app->bytes, len, deadline);
	return err ? err : 1;
}

static int64_t write_some(struct place *place, struct conn *conn, unsigned left, uint64_t deadline)
{
	unsigned len = 1 + sim_pick(left < LONGEST ? left : LONGEST);

	fill(conn->end, place->app->bytes, len);
	return msg_write(conn->channel, place->app->bytes, len, deadline);
}

static int64_t send_some(struct place *place, struct conn *conn, unsigned left, uint64_t deadline)
{
	if (conn->end->stream)
		return write_some(place, conn, left, deadline);
	if (sim_chance(sim.config.buffers))
		return held_send(place, conn, deadline);
	switch (sim_pick(8)) {
	case 0: return send_batch(place, conn, left, deadline);
	case 1: return send_array(place, conn, left, deadline);
	case 2: return send_in_place(place, conn, left, deadline);
	default: return send_one(place, conn, deadline);
	}
}

bool conn_send(struct place *place, struct conn *conn)
{
	unsigned left = conn->end->target - conn->end->accepted;
	uint64_t deadline = sim_chance(128) ? 0 :
		sim.now + sim_random() % (sim.config.patience * MS);
	uint64_t away = place->peer->away_ns;
	int64_t sent;

	if (!left)
		return true;
	sent = send_some(place, conn, left, deadline);
	app_check_deadline(place, deadline ? deadline : sim.now, away, "sending");
	oracle_sent(conn->end, sent);
	oracle_private(conn->end, conn->channel);
	conn->blocked = sent == -EAGAIN || sent == -ETIMEDOUT;
	// Who closes behind the last message is still heard to the end.
	if (sent > 0 && conn->end->accepted == conn->end->target && sim_chance(16)) {
		conn_close(place, conn);
		return false;
	}
	if (sent >= 0 || conn->blocked || sent == -ENOSPC)
		return true;
	// What the other side sent before it ended is still to be received.
	if (sent == -EPIPE) {
		conn->end->target = conn->end->accepted;
		return true;
	}
	conn_failed(place, conn, sent);
	return false;
}

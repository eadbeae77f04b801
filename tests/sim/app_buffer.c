// SPDX-License-Identifier: BSD-2-Clause
// Buffers of the app's own: sent on several channels, held while their receivers come and go.
#include "tests/sim/app.h"

static int held_new(struct place *place, struct held *held)
{
	unsigned len = sim_pick(2500), i;
	int err = msg_buffer_alloc(place->region, len, &held->buffer);

	if (err) {
		held->buffer = NULL;
		return err;
	}
	held->tag = oracle_tag();
	held->len = len;
	held->sends = 0;
	for (i = 0; i < len; i++)
		place->app->bytes[i] = oracle_byte(held->tag, i);
	if (!place->seat->gone)
		sim_copy_in(msg_buffer_data(held->buffer), place->app->bytes, len);
	return 0;
}

int held_send(struct place *place, struct conn *conn, uint64_t deadline)
{
	struct held *held = &place->held[sim_pick(HELD)];
	int err = 0;

	if (!held->buffer)
		err = held_new(place, held);
	if (err)
		return err;
	oracle_attempt(conn->end, held->len, held->tag);
	err = msg_buffer_send(conn->channel, held->buffer, held->len, deadline);
	if (err)
		return err;
	held->sends++;
	return 1;
}

// The app's hold ends at any time, whoever still reads.
void held_look(struct place *place)
{
	unsigned i;

	for (i = 0; i < HELD; i++) {
		struct held *held = &place->held[i];

		if (!held->buffer || !sim_chance(60))
			continue;
		if (msg_buffer_busy(held->buffer) > held->sends)
			sim_fail("peer %u: a buffer that was sent %u times is busy %u times",
				place->peer->index, held->sends, msg_buffer_busy(held->buffer));
		if (sim_chance(128)) {
			msg_buffer_free(held->buffer);
			held->buffer = NULL;
		}
	}
}

void held_drop(struct place *place)
{
	unsigned i;

	for (i = 0; i < HELD; i++) {
		// What is still held when the region is left goes with it.
		if (sim_chance(200))
			msg_buffer_free(place->held[i].buffer);
		place->held[i].buffer = NULL;
	}
}

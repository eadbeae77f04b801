// SPDX-License-Identifier: BSD-2-Clause
/*
 * A scripted exchange of messages: the region must come out as in golden/exchange.hex, byte by byte.
 * Usage: msg_golden [--write] FILE.
 */
#include "tests/msg/golden.h"

static struct msg_region *alpha, *beta, *gamma_, *delta;
static struct msg_listener *listener;
static struct msg_channel *at_alpha, *at_beta;

static void alpha_accepts(void)
{
	CHECK(!msg_accept(listener, &at_alpha, 0));
}

static void exchange(void)
{
	struct msg_channel_options options = { .ring = 1024 }, late = { .ring = 1024,
		.start = 0xffffff80 };
	struct msg_span spans[3];
	struct msg_event event;
	uint8_t data[5000];
	unsigned i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + 1);
	alpha = golden_join(0, "alpha", 3, 2);
	CHECK(!msg_listen(alpha, "golden service", &options, &listener));
	beta = golden_join(1, "beta", MSG_NO_ID, 0);
	golden_meanwhile(alpha_accepts);
	CHECK(!msg_connect(beta, "golden service", &late, &at_beta, golden_in_ms(1000)));
	CHECK(at_alpha);

	// Single messages, each beginning a line, then a batch in one; the position passes 2^32.
	CHECK(!msg_send(at_beta, data, 0, 0));
	CHECK(!msg_send(at_beta, data, 1, 0));
	CHECK(!msg_send(at_beta, data, 48, 0));
	CHECK(!msg_send(at_beta, data, 64, 0));
	for (i = 0; i < 3; i++)
		spans[i] = (struct msg_span){ data + i, 8 };
	CHECK(msg_send_batch(at_beta, spans, 3, 0) == 3);
	for (i = 0; i < 4; i++)
		CHECK(msg_recv(at_alpha, data, sizeof(data), 0) >= 0);
	CHECK(!msg_send(at_alpha, "answer", 6, 0));
	CHECK(msg_send_array(at_alpha, data, 8, 5, 0) == 5);
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + 1);
	// Larger than the ring takes.
	CHECK(!msg_send(at_beta, data, sizeof(data), 0));

	gamma_ = golden_join(2, "gamma", 7, 1);
	CHECK(!msg_leave(gamma_));
	delta = golden_join(3, "delta", 9, 1);
	CHECK(msg_next_event(alpha, &event) == 1);
	// delta's heart stops; alpha, which looks now and then, declares it dead.
	golden_stop_heart(3);
	for (i = 0; i < 40; i++) {
		golden_pass(100 * MS);
		msg_peers(alpha, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	return golden_main(argc, argv, exchange);
}

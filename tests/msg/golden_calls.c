// SPDX-License-Identifier: BSD-2-Clause
/*
 * A scripted exchange of calls: the region must come out as in golden/calls.hex.
 * Usage: msg_golden_calls [--write] FILE.
 */
#include <isthmus/msg_call.h>
#include "tests/msg/golden.h"

static struct msg_server *server;
static struct msg_request request;

static void server_looks(void)
{
	CHECK(msg_server_next(server, &request, 0) == -EAGAIN);
}

static void calls(void)
{
	struct msg_call_options options = { .channel = { .ring = 2048 }, .calls = 8 };
	struct msg_region *alpha, *beta;
	struct msg_caller *caller;
	struct msg_call_result result;
	uint64_t tokens[3], id;
	uint8_t data[3000];
	unsigned i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + 1);
	alpha = golden_join(0, "alpha", 3, 2);
	CHECK(!msg_server_open(alpha, "golden service", &options, &server));
	beta = golden_join(1, "beta", 5, 2);
	golden_meanwhile(server_looks);
	CHECK(!msg_caller_open(beta, "golden service", &options, &caller, golden_in_ms(1000)));

	// Three requests, answered in another order; the last reply is not taken.
	for (i = 0; i < 3; i++)
		CHECK(!msg_call_start(caller, data + i, 10 + i, i ? MSG_FOREVER : golden_in_ms(500),
			NULL, NULL, 0));
	for (i = 0; i < 3; i++) {
		CHECK(!msg_server_next(server, &request, 0) && request.len == 10 + i);
		tokens[i] = request.token;
	}
	CHECK(!msg_reply(server, tokens[2], "third", 5, 0));
	CHECK(!msg_request_refuse(server, tokens[0], 0));
	CHECK(!msg_call_take(caller, &result, 0) && result.result == 5);
	CHECK(!msg_call_take(caller, &result, 0) && result.result == -ECANCELED);
	CHECK(!msg_reply(server, tokens[1], data, sizeof(data), 0));
	// One that is cancelled, and its reply that comes late; then one with a large request.
	CHECK(!msg_call_start(caller, "never mind", 10, MSG_FOREVER, NULL, &id, 0));
	CHECK(!msg_server_next(server, &request, 0) && request.len == 10);
	CHECK(!msg_reply(server, request.token, "late", 4, 0));
	CHECK(!msg_call_cancel(caller, id));
	CHECK(!msg_call_start(caller, data, sizeof(data), golden_in_ms(2000), NULL, NULL, 0));
}

int main(int argc, char **argv)
{
	return golden_main(argc, argv, calls);
}

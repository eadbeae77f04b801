// SPDX-License-Identifier: BSD-2-Clause
// ZeroMQ over its ipc transport (a Unix socket), a PAIR of sockets, one message at a time.

#include "bench/native/loops.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

static struct {
	void *context;
	char path[64];
} ground;

struct zmq_end {
	void *socket;
};

/* The name is chosen by side 0 and told to the other in the arena. */
static int create(void *const ring[2], const struct bench_load *load)
{
	static unsigned int number;

	(void)load;
	snprintf(ring[0], sizeof(ground.path), "ipc://@isthmus-bench-%d-%u", (int)getpid(),
		 number++);
	return 0;
}

static int open_end(struct bench_end *end)
{
	struct zmq_end *z = calloc(1, sizeof(*z));
	char hello;

	if (!z)
		return -1;
	/* A context starts threads, which a fork would lose: one for each process. */
	if (!ground.context)
		ground.context = zmq_ctx_new();
	z->socket = zmq_socket(ground.context, ZMQ_PAIR);
	if (!z->socket || (end->side ? zmq_connect : zmq_bind)(z->socket, end->ring[0])) {
		free(z);
		return -1;
	}
	end->state = z;
	/* Connecting goes on behind the call's back: only a message shows that it is done. */
	if (end->side)
		zmq_send(z->socket, "", 0, 0);
	else
		zmq_recv(z->socket, &hello, 1, 0);
	return 0;
}

static void close_end(struct bench_end *end)
{
	struct zmq_end *z = end->state;

	zmq_close(z->socket);
	free(z);
}

BENCH_INLINE unsigned int zeromq_send(struct bench_end *end, const void *from, unsigned int n,
				      size_t size)
{
	struct zmq_end *z = end->state;

	(void)n;
	if (zmq_send(z->socket, from, size, 0) != (int)size)
		bench_fail("zmq: not sent: %s", zmq_strerror(errno));
	return 1;
}

BENCH_INLINE unsigned int zeromq_recv(struct bench_end *end, void *to, unsigned int n, size_t size)
{
	struct zmq_end *z = end->state;

	(void)n;
	if (zmq_recv(z->socket, to, size, 0) != (int)size)
		bench_fail("zmq: not received: %s", zmq_strerror(errno));
	return 1;
}

#define SEND_ zeromq_send
#define RECV_ zeromq_recv
BENCH_DEFINE_LOOPS(zeromq)

const struct bench_ring_ops bench_zmq = {
	.name = "zmq-ipc",
	.create = create,
	.open = open_end,
	.close = close_end,
	.produce = zeromq_produce,
	.consume = zeromq_consume,
	.ping = zeromq_ping,
	.pong = zeromq_pong,
};

// SPDX-License-Identifier: BSD-2-Clause
// Isthmus' own channels, whole: two processes attach to one region, one connects to the other, and
// every message goes through the public interface. Always the blocking calls: attached to poll for ever,
// or to sleep at once.

#include "bench/native/loops.h"
#include "bench/native/region.h"

#include <errno.h>
#include <isthmus/msg.h>
#include <stdio.h>
#include <stdlib.h>

#define OPEN_TIMEOUT_NS 10000000000ULL
#define DEATH_NS 20000000000ULL /* a busy host may stop a process for long */
#define ENDPOINT "bench"

/* This process's place in the region. How it waits is chosen when it attaches, and a second region
 * would be waited for too, so it leaves and attaches anew where another way is wanted. */
static struct {
	struct msg_region *region;
	uint64_t spin_ns;
} here;

static uint64_t soon(void)
{
	return msg_now_ns() + OPEN_TIMEOUT_NS;
}

static int attach(int side, uint64_t spin_ns)
{
	const struct msg_options options = {
		.name = side ? "bench-1" : "bench-0",
		.spin_ns = spin_ns,
		.death_ns = DEATH_NS,
	};

	if (here.region && here.spin_ns == spin_ns)
		return 0;
	msg_leave(here.region);
	here.region = NULL;
	here.spin_ns = spin_ns;
	return msg_attach(bench_region(), &options, &here.region);
}

/* A channel of its own for each sample, so that each begins with an empty ring of its size. */
static int channel_open(struct bench_end *end, uint64_t spin_ns)
{
	const struct msg_channel_options options = { .ring = (uint32_t)end->load.ring };
	struct msg_channel *channel = NULL;
	struct msg_listener *listener;
	int result = attach(end->side, spin_ns);

	if (!result && end->side) {
		result = msg_connect(here.region, ENDPOINT, &options, &channel, soon());
	} else if (!result) {
		result = msg_listen(here.region, ENDPOINT, &options, &listener);
		if (!result) {
			result = msg_accept(listener, &channel, soon());
			msg_unlisten(listener);
		}
	}
	if (result) {
		fprintf(stderr, "native: isthmus: %s: %s\n", bench_region(), msg_strerror(result));
		return -1;
	}
	end->state = channel;
	return 0;
}

static int polled_open(struct bench_end *end)
{
	return channel_open(end, MSG_FOREVER);
}

static int asleep_open(struct bench_end *end)
{
	return channel_open(end, MSG_SPIN_NEVER);
}

static void channel_close(struct bench_end *end)
{
	msg_close(end->state);
}

static __attribute__((noinline, cold)) void failed(const char *what, int64_t result)
{
	bench_fail("isthmus: %s: %s", what, msg_strerror(result));
}

BENCH_INLINE unsigned int channel_send(struct bench_end *end, const void *from, unsigned int n,
				       size_t size)
{
	int64_t result;

	if (n == 1) {
		result = msg_send(end->state, from, size, MSG_FOREVER);
		if (!result)
			return 1;
	} else {
		result = msg_send_array(end->state, from, size, n, MSG_FOREVER);
		if (result > 0)
			return (unsigned int)result;
	}
	if (result != -EAGAIN)
		failed("send", result);
	return 0;
}

BENCH_INLINE unsigned int channel_recv(struct bench_end *end, void *to, unsigned int n, size_t size)
{
	int64_t result;

	if (n == 1) {
		result = msg_recv(end->state, to, size, MSG_FOREVER);
		if (result == (int64_t)size)
			return 1;
	} else {
		result = msg_recv_array(end->state, to, size, n, MSG_FOREVER);
		if (result > 0)
			return (unsigned int)result;
	}
	if (result != -EAGAIN)
		failed("receive", result);
	return 0;
}

#define SEND_ channel_send
#define RECV_ channel_recv
BENCH_DEFINE_LOOPS(channel)
#undef SEND_
#undef RECV_

const struct bench_ring_ops bench_isthmus = {
	.name = "isthmus",
	.batches = true,
	.open = polled_open,
	.close = channel_close,
	.produce = channel_produce,
	.consume = channel_consume,
	.ping = channel_ping,
	.pong = channel_pong,
};

/* Without the copies of the interface: the app writes into the ring and reads out of it. */
BENCH_INLINE unsigned int zerocopy_send(struct bench_end *end, const void *from, unsigned int n,
					size_t size)
{
	unsigned int i;
	void *at;

	for (i = 0; i < n; i++) {
		int result = msg_reserve(end->state, size, &at, i ? 0 : MSG_FOREVER);

		if (result == -EAGAIN)
			break;
		if (result)
			failed("reserve", result);
		memcpy(at, (const uint8_t *)from + i * size, size);
	}
	if (i)
		msg_commit(end->state);
	return i;
}

BENCH_INLINE unsigned int zerocopy_recv(struct bench_end *end, void *to, unsigned int n,
					size_t size)
{
	struct msg_span spans[MSG_BATCH_MAX];
	int result, i;

	result = msg_peek(end->state, spans, n < MSG_BATCH_MAX ? n : MSG_BATCH_MAX,
			  MSG_FOREVER);
	if (result < 0) {
		if (result != -EAGAIN)
			failed("peek", result);
		return 0;
	}
	for (i = 0; i < result; i++)
		memcpy((uint8_t *)to + (size_t)i * size, spans[i].data, size);
	msg_release(end->state, (unsigned int)result);
	return (unsigned int)result;
}

#define SEND_ zerocopy_send
#define RECV_ zerocopy_recv
BENCH_DEFINE_LOOPS(zerocopy)
#undef SEND_
#undef RECV_

const struct bench_ring_ops bench_isthmus_zerocopy = {
	.name = "isthmus-zerocopy",
	.batches = true,
	.open = polled_open,
	.close = channel_close,
	.produce = zerocopy_produce,
	.consume = zerocopy_consume,
	.ping = zerocopy_ping,
	.pong = zerocopy_pong,
};

BENCH_INLINE unsigned int blocking_send(struct bench_end *end, const void *from, unsigned int n,
					size_t size)
{
	int result = msg_send(end->state, from, size, MSG_FOREVER);

	(void)n;
	if (result)
		failed("send", result);
	return 1;
}

BENCH_INLINE unsigned int blocking_recv(struct bench_end *end, void *to, unsigned int n,
					size_t size)
{
	int64_t result = msg_recv(end->state, to, size, MSG_FOREVER);

	(void)n;
	if (result != (int64_t)size)
		failed("receive", result);
	return 1;
}

#define SEND_ blocking_send
#define RECV_ blocking_recv
BENCH_DEFINE_LOOPS(blocking)

const struct bench_ring_ops bench_isthmus_asleep = {
	.name = "isthmus",
	.open = asleep_open,
	.close = channel_close,
	.produce = blocking_produce,
	.consume = blocking_consume,
	.ping = blocking_ping,
	.pong = blocking_pong,
};

/* A process of its own that is count peers, who join and then sleep until it is killed. */
int bench_idle_peers(unsigned int count)
{
	const struct msg_options options = { .name = "idle", .death_ns = DEATH_NS };
	struct msg_wait_item *items = calloc(count, sizeof(*items));
	unsigned int i;
	int result = items ? 0 : -ENOMEM;

	for (i = 0; i < count && !result; i++) {
		items[i].type = MSG_WAIT_EVENT;
		result = msg_attach(bench_region(), &options, &items[i].region);
	}
	if (result)
		fprintf(stderr, "native: idle peer %u: %s\n", i, msg_strerror(result));
	return result;
}

// SPDX-License-Identifier: BSD-2-Clause
// boost::lockfree::spsc_queue, placed in shared memory with its storage inside it.

#include "bench/native/loops.h"

#include <boost/lockfree/spsc_queue.hpp>
#include <new>

namespace {

template <size_t size> struct message {
	uint8_t payload[size];
};

// One slot of the queue's storage always stays empty.
template <size_t size, size_t ring>
using queue = boost::lockfree::spsc_queue<message<size>,
					  boost::lockfree::capacity<(ring / size) - 1>>;

constexpr size_t small_ring = 512u << 10;
constexpr size_t large_ring = 2u << 20;

template <size_t size> int create_sized(void *const ring[2], size_t bytes)
{
	for (int i = 0; i < 2; i++) {
		if (bytes == small_ring)
			new (ring[i]) queue<size, small_ring>;
		else if (bytes == large_ring)
			new (ring[i]) queue<size, large_ring>;
		else
			return -1;
	}
	return 0;
}

#define CREATE_CASE(SIZE) \
	case SIZE:        \
		return create_sized<SIZE>(ring, load->ring);

int create(void *const ring[2], const struct bench_load *load)
{
	switch (load->size) {
		BENCH_SIZES(CREATE_CASE)
	}
	return -1;
}

template <size_t ring>
BENCH_INLINE unsigned int boost_send(struct bench_end *end, const void *from, unsigned int n,
				     size_t size)
{
#define SEND_CASE(SIZE)                                                       \
	case SIZE:                                                            \
		return (unsigned int)static_cast<queue<SIZE, ring> *>(bench_out(end))->push( \
			static_cast<const message<SIZE> *>(from), n);
	switch (size) {
		BENCH_SIZES(SEND_CASE)
	}
	return 0;
}

template <size_t ring>
BENCH_INLINE unsigned int boost_recv(struct bench_end *end, void *to, unsigned int n, size_t size)
{
#define RECV_CASE(SIZE)                                                      \
	case SIZE:                                                           \
		return (unsigned int)static_cast<queue<SIZE, ring> *>(bench_in(end))->pop( \
			static_cast<message<SIZE> *>(to), n);
	switch (size) {
		BENCH_SIZES(RECV_CASE)
	}
	return 0;
}

#define SEND_ boost_send<small_ring>
#define RECV_ boost_recv<small_ring>
BENCH_DEFINE_LOOPS(small)
#undef SEND_
#undef RECV_
#define SEND_ boost_send<large_ring>
#define RECV_ boost_recv<large_ring>
BENCH_DEFINE_LOOPS(large)

#define BY_RING(name)                          \
	void name(struct bench_end *end)       \
	{                                      \
		if (end->load.ring == small_ring) \
			small_##name(end);     \
		else                           \
			large_##name(end);     \
	}
BY_RING(produce)
BY_RING(consume)
BY_RING(ping)
BY_RING(pong)

} // namespace

extern "C" const struct bench_ring_ops bench_boost = {
	"boost", true, create, nullptr, nullptr, produce, consume, ping, pong,
};

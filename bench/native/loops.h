/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loops of a candidate, made for each size of message from its two functions
 *
 *	unsigned NAME_send(struct bench_end *end, const void *from, unsigned n, size_t size)
 *	unsigned NAME_recv(struct bench_end *end, void *to, unsigned n, size_t size)
 *
 * which move up to n messages that lie one behind the other and return how many they moved. Both
 * are inlined with a constant size, so that no candidate pays for being one of many.
 */
#ifndef BENCH_NATIVE_LOOPS_H
#define BENCH_NATIVE_LOOPS_H

#include "bench/native/bench.h"

#include <string.h>

#define BENCH_INLINE static inline __attribute__((always_inline))

typedef unsigned int bench_send_fn(struct bench_end *end, const void *from, unsigned int n,
				   size_t size);
typedef unsigned int bench_recv_fn(struct bench_end *end, void *to, unsigned int n, size_t size);

BENCH_INLINE void bench_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}

/* The number goes into the first and the last word, so a torn or stale message shows. */
BENCH_INLINE void bench_stamp(uint8_t *message, size_t size, uint64_t number)
{
	memcpy(message, &number, 8);
	if (size > 8)
		memcpy(message + size - 8, &number, 8);
}

BENCH_INLINE void bench_check(const uint8_t *message, size_t size, uint64_t number)
{
	uint64_t first, last;

	memcpy(&first, message, 8);
	memcpy(&last, message + size - 8, 8);
	if (__builtin_expect(first != number || last != number, 0))
		bench_fail("message %llu of %zu bytes came as %llu/%llu",
			   (unsigned long long)number, size, (unsigned long long)first,
			   (unsigned long long)last);
}

BENCH_INLINE void bench_produce(struct bench_end *end, size_t size, bench_send_fn *send)
{
	uint64_t n = 0, count = end->load.count;
	unsigned int batch = end->load.batch;

	while (n < count) {
		unsigned int want = count - n < batch ? (unsigned int)(count - n) : batch;
		unsigned int done = 0, i;

		for (i = 0; i < want; i++)
			bench_stamp(end->buffer + i * size, size, n + i);
		while (done < want) {
			unsigned int sent = send(end, end->buffer + done * size, want - done, size);

			if (!sent)
				bench_relax();
			done += sent;
		}
		n += want;
	}
}

BENCH_INLINE void bench_consume(struct bench_end *end, size_t size, bench_recv_fn *recv)
{
	uint64_t n = 0, count = end->load.count;
	unsigned int batch = end->load.batch;

	while (n < count) {
		unsigned int got = recv(end, end->buffer, batch, size), i;

		if (!got)
			bench_relax();
		for (i = 0; i < got; i++)
			bench_check(end->buffer + i * size, size, n + i);
		n += got;
	}
}

/* Round trips look without a pause: what is measured is how soon the other's line is seen. */
BENCH_INLINE void bench_ping(struct bench_end *end, size_t size, bench_send_fn *send,
			     bench_recv_fn *recv)
{
	uint64_t n;

	for (n = 0; n < end->load.count; n++) {
		bench_stamp(end->buffer, size, n);
		if (end->load.think_ns)
			bench_think(end->load.think_ns);
		while (!send(end, end->buffer, 1, size))
			;
		while (!recv(end, end->buffer, 1, size))
			;
		bench_check(end->buffer, size, n);
	}
}

BENCH_INLINE void bench_pong(struct bench_end *end, size_t size, bench_send_fn *send,
			     bench_recv_fn *recv)
{
	uint64_t n;

	for (n = 0; n < end->load.count; n++) {
		while (!recv(end, end->buffer, 1, size))
			;
		bench_check(end->buffer, size, n);
		if (end->load.think_ns)
			bench_think(end->load.think_ns);
		while (!send(end, end->buffer, 1, size))
			;
	}
}

/* The ring that this side sends into, and the one that it receives from. */
BENCH_INLINE void *bench_out(const struct bench_end *end)
{
	return end->ring[end->side];
}

BENCH_INLINE void *bench_in(const struct bench_end *end)
{
	return end->ring[!end->side];
}

#define BENCH_CASE_PRODUCE(SIZE) case SIZE: bench_produce(end, SIZE, SEND_); break;
#define BENCH_CASE_CONSUME(SIZE) case SIZE: bench_consume(end, SIZE, RECV_); break;
#define BENCH_CASE_PING(SIZE) case SIZE: bench_ping(end, SIZE, SEND_, RECV_); break;
#define BENCH_CASE_PONG(SIZE) case SIZE: bench_pong(end, SIZE, SEND_, RECV_); break;

/* Defines <name>_produce, _consume, _ping and _pong; SEND_ and RECV_ name the two functions. */
#define BENCH_DEFINE_LOOP(name, CASE)                                                \
	static void name(struct bench_end *end)                                      \
	{                                                                            \
		switch (end->load.size) {                                            \
			BENCH_SIZES(CASE)                                            \
		default:                                                             \
			bench_fail("no loop for %u bytes", (unsigned)end->load.size); \
		}                                                                    \
	}

#define BENCH_DEFINE_LOOPS(name)                              \
	BENCH_DEFINE_LOOP(name##_produce, BENCH_CASE_PRODUCE) \
	BENCH_DEFINE_LOOP(name##_consume, BENCH_CASE_CONSUME) \
	BENCH_DEFINE_LOOP(name##_ping, BENCH_CASE_PING)       \
	BENCH_DEFINE_LOOP(name##_pong, BENCH_CASE_PONG)

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every access of the message layer to a region goes through this header. A test build can put
 * itself between any two of them: compile msg/ with -DMSG_INTERPOSE='"file.h"', and file.h defines
 * the functions region_* below in whatever way it likes, usually around the region_raw_* ones. In
 * the real build each of them is one instruction.
 *
 * Orders: plain loads and stores are relaxed atomics (never torn, never merged); `acquire` and
 * `release` cost nothing on x86; region_fence is a full barrier (store to load).
 */
#ifndef MSG_REGION_ACCESS_H
#define MSG_REGION_ACCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REGION_INLINE static inline __attribute__((always_inline, unused))

REGION_INLINE uint32_t region_raw_load32(const uint32_t *p)
{
	return atomic_load_explicit((const volatile _Atomic uint32_t *)p, memory_order_relaxed);
}

REGION_INLINE uint64_t region_raw_load64(const uint64_t *p)
{
	return atomic_load_explicit((const volatile _Atomic uint64_t *)p, memory_order_relaxed);
}

REGION_INLINE uint32_t region_raw_load_acquire32(const uint32_t *p)
{
	return atomic_load_explicit((const volatile _Atomic uint32_t *)p, memory_order_acquire);
}

REGION_INLINE uint64_t region_raw_load_acquire64(const uint64_t *p)
{
	return atomic_load_explicit((const volatile _Atomic uint64_t *)p, memory_order_acquire);
}

REGION_INLINE void region_raw_store32(uint32_t *p, uint32_t value)
{
	atomic_store_explicit((volatile _Atomic uint32_t *)p, value, memory_order_relaxed);
}

REGION_INLINE void region_raw_store64(uint64_t *p, uint64_t value)
{
	atomic_store_explicit((volatile _Atomic uint64_t *)p, value, memory_order_relaxed);
}

REGION_INLINE void region_raw_store_release32(uint32_t *p, uint32_t value)
{
	atomic_store_explicit((volatile _Atomic uint32_t *)p, value, memory_order_release);
}

REGION_INLINE void region_raw_store_release64(uint64_t *p, uint64_t value)
{
	atomic_store_explicit((volatile _Atomic uint64_t *)p, value, memory_order_release);
}

REGION_INLINE void region_raw_fence(void)
{
	atomic_thread_fence(memory_order_seq_cst);
}

/* Between a payload that was copied out and a look whether it was whole meanwhile: loads in order,
 * which on x86 costs nothing and only binds the compiler. */
REGION_INLINE void region_order_loads(void)
{
	atomic_thread_fence(memory_order_acquire);
}

/*
 * Between two polls of one word. Without it the processor runs polls ahead, and has to throw them away
 * with all that follows when the other side takes the line, which makes a polled round trip slower
 * by a half. Fences do, not for their order but because no load passes them; a `pause` takes from 40 to 140
 * cycles, as the processor likes, and 0.2 us where it is emulated.
 */
REGION_INLINE void region_pace(void)
{
	region_raw_fence();
	region_raw_fence();
}

/* Fetches the line of p to be written soon, in builds for processors that can (a process). */
REGION_INLINE void region_fetch(const void *p)
{
#ifdef __PRFCHW__
	__builtin_prefetch(p, 1, 3);
#else
	(void)p;
#endif
}

/* Only for claiming slots and the right to format; not atomic between guests whose emulator drops
 * the lock prefix, which their users allow for. */
REGION_INLINE bool region_raw_cas64(uint64_t *p, uint64_t expected, uint64_t desired)
{
	return atomic_compare_exchange_strong_explicit((volatile _Atomic uint64_t *)p, &expected,
		desired, memory_order_seq_cst, memory_order_seq_cst);
}

/* Below this, a copy in place is faster than the call of one. */
#define REGION_COPY_SMALL 256

/* Eight bytes at any alignment, for payloads. */
struct region_word {
	uint64_t value;
} __attribute__((packed, may_alias));

REGION_INLINE void region_raw_copy16(uint8_t *to, const uint8_t *from)
{
	uint64_t a = ((const struct region_word *)from)->value;
	uint64_t b = ((const struct region_word *)from)[1].value;

	((struct region_word *)to)->value = a;
	((struct region_word *)to)[1].value = b;
}

/*
 * Copies len < REGION_COPY_SMALL bytes, the end first; pieces overlap. Payload only: tearing is fine.
 * In words and not in vectors: a vector that is read where a word of it was just written waits until
 * that has reached the cache, and guests emulate vectors.
 */
REGION_INLINE void region_raw_copy_small(void *to, const void *from, size_t len)
{
	uint8_t *d = to;
	const uint8_t *s = from;
	size_t at;

	if (len == 8) {
		((struct region_word *)d)->value = ((const struct region_word *)s)->value;
	} else if (len > 32) {
		region_raw_copy16(d + len - 16, s + len - 16);
		region_raw_copy16(d + len - 32, s + len - 32);
		for (at = (len - 1) & ~(size_t)31; at;) {
			at -= 32;
			region_raw_copy16(d + at + 16, s + at + 16);
			region_raw_copy16(d + at, s + at);
		}
	} else if (len >= 16) {
		region_raw_copy16(d + len - 16, s + len - 16);
		region_raw_copy16(d, s);
	} else if (len > 8) {
		uint64_t last = ((const struct region_word *)(s + len - 8))->value;

		((struct region_word *)d)->value = ((const struct region_word *)s)->value;
		((struct region_word *)(d + len - 8))->value = last;
	} else {
		for (at = 0; at < len; at++)
			*(volatile uint8_t *)(d + at) = s[at];
	}
}

#ifdef MSG_INTERPOSE
#include MSG_INTERPOSE
#else

#define region_load32          region_raw_load32
#define region_load64          region_raw_load64
#define region_load_acquire32  region_raw_load_acquire32
#define region_load_acquire64  region_raw_load_acquire64
#define region_store32         region_raw_store32
#define region_store64         region_raw_store64
#define region_store_release32 region_raw_store_release32
#define region_store_release64 region_raw_store_release64
#define region_fence           region_raw_fence
#define region_cas64           region_raw_cas64

/* Payload, private memory <-> region; copy is the port's, for 64 bytes and more. */


REGION_INLINE void region_copy_in(void (*copy)(void *, const void *, size_t),
	void *region, const void *data,
	size_t len)
{
	if (len < REGION_COPY_SMALL)
		region_raw_copy_small(region, data, len);
	else
		copy(region, data, len);
}

REGION_INLINE void region_copy_out(void (*copy)(void *, const void *, size_t),
	void *data, const void *region,
	size_t len)
{
	if (len < REGION_COPY_SMALL)
		region_raw_copy_small(data, region, len);
	else
		copy(data, region, len);
}
#endif

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* What talkers say to the hub: every word of a message tells who wrote it, in which message, and where, so
 * that one in a wrong place can be traced. */
#ifndef TESTS_ADVERSITY_TALK_H
#define TESTS_ADVERSITY_TALK_H

#include <stdint.h>

#define TALK_LARGEST 40016 /* bytes; the least is one word */

/* seed: of the talker; life: which of its lives. All wrap. */
static inline uint64_t talk_word(uint64_t seed, uint64_t life, uint64_t number, uint64_t index)
{
	return (seed & 0x3fff) << 50 | (life & 0xffff) << 34 | (number & 0xfffff) << 14 | (index & 0x3fff);
}

static inline unsigned talk_seed(uint64_t word)
{
	return (unsigned)(word >> 50);
}

static inline unsigned talk_life(uint64_t word)
{
	return word >> 34 & 0xffff;
}

static inline unsigned talk_number(uint64_t word)
{
	return word >> 14 & 0xfffff;
}

static inline unsigned talk_index(uint64_t word)
{
	return word & 0x3fff;
}

#endif

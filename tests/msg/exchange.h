/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the exchange test share. They build for a guest and for a process. */
#ifndef TESTS_MSG_EXCHANGE_H
#define TESTS_MSG_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <isthmus/msg.h>

#define MS 1000000ull
#define S  (1000 * MS)
#define PATIENCE (100 * S) /* the machine may be busy: nothing here is a matter of speed */
#define BYTES_MAX (1u << 20)

struct settings {
	struct msg_options attach;
	struct msg_channel_options channel;
	unsigned int count;   /* messages, where a case has no number of its own */
	unsigned int peers;   /* a hub's */
	unsigned int regions; /* a spoke's */
	unsigned int compute; /* ms that a spoke computes, without a call */
	bool strict;	      /* a rescue is a failure */
};

extern struct settings settings;
extern uint8_t out_bytes[BYTES_MAX], in_bytes[BYTES_MAX];

_Noreturn void fail(const char *file, int line, const char *what, int64_t a, int64_t b);

#define CHECK(condition) \
	do { \
		if (!(condition)) \
			fail(__FILE__, __LINE__, #condition, 0, 0); \
	} while (0)

#define EQUAL(a, b) \
	do { \
		int64_t a_ = (int64_t)(a), b_ = (int64_t)(b); \
		if (a_ != b_) \
			fail(__FILE__, __LINE__, #a " == " #b, a_, b_); \
	} while (0)

/* The expression must be 0 or a count; its value. */
#define OK(expression) ok(__FILE__, __LINE__, #expression, (expression))

static inline int64_t ok(const char *file, int line, const char *what, int64_t result)
{
	if (result < 0)
		fail(file, line, what, result, 0);
	return result;
}

static inline uint64_t soon(void)
{
	return msg_now_ns() + PATIENCE;
}

/* Bytes that depend on seed and place. */
void fill(uint8_t *data, size_t length, uint32_t seed);
void check(const uint8_t *data, size_t length, uint32_t seed);

uint32_t next_random(uint32_t *state);

/* Prints what the waiting cost, and leaves. */
void leave(struct msg_region *region);

/* One channel between a leader and a follower. */
struct pair {
	struct msg_region *region;
	struct msg_channel *channel;
	bool leads;
};

struct pair_case {
	const char *name;
	void (*run)(struct pair *pair);
};

/* A further channel between the same two. */
struct msg_channel *meet(struct pair *pair, const char *name);

extern const struct pair_case pair_cases[];

/* Many peers: see exchange_many.c. */
void hub(void);
void spoke(void);

#endif

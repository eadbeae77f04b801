/* SPDX-License-Identifier: BSD-2-Clause */
/* bench-channels: what the cases share. One side connects, leads, measures and prints. */
#ifndef BENCH_GUEST_BENCH_APP_H
#define BENCH_GUEST_BENCH_APP_H

#include <isthmus/msg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define APP_MESSAGE_MAX 65536u
#define APP_SAMPLES_MAX 4096u

struct app {
	struct msg_region *region;
	struct msg_channel *channel;
	bool leads;
	uint64_t count;		 /* from the command line; 0: the case's own */
	volatile uint64_t *flag; /* a line of the scratch area; NULL: none known */
	uint64_t turn;		 /* of the flag */
};

struct app_case {
	const char *name;
	void (*run)(struct app *app, size_t bytes);
};

/* One line, and exit status 1. */
_Noreturn void app_die(const char *what, int64_t result);

/* Blocks until the other side is here too; works whatever the way of waiting. */
void app_meet(struct app *app);

/* ns of one raw flag round trip now, both sides spinning; 0 where there is no flag. */
double app_raw(struct app *app);

/* Private memory, APP_MESSAGE_MAX bytes. */
extern uint8_t app_buffer[];

_Noreturn void app_mismatch(uint64_t number, uint64_t first, uint64_t last);

/* The number goes into the first and the last word. Inline, and by builtin, since a freestanding compiler
 * calls memcpy even for 8 bytes: what is measured is the channel. */
static inline void app_stamp(uint8_t *message, size_t bytes, uint64_t number)
{
	__builtin_memcpy(message, &number, 8);
	__builtin_memcpy(message + bytes - 8, &number, 8);
}

static inline void app_check(const uint8_t *message, size_t bytes, uint64_t number)
{
	uint64_t first, last;

	__builtin_memcpy(&first, message, 8);
	__builtin_memcpy(&last, message + bytes - 8, 8);
	if (__builtin_expect(first != number || last != number, 0))
		app_mismatch(number, first, last);
}

/* Figures: values is sorted in place. raw: 0 where there is none. */
double app_median(double *values, size_t count);
void app_print(const char *test_case, size_t bytes, const char *metric, const char *unit,
	       double value, double x_raw, double raw, size_t samples);

extern const struct app_case app_cases[];

#endif

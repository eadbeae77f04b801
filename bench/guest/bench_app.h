/* SPDX-License-Identifier: BSD-2-Clause */
/* bench-channels: what the cases share. One side connects, leads, measures and prints. */
#ifndef BENCH_GUEST_BENCH_APP_H
#define BENCH_GUEST_BENCH_APP_H

#include <isthmus/msg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

void app_stamp(uint8_t *message, size_t bytes, uint64_t number);
void app_check(const uint8_t *message, size_t bytes, uint64_t number);

/* Figures: values is sorted in place. raw: 0 where there is none. */
double app_median(double *values, size_t count);
void app_print(const char *test_case, size_t bytes, const char *metric, const char *unit,
	       double value, double x_raw, double raw, size_t samples);

extern const struct app_case app_cases[];

#endif

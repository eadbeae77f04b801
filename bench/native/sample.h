/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Samples taken in turn by all sides, each between two looks at the machine.
 *
 * Where a host puts two virtual processors changes every few seconds, and with it what a cache
 * line costs between them. So the raw ping-pong is measured before and after each sample; a sample
 * during which it changed is dropped, and figures are compared within one class of machine only.
 */
#ifndef BENCH_NATIVE_SAMPLE_H
#define BENCH_NATIVE_SAMPLE_H

#include "bench/native/pair.h"

#define SAMPLE_MAX 64
#define SAMPLE_CLASSES 4
#define SAMPLE_ANY 3

/* Raw round trip below 100 ns, below 245 ns, above: named after what is usually seen. The last one
 * is for work that waits for the kernel and not for cache lines. */
extern const char *const sample_class_name[SAMPLE_CLASSES];

struct sample_series {
	const char *side;
	const struct bench_ring_ops *ops;
	enum bench_work work;
	struct bench_load load;
	unsigned int count[SAMPLE_CLASSES], dropped;
	double value[SAMPLE_CLASSES][SAMPLE_MAX]; /* ns per message or round trip */
	double ratio[SAMPLE_CLASSES][SAMPLE_MAX]; /* to the raw round trip around it */
};

struct sample_plan {
	unsigned int rounds;
	double target_ns; /* length of a sample */
	uint64_t count_max;
	bool any_class;
	double budget_ns; /* no new round after it: a busy host can take for ever */
};

/* Runs all series in turn, plan->rounds times, and fills them in. */
void sample_run(struct sample_series *series, size_t n, const struct sample_plan *plan);

double sample_median(const double *values, unsigned int count);

/* Prints the JSON lines of one series, for the class given and any other that it has. */
void sample_print(const char *test_case, const struct sample_series *series, bool rate);

#endif

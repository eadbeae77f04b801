/* SPDX-License-Identifier: BSD-2-Clause */
/* What the machine itself costs: the yardsticks that candidates are held against. */
#ifndef BENCH_NATIVE_WORK_H
#define BENCH_NATIVE_WORK_H

#include "bench/native/bench.h"

struct bench_work_ground {
	void *line;	/* a page of its own, zeroed before each sample */
	int eventfd[2]; /* [0] wakes side 1, [1] wakes side 0 */
};

void work_raw(const struct bench_work_ground *ground, const struct bench_end *end);
void work_raw_line(const struct bench_work_ground *ground, const struct bench_end *end);
void work_eventfd(const struct bench_work_ground *ground, const struct bench_end *end);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* The two processes: started once, pinned, and given one piece of work after the other. */
#ifndef BENCH_NATIVE_PAIR_H
#define BENCH_NATIVE_PAIR_H

#include "bench/native/bench.h"

enum bench_work {
	BENCH_WORK_RAW,	      /* one word in one line, written in turn */
	BENCH_WORK_RAW_LINE,  /* the same with the line's other 56 bytes copied in and out */
	BENCH_WORK_PING,      /* round trips of a candidate, led by side 0 */
	BENCH_WORK_ONE_WAY,   /* side 1 sends, side 0 receives */
	BENCH_WORK_EVENTFD,   /* round trips of two bare eventfds */
	BENCH_WORK_END,
};

/*
 * Starts the other process. cpu: the processor of each side, -1 for any. Ends the program with a
 * line on stderr where that cannot be. The other process dies with this one.
 */
void pair_start(const int cpu[2]);
void pair_stop(void);

double pair_now_ns(void);

/*
 * Does the work in both processes and returns how long it took, in ns. *disturbed (may be NULL): the
 * kernel gave one of the processors to somebody else meanwhile.
 */
double pair_run(enum bench_work work, const struct bench_ring_ops *ops,
		const struct bench_load *load, bool *disturbed);

#endif

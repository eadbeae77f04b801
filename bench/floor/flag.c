// SPDX-License-Identifier: BSD-2-Clause
// The polled round trip: one word in one cache line that two guests write in turn.

#include "bench/floor/floor.h"

#define ROUND_TRIPS 50 /* per sample: a TSC read costs as much as one, a busy host spoils long ones */

static void run(struct floor_pair *pair)
{
	volatile uint64_t *flag = (volatile uint64_t *)(pair->device.region + FLOOR_OFFSET_BALL);
	uint64_t samples = floor_arg_number("count", 1000000) / ROUND_TRIPS;
	uint64_t i, k, start, n = 0;

	if (!samples || samples > FLOOR_MAX_SAMPLES)
		floor_die("count: %u to %lu round trips", ROUND_TRIPS,
			  (uint64_t)FLOOR_MAX_SAMPLES * ROUND_TRIPS);
	floor_pair_barrier(pair);
	for (i = 0; i < samples; i++) {
		start = floor_rdtsc();
		for (k = 0; k < ROUND_TRIPS; k++, n += 2) {
			if (pair->rank) {
				while (*flag != n + 1)
					;
				*flag = n + 2;
			} else {
				*flag = n + 1;
				while (*flag != n + 2)
					;
			}
		}
		floor_samples[i] = floor_rdtsc() - start;
	}
	if (!pair->rank)
		floor_report("flag", "ns", floor_samples, samples, ROUND_TRIPS);
}

const struct floor_bench floor_bench_flag = { "flag", true, false, run };

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A peer among liars: joins, talks to whoever answers in all ways that there are, leaves, and begins
 * again. It expects nothing of what it receives but that it lies in its memory and that no call takes
 * longer than it may.
 */
#ifndef TESTS_ADVERSITY_VICTIM_H
#define TESTS_ADVERSITY_VICTIM_H

#include <stdbool.h>
#include <stdint.h>

struct victim {
	const char *path;
	unsigned number, others;       /* who of how many */
	uint64_t seed, death_ns;
	volatile bool stop;            /* shared, like all of this */
	volatile uint64_t steps;       /* calls that returned */
	volatile uint64_t joined, messages, faults, events;
	volatile uint64_t slowest_ns;  /* of the calls that may not block */
	volatile uint64_t lives;       /* until so many are over, if not 0 */
};

void victim_run(struct victim *victim);

#endif

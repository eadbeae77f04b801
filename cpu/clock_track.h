/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time that never goes backwards from ticks that may: the clock's state, without the hardware.
 * Private to cpu/.
 *
 * The line (clock_line.h) is kept twice, so that it can be read at any instant, also by an NMI in
 * the midst of a change: readers take the copy that the sequence number points to, the one writer
 * changes the other one. Readers retry when the number moved meanwhile.
 *
 * The latest value anybody got is remembered. When the line falls behind it by little (CPUs whose
 * TSCs differ by a hair), that value stands until the line has caught up; when it falls behind by
 * much (the VM woke up elsewhere with another TSC), the line is to be mended, so that time
 * goes on from there.
 */
#ifndef CPU_CLOCK_TRACK_H
#define CPU_CLOCK_TRACK_H

#include <stdbool.h>
#include <stdint.h>
#include "cpu/clock_line.h"

#define CLOCK_STANDSTILL_MAX_NS 10000000 /* 10 ms: more is no hair */

/* Starts as zeros: time 0, standing still. */
struct clock_track {
	struct clock_line lines[2];
	unsigned sequence; /* readers use lines[sequence & 1] */
	uint64_t latest_ns;
};

struct clock_line clock_track_line(const struct clock_track *track);

/* The time at these ticks. *fell_behind: the line needs mending. From anywhere, on any CPU. */
uint64_t clock_track_now(struct clock_track *track, uint64_t ticks, bool *fell_behind);

/* The rest is for one writer at a time, who also keeps interrupts off. */

/* Run with this slope from these ticks on; the value there stays. */
void clock_track_set_slope(struct clock_track *track, uint64_t ticks, uint64_t slope);

/* Let time be ns at these ticks, with the slope there is. */
void clock_track_set_point(struct clock_track *track, uint64_t ticks, uint64_t ns);

/* Let time go on from the latest value, if the line has fallen behind it by much. */
void clock_track_mend(struct clock_track *track, uint64_t ticks);

#endif

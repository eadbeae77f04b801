/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clock's arithmetic, pure: time as a straight line over a tick counter. Private to cpu/.
 *
 * ns = line.ns + (ticks - line.ticks) * line.slope / 2^CLOCK_SHIFT. With 40 bits behind the point,
 * the slope of any counter from 1 MHz to 100 GHz is exact to less than 0.1 parts per million, and
 * to less than a part per billion up to 5 GHz; the product is taken with 128 bits, so a span
 * overflows only when its nanoseconds do, after 584 years.
 */
#ifndef CPU_CLOCK_LINE_H
#define CPU_CLOCK_LINE_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_SHIFT 40

struct clock_line {
	uint64_t ticks, ns; /* a point of the line */
	uint64_t slope;     /* nanoseconds per tick, with CLOCK_SHIFT bits behind the point */
};

/* Nanoseconds of that many ticks, rounded down; UINT64_MAX if they don't fit. */
uint64_t clock_scale(uint64_t ticks, uint64_t slope);

/* The line's value; before its point it goes on backwards, but not below 0. */
uint64_t clock_line_at(const struct clock_line *line, uint64_t ticks);

/* The slope of a counter that made so many ticks in this time; 0 if ticks is 0. */
uint64_t clock_slope(uint64_t ns, uint64_t ticks);

/* Frequency to slope and back, in Hz; 0 for 0. */
uint64_t clock_slope_of_frequency(uint64_t hz);
uint64_t clock_frequency_of_slope(uint64_t slope);

/* How far a lies from b, in parts per billion of b, rounded up; UINT32_MAX if further. */
uint32_t clock_difference_ppb(uint64_t a, uint64_t b);

/*
 * One end of a measurement: while the TSC was somewhere in [ticks, ticks + width], the
 * reference counter showed count.
 */
struct clock_sample {
	uint64_t ticks, width;
	uint64_t count;
};

/* How a reference counts: a step takes ns_numerator / ns_denominator nanoseconds. */
struct clock_unit {
	uint64_t ns_numerator, ns_denominator;
	unsigned bits; /* width of the counter; count of a sample has been carried past it */
};

/* What the low bits of a counter show, carried on to the full count nearest to the expected one. */
uint64_t clock_carry(uint64_t expected, uint64_t shown, unsigned bits);

/* Steps of the reference in that time. */
uint64_t clock_ns_to_count(const struct clock_unit *unit, uint64_t ns);

/*
 * Slope between two samples, and in *error_ppb how far it can be from the truth as the reference
 * has it: half the brackets' widths over the span, and one step of the reference. 0 when the
 * samples don't lie apart.
 */
uint64_t clock_measure(const struct clock_unit *unit, const struct clock_sample *from,
		       const struct clock_sample *to, uint32_t *error_ppb);

/* In clock.c: the time of the first cpu_init() becomes time 0. */
void clock_set_start(void);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* Time since the start of the program, in nanoseconds, for apps in a guest and on the host. */
#ifndef ISTHMUS_CLOCK_H
#define ISTHMUS_CLOCK_H

#include <stdint.h>

/*
 * Nanoseconds since the start: in a guest, since a millisecond or two before main(). Never goes
 * backwards, not even when the VM migrates; may be called from anywhere, takes tens of nanoseconds;
 * the first call half a millisecond, in which the clock's speed is measured.
 */
uint64_t clock_now_ns(void);

/* The raw counter below the clock (in a guest the TSC): the cheapest time stamp there is. */
uint64_t clock_ticks(void);

/* A difference of two clock_ticks() in nanoseconds; rounds down, right for centuries. */
uint64_t clock_ticks_to_ns(uint64_t ticks);

/*
 * How far the clock's speed may be off, in parts per million (rounded up): a span of N seconds may
 * be N * ppm microseconds wrong. Shrinks as the guest runs and the clock is refined. 1000000 means
 * that nothing was there to measure against.
 */
unsigned clock_error_ppm(void);

/*
 * Sleep until clock_now_ns() >= deadline_ns; returns at once if that has passed. Interrupts are
 * served meanwhile. Not for interrupt handlers.
 */
void clock_sleep_until(uint64_t deadline_ns);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Software timers over the APIC's one. fire(arg) runs in interrupt context, at the deadline or
 * later and never early; it should do a store or two, must not use the FPU, and may start any
 * timer, its own included. A struct timer starts as zeros but for fire and arg.
 */
#ifndef CPU_TIMER_H
#define CPU_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct timer {
	void (*fire)(void *arg);
	void *arg;
	uint64_t deadline_ns; /* of clock_now_ns() */
	/* Private to timer.c. */
	struct timer *next;
	bool active;
};

/* Take over the APIC timer; once, after apic_init() and clock_calibrate(). */
void timer_init(void);

/* Has timer_init() been called, on a CPU with an APIC? */
bool timer_ready(void);

/* Start, or move to another deadline; the caller keeps the timer alive until fired or stopped. */
void timer_start(struct timer *timer, uint64_t deadline_ns);

/* After it returns, fire() will not be called. False if the timer was not running. */
bool timer_stop(struct timer *timer);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Software timers over the APIC's one. fire(arg) runs in interrupt context, at the deadline or
 * later and never early; it should do a store or two, must not use the FPU, and may start any
 * timer, its own included. A struct timer starts as zeros but for fire and arg. It fires on the CPU
 * that started it; another one may start (which moves it there) or stop it, one at a time.
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
	struct cpu *cpu; /* in whose list it was last */
	bool active;
};

/* Take over the APIC timer; once, when its frequency is known. */
void timer_init(void);

/* Are there timers? Needs an APIC. */
bool timer_ready(void);

/* Start, or move to another deadline; the caller keeps the timer alive until fired or stopped. */
void timer_start(struct timer *timer, uint64_t deadline_ns);

/* After it returns, fire() does not run and will not be called, but for a call from fire() itself. False if the timer was not running. */
bool timer_stop(struct timer *timer);

#endif

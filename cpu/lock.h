/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A spin lock that also keeps this CPU's interrupts off while it is held: for short stretches
 * that handlers and other CPUs may want too. Not recursive. For memory of this guest alone;
 * never for a region, whose other peers may die while they hold it.
 */
#ifndef CPU_LOCK_H
#define CPU_LOCK_H

#include <stdbool.h>
#include <stdint.h>
#include "cpu/irq.h"

struct cpu_lock {
	int held;
};

/* Waits a moment for another CPU, and does meanwhile what others ask of this one (others.h). */
void cpu_spin(void);

/* Returns what cpu_lock_release() must be given. */
uint64_t cpu_lock_acquire(struct cpu_lock *lock);

/* The same, but gives up after `tries`; *taken says whether it was got. For a panic's output. */
uint64_t cpu_lock_try(struct cpu_lock *lock, unsigned tries, bool *taken);

void cpu_lock_release(struct cpu_lock *lock, uint64_t flags);

#endif

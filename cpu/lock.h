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

/* Returns what cpu_lock_release() must be given. */
static inline uint64_t cpu_lock_acquire(struct cpu_lock *lock)
{
	uint64_t flags = irq_save();

	/* Acquire: pairs with the release in cpu_lock_release(). */
	while (__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE))
		cpu_relax();
	return flags;
}

/* The same, but gives up after `tries`; *taken says whether it was got. For a panic's output. */
static inline uint64_t cpu_lock_try(struct cpu_lock *lock, unsigned tries, bool *taken)
{
	uint64_t flags = irq_save();

	*taken = false;
	for (unsigned i = 0; i < tries && !*taken; i++) {
		*taken = !__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE);
		if (!*taken)
			cpu_relax();
	}
	return flags;
}

static inline void cpu_lock_release(struct cpu_lock *lock, uint64_t flags)
{
	__atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
	irq_restore(flags);
}

#endif

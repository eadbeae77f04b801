// SPDX-License-Identifier: BSD-2-Clause
#include "cpu/lock.h"
#include "cpu/irq.h"
#include "cpu/others.h"

void cpu_spin(void)
{
	cpu_relax();
	cpu_serve_others();
}

uint64_t cpu_lock_try(struct cpu_lock *lock, unsigned tries, bool *taken)
{
	uint64_t flags = irq_save();

	/* Acquire: pairs with the release in cpu_lock_release(). */
	while (!(*taken = !__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE)) && --tries)
		cpu_spin();
	return flags;
}

uint64_t cpu_lock_acquire(struct cpu_lock *lock)
{
	uint64_t flags = irq_save();

	while (__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE))
		cpu_spin();
	return flags;
}

void cpu_lock_release(struct cpu_lock *lock, uint64_t flags)
{
	__atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
	irq_restore(flags);
}

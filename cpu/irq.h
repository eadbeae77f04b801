/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts on and off, waiting, and the one full fence. */
#ifndef CPU_IRQ_H
#define CPU_IRQ_H

#include <stdbool.h>
#include <stdint.h>

#define IRQ_FLAG_ENABLED (1u << 9) /* RFLAGS.IF */

static inline void irq_enable(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static inline void irq_disable(void)
{
	__asm__ volatile("cli" : : : "memory");
}

/* Interrupts off; what to give irq_restore(). Nests. */
static inline uint64_t irq_save(void)
{
	uint64_t flags;

	__asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
	return flags;
}

static inline void irq_restore(uint64_t flags)
{
	if (flags & IRQ_FLAG_ENABLED)
		irq_enable();
}

static inline bool irq_enabled(void)
{
	uint64_t flags;

	__asm__ volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
	return flags & IRQ_FLAG_ENABLED;
}

/*
 * Sleep until an interrupt has been served. Call with interrupts off, after looking whether there
 * is work: an interrupt that comes after the look ends the sleep, since sti lets none in before
 * hlt. Returns with interrupts off. May return for an interrupt that was none of the caller's.
 */
static inline void cpu_sleep(void)
{
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/* All loads and stores before it are done before any after it, also for other VMs. */
static inline void cpu_fence(void)
{
	__asm__ volatile("mfence" : : : "memory");
}

_Noreturn void cpu_halt_forever(void);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupt vectors: who gets which, and what runs. A handler runs with interrupts off on the
 * interrupt stack, and the entry code tells the APIC when it is done.
 *
 *	0x00-0x1f exceptions (trap.h)     0x20-0x2f 8259, masked: a spurious one may still come
 *	0x30-0xef given out here          0xf0-0xff cpu's own: timer, other CPUs, error, spurious
 */
#ifndef CPU_VECTORS_H
#define CPU_VECTORS_H

#include <stdint.h>

struct trap_frame;

#define VECTOR_LEGACY_FIRST 0x20
#define VECTOR_FIRST 0x30
#define VECTOR_LAST 0xef
#define VECTOR_APIC_TIMER 0xf0
#define VECTOR_CPU_WAKE 0xf1 /* from another CPU, smp.c */
#define VECTOR_CPU_FORGET 0xf2
#define VECTOR_CPU_STOP 0xf3
#define VECTOR_APIC_ERROR 0xfe
#define VECTOR_APIC_SPURIOUS 0xff

/*
 * The handler may use x87, SSE and AVX: their state is saved before and restored after it, which
 * costs some hundred nanoseconds. Without it, handler and all it calls must be built with
 * -mgeneral-regs-only.
 */
#define VECTOR_SAVES_FPU 1u

/*
 * Bind a free vector to handler(arg). owner names it for messages and must outlive the binding.
 * Returns the vector, or -ENOSPC when all are taken. Not for interrupt handlers.
 */
int vector_alloc(const char *owner, void (*handler)(void *arg), void *arg, unsigned flags);

/* Give it back; its source must be silent by now. A late interrupt is counted as stray. */
void vector_free(int vector);

/* How many vectors are free. */
unsigned vector_available(void);

/* Who holds the vector, or NULL. */
const char *vector_owner(int vector);

/* How many interrupts of this vector have come since boot (exceptions excepted). */
uint64_t vector_count(int vector);

/* How many interrupts came to vectors that nobody held. The first is logged. */
uint64_t vector_strays(void);

/* For cpu/ itself: bind one of the fixed vectors outside VECTOR_FIRST..VECTOR_LAST, always the same way. */
void vector_bind(int vector, const char *owner, void (*handler)(void *arg), void *arg);

/* Called by the entry code for vectors from 0x20 on. */
void vector_dispatch(struct trap_frame *frame);

#endif

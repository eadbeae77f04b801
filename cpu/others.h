/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the rest of a guest must do differently once other CPUs run. Until then, and in images that
 * never start one, each of these is a look at a pointer.
 */
#ifndef CPU_OTHERS_H
#define CPU_OTHERS_H

#include <stdint.h>

/* What smp.c puts in place when the first other CPU is brought up. */
struct cpu_others {
	void (*forget)(void);
	void (*serve)(void);
	void (*stop)(void);
	void (*halt_if_ending)(void);
};

extern const struct cpu_others *cpu_others; /* NULL: there are none */

/*
 * Makes the others drop their translations: after page tables no longer say what they said, before
 * the memory is used for something else. Returns when they have.
 */
static inline void cpu_forget_on_others(void)
{
	if (cpu_others)
		cpu_others->forget();
}

/*
 * For loops that wait for another CPU with interrupts off: does what others ask of this one, so
 * that two CPUs which wait for each other both go on.
 */
static inline void cpu_serve_others(void)
{
	if (cpu_others)
		cpu_others->serve();
}

/*
 * Interrupts off, and from here on no other CPU runs: for the end of a guest. Where another CPU got
 * here first this doesn't return. Harmless again and again.
 */
void cpu_go_on_alone(void);

/* For the NMI handler: doesn't return where another CPU is ending the guest. */
static inline void cpu_halt_if_ending(void)
{
	if (cpu_others)
		cpu_others->halt_if_ending();
}

/* APIC id of a CPU by its index; UINT32_MAX for one that isn't up. */
uint32_t cpu_apic_id(unsigned cpu);

#endif

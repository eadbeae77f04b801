/* SPDX-License-Identifier: BSD-2-Clause */
/* One CPU set up: descriptor tables, stacks for interrupts and faults, control registers. */
#ifndef CPU_CPU_H
#define CPU_CPU_H

#include <stdint.h>

/*
 * Stacks of a CPU. Interrupts and exceptions have stacks of their own (the TSS's IST), so that a
 * fault in an interrupt handler or an overflown main stack still finds ground to report from.
 */
enum cpu_stack_kind {
	CPU_STACK_MAIN,
	CPU_STACK_INTERRUPT,     /* IST 1 */
	CPU_STACK_EXCEPTION,     /* IST 2 */
	CPU_STACK_NMI,           /* IST 3 */
	CPU_STACK_DOUBLE_FAULT,  /* IST 4 */
	CPU_STACK_MACHINE_CHECK, /* IST 5 */
	CPU_STACKS
};

#define CPU_STACK_MIN 8192 /* bytes that each of them must have at least */

/* guard <= address < bottom is unmapped (guard == bottom: no guard); top is 16-byte aligned. */
struct cpu_stack {
	uintptr_t guard, bottom, top;
};

/* What a panic needs to know of the image to name functions. All of it must stay mapped. */
struct cpu_image {
	const char *name;
	uintptr_t base;        /* of the offsets below; text lies from here */
	uintptr_t text_end;    /* to here, read-only data to */
	uintptr_t rodata_end;  /* here, and writable data to */
	uintptr_t end;         /* here */
	uint64_t symbol_count; /* 0: no names */
	const uint32_t *symbols;    /* their offsets from base, rising: linker/symbols.sh */
	const char *symbol_names;   /* one after the other, in the same order */
};

struct cpu_config {
	struct cpu_stack stack[CPU_STACKS]; /* of the CPU that boots */
	struct cpu_image image;
};

/*
 * Set up the CPU that boots: GDT, TSS, IDT, CR0 and CR4, and of SSE, AVX, NX, SMEP, UMIP what is
 * there. From here on exceptions are reported. config is copied.
 */
void cpu_init(const struct cpu_config *config);

#endif

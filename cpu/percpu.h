/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What each CPU has of its own, found through GS (which nothing else in a guest uses). Private to
 * cpu/. Layouts: Intel SDM volume 3, "64-Bit Mode Task Management" and "Segment Descriptors".
 */
#ifndef CPU_PERCPU_H
#define CPU_PERCPU_H

#include <stdint.h>
#include "cpu/cpu.h"

#define CPU_SELECTOR_CODE 0x08
#define CPU_SELECTOR_DATA 0x10
#define CPU_SELECTOR_TSS 0x18

#define CPU_FPU_STATE_MAX 4096 /* bytes; AVX-512 needs 2696 */

struct cpu_tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t io_map_base;
} __attribute__((packed));

_Static_assert(sizeof(struct cpu_tss) == 104, "SDM: a 64-bit TSS has 104 bytes");

struct timer;

struct cpu {
	struct cpu *self; /* at offset 0, for cpu_this() */
	unsigned index;   /* 0: the one that booted */
	struct timer *timers; /* running ones, soonest first; see timer.c */
	struct cpu_stack stack[CPU_STACKS];
	uint64_t gdt[5];
	struct cpu_tss tss;
	/* FPU state of what an interrupt handler with VECTOR_SAVES_FPU interrupted. */
	uint8_t fpu_state[CPU_FPU_STATE_MAX] __attribute__((aligned(64)));
};

_Static_assert(__builtin_offsetof(struct cpu, self) == 0, "cpu_this() loads from %gs:0");

/* The CPU this runs on; from cpu_init() on. */
static inline struct cpu *cpu_this(void)
{
	struct cpu *cpu;

	__asm__("movq %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

/* The image, for naming addresses: the same on all CPUs. */
const struct cpu_image *cpu_current_image(void);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What each CPU has of its own, found through GS (which nothing else in a guest uses). Private to
 * cpu/. Layouts: Intel SDM volume 3, "64-Bit Mode Task Management" and "Segment Descriptors".
 */
#ifndef CPU_PERCPU_H
#define CPU_PERCPU_H

#include <stdint.h>
#include <isthmus/cpu.h>
#include "cpu/cpu.h"
#include "cpu/lock.h"

#define CPU_SELECTOR_CODE 0x08
#define CPU_SELECTOR_DATA 0x10
#define CPU_SELECTOR_TSS 0x18

#define CPU_GUARD_SIZE 4096 /* below a stack */
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
	uint32_t apic_id;
	struct cpu_lock timer_lock; /* of the next two; see timer.c */
	struct timer *timers; /* running ones, soonest first */
	struct timer *firing; /* whose fire() runs now */
	/* Of smp.c, which says who writes them. */
	void (*run)(void *arg);
	void *arg;
	int state;
	bool up;
	unsigned waiter;    /* index + 1 of the CPU that sleeps until this one is idle */
	uint64_t forgotten; /* the last request to drop translations that it has served */
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

/* All that have been brought up, by index; the first is there from cpu_init() on. */
extern struct cpu *cpu_table[CPU_MAX];

/* Descriptor tables, control registers and FPU of the CPU that runs this, which is `cpu`. */
void cpu_set_up(struct cpu *cpu);

/* The image, for naming addresses: the same on all CPUs. */
const struct cpu_image *cpu_current_image(void);

#endif

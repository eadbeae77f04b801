/* SPDX-License-Identifier: BSD-2-Clause */
/* What bringing up other CPUs needs from the rest of the guest, from boot. */
#ifndef CPU_SMP_H
#define CPU_SMP_H

#include <stddef.h>
#include <stdint.h>
#include <isthmus/cpu.h>

/* Where a CPU starts: a page below 1 MiB that page tables below 4 GiB map to itself, to be run. */
struct smp_ground {
	uint64_t page; /* physical */
	void *at;      /* the page, for this CPU to write to */
	uint32_t cr3;  /* tables with that page and all that all CPUs share */
};

struct smp_machine {
	/* APIC ids of all CPUs that may be used, this one too; they stay where they are. */
	const uint32_t *(*find_cpus)(unsigned *count);
	void *(*alloc_stack)(size_t size); /* its top, above a guard page; NULL after a log line */
	int (*take_ground)(struct smp_ground *ground); /* 0, or negative after a log line */
	void (*give_ground)(const struct smp_ground *ground);
	void (*init_memory)(void); /* on the new CPU: page tables, memory types */
};

/* Defined by boot, and by reference from smp.c alone part of an image. */
extern const struct smp_machine smp_machine;

#endif

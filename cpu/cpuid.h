/* SPDX-License-Identifier: BSD-2-Clause */
/* What the CPU says of itself: Intel SDM volume 2, CPUID. */
#ifndef CPU_CPUID_H
#define CPU_CPUID_H

#include <stdbool.h>
#include <stdint.h>

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r;

	__asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

/* The leaf, or all zeros where the CPU has no such leaf (it would return another one's data). */
struct cpuid cpuid_or_zero(uint32_t leaf, uint32_t subleaf);

/* Does QEMU's translator run this CPU? (Hypervisor leaf 0x40000000 says TCGTCGTCGTCG.) */
bool cpu_under_tcg(void);

/* Width of a physical address in bits; 36 where the CPU doesn't say. */
unsigned cpu_physical_bits(void);

/* 1 GiB pages? */
bool cpu_has_huge_pages(void);

#endif

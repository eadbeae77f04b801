/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bits of the control registers, Intel SDM volume 3, "Control Registers"; and CR2. How to reach the
 * others, which mm needs too, stands in paging.h.
 */
#ifndef CPU_CONTROL_H
#define CPU_CONTROL_H

#include <stdint.h>
#include "cpu/paging.h"

#define CR0_MP (1ull << 1)
#define CR0_EM (1ull << 2)
#define CR0_TS (1ull << 3)
#define CR0_NE (1ull << 5)
#define CR0_WP (1ull << 16)
#define CR0_AM (1ull << 18)
#define CR0_NW (1ull << 29)
#define CR0_CD (1ull << 30)

#define CR4_TSD (1ull << 2)
#define CR4_MCE (1ull << 6)
#define CR4_PGE (1ull << 7)
#define CR4_OSFXSR (1ull << 9)
#define CR4_OSXMMEXCPT (1ull << 10)
#define CR4_UMIP (1ull << 11)
#define CR4_OSXSAVE (1ull << 18)
#define CR4_SMEP (1ull << 20)

static inline uint64_t cpu_read_cr2(void)
{
	uint64_t value;

	__asm__ volatile("movq %%cr2, %0" : "=r"(value) : : "memory");
	return value;
}

#endif

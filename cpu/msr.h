/* SPDX-License-Identifier: BSD-2-Clause */
/* Model-specific registers: Intel SDM volume 4. One that the CPU lacks is a #GP. */
#ifndef CPU_MSR_H
#define CPU_MSR_H

#include <stdint.h>

#define MSR_REG_APIC_BASE 0x01b
#define   MSR_APIC_BASE_X2APIC (1ull << 10)
#define   MSR_APIC_BASE_ENABLE (1ull << 11)
#define MSR_REG_TSC_DEADLINE 0x6e0
#define MSR_REG_MTRR_CAP 0x0fe
#define MSR_REG_MTRR_PHYS_BASE(n) (0x200 + 2 * (n))
#define MSR_REG_MTRR_PHYS_MASK(n) (0x201 + 2 * (n))
#define MSR_REG_PAT 0x277
#define MSR_REG_MTRR_DEF_TYPE 0x2ff
#define MSR_REG_X2APIC(offset) (0x800 + ((offset) >> 4))
#define MSR_REG_EFER 0xc0000080
#define   MSR_EFER_NXE (1ull << 11)
#define MSR_REG_FS_BASE 0xc0000100
#define MSR_REG_GS_BASE 0xc0000101

static inline uint64_t msr_read(uint32_t number)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number) : "memory");
	return (uint64_t)high << 32 | low;
}

static inline void msr_write(uint32_t number, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(number), "a"((uint32_t)value),
			 "d"((uint32_t)(value >> 32)) : "memory");
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* The instructions that mm needs around its page tables: Intel SDM volume 3, chapters 4 and 11. */
#ifndef CPU_PAGING_H
#define CPU_PAGING_H

#include <stdint.h>

#define CPU_CR0_NW (1ul << 29)
#define CPU_CR0_CD (1ul << 30)
#define CPU_CR4_PGE (1ul << 7)

static inline uint64_t cpu_read_cr0(void)
{
	uint64_t value;

	__asm__ volatile("movq %%cr0, %0" : "=r"(value) : : "memory");
	return value;
}

static inline void cpu_write_cr0(uint64_t value)
{
	__asm__ volatile("movq %0, %%cr0" : : "r"(value) : "memory");
}

static inline uint64_t cpu_read_cr3(void)
{
	uint64_t value;

	__asm__ volatile("movq %%cr3, %0" : "=r"(value) : : "memory");
	return value;
}

/* Switches address spaces and drops all translations but global ones. */
static inline void cpu_write_cr3(uint64_t value)
{
	__asm__ volatile("movq %0, %%cr3" : : "r"(value) : "memory");
}

static inline uint64_t cpu_read_cr4(void)
{
	uint64_t value;

	__asm__ volatile("movq %%cr4, %0" : "=r"(value) : : "memory");
	return value;
}

static inline void cpu_write_cr4(uint64_t value)
{
	__asm__ volatile("movq %0, %%cr4" : : "r"(value) : "memory");
}

/* Drops this CPU's translation of one page, of whatever size. */
static inline void cpu_forget_page(const void *virt)
{
	__asm__ volatile("invlpg (%0)" : : "r"(virt) : "memory");
}

/* Writes back and empties this CPU's caches. */
static inline void cpu_flush_caches(void)
{
	__asm__ volatile("wbinvd" : : : "memory");
}

#endif

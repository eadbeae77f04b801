// SPDX-License-Identifier: BSD-2-Clause
#include "cpu/tlb.h"

#include "cpu/cpuid.h"
#include "cpu/paging.h"

#define PAGE       4096
#define PAGES_LEAST 64
#define PAGES_MOST  1024

void cpu_tlb_make_room(const void *from, size_t bytes)
{
	const volatile unsigned char *page = from;
	size_t pages, i;

	if (!cpu_under_tcg())
		return;
	for (pages = PAGES_LEAST; pages <= PAGES_MOST && pages <= bytes / PAGE; pages *= 2) {
		for (i = 0; i < pages; i++)
			(void)page[i * PAGE];
		/* A flush, at which it grows. */
		cpu_write_cr3(cpu_read_cr3());
	}
}

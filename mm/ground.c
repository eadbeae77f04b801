// SPDX-License-Identifier: BSD-2-Clause
/*
 * Where other CPUs start: four pages below 1 MiB. The first is for the code, the others are page tables
 * that map the lowest 2 MiB to themselves, to be run, and the upper half as all CPUs have it.
 */
#include <errno.h>
#include <isthmus/log.h>
#include "mm/mm.h"
#include "mm/tables.h"

#define PAGES 4
#define LOW_END 0x100000ul
#define ENTRIES 512

static uint64_t *cleared(uint64_t phys)
{
	uint64_t *table = mm_phys_to_virt(phys);

	for (int i = 0; i < ENTRIES; i++)
		table[i] = 0;
	return table;
}

int mm_take_start_ground(uint64_t *page, uint64_t *tables)
{
	uint64_t phys = mm_alloc_pages_below(PAGES, LOW_END);
	uint64_t *top, *middle, *low;

	if (phys == MM_NO_PAGES) {
		log_error("mm: no RAM below 1 MiB is left to start another CPU from");
		return -ENOMEM;
	}
	top = cleared(phys + MM_PAGE_SIZE);
	middle = cleared(phys + 2 * MM_PAGE_SIZE);
	low = cleared(phys + 3 * MM_PAGE_SIZE);
	for (int i = ENTRIES / 2; i < ENTRIES; i++)
		top[i] = tables_top()[i];
	top[0] = (phys + 2 * MM_PAGE_SIZE) | PTE_PRESENT | PTE_WRITE;
	middle[0] = (phys + 3 * MM_PAGE_SIZE) | PTE_PRESENT | PTE_WRITE;
	low[0] = PTE_PRESENT | PTE_WRITE | PTE_LARGE;
	*page = phys;
	*tables = phys + MM_PAGE_SIZE;
	return 0;
}

void mm_give_start_ground(uint64_t page)
{
	mm_free_pages(page, PAGES);
}

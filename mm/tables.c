// SPDX-License-Identifier: BSD-2-Clause
#include "mm/tables.h"

#include "cpu/lock.h"
#include "cpu/others.h"
#include "cpu/paging.h"
#include "mm/linker.h"
#include "mm/mm.h"

#define ENTRIES 512
#define LEVEL_PML4 3
#define LEVEL_PAGE 0

/*
 * Before RAM is mapped, tables come from here. Needed until then: the root, three levels for the
 * image with one table for each 2 MiB that holds borders of rights or guard pages, and three or
 * four for RAM.
 */
#define POOL_PAGES 16
static uint64_t pool[POOL_PAGES][ENTRIES]
	__attribute__((aligned(4096), section(".bss.page_aligned")));
static unsigned pool_used;

static uint64_t *root;
static uint64_t image_offset;	/* physical minus virtual address of the image */
static bool huge_pages;
static struct cpu_lock lock;
static bool stale;	/* other CPUs may hold translations that are no more; under the lock */

static uint64_t level_size(int level)
{
	return 1ull << (12 + 9 * level);
}

static uint64_t *table_at(uint64_t entry)
{
	uint64_t phys = entry & PTE_ADDRESS;
	uint64_t in_pool = phys - image_offset - (uint64_t)pool;

	return in_pool < sizeof(pool) ? pool[in_pool / MM_PAGE_SIZE] : mm_phys_to_virt(phys);
}

/* A cleared table and its physical address, or NULL. */
static uint64_t *table_new(uint64_t *phys)
{
	uint64_t *table;

	if (pool_used < POOL_PAGES) {	/* zero already, as all of bss */
		table = pool[pool_used++];
		*phys = (uint64_t)table + image_offset;
		return table;
	}
	*phys = mm_alloc_pages(1);
	if (*phys == MM_NO_PAGES)
		return NULL;
	table = mm_phys_to_virt(*phys);
	for (int i = 0; i < ENTRIES; i++)
		table[i] = 0;
	return table;
}

void tables_init(uint64_t image_phys, bool huge)
{
	uint64_t phys;

	image_offset = image_phys - (uint64_t)image_base;
	huge_pages = huge;
	root = table_new(&phys);
}

uint64_t tables_root(void)
{
	return (uint64_t)root + image_offset;
}

const uint64_t *tables_top(void)
{
	return root;
}

bool tables_root_is_set(void)
{
	return root;
}

/* The table below *entry, of pages of level `level`; made, or split from a larger page. */
static uint64_t *table_below(uint64_t *entry, int level)
{
	if ((*entry & PTE_PRESENT) && !(*entry & PTE_LARGE))
		return table_at(*entry);

	uint64_t phys, *table = table_new(&phys);

	if (!table)
		return NULL;
	if (*entry & PTE_PRESENT) {
		uint64_t part = *entry;

		if (level == LEVEL_PAGE)
			part &= ~PTE_LARGE;
		for (int i = 0; i < ENTRIES; i++)
			table[i] = part + i * level_size(level);
	}
	/* Rights are decided in the last level alone. */
	*entry = phys | PTE_PRESENT | PTE_WRITE;
	return table;
}

static bool may_be_large(int level)
{
	return level == 1 || (level == 2 && huge_pages);
}

static void change_entry(const void *virt, uint64_t *entry, uint64_t now)
{
	uint64_t before = *entry;

	if (before == now)
		return;
	*entry = now;
	/* What is not present is not remembered (SDM volume 3, 4.10.2.3), and this is slow. */
	if (before & PTE_PRESENT) {
		cpu_forget_page(virt);
		stale = true;
	}
}

/* flags 0 unmaps. With the lock held. */
static bool change(uint64_t virt, uint64_t phys, uint64_t size, uint64_t flags)
{
	while (size) {
		uint64_t *table = root, *entry;
		int level = LEVEL_PML4;

		for (;; level--) {
			uint64_t page = level_size(level);

			entry = &table[virt / page % ENTRIES];
			if (level == LEVEL_PAGE)
				break;
			/* Never over a table: it would be lost, and others' pages with it. */
			bool leaf = !(*entry & PTE_PRESENT) || (*entry & PTE_LARGE);

			if (leaf && size >= page && !(virt & (page - 1)) && level < LEVEL_PML4 &&
			    (flags ? may_be_large(level) && !(phys & (page - 1)) : true))
				break;
			if (!flags && !(*entry & PTE_PRESENT))
				break;
			table = table_below(entry, level - 1);
			if (!table)
				return false;
		}

		/* On through the last level's table without walking down to it again. */
		do {
			/* To the end of its span: less than a whole one only where nothing is. */
			uint64_t step = level_size(level) - (virt & (level_size(level) - 1));

			change_entry((void *)virt, entry++,
				flags ? phys | flags | (level == LEVEL_PAGE ? 0 : PTE_LARGE) : 0);
			if (step > size)
				step = size;
			virt += step;
			phys += step;
			size -= step;
		} while (level == LEVEL_PAGE && size && virt % level_size(1));
	}
	return true;
}

/* One whole change, seen by all CPUs when it returns. */
static bool change_for_all(uint64_t virt, uint64_t phys, uint64_t size, uint64_t flags)
{
	uint64_t irq = cpu_lock_acquire(&lock);
	bool done = change(virt, phys, size, flags);

	if (stale)
		cpu_forget_on_others();
	stale = false;
	cpu_lock_release(&lock, irq);
	return done;
}

bool tables_map(uint64_t virt, uint64_t phys, uint64_t size, uint64_t flags)
{
	return change_for_all(virt, phys, size, flags | PTE_PRESENT);
}

bool tables_unmap(uint64_t virt, uint64_t size)
{
	return change_for_all(virt, 0, size, 0);
}

uint64_t tables_lookup(uint64_t virt, uint64_t *page_size)
{
	uint64_t *table = root;
	int64_t top = (int64_t)virt >> 47;

	if (!table || (top != 0 && top != -1))
		return 0;
	for (int level = LEVEL_PML4;; level--) {
		uint64_t entry = table[virt / level_size(level) % ENTRIES];

		if (!(entry & PTE_PRESENT))
			return 0;
		if (level == LEVEL_PAGE || (entry & PTE_LARGE)) {
			*page_size = level_size(level);
			return entry;
		}
		table = table_at(entry);
	}
}

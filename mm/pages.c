// SPDX-License-Identifier: BSD-2-Clause
#include "mm/pages.h"

#include <isthmus/log.h>
#include "cpu/lock.h"
#include "mm/mm.h"

struct run {
	struct run *next;
	uint64_t phys;
	uint64_t pages;
};

static struct run *runs;
static uint64_t free_pages;
static struct cpu_lock pages_lock;

static struct run *run_at(uint64_t phys)
{
	return mm_phys_to_virt(phys);
}

/* With the lock held. */
static void insert_run(uint64_t phys, uint64_t pages)
{
	struct run **link = &runs, *before = NULL;

	while (*link && (*link)->phys < phys) {
		before = *link;
		link = &before->next;
	}
	struct run *after = *link;
	uint64_t end = phys + pages * MM_PAGE_SIZE;

	if ((before && before->phys + before->pages * MM_PAGE_SIZE > phys) ||
	    (after && end > after->phys))
		panic("mm: pages at %#lx freed that are free already", (unsigned long)phys);
	free_pages += pages;

	struct run *run = run_at(phys);

	if (before && before->phys + before->pages * MM_PAGE_SIZE == phys) {
		before->pages += pages;
		run = before;
	} else {
		*run = (struct run){ after, phys, pages };
		*link = run;
	}
	if (after && end == after->phys) {
		run->pages += after->pages;
		run->next = after->next;
	}
}

void pages_add(uint64_t phys, uint64_t size)
{
	uint64_t flags = cpu_lock_acquire(&pages_lock);

	insert_run(phys, size / MM_PAGE_SIZE);
	cpu_lock_release(&pages_lock, flags);
}

/* Takes `count` pages out of the run behind *link, below `limit`, with the lock held. */
static uint64_t take_from(struct run **link, uint64_t count, uint64_t limit)
{
	struct run *run = *link;

	if (run->pages < count || run->phys >= limit ||
	    limit - run->phys < count * MM_PAGE_SIZE)
		return MM_NO_PAGES;

	uint64_t rest = run->pages - count;
	uint64_t found = run->phys + rest * MM_PAGE_SIZE;

	if (found < limit && limit - found >= count * MM_PAGE_SIZE) {
		/* The end of the run: its node stays where it is. */
		if (rest)
			run->pages = rest;
		else
			*link = run->next;
	} else {
		struct run *moved = run_at(run->phys + count * MM_PAGE_SIZE);

		found = run->phys;
		*moved = (struct run){ run->next, found + count * MM_PAGE_SIZE, rest };
		*link = moved;
	}
	free_pages -= count;
	return found;
}

/* Memory below 1 MiB is left for those who need it, as long as there is other. */
#define SCARCE_END 0x100000ul

uint64_t mm_alloc_pages_below(size_t count, uint64_t limit)
{
	uint64_t found = MM_NO_PAGES, flags;

	if (count == 0 || count > free_pages)
		return MM_NO_PAGES;
	flags = cpu_lock_acquire(&pages_lock);
	for (int scarce = limit <= SCARCE_END; scarce < 2 && found == MM_NO_PAGES; scarce++)
		for (struct run **link = &runs; *link;
		     link = &(*link)->next) {
			if (scarce || (*link)->phys >= SCARCE_END)
				found = take_from(link, count, limit);
			if (found != MM_NO_PAGES)
				break;
		}
	cpu_lock_release(&pages_lock, flags);
	return found;
}

uint64_t mm_alloc_pages(size_t count)
{
	return mm_alloc_pages_below(count, UINT64_MAX);
}

void mm_free_pages(uint64_t phys, size_t count)
{
	pages_add(phys, count * MM_PAGE_SIZE);
}

uint64_t mm_free_bytes(void)
{
	return free_pages * MM_PAGE_SIZE;
}

// SPDX-License-Identifier: BSD-2-Clause
/* The heap's ground and stacks made at run time: fresh addresses, backed with RAM on demand. */
#include <isthmus/log.h>
#include "cpu/lock.h"
#include "mm/mm.h"
#include "mm/tables.h"

#define RUN_PAGES 512	/* asked of the allocator at once */

static struct cpu_lock heap_lock;
static uint64_t heap_end;	/* bytes above MM_HEAP_BASE that are given out */
static uint64_t heap_backed;	/* of whole pages that are mapped */
static uint64_t stacks_end;	/* bytes above MM_STACK_BASE that are taken */

/* In runs, as it was backed: other CPUs are told of each change, which takes longer than the change. */
static void take_back(uint64_t virt, uint64_t size)
{
	for (uint64_t end = virt + size, run; virt < end; virt += run) {
		uint64_t phys = mm_virt_to_phys((const void *)virt);

		run = MM_PAGE_SIZE;
		while (virt + run < end && mm_virt_to_phys((const void *)(virt + run)) == phys + run)
			run += MM_PAGE_SIZE;
		/* Splitting a large page may need a table: without one the run stays backed. */
		if (tables_unmap(virt, run))
			mm_free_pages(phys, run / MM_PAGE_SIZE);
	}
}

/* Backs fresh addresses with RAM, in the longest runs there are; undoes it all when RAM is out. */
static bool back(uint64_t virt, uint64_t size)
{
	uint64_t done = 0, run = RUN_PAGES;

	while (done < size) {
		uint64_t pages = (size - done) / MM_PAGE_SIZE;

		if (pages > run)
			pages = run;

		uint64_t phys = mm_alloc_pages(pages);

		if (phys == MM_NO_PAGES && pages > 1) {
			run = pages / 2;
			continue;
		}
		if (phys == MM_NO_PAGES)
			break;
		if (!tables_map(virt + done, phys, pages * MM_PAGE_SIZE, mm_ram_flags())) {
			mm_free_pages(phys, pages);
			break;
		}
		done += pages * MM_PAGE_SIZE;
	}
	if (done == size)
		return true;
	take_back(virt, done);
	return false;
}

static uint64_t page_up(uint64_t size)
{
	return (size + MM_PAGE_SIZE - 1) & ~(MM_PAGE_SIZE - 1);
}

/* With the lock held. */
static bool heap_move(uint64_t end)
{
	uint64_t backed = page_up(end);

	if (backed > heap_backed) {
		if (backed - heap_backed > mm_free_bytes() ||
		    !back(MM_HEAP_BASE + heap_backed, backed - heap_backed))
			return false;
	} else {
		take_back(MM_HEAP_BASE + backed, heap_backed - backed);
	}
	heap_backed = backed;
	/* RAM comes as it is, and so does what an earlier owner left behind the old end. */
	if (end > heap_end)
		__builtin_memset((void *)(MM_HEAP_BASE + heap_end), 0, end - heap_end);
	heap_end = end;
	return true;
}

void *mm_heap_grow(intptr_t increment)
{
	uint64_t flags = cpu_lock_acquire(&heap_lock);
	void *old = (void *)(MM_HEAP_BASE + heap_end);

	if (increment < 0 ? (uint64_t)-increment > heap_end :
			    (uint64_t)increment > MM_HEAP_LIMIT - heap_end)
		old = (void *)-1;
	else if (increment && !heap_move(heap_end + (uint64_t)increment))
		old = (void *)-1;
	cpu_lock_release(&heap_lock, flags);
	return old;
}

void *mm_alloc_stack(size_t size)
{
	uint64_t flags, bottom, backed = page_up(size);
	bool done = false;

	flags = cpu_lock_acquire(&heap_lock);
	bottom = MM_STACK_BASE + stacks_end + MM_PAGE_SIZE;
	if (size && size <= MM_STACK_LIMIT && stacks_end <= MM_STACK_LIMIT - backed - MM_PAGE_SIZE)
		done = back(bottom, backed);
	if (done)
		stacks_end += MM_PAGE_SIZE + backed;
	cpu_lock_release(&heap_lock, flags);
	if (!done) {
		log_error("mm: no RAM left for a stack of %zu bytes", size);
		return NULL;
	}
	return (void *)(bottom + backed);
}

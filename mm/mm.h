/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory: the map, the page tables, mappings with a stated memory type, the heap's ground.
 *
 * mm owns the page tables of every CPU. Nothing here sleeps. All functions may be called with
 * interrupts off; none may be called from an interrupt handler except mm_is_mapped(),
 * mm_phys_to_virt() and mm_virt_to_phys(). Sources: Intel SDM volume 3, chapters 4 (paging) and
 * 11 (memory types).
 */
#ifndef MM_MM_H
#define MM_MM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mm/layout.h"
#include "mm/map.h"

/* How a mapping is to be cached: the page's half of the effective memory type. */
enum mm_cache {
	MM_WRITE_BACK,
	MM_WRITE_COMBINING,
	MM_UNCACHED,
};

/*
 * Builds the guest's own page tables from the memory map and switches to them: image with text
 * read-execute, constants read-only, data read-write, each but text no-execute; guard pages
 * unmapped; RAM at MM_RAM_BASE. `map` comes as firmware gave it: unsorted, overlapping and empty
 * entries are put right here. `reserved` are ranges to keep out of the allocator (modules).
 * The image lies at physical `image_phys`. Both arrays are only read during the call.
 * 0, or after one log line that says what to do: -ENOMEM too little RAM, -EFAULT the image does
 * not lie in usable RAM.
 */
int mm_init(const struct mm_range *map, unsigned count, const struct mm_range *reserved,
	unsigned reserved_count, uint64_t image_phys);

/* Gives the calling CPU mm's page tables, PAT and MTRRs: for CPUs started after mm_init(). */
void mm_init_cpu(void);

/*
 * Maps physical [phys, phys + size) and returns the address of `phys`, or NULL when the range is
 * empty, wraps, lies beyond the CPU's physical width, or no page table could be had; a log line
 * says which. 2 MiB and 1 GiB pages are used where alignment and the CPU allow. Mapping the same
 * range again returns the same address; the type of a page is that of the last call.
 */
void *mm_map(uint64_t phys, uint64_t size, enum mm_cache cache);

/* Unmaps what mm_map() returned for that size. 0, or -EINVAL for an address not from there. */
int mm_unmap(void *virt, uint64_t size);

/*
 * What the CPU will do with a write-back mapping of that range, from the MTRRs: "write-back",
 * "uncached", "write-combining", "write-through", "write-protected", or "mixed" when it differs
 * within the range. A string literal. SDM volume 3, table 11-7.
 */
const char *mm_effective_type(uint64_t phys, uint64_t size);

/*
 * Makes the range effectively write-back where firmware's MTRRs forbid it, by programming
 * variable MTRRs. 0 when it is write-back at return; -ENOSPC when the MTRRs that would be needed
 * are not free; -ENOTSUP when the CPU has none. Run before other CPUs are started.
 */
int mm_force_write_back(uint64_t phys, uint64_t size);

/* Address of RAM of the memory map (not of the image, nor of a device). */
void *mm_phys_to_virt(uint64_t phys);

/* Physical address behind any mapped address, by walking the tables; UINT64_MAX if unmapped. */
uint64_t mm_virt_to_phys(const void *virt);

/* The size in bytes of the page that maps an address, 0 where none does. */
uint64_t mm_page_size(const void *virt);

/* Whether a byte at that address can be read without a fault. */
bool mm_is_mapped(const void *virt);

#define MM_NO_PAGES	UINT64_MAX

/*
 * `count` contiguous pages of RAM, not cleared; the physical address of the first, or MM_NO_PAGES.
 * _below: all of them below physical `limit` (a start-up page for other CPUs, 32-bit DMA).
 * The caller owns them until mm_free_pages() with the same count.
 */
uint64_t mm_alloc_pages(size_t count);
uint64_t mm_alloc_pages_below(size_t count, uint64_t limit);
void mm_free_pages(uint64_t phys, size_t count);

/*
 * Moves the heap's end by `increment` bytes and returns its old end, or (void *)-1 with nothing
 * changed when RAM is out. What is added reads as zero. The ground of sbrk().
 */
void *mm_heap_grow(intptr_t increment);

/* A stack of `size` bytes above a guard page; its top, 16-byte aligned, or NULL. Never freed. */
void *mm_alloc_stack(size_t size);

/*
 * Where other CPUs start: a page below 1 MiB, and page tables below 4 GiB that map it to itself, to be
 * run, beside all that mm maps. 0, or -ENOMEM after a log line. Given back once the CPU has left it.
 */
int mm_take_start_ground(uint64_t *page, uint64_t *tables);
void mm_give_start_ground(uint64_t page);

/* Bytes of RAM in the memory map, and those not allocated now. */
uint64_t mm_ram_bytes(void);
uint64_t mm_free_bytes(void);

#endif

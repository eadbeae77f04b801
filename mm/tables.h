/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page tables themselves: four levels, pages of 4 KiB, 2 MiB and, where the CPU has them,
 * 1 GiB. Private to mm. Source: Intel SDM volume 3, section 4.5.
 */
#ifndef MM_TABLES_H
#define MM_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PTE_PRESENT	(1ull << 0)
#define PTE_WRITE	(1ull << 1)
#define PTE_PWT		(1ull << 3)	/* with PCD: index into the PAT */
#define PTE_PCD		(1ull << 4)
#define PTE_LARGE	(1ull << 7)	/* in a directory: a page of 2 MiB or 1 GiB */
#define PTE_GLOBAL	(1ull << 8)
#define PTE_NO_EXECUTE	(1ull << 63)
#define PTE_ADDRESS	0x000ffffffffff000ull

/* The PAT as mm sets it: 0 write-back, 1 write-combining, 2 uncached unless MTRR, 3 uncached. */
#define PTE_WRITE_BACK		0
#define PTE_WRITE_COMBINING	PTE_PWT
#define PTE_UNCACHED		(PTE_PCD | PTE_PWT)

/* PTE_ flags of RAM: writable, write-back, no-execute where the CPU can. Valid after mm_init(). */
uint64_t mm_ram_flags(void);

/* Begins with no mappings; `huge` allows 1 GiB pages. The first tables are part of the image. */
void tables_init(uint64_t image_phys, bool huge);

/* Physical address of the top level, for CR3, and whether there is one yet. */
uint64_t tables_root(void);
bool tables_root_is_set(void);

/* The top level itself, 512 entries. */
const uint64_t *tables_top(void);

/*
 * Maps [virt, virt + size) to phys with those PTE_ flags, with the largest pages that alignment
 * allows; both addresses and the size are whole pages. Replaces what was mapped there, splitting
 * larger pages where only a part of one changes. False when a table could not be had: then a part
 * may be mapped.
 */
bool tables_map(uint64_t virt, uint64_t phys, uint64_t size, uint64_t flags);

/* Unmaps whole pages; splits a larger page of which only a part goes. False as above. */
bool tables_unmap(uint64_t virt, uint64_t size);

/* The entry that maps `virt`, with the size of its page, or 0 with nothing mapped. */
uint64_t tables_lookup(uint64_t virt, uint64_t *page_size);

#endif

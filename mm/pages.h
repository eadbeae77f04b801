/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page allocator: free RAM as a list of runs, sorted by address and merged, first fit. A run's
 * node lies in its own first page, so that memory of any size costs nothing to start with.
 */
#ifndef MM_PAGES_H
#define MM_PAGES_H

#include <stdint.h>

/* Gives a run of RAM to the allocator; it must be mapped at MM_RAM_BASE already. */
void pages_add(uint64_t phys, uint64_t size);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory map as arithmetic on ranges: pure functions, tested on the host. */
#ifndef MM_MAP_H
#define MM_MAP_H

#include <stdbool.h>
#include <stdint.h>

/* One entry of a firmware's map; types are numbered as E820 does. */
struct mm_range {
	uint64_t base, size;
	uint32_t type;
};

#define MM_RANGE_RAM		1
#define MM_RANGE_RESERVED	2
#define MM_RANGE_ACPI		3
#define MM_RANGE_NVS		4

/*
 * The usable RAM of `in`: whole pages of type MM_RANGE_RAM that no entry of another type claims,
 * sorted, merged, not overlapping, below `limit`. At most `max` ranges go to `out`, the lowest
 * ones; the number of them is returned. `in` may be in any order, with empty, overlapping and
 * wrapping entries. `out` must not be `in`.
 */
unsigned mm_map_usable(const struct mm_range *in, unsigned count, uint64_t limit,
	struct mm_range *out, unsigned max);

/* Whether [base, base + size) lies whole in one of the sorted, merged ranges. */
bool mm_map_contains(const struct mm_range *ranges, unsigned count, uint64_t base, uint64_t size);

/* Bytes in all ranges. */
uint64_t mm_map_bytes(const struct mm_range *ranges, unsigned count);

#endif

// SPDX-License-Identifier: BSD-2-Clause
#include "mm/map.h"

#include <stddef.h>

#define PAGE_MASK 0xfffull

static uint64_t range_end(const struct mm_range *r)
{
	return r->size > UINT64_MAX - r->base ? UINT64_MAX : r->base + r->size;
}

/* Whole pages inside [base, end) if usable, all pages it touches if not. */
static bool page_align(uint64_t *base, uint64_t *end, bool inward)
{
	if (inward) {
		if (*base > UINT64_MAX - PAGE_MASK)
			return false;
		*base = (*base + PAGE_MASK) & ~PAGE_MASK;
		*end &= ~PAGE_MASK;
	} else {
		*base &= ~PAGE_MASK;
		*end = *end > UINT64_MAX - PAGE_MASK ? UINT64_MAX & ~PAGE_MASK :
			(*end + PAGE_MASK) & ~PAGE_MASK;
	}
	return *base < *end;
}

/*
 * The end of the RAM that begins at `from`: how far entries of RAM, each overlapping or touching
 * the one before, reach; `from` itself when no RAM covers it.
 */
static uint64_t ram_reach(const struct mm_range *in, unsigned count, uint64_t from)
{
	uint64_t reach = from;
	bool grew;

	do {
		grew = false;
		for (unsigned i = 0; i < count; i++) {
			uint64_t base = in[i].base, end = range_end(&in[i]);

			if (in[i].type == MM_RANGE_RAM && page_align(&base, &end, true) &&
			    base <= reach && end > reach) {
				reach = end;
				grew = true;
			}
		}
	} while (grew);
	return reach;
}

/* The lowest page at or above `from` that RAM covers, or UINT64_MAX. */
static uint64_t next_ram(const struct mm_range *in, unsigned count, uint64_t from)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < count; i++) {
		uint64_t base = in[i].base, end = range_end(&in[i]);

		if (in[i].type != MM_RANGE_RAM || !page_align(&base, &end, true) || end <= from)
			continue;
		if (base < from)
			base = from;
		if (base < next)
			next = base;
	}
	return next;
}

unsigned mm_map_usable(const struct mm_range *in, unsigned count, uint64_t limit,
	struct mm_range *out, unsigned max)
{
	unsigned n = 0;
	uint64_t at = 0;

	limit &= ~PAGE_MASK;
	while (n < max) {
		uint64_t base = next_ram(in, count, at);

		if (base >= limit)
			break;
		uint64_t end = ram_reach(in, count, base);

		if (end > limit)
			end = limit;
		at = end;
		/* What another type claims wins: cut at the first claim, skip one at the base. */
		for (unsigned i = 0; i < count && base < end; i++) {
			uint64_t b = in[i].base, e = range_end(&in[i]);

			if (in[i].type == MM_RANGE_RAM || in[i].size == 0 ||
			    !page_align(&b, &e, false) || e <= base || b >= end)
				continue;
			if (b <= base) {
				end = base;	/* nothing here: look again behind the claim */
				at = e;
			} else {
				end = at = b;
			}
		}
		if (base < end)
			out[n++] = (struct mm_range){ base, end - base, MM_RANGE_RAM };
	}
	return n;
}

bool mm_map_contains(const struct mm_range *ranges, unsigned count, uint64_t base, uint64_t size)
{
	for (unsigned i = 0; i < count; i++)
		if (base >= ranges[i].base && base - ranges[i].base <= ranges[i].size &&
		    size <= ranges[i].size - (base - ranges[i].base))
			return true;
	return false;
}

uint64_t mm_map_bytes(const struct mm_range *ranges, unsigned count)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < count; i++)
		sum += ranges[i].size;
	return sum;
}

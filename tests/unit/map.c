// SPDX-License-Identifier: BSD-2-Clause
// mm/map: memory maps as firmware gives them, against a byte-for-byte picture of small ones.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "mm/map.h"

#define PAGE 0x1000ull
#define PAGES 64	/* of the picture */

static uint32_t seed;

static uint32_t next_random(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

static void check_sorted(const struct mm_range *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(r[i].base % PAGE, 0);
		assert_int_equal(r[i].size % PAGE, 0);
		assert_true(r[i].size > 0);
		assert_int_equal(r[i].type, MM_RANGE_RAM);
		assert_true(i == 0 || r[i - 1].base + r[i - 1].size < r[i].base);
	}
}

static int in_ranges(const struct mm_range *r, unsigned n, uint64_t page)
{
	return mm_map_contains(r, n, page * PAGE, PAGE);
}

/* Random maps of the first 64 pages, with entries at any byte. */
static void finds_what_is_usable(void **state)
{
	(void)state;
	for (seed = 1; seed < 3000000; seed += 97) {
		uint32_t keep = seed;
		struct mm_range in[8], out[40];
		unsigned count = next_random(9), n;
		int ram[PAGES] = { 0 }, other[PAGES] = { 0 };

		for (unsigned i = 0; i < count; i++) {
			uint64_t base = next_random(PAGES * PAGE), size = next_random(20 * PAGE);

			if (next_random(2)) {
				base &= ~(PAGE - 1);
				size &= ~(PAGE - 1);
			}
			in[i] = (struct mm_range){ base, size, next_random(3) ? MM_RANGE_RAM : next_random(6) };
			for (uint64_t p = 0; p < PAGES; p++) {
				uint64_t from = p * PAGE, to = from + PAGE;

				if (in[i].type != MM_RANGE_RAM)
					other[p] |= size && base < to && base + size > from;
				else
					ram[p] |= base <= from && base + size >= to;
			}
		}
		n = mm_map_usable(in, count, PAGES * PAGE, out, 40);
		check_sorted(out, n);
		for (uint64_t p = 0; p < PAGES; p++)
			assert_int_equal(in_ranges(out, n, p), ram[p] && !other[p]);
		seed = keep;
	}
}

static void survives_odd_entries(void **state)
{
	const struct mm_range in[] = {
		{ 0x100000000, 0x40000000, MM_RANGE_RAM },
		{ 0, 0, MM_RANGE_RAM },
		{ 0x100000, 0x3ff00000, MM_RANGE_RAM },
		{ 0xfffffffffffff000, 0x2000, MM_RANGE_RAM },		/* wraps */
		{ UINT64_MAX, UINT64_MAX, MM_RANGE_RESERVED },
		{ 0x9fc00, 0x400, MM_RANGE_RESERVED },
		{ 0, 0x9fc00, MM_RANGE_RAM },
		{ 0, 0, MM_RANGE_RESERVED },
		{ 0x200000, 0, 7 },					/* empty: claims nothing */
	};
	struct mm_range out[16];
	unsigned n = mm_map_usable(in, 9, 1ull << 40, out, 16);

	(void)state;
	assert_int_equal(n, 3);
	assert_int_equal(out[0].base, 0);
	assert_int_equal(out[0].size, 0x9f000);
	assert_int_equal(out[1].base, 0x100000);
	assert_int_equal(out[2].base, 0x100000000);
	assert_int_equal(mm_map_bytes(out, n), 0x9f000 + 0x3ff00000ull + 0x40000000ull);
	assert_int_equal(mm_map_usable(in, 9, 1ull << 40, out, 2), 2);	/* the lowest */
	assert_int_equal(mm_map_usable(in, 0, 1ull << 40, out, 16), 0);
	assert_int_equal(mm_map_usable(in, 9, 0x110000, out, 16), 2);	/* cut at the limit */
	assert_int_equal(out[1].size, 0x10000);
}

static void contains_no_more_than_there_is(void **state)
{
	const struct mm_range r[] = { { 0x1000, 0x2000, 1 }, { 0x4000, 0x1000, 1 } };

	(void)state;
	assert_true(mm_map_contains(r, 2, 0x1000, 0x2000));
	assert_false(mm_map_contains(r, 2, 0x1000, 0x2001));
	assert_false(mm_map_contains(r, 2, 0xfff, 2));
	assert_false(mm_map_contains(r, 2, 0x2000, 0x2800));	/* over the gap */
	assert_false(mm_map_contains(r, 2, 0x4000, UINT64_MAX));
	assert_false(mm_map_contains(r, 2, UINT64_MAX, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_is_usable),
		cmocka_unit_test(survives_odd_entries),
		cmocka_unit_test(contains_no_more_than_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// mm/mtrr: memory types as firmwares leave them, and how a region is made write-back.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "mm/mtrr.h"

#define MIB 0x100000ull
#define GIB 0x40000000ull
#define BITS 40

static void add(struct mtrrs *m, unsigned n, uint64_t base, uint64_t size, uint64_t type)
{
	m->variable[n].base = base | type;
	m->variable[n].mask = (((1ull << BITS) - 1) & ~(size - 1)) | MTRR_MASK_VALID;
}

/* SeaBIOS: all write-back, but the last GiB below 4 GiB. */
static struct mtrrs seabios(void)
{
	struct mtrrs m = { .physical_bits = BITS, .variable_count = 8 };

	m.def_type = MTRR_DEF_ENABLE | MTRR_DEF_FIXED_ENABLE | MTRR_WRITE_BACK;
	for (int i = 0; i < MTRR_FIXED; i++)
		m.fixed[i] = 0x0606060606060606;
	m.fixed[2] = 0;
	add(&m, 0, 3 * GIB, GIB, MTRR_UNCACHED);
	return m;
}

/* OVMF: all uncached, but RAM. */
static struct mtrrs ovmf(void)
{
	struct mtrrs m = { .physical_bits = BITS, .variable_count = 8 };

	m.def_type = MTRR_DEF_ENABLE | MTRR_UNCACHED;
	add(&m, 0, 0, 2 * GIB, MTRR_WRITE_BACK);
	return m;
}

static void tells_types(void **state)
{
	struct mtrrs m = seabios();

	(void)state;
	assert_int_equal(mtrr_type(&m, 0, 0xa0000), MTRR_WRITE_BACK);
	assert_int_equal(mtrr_type(&m, 0xa0000, 0x20000), MTRR_UNCACHED);
	assert_int_equal(mtrr_type(&m, 0x9f000, 0x2000), MTRR_MIXED);
	assert_int_equal(mtrr_type(&m, 0xc0000, 2 * GIB), MTRR_WRITE_BACK);
	assert_int_equal(mtrr_type(&m, 3 * GIB, GIB), MTRR_UNCACHED);
	assert_int_equal(mtrr_type(&m, 3 * GIB - 1, 2), MTRR_MIXED);
	assert_int_equal(mtrr_type(&m, 4 * GIB - 1, 2), MTRR_MIXED);
	assert_int_equal(mtrr_type(&m, 4 * GIB, 1000 * GIB), MTRR_WRITE_BACK);
	m.def_type &= ~MTRR_DEF_ENABLE;
	assert_int_equal(mtrr_type(&m, 0x200000, 1), MTRR_UNCACHED);
}

static void combines_overlaps(void **state)
{
	struct mtrrs m = ovmf();

	(void)state;
	add(&m, 3, GIB, MIB, MTRR_WRITE_THROUGH);
	assert_int_equal(mtrr_type(&m, GIB, MIB), MTRR_WRITE_THROUGH);
	add(&m, 4, GIB, MIB, MTRR_UNCACHED);
	assert_int_equal(mtrr_type(&m, GIB, MIB), MTRR_UNCACHED);
	assert_int_equal(mtrr_type(&m, GIB - 1, 2), MTRR_MIXED);
	/* A mask with a hole: every other MiB. */
	m.variable[5].base = 8 * GIB | MTRR_WRITE_BACK;
	m.variable[5].mask = (((1ull << BITS) - 1) & ~(GIB - 1)) | MIB | MTRR_MASK_VALID;
	assert_int_equal(mtrr_type(&m, 8 * GIB, MIB), MTRR_WRITE_BACK);
	assert_int_equal(mtrr_type(&m, 8 * GIB + MIB, MIB), MTRR_UNCACHED);
	assert_int_equal(mtrr_type(&m, 8 * GIB, 2 * MIB), MTRR_MIXED);
}

/* After a plan: the region is write-back, RAM too, and the interrupt controllers are not. */
static void holds(const struct mtrrs *m, uint64_t phys, uint64_t size, uint64_t ram)
{
	assert_int_equal(mtrr_type(m, phys, size), MTRR_WRITE_BACK);
	assert_int_equal(mtrr_type(m, MIB, ram), MTRR_WRITE_BACK);
	assert_int_equal(mtrr_type(m, 0xfec00000, 4 * GIB - 0xfec00000), MTRR_UNCACHED);
}

static void cuts_regions_out_of_the_hole(void **state)
{
	(void)state;
	for (uint64_t size = 0x1000; size <= 512 * MIB; size *= 2)
		for (uint64_t phys = 3 * GIB; phys + size <= 0xfec00000; phys += size < MIB ? 17 * MIB : size) {
			struct mtrrs m = seabios();

			assert_int_equal(mtrr_plan_write_back(&m, phys, size), 0);
			holds(&m, phys, size, 2 * GIB);
		}
}

static void takes_several_regions(void **state)
{
	struct mtrrs m = seabios();

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(mtrr_plan_write_back(&m, 0xfd000000 - i * 37 * MIB, MIB), 0);
	for (unsigned i = 0; i < 8; i++)
		holds(&m, 0xfd000000 - i * 37 * MIB, MIB, 2 * GIB);
}

static void adds_regions_where_all_is_uncached(void **state)
{
	struct mtrrs m = ovmf();

	(void)state;
	for (unsigned i = 0; i < 7; i++) {
		assert_int_equal(mtrr_plan_write_back(&m, (800 + i * 16) * GIB, 16 * GIB), 0);
		holds(&m, (800 + i * 16) * GIB, 16 * GIB, GIB);
		assert_int_equal(mtrr_type(&m, (800 + i * 16 + 16) * GIB, GIB), MTRR_UNCACHED);
	}
	struct mtrrs before = m;

	assert_int_equal(mtrr_plan_write_back(&m, 0xf00000000, MIB), -ENOSPC);
	assert_memory_equal(&m, &before, sizeof(m));
}

static void leaves_alone_what_is_right_or_hopeless(void **state)
{
	struct mtrrs m = seabios(), before = m;

	(void)state;
	assert_int_equal(mtrr_plan_write_back(&m, 8 * GIB, 16 * GIB), 0);
	assert_memory_equal(&m, &before, sizeof(m));
	assert_int_equal(mtrr_plan_write_back(&m, 0xa0000, 0x1000), -ENOTSUP);
	assert_int_equal(mtrr_plan_write_back(&m, 3 * GIB, 0), -ENOTSUP);
	assert_int_equal(mtrr_plan_write_back(&m, UINT64_MAX - 10, 100), -ENOTSUP);
	assert_memory_equal(&m, &before, sizeof(m));
}

static void switches_on_what_firmware_left_off(void **state)
{
	struct mtrrs m = { .physical_bits = BITS, .variable_count = 8 };

	(void)state;
	assert_int_equal(mtrr_plan_write_back(&m, 8 * GIB, GIB), 0);
	assert_int_equal(mtrr_type(&m, 0, 1000 * GIB), MTRR_WRITE_BACK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_types),
		cmocka_unit_test(combines_overlaps),
		cmocka_unit_test(cuts_regions_out_of_the_hole),
		cmocka_unit_test(takes_several_regions),
		cmocka_unit_test(adds_regions_where_all_is_uncached),
		cmocka_unit_test(leaves_alone_what_is_right_or_hopeless),
		cmocka_unit_test(switches_on_what_firmware_left_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

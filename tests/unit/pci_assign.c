// SPDX-License-Identifier: BSD-2-Clause
/* pci/assign.c: nothing overlaps, nothing leaves its window, all that fits is placed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "pci/assign.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* q35 with 64 MiB under qboot, whose map isn't sorted. */
static const struct mm_range q35_map[] = {
	{ 0x100000, 63 * MIB, MM_RANGE_RAM },
	{ 0, 0xa0000, MM_RANGE_RAM },
	{ 0xfffc0000, 256 * KIB, MM_RANGE_RESERVED },
	{ 0xb0000000, 256 * MIB, MM_RANGE_RESERVED },
	{ 0, 0, 0 },
};
static const struct pci_machine q35 = {
	.ecam = { { 0xb0000000, 0, 0, 255 } }, .ecam_count = 1,
	.map = q35_map, .map_count = COUNT(q35_map),
};

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

/* What must hold of any outcome, whatever went in. */
static void check(const struct pci_item *items, unsigned int count, const struct pci_machine *machine)
{
	for (unsigned int i = 0; i < count; i++) {
		const struct pci_item *a = &items[i];

		if (!a->placed || !a->size)
			continue;
		if (!a->fixed)
			assert_int_equal(a->base & (a->align - 1), 0);
		if (a->parent != PCI_ITEM_ROOT) {
			const struct pci_item *w = &items[a->parent];

			assert_true(w->placed);
			assert_true(a->base >= w->base);
			assert_true(a->base + a->size <= w->base + w->size);
		} else if (!a->io && !a->fixed) {
			assert_false(pci_host_forbids(machine, a->base, a->size));
			if (!a->high)
				assert_true(a->base + a->size <= 4 * GIB);
		} else if (a->io && !a->fixed) {
			assert_true(a->base + a->size <= 0x10000);
		}
		for (unsigned int j = 0; j < i; j++) {
			const struct pci_item *b = &items[j];

			if (b->placed && b->size && b->parent == a->parent && b->io == a->io)
				assert_false(overlap(a->base, a->size, b->base, b->size));
		}
	}
}

static struct pci_item memory(uint64_t size, bool high, int parent)
{
	struct pci_item item = { .size = size, .align = size, .high = high, .parent = parent };

	return item;
}

static struct pci_item window(bool high, int parent)
{
	struct pci_item item = { .align = MIB, .high = high, .window = true, .parent = parent };

	return item;
}

static void test_host_ranges(void **state)
{
	struct pci_host host;

	(void)state;
	pci_host_ranges(&q35, 40, &host);
	assert_int_equal(host.range[PCI_SPACE_LOW][0].base, 0xc0000000);
	assert_int_equal(host.range[PCI_SPACE_LOW][0].size, 0x3ec00000);
	assert_true(host.range[PCI_SPACE_HIGH][0].base == 0xc000000000);
	/* Not into the HyperTransport range. */
	assert_true(host.range[PCI_SPACE_HIGH][0].size == 0x3d00000000);
	for (int space = PCI_SPACE_LOW; space <= PCI_SPACE_HIGH; space++) {
		for (unsigned int i = 0; i < host.count[space]; i++) {
			const struct pci_range *r = &host.range[space][i];

			assert_false(r->size && pci_host_forbids(&q35, r->base, r->size));
		}
	}
}

static void test_host_microvm(void **state)
{
	static const struct mm_range map[] = { { 0x100000, 3 * GIB - MIB, MM_RANGE_RAM } };
	struct pci_machine machine = {
		.ecam = { { 0xe0000000, 0, 0, 255 } }, .ecam_count = 1, .map = map, .map_count = 1,
	};
	struct pci_host host;

	(void)state;
	pci_host_ranges(&machine, 40, &host);
	assert_int_equal(host.range[PCI_SPACE_LOW][0].base, 0xc0000000);
	assert_int_equal(host.range[PCI_SPACE_LOW][0].size, 0x20000000);
}

/* RAM that reaches into both windows moves them. */
static void test_host_much_ram(void **state)
{
	static const struct mm_range map[] = {
		{ 0, 0xe0000000, MM_RANGE_RAM }, { 4 * GIB, 60 * GIB - MIB, MM_RANGE_RAM },
		{ 0xf0000000, 64 * MIB, MM_RANGE_RESERVED },
	};
	struct pci_machine machine = { .map = map, .map_count = COUNT(map) };
	struct pci_host host;
	uint64_t free_high = 0;

	(void)state;
	pci_host_ranges(&machine, 36, &host);
	for (int space = PCI_SPACE_LOW; space <= PCI_SPACE_HIGH; space++) {
		for (unsigned int i = 0; i < host.count[space]; i++) {
			const struct pci_range *r = &host.range[space][i];

			for (unsigned int m = 0; m < COUNT(map); m++)
				assert_false(r->size && overlap(r->base, r->size, map[m].base, map[m].size));
			if (space == PCI_SPACE_HIGH)
				free_high += r->size;
		}
	}
	assert_true(free_high == 0); /* 36 bits are 64 GiB, full to the last GiB */
}

static void test_simple(void **state)
{
	struct pci_item items[] = {
		memory(256, false, -1), memory(4 * KIB, false, -1), memory(MIB, true, -1),
		{ .size = 32, .align = 32, .io = true, .parent = -1 },
		{ .size = 64, .align = 64, .io = true, .parent = -1 },
		{ .align = 1, .parent = -1 },
	};
	struct pci_host host;

	(void)state;
	pci_host_ranges(&q35, 40, &host);
	assert_int_equal(pci_assign(items, COUNT(items), &host), 0);
	check(items, COUNT(items), &q35);
	for (unsigned int i = 0; i < 5; i++)
		assert_true(items[i].placed);
	assert_true(items[2].base < 4 * GIB); /* below while it fits */
	assert_int_equal(items[3].base & ~0x3fffull, 0xc000);
}

static void test_large_goes_high(void **state)
{
	struct pci_item items[10];
	struct pci_host host;

	(void)state;
	pci_host_ranges(&q35, 40, &host);
	for (unsigned int i = 0; i < 8; i++)
		items[i] = memory(16 * GIB, true, -1);
	items[8] = memory(512 * MIB, true, -1);
	items[9] = memory(256 * MIB, false, -1); /* must lie low: has first choice */
	assert_int_equal(pci_assign(items, 10, &host), 0);
	check(items, 10, &q35);
	assert_true(items[0].base >= 4 * GIB);
	assert_true(items[9].base < 4 * GIB);
}

static void test_behind_bridges(void **state)
{
	struct pci_item items[] = {
		window(false, -1),	     /* 0: outer bridge, memory */
		window(true, -1),	     /* 1: outer bridge, prefetchable */
		memory(4 * KIB, false, 0),   /* 2 */
		window(false, 0),	     /* 3: inner bridge */
		window(true, 1),	     /* 4 */
		memory(256, false, 3),	     /* 5 */
		memory(2 * GIB, true, 4),    /* 6 */
		memory(MIB, true, 1),	     /* 7 */
		memory(8 * MIB, false, -1),  /* 8 */
		{ .align = 4 * KIB, .io = true, .window = true, .parent = -1 }, /* 9 */
		{ .size = 32, .align = 32, .io = true, .parent = 9 },
	};
	struct pci_host host;

	(void)state;
	pci_host_ranges(&q35, 40, &host);
	assert_int_equal(pci_assign(items, COUNT(items), &host), 0);
	check(items, COUNT(items), &q35);
	for (unsigned int i = 0; i < COUNT(items); i++)
		assert_true(items[i].placed);
	assert_int_equal(items[3].size, MIB);
	assert_int_equal(items[0].size, 2 * MIB);
	assert_int_equal(items[4].size, 2 * GIB);
	assert_true(items[1].size == 2 * GIB + MIB);
	assert_true(items[1].base >= 4 * GIB);
	assert_int_equal(items[9].size, 4 * KIB);
}

/* A window with nothing in it stays closed, unless it is to have a reserve. */
static void test_empty_windows(void **state)
{
	struct pci_item items[] = { window(false, -1), window(true, -1) };
	struct pci_host host;

	(void)state;
	items[1].size = 2 * MIB;
	pci_host_ranges(&q35, 40, &host);
	assert_int_equal(pci_assign(items, 2, &host), 0);
	assert_false(items[0].placed);
	assert_true(items[1].placed);
	assert_int_equal(items[1].size, 2 * MIB);
}

static void test_firmware_is_kept(void **state)
{
	struct pci_item items[] = {
		{ .base = 0xfea00000, .size = MIB, .align = MIB, .fixed = true, .parent = -1 },
		{ .base = 0xfe000000, .size = 4 * MIB, .align = MIB, .fixed = true, .window = true, .parent = -1 },
		{ .base = 0xfe000000, .size = MIB, .align = MIB, .fixed = true, .parent = 1 },
		memory(2 * MIB, false, 1),
		memory(8 * MIB, false, 1), /* too large for the window */
		memory(MIB, false, -1),
		{ .base = 0xfea00000, .size = 4 * KIB, .align = 4 * KIB, .fixed = true, .parent = -1 },
		{ .base = 0xd0000000, .size = 4 * KIB, .align = 4 * KIB, .fixed = true, .parent = 1 },
	};
	struct pci_host host;

	(void)state;
	pci_host_ranges(&q35, 40, &host);
	assert_int_equal(pci_assign(items, COUNT(items), &host), 1);
	check(items, COUNT(items), &q35);
	assert_int_equal(items[0].base, 0xfea00000);
	assert_int_equal(items[1].base, 0xfe000000);
	assert_int_equal(items[2].base, 0xfe000000);
	assert_int_equal(items[3].base, 0xfe200000);
	assert_false(items[4].placed);
	assert_true(items[5].placed);
	/* On top of item 0, and outside its window: taken back and placed anew. */
	assert_true(items[6].placed && !items[6].fixed && items[6].base != 0xfea00000);
	assert_true(items[7].placed && !items[7].fixed && items[7].base >= 0xfe000000);
}

static void test_no_room(void **state)
{
	struct pci_item items[] = {
		memory(2 * GIB, false, -1), window(false, -1), memory(2 * GIB, true, 1),
		memory(512 * GIB, true, -1), memory(4 * KIB, false, -1),
	};
	struct pci_host host;

	(void)state;
	pci_host_ranges(&q35, 40, &host);
	assert_true(pci_assign(items, COUNT(items), &host) >= 3);
	check(items, COUNT(items), &q35);
	assert_false(items[0].placed || items[1].placed || items[2].placed || items[3].placed);
	assert_true(items[4].placed);
}

/* Trees of any shape: what must hold, holds. */
static void test_random_trees(void **state)
{
	static struct pci_item items[60];
	struct pci_host host;

	(void)state;
	srand(1);
	pci_host_ranges(&q35, 40, &host);
	for (int round = 0; round < 3000; round++) {
		unsigned int count = 1 + (unsigned int)rand() % COUNT(items), failed, missing = 0;

		memset(items, 0, sizeof(items));
		for (unsigned int i = 0; i < count; i++) {
			int parent = PCI_ITEM_ROOT;
			bool high = rand() % 2;

			if (i && rand() % 3) {
				int other = rand() % (int)i;

				parent = items[other].window ? other : PCI_ITEM_ROOT;
			}
			if (rand() % 4 == 0)
				items[i] = window(high, parent);
			else
				items[i] = memory(16ull << rand() % (high ? 31 : 23), high, parent);
			if (rand() % 8 == 0) {
				items[i].fixed = true;
				items[i].size = items[i].size ? items[i].size : MIB;
				items[i].base = 0xc0000000 + (uint64_t)(rand() % 512) * MIB;
				items[i].base &= ~(items[i].size - 1);
			}
		}
		failed = pci_assign(items, count, &host);
		check(items, count, &q35);
		for (unsigned int i = 0; i < count; i++)
			missing += items[i].size && !items[i].placed;
		assert_int_equal(failed, missing);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host_ranges),    cmocka_unit_test(test_host_microvm),
		cmocka_unit_test(test_host_much_ram),  cmocka_unit_test(test_simple),
		cmocka_unit_test(test_large_goes_high), cmocka_unit_test(test_behind_bridges),
		cmocka_unit_test(test_empty_windows),  cmocka_unit_test(test_firmware_is_kept),
		cmocka_unit_test(test_no_room),	       cmocka_unit_test(test_random_trees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

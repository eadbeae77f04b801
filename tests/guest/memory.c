// SPDX-License-Identifier: BSD-2-Clause
/* mm from inside: rights of every part of the image, the allocator, mappings, stacks. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "cpu/cpuid.h"
#include "mm/linker.h"
#include "mm/mm.h"
#include "mm/tables.h"
#include "tests/guest/check.h"

#define MOST_BLOCKS 64

static bool has(const void *virt, uint64_t set, uint64_t clear)
{
	uint64_t size, entry = tables_lookup((uint64_t)virt, &size);

	return entry && (entry & set) == set && !(entry & clear);
}

static void check_rights(void)
{
	static const char constant[] = "constant";
	static int data = 1;
	int automatic = 2;
	uint64_t nx = PTE_NO_EXECUTE;

	for (const uint8_t *p = image_base; p < image_text_end; p += MM_PAGE_SIZE)
		CHECK(has(p, 0, PTE_WRITE | nx));
	for (const uint8_t *p = image_rodata; p < image_rodata_end; p += MM_PAGE_SIZE)
		CHECK(has(p, nx, PTE_WRITE));
	CHECK(has(constant, nx, PTE_WRITE));
	CHECK(has(&data, nx | PTE_WRITE, 0));
	CHECK(has(&automatic, nx | PTE_WRITE, 0));
	CHECK(!mm_is_mapped(NULL));
	CHECK(!mm_is_mapped((void *)0x1000));
	CHECK(!mm_is_mapped((void *)0x200000));		/* the identity mapping is gone */
	CHECK(!mm_is_mapped(image_end));
	CHECK(!mm_is_mapped((void *)((uintptr_t)image_main_stack - 1)));
	CHECK(mm_is_mapped(image_main_stack));
	for (unsigned i = 0; i < MM_IST_STACKS; i++) {
		uint8_t *guard = mm_ist_stack_top(i);

		CHECK(mm_is_mapped(guard - 1));
		CHECK(!mm_is_mapped(guard));
		CHECK(!mm_is_mapped(guard + MM_PAGE_SIZE - 1));
		CHECK(mm_is_mapped(guard + MM_PAGE_SIZE));
	}
	/* Not through the window to RAM either, where it would be writable. */
	CHECK(!mm_is_mapped(mm_phys_to_virt(mm_virt_to_phys(image_base))));
	CHECK(!mm_is_mapped(mm_phys_to_virt(mm_virt_to_phys(&data))));
	CHECK(mm_virt_to_phys(image_base) % MM_LARGE_SIZE == 0);
}

static void check_pages(void)
{
	uint64_t block[MOST_BLOCKS], before = mm_free_bytes();
	int broken = 0;

	for (unsigned n = 0; n < MOST_BLOCKS; n++) {
		block[n] = mm_alloc_pages(n % 5 + 1);
		CHECK(block[n] != MM_NO_PAGES && block[n] % MM_PAGE_SIZE == 0);
		memset(mm_phys_to_virt(block[n]), (int)n, (n % 5 + 1) * MM_PAGE_SIZE);
	}
	CHECK(has(mm_phys_to_virt(block[0]), PTE_WRITE | PTE_NO_EXECUTE, 0));
	for (unsigned n = 0; n < MOST_BLOCKS; n++) {
		uint8_t *bytes = mm_phys_to_virt(block[n]);

		for (size_t i = 0; i < (n % 5 + 1) * MM_PAGE_SIZE; i++)
			broken += bytes[i] != n;
	}
	CHECK(broken == 0);
	/* In an order that makes runs merge from both sides. */
	for (unsigned n = 0; n < MOST_BLOCKS; n += 2)
		mm_free_pages(block[n], n % 5 + 1);
	for (unsigned n = 1; n < MOST_BLOCKS; n += 2)
		mm_free_pages(block[n], n % 5 + 1);
	CHECK(mm_free_bytes() == before);
	CHECK(mm_alloc_pages(0) == MM_NO_PAGES);
	CHECK(mm_alloc_pages(before / MM_PAGE_SIZE + 1) == MM_NO_PAGES);

	uint64_t low = mm_alloc_pages_below(1, 0x100000);

	CHECK(low && low < 0x100000);
	mm_free_pages(low, 1);
	CHECK(mm_free_bytes() == before);
}

/*
 * Takes all RAM in a hundred blocks, writes to each (little, so that the host needn't have it all)
 * and gives all back.
 */
static void check_all_of_it(void)
{
	uint64_t before = mm_free_bytes(), first = MM_NO_PAGES, highest = 0, phys;
	size_t block = before / MM_PAGE_SIZE / 100, taken = 0;

	while ((phys = mm_alloc_pages(block)) != MM_NO_PAGES) {
		*(uint64_t *)mm_phys_to_virt(phys) = first;
		first = phys;
		highest = phys > highest ? phys : highest;
		taken++;
	}
	CHECK(taken > 80);
	while (first != MM_NO_PAGES) {
		phys = *(uint64_t *)mm_phys_to_virt(first);
		mm_free_pages(first, block);
		first = phys;
	}
	CHECK(mm_free_bytes() == before);
	printf("took %zu blocks of %zu KiB, up to %#lx\n", taken, block * 4,
		(unsigned long)highest);
}

static void check_heap(void)
{
	uint8_t *start = mm_heap_grow(0), *more = mm_heap_grow(100000);
	uint64_t free_before = mm_free_bytes();

	CHECK(more == start && mm_is_mapped(more + 99999));
	memset(more, 0xee, 100000);
	CHECK(mm_heap_grow(-50000) == start + 100000);
	CHECK(mm_heap_grow(50000) == start + 50000);
	CHECK(start[49999] == 0xee && start[50000] == 0 && start[99999] == 0);
	CHECK(mm_free_bytes() == free_before);
	CHECK(mm_heap_grow((intptr_t)1 << 42) == (void *)-1);
	CHECK(mm_heap_grow((intptr_t)mm_free_bytes() + (1 << 20)) == (void *)-1);
	CHECK(mm_heap_grow(INTPTR_MIN) == (void *)-1);
	CHECK(mm_heap_grow(0) == start + 100000);
	CHECK(mm_heap_grow(-100000) == start + 100000);
	CHECK(!mm_is_mapped(start + 99999));
}

static void check_mappings(void)
{
	uint64_t size, entry, end = 1ull << cpu_physical_bits();
	uint8_t *large = mm_map(0x100000000ull, 1ull << 30, MM_WRITE_BACK);
	uint8_t *apic = mm_map(0xfee00030, 4, MM_UNCACHED);

	CHECK_OR_END_VOID(large && apic);
	CHECK(mm_virt_to_phys(large + 12345) == 0x100000000ull + 12345);
	tables_lookup((uint64_t)large, &size);
	CHECK(size == (cpu_has_huge_pages() ? MM_HUGE_SIZE : MM_LARGE_SIZE));
	CHECK(mm_map(0x100000000ull, 1ull << 30, MM_WRITE_BACK) == large);
	/* Part of it otherwise: the large page is split, and the rest stays. */
	CHECK(mm_map(0x100001000ull, MM_PAGE_SIZE, MM_UNCACHED) == large + MM_PAGE_SIZE);
	CHECK(has(large + MM_PAGE_SIZE, PTE_UNCACHED, 0));
	CHECK(has(large, 0, PTE_UNCACHED) && has(large + 2 * MM_PAGE_SIZE, 0, PTE_UNCACHED));
	CHECK(mm_virt_to_phys(large + (1u << 29) + 7) == 0x100000000ull + (1u << 29) + 7);
	CHECK(mm_unmap(large + MM_LARGE_SIZE, MM_LARGE_SIZE) == 0);
	CHECK(!mm_is_mapped(large + MM_LARGE_SIZE) && mm_is_mapped(large + 2 * MM_LARGE_SIZE) &&
		mm_is_mapped(large + MM_LARGE_SIZE - 1));
	CHECK(mm_unmap(large, 1ull << 30) == 0 && !mm_is_mapped(large));

	entry = tables_lookup((uint64_t)apic, &size);
	CHECK((entry & PTE_UNCACHED) == PTE_UNCACHED && (entry & PTE_NO_EXECUTE));
	CHECK((*(volatile uint32_t *)apic & 0xff) >= 0x10);	/* its version */

	CHECK(mm_map(end - 4096, 4096, MM_UNCACHED) != NULL || end > MM_DEVICE_LIMIT);
	CHECK(mm_map(end - 4096, 4097, MM_UNCACHED) == NULL);
	CHECK(mm_map(UINT64_MAX, 1, MM_UNCACHED) == NULL);
	CHECK(mm_map(0x1000, 0, MM_UNCACHED) == NULL);
	CHECK(mm_unmap(NULL, 4096) < 0);
}

static void check_stacks(void)
{
	uint8_t *a = mm_alloc_stack(10000), *b = mm_alloc_stack(4096);

	CHECK_OR_END_VOID(a && b);
	CHECK((uintptr_t)a % 16 == 0 && (uintptr_t)b % 16 == 0);
	memset(a - 10000, 1, 10000);
	memset(b - 4096, 1, 4096);
	CHECK(!mm_is_mapped(a - 3 * MM_PAGE_SIZE - 1));
	CHECK(!mm_is_mapped(b - 4096 - 1));
}

/* SeaBIOS leaves the 32-bit window uncached; what a driver asks for must come out. */
static void check_types(void)
{
	uint64_t region = 0xe0000000, size = 16 << 20;

	printf("type of %#lx: %s, of RAM: %s\n", (unsigned long)region,
		mm_effective_type(region, size), mm_effective_type(0x200000, 0x100000));
	CHECK(mm_force_write_back(region, size) == 0);
	CHECK(strcmp(mm_effective_type(region, size), "write-back") == 0);
	CHECK(mm_force_write_back(0xfd000000, 1 << 20) == 0);
	CHECK(strcmp(mm_effective_type(0xfd000000, 1 << 20), "write-back") == 0);
	CHECK(strcmp(mm_effective_type(region, size), "write-back") == 0);
	CHECK(strcmp(mm_effective_type(0x200000, 0x100000), "write-back") == 0);
}

int main(void)
{
	check_rights();
	check_pages();
	check_all_of_it();
	check_heap();
	check_mappings();
	check_stacks();
	check_types();
	return check_end();
}

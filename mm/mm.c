// SPDX-License-Identifier: BSD-2-Clause
#include "mm/mm.h"

#include <errno.h>
#include <string.h>
#include <isthmus/log.h>
#include "cpu/cpuid.h"
#include "cpu/msr.h"
#include "cpu/paging.h"
#include "mm/linker.h"
#include "mm/pages.h"
#include "mm/tables.h"
#include "mm/types.h"

#define MAX_RANGES 192
#define OWN_CLAIMS 2		/* page 0 and the image */
#define LEAST_FREE_PAGES 16	/* for tables and a heap that is worth the name */

static uint64_t no_execute;	/* PTE_NO_EXECUTE where the CPU has it on */
static uint64_t ram_bytes;

static uint64_t page_down(uint64_t at)
{
	return at & ~(MM_PAGE_SIZE - 1);
}

static uint64_t page_up(uint64_t at)
{
	return page_down(at + MM_PAGE_SIZE - 1);
}

static void map_image_part(const uint8_t *from, const uint8_t *to, uint64_t image_phys,
	uint64_t flags)
{
	uint64_t virt = page_down((uint64_t)from);

	if (!tables_map(virt, image_phys + (virt - (uint64_t)image_base),
		page_up((uint64_t)to) - virt, flags))
		panic("mm: the image needs more page tables than its own pool has");
}

static void map_image(uint64_t image_phys)
{
	map_image_part(image_base, image_text_end, image_phys, 0);
	map_image_part(image_rodata, image_rodata_end, image_phys, no_execute);
	map_image_part(image_data, image_end, image_phys, PTE_WRITE | no_execute);
	if (!tables_unmap((uint64_t)image_main_stack - MM_PAGE_SIZE, MM_PAGE_SIZE))
		panic("mm: no page table for the stack's guard page");
	for (unsigned i = 0; i < MM_IST_STACKS; i++)
		if (!tables_unmap((uint64_t)mm_ist_stack_top(i), MM_PAGE_SIZE))
			panic("mm: no page table for a guard page");
}

uint64_t mm_ram_flags(void)
{
	return PTE_WRITE | PTE_WRITE_BACK | no_execute;
}

static bool map_ram(uint64_t phys, uint64_t size)
{
	return tables_map(MM_RAM_BASE + phys, phys, size, mm_ram_flags());
}

/*
 * Maps all ranges and hands them to the allocator, a piece at a time: the tables for one come out
 * of those before it.
 */
static int map_all_ram(struct mm_range *ranges, unsigned count)
{
	const uint64_t piece = 16 * MM_HUGE_SIZE;
	unsigned first = 0;

	for (unsigned i = 1; i < count; i++)
		if (ranges[i].size > ranges[first].size)
			first = i;

	/* From the image's own pool of tables: up to 2 MiB, which is enough to go on with. */
	uint64_t start = ranges[first].base, size = ranges[first].size;

	if (size > MM_LARGE_SIZE)
		size = MM_LARGE_SIZE;
	if (!map_ram(start, size))
		panic("mm: the first RAM needs more page tables than the image's own pool has");
	mm_init_cpu();	/* from here on these tables are in use */
	pages_add(start, size);
	ranges[first].base += size;
	ranges[first].size -= size;

	for (unsigned i = 0; i < count; i++)
		for (uint64_t done = 0, step; done < ranges[i].size; done += step) {
			uint64_t at = ranges[i].base + done;

			step = ranges[i].size - done < piece ? ranges[i].size - done : piece;
			if (!map_ram(at, step)) {
				log_error("mm: no RAM left for the page tables of RAM at %#lx",
					(unsigned long)at);
				return -ENOMEM;
			}
			pages_add(at, step);
		}
	return 0;
}

int mm_init(const struct mm_range *map, unsigned count, const struct mm_range *reserved,
	unsigned reserved_count, uint64_t image_phys)
{
	struct mm_range ranges[MAX_RANGES], claimed[MAX_RANGES];
	uint64_t image_size = (uint64_t)(image_end - image_base);
	uint64_t limit = 1ull << cpu_physical_bits();
	unsigned n;

	if (limit > MM_RAM_LIMIT)
		limit = MM_RAM_LIMIT;
	if (count + reserved_count + OWN_CLAIMS > MAX_RANGES)
		panic("mm: %u ranges of memory and %u reserved ones are too many", count, reserved_count);
	n = mm_map_usable(map, count, limit, ranges, MAX_RANGES);
	ram_bytes = mm_map_bytes(ranges, n);
	if (!mm_map_contains(ranges, n, image_phys, image_size)) {
		log_error("mm: the image needs RAM from %#lx to %#lx, and the memory map has not "
			"all of it (%lu KiB of RAM in %u ranges): give the guest more memory, "
			"QEMU's -m",
			(unsigned long)image_phys, (unsigned long)(image_phys + image_size),
			(unsigned long)ram_bytes / 1024, n);
		return -EFAULT;
	}
	/* Page 0 stays as firmware left it: it points to the EBDA, and a null address is no RAM. */
	claimed[0] = (struct mm_range){ 0, MM_PAGE_SIZE, MM_RANGE_RESERVED };
	claimed[1] = (struct mm_range){ image_phys, image_size, MM_RANGE_RESERVED };
	memcpy(claimed + OWN_CLAIMS, reserved, reserved_count * sizeof(*reserved));
	memcpy(claimed + OWN_CLAIMS + reserved_count, map, count * sizeof(*map));
	n = mm_map_usable(claimed, OWN_CLAIMS + reserved_count + count, limit, ranges, MAX_RANGES);
	if (mm_map_bytes(ranges, n) < LEAST_FREE_PAGES * MM_PAGE_SIZE) {
		log_error("mm: %lu KiB of RAM are left beside the image, at least %lu are needed: "
			"give the guest more memory, QEMU's -m",
			(unsigned long)mm_map_bytes(ranges, n) / 1024,
			LEAST_FREE_PAGES * MM_PAGE_SIZE / 1024);
		return -ENOMEM;
	}

	no_execute = (msr_read(MSR_REG_EFER) & MSR_EFER_NXE) ? PTE_NO_EXECUTE : 0;
	tables_init(image_phys, cpu_has_huge_pages());
	map_image(image_phys);
	return map_all_ram(ranges, n);
}

void mm_init_cpu(void)
{
	types_init_cpu();
	cpu_write_cr3(tables_root());
}

static uint64_t cache_flags(enum mm_cache cache)
{
	switch (cache) {
	case MM_WRITE_BACK:
		return PTE_WRITE_BACK;
	case MM_WRITE_COMBINING:
		return types_has_write_combining() ? PTE_WRITE_COMBINING : PTE_UNCACHED;
	default:
		return PTE_UNCACHED;
	}
}

void *mm_map(uint64_t phys, uint64_t size, enum mm_cache cache)
{
	uint64_t limit = 1ull << cpu_physical_bits();
	uint64_t start = page_down(phys);

	if (limit > MM_DEVICE_LIMIT)
		limit = MM_DEVICE_LIMIT;
	if (size == 0 || phys >= limit || size > limit - phys) {
		log_error("mm: can't map %#lx bytes at %#lx: this CPU's addresses end at %#lx",
			(unsigned long)size, (unsigned long)phys, (unsigned long)limit);
		return NULL;
	}
	if (!tables_map(MM_DEVICE_BASE + start, start, page_up(phys + size) - start,
		PTE_WRITE | no_execute | cache_flags(cache))) {
		log_error("mm: no RAM left for the page tables of %#lx bytes at %#lx",
			(unsigned long)size, (unsigned long)phys);
		return NULL;
	}
	return (void *)(MM_DEVICE_BASE + phys);
}

int mm_unmap(void *virt, uint64_t size)
{
	uint64_t start = page_down((uint64_t)virt);
	uint64_t offset = (uint64_t)virt - MM_DEVICE_BASE;

	if ((uint64_t)virt < MM_DEVICE_BASE || offset >= MM_DEVICE_LIMIT || size == 0 ||
	    size > MM_DEVICE_LIMIT - offset)
		return -EINVAL;
	return tables_unmap(start, page_up((uint64_t)virt + size) - start) ? 0 : -ENOMEM;
}

void *mm_phys_to_virt(uint64_t phys)
{
	return (void *)(MM_RAM_BASE + phys);
}

uint64_t mm_virt_to_phys(const void *virt)
{
	uint64_t size, entry = tables_lookup((uint64_t)virt, &size);

	if (!entry)
		return UINT64_MAX;
	return (entry & PTE_ADDRESS & ~(size - 1)) | ((uint64_t)virt & (size - 1));
}

uint64_t mm_page_size(const void *virt)
{
	uint64_t size;

	return tables_lookup((uint64_t)virt, &size) ? size : 0;
}

bool mm_is_mapped(const void *virt)
{
	uint64_t size;

	if (!tables_root_is_set())	/* still on boot's tables */
		return (const uint8_t *)virt >= image_base && (const uint8_t *)virt < image_end;
	return tables_lookup((uint64_t)virt, &size) != 0;
}

uint64_t mm_ram_bytes(void)
{
	return ram_bytes;
}

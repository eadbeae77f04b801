// SPDX-License-Identifier: BSD-2-Clause
/*
 * Page tables for the moment between firmware and guest, as handover.h promises them: the low
 * 4 GiB 1:1, the image at its link address, and the code that loads them, wherever the firmware put
 * it. The firmware's own tables can't be used: they are write-protected. Source: Intel SDM volume
 * 3, section 4.5.
 */
#include "boot/uefi/stub.h"

#define ENTRIES		512
#define PRESENT_WRITE	3ul
#define LARGE		0x83ul		/* present, writable, 2 MiB */
#define LARGE_SIZE	0x200000ul
#define ADDRESS_MASK	0x000ffffffffff000ul
#define CR4_LA57	(1ul << 12)

/* A root; for the low 4 GiB one directory pointer table and 4 directories; 2 each for two places. */
#define TABLE_PAGES	(1 + 5 + 2 + 2)

typedef uint64_t table[ENTRIES];

struct builder {
	table *pages;
	unsigned used;
};

static uint64_t read_cr4(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr4, %0" : "=r"(value));
	return value;
}

/* The table below entry i of `above`, made when it isn't there. */
static uint64_t *descend(struct builder *b, uint64_t *above, unsigned i)
{
	if (!above[i])
		above[i] = (uintptr_t)b->pages[b->used++] | PRESENT_WRITE;
	return (uint64_t *)(uintptr_t)(above[i] & ADDRESS_MASK);
}

static void map_large(struct builder *b, uint64_t virt, uint64_t phys, uint64_t size)
{
	for (uint64_t at = 0; at < size; at += LARGE_SIZE) {
		uint64_t v = virt + at;
		uint64_t *pointers = descend(b, b->pages[0], v >> 39 & (ENTRIES - 1));
		uint64_t *directory = descend(b, pointers, v >> 30 & (ENTRIES - 1));

		directory[v >> 21 & (ENTRIES - 1)] = (phys + at) | LARGE;
	}
}

void *build_tables(const struct placed_image *image)
{
	if (read_cr4() & CR4_LA57) {
		fail(EFI_UNSUPPORTED, "this firmware uses five-level paging, which the guest can't "
			"take over: give QEMU -cpu ...,la57=off");
		return NULL;
	}

	table *pages = allocate_low(TABLE_PAGES * sizeof(table), "page tables");
	struct builder b = { pages, 1 };
	uint64_t code = (uintptr_t)enter_guest & ~(LARGE_SIZE - 1);

	if (!pages)
		return NULL;
	map_large(&b, 0, 0, LOW_MEMORY_LAST + 1);
	map_large(&b, code, code, LARGE_SIZE);
	map_large(&b, image->virt, image->phys, image->size);
	return pages;
}

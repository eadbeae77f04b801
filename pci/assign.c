// SPDX-License-Identifier: BSD-2-Clause
/*
 * The allocator. Windows are sized from the leaves up, then everything is placed from the root down.
 * Sizes are powers of two, or multiples of their window's granularity; placed by falling alignment they
 * leave no holes, so first fit is good enough.
 */
#include "pci/assign.h"

#include <stddef.h>

#define LOW_FIRST 0xc0000000ull /* QEMU's machines keep RAM and devices of the board out of here on */
#define LOW_LIMIT 0xfec00000ull /* the I/O APIC */
#define HIGH_FIRST 0x100000000ull
#define IO_FIRST 0xc000u /* below are the board's own ports, ACPI and hotplug among them */
#define IO_LIMIT 0x10000u
/* AMD's HyperTransport range: on their hosts nothing below 1 TiB from here on is ordinary memory. */
#define HYPERTRANSPORT 0xfd00000000ull
#define HYPERTRANSPORT_END 0x10000000000ull
#define ECAM_BUS_SIZE 0x100000ull

static uint64_t align_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) & ~(align - 1);
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a_size && b_size && a <= b + b_size - 1 && b <= a + a_size - 1;
}

static struct pci_range ecam_range(const struct pci_ecam *ecam)
{
	struct pci_range range = {
		.base = ecam->base + ecam->first_bus * ECAM_BUS_SIZE,
		.size = ((uint64_t)ecam->last_bus - ecam->first_bus + 1) * ECAM_BUS_SIZE,
	};

	return range;
}

/* Takes [base, base + size) out of the ranges; what a full array can't hold of a cut range is lost. */
static void ranges_exclude(struct pci_range *ranges, unsigned int *count, uint64_t base, uint64_t size)
{
	unsigned int n = *count;

	for (unsigned int i = 0; i < n; i++) {
		uint64_t end = ranges[i].base + ranges[i].size;

		if (!overlap(ranges[i].base, ranges[i].size, base, size))
			continue;
		if (base + size < end && *count < PCI_HOST_RANGES) {
			ranges[*count].base = base + size;
			ranges[(*count)++].size = end - (base + size);
		}
		ranges[i].size = base > ranges[i].base ? base - ranges[i].base : 0;
	}
}

void pci_host_ranges(const struct pci_machine *machine, unsigned int physical_bits,
		     struct pci_host *host)
{
	uint64_t limit = 1ull << (physical_bits < 52 ? physical_bits : 52);
	uint64_t low = LOW_FIRST, low_end = LOW_LIMIT, high = limit - limit / 4;

	/* Board devices lie behind ECAM where ECAM lies above 3 GiB (microvm): end before it. */
	for (unsigned int i = 0; i < machine->ecam_count; i++) {
		uint64_t base = machine->ecam[i].base;

		if (base > low && base < low_end)
			low_end = base;
	}
	for (unsigned int i = 0; i < machine->map_count; i++) {
		const struct mm_range *r = &machine->map[i];
		uint64_t end = r->base + r->size;

		if (!r->size || r->type != MM_RANGE_RAM)
			continue;
		if (r->base < LOW_LIMIT && end > low)
			low = align_up(end, 0x1000000);
		if (r->base >= HIGH_FIRST && end > high)
			high = align_up(end, 0x40000000);
	}
	if (high < HIGH_FIRST)
		high = HIGH_FIRST;

	host->range[PCI_SPACE_IO][0] = (struct pci_range){ IO_FIRST, IO_LIMIT - IO_FIRST };
	host->range[PCI_SPACE_LOW][0] = (struct pci_range){ low, low < low_end ? low_end - low : 0 };
	host->range[PCI_SPACE_HIGH][0] = (struct pci_range){ high, high < limit ? limit - high : 0 };
	for (int space = 0; space < PCI_SPACES; space++)
		host->count[space] = 1;

	for (int space = PCI_SPACE_LOW; space < PCI_SPACES; space++) {
		struct pci_range *ranges = host->range[space];

		for (unsigned int i = 0; i < machine->map_count; i++)
			ranges_exclude(ranges, &host->count[space], machine->map[i].base,
				       machine->map[i].size);
		for (unsigned int i = 0; i < machine->ecam_count; i++) {
			struct pci_range e = ecam_range(&machine->ecam[i]);

			ranges_exclude(ranges, &host->count[space], e.base, e.size);
		}
	}
	ranges_exclude(host->range[PCI_SPACE_HIGH], &host->count[PCI_SPACE_HIGH], HYPERTRANSPORT,
		       HYPERTRANSPORT_END - HYPERTRANSPORT);
}

bool pci_host_forbids(const struct pci_machine *machine, uint64_t base, uint64_t size)
{
	for (unsigned int i = 0; i < machine->map_count; i++) {
		const struct mm_range *r = &machine->map[i];

		if (r->type == MM_RANGE_RAM && overlap(base, size, r->base, r->size))
			return true;
	}
	for (unsigned int i = 0; i < machine->ecam_count; i++) {
		struct pci_range e = ecam_range(&machine->ecam[i]);

		if (overlap(base, size, e.base, e.size))
			return true;
	}
	return false;
}

/* The lowest place in the range that no placed sibling holds; true if there is one. */
static bool place_in_range(struct pci_item *items, unsigned int count, unsigned int n,
			   const struct pci_range *range)
{
	struct pci_item *item = &items[n];
	uint64_t end = range->base + range->size;
	uint64_t at = align_up(range->base, item->align);
	unsigned int i = 0;

	while (i < count) {
		if (at < range->base || at > end || end - at < item->size)
			return false;
		for (i = 0; i < count; i++) {
			const struct pci_item *other = &items[i];

			if (i != n && other->placed && other->parent == item->parent &&
			    other->io == item->io &&
			    overlap(at, item->size, other->base, other->size)) {
				at = align_up(other->base + other->size, item->align);
				break;
			}
		}
	}
	item->base = at;
	item->placed = true;
	return true;
}

static bool place_at_root(struct pci_item *items, unsigned int count, unsigned int n,
			  const struct pci_host *host, enum pci_space space)
{
	for (unsigned int i = 0; i < host->count[space]; i++) {
		if (host->range[space][i].size &&
		    place_in_range(items, count, n, &host->range[space][i]))
			return true;
	}
	return false;
}

static bool place(struct pci_item *items, unsigned int count, unsigned int n,
		  const struct pci_host *host)
{
	struct pci_item *item = &items[n];

	if (item->parent != PCI_ITEM_ROOT) {
		const struct pci_item *window = &items[item->parent];
		struct pci_range range = { window->base, window->size };

		return window->placed && place_in_range(items, count, n, &range);
	}
	if (item->io)
		return place_at_root(items, count, n, host, PCI_SPACE_IO);
	return place_at_root(items, count, n, host, PCI_SPACE_LOW) ||
	       (item->high && place_at_root(items, count, n, host, PCI_SPACE_HIGH));
}

/* The item of this parent to be placed next: what must lie low first, then by falling alignment. */
static int next_to_place(const struct pci_item *items, unsigned int count, int parent)
{
	int best = -1;

	for (unsigned int i = 0; i < count; i++) {
		const struct pci_item *item = &items[i];

		if (item->parent != parent || item->placed || item->tried || !item->size)
			continue;
		if (best < 0 || (!item->high && items[best].high) ||
		    (item->high == items[best].high && item->align > items[best].align))
			best = (int)i;
	}
	return best;
}

/* A window becomes as large as its items need when placed by falling alignment from its start. */
static void size_window(struct pci_item *items, unsigned int count, unsigned int n)
{
	struct pci_item *window = &items[n];
	uint64_t granularity = window->align, used = 0;

	for (unsigned int bit = 64; bit-- > 0;) {
		for (unsigned int i = n + 1; i < count; i++) {
			const struct pci_item *item = &items[i];

			if (item->parent != (int)n || !item->size || item->align != 1ull << bit)
				continue;
			used = align_up(used, item->align) + item->size;
			if (item->align > window->align)
				window->align = item->align;
		}
	}
	used = align_up(used, granularity);
	if (used > window->size)
		window->size = used;
}

/* Keeps what firmware placed, unless it lies outside its window or on something kept before. */
static void check_fixed(struct pci_item *items, unsigned int count)
{
	for (unsigned int n = 0; n < count; n++) {
		struct pci_item *item = &items[n];
		const struct pci_item *window =
			item->parent == PCI_ITEM_ROOT ? NULL : &items[item->parent];

		item->placed = false;
		if (!item->fixed)
			continue;
		item->fixed = item->size && item->base + item->size - 1 >= item->base;
		if (window && (!window->fixed || item->base < window->base ||
			       item->base + item->size > window->base + window->size))
			item->fixed = false;
		for (unsigned int i = 0; i < n && item->fixed; i++) {
			if (items[i].placed && items[i].parent == item->parent &&
			    items[i].io == item->io &&
			    overlap(item->base, item->size, items[i].base, items[i].size))
				item->fixed = false;
		}
		item->placed = item->fixed;
		if (!item->fixed && item->window)
			item->size = 0;
	}
}

/* Places the children of one window, or of the root. */
static unsigned int place_children(struct pci_item *items, unsigned int count, int parent,
				   const struct pci_host *host)
{
	unsigned int failed = 0;
	int n;

	while ((n = next_to_place(items, count, parent)) >= 0) {
		items[n].tried = true;
		if (!place(items, count, (unsigned int)n, host))
			failed++;
	}
	return failed;
}

unsigned int pci_assign(struct pci_item *items, unsigned int count, const struct pci_host *host)
{
	unsigned int failed;

	check_fixed(items, count);
	for (unsigned int n = count; n-- > 0;) {
		items[n].tried = false;
		if (items[n].window && !items[n].fixed)
			size_window(items, count, n);
	}
	failed = place_children(items, count, PCI_ITEM_ROOT, host);
	for (unsigned int n = 0; n < count; n++) {
		if (items[n].window)
			failed += place_children(items, count, (int)n, host);
	}
	return failed;
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * Between the devices and the allocator: lists what needs a place, and writes the places down. Does
 * nothing where firmware has given every BAR an address.
 */
#include "pci/scan.h"

#include <errno.h>
#include <isthmus/log.h>
#include "cpu/cpuid.h"
#include "mm/mm.h"
#include "pci/assign.h"
#include "pci/registers.h"

#define ITEMS_PER_DEVICE (PCI_WINDOWS + PCI_BARS)
#define IO_GRANULARITY 0x1000u
#define MEMORY_GRANULARITY 0x100000u
#define HOTPLUG_RESERVE 0x200000u /* what SeaBIOS gives an empty slot, too */

static struct pci_item *item_of(struct pci_item *items, const struct pci_device *device)
{
	const struct pci_device *d = NULL;

	while ((d = pci_next((struct pci_device *)d)) != device)
		items += ITEMS_PER_DEVICE;
	return items;
}

/* Index of the window above that an item of @kind goes through. */
static int parent_of(struct pci_item *items, const struct pci_device *device,
		     enum pci_window_kind kind)
{
	struct pci_item *above;

	if (!device->bridge)
		return PCI_ITEM_ROOT;
	above = item_of(items, device->bridge);
	/* Without a prefetchable window, the other one serves. */
	if (kind == PCI_WINDOW_PREFETCH && !above[PCI_WINDOW_PREFETCH].window)
		kind = PCI_WINDOW_MEMORY;
	return (int)(&above[kind] - items);
}

static void windows_collect(struct pci_item *items, struct pci_device *bridge)
{
	struct pci_item *item = item_of(items, bridge);
	uint64_t reserve = pci_hotplug_port(bridge) ? HOTPLUG_RESERVE : 0;

	for (int kind = 0; kind < PCI_WINDOWS; kind++, item++) {
		const struct pci_bar *w = &bridge->window[kind];

		item->fixed = w->flags & PCI_BAR_ASSIGNED;
		item->window = item->fixed || pci_window_exists(bridge, kind);
		if (!item->window)
			continue;
		item->parent = parent_of(items, bridge, kind);
		item->base = w->base;
		item->io = kind == PCI_WINDOW_IO;
		item->align = item->io ? IO_GRANULARITY : MEMORY_GRANULARITY;
		item->size = item->fixed ? w->size : item->io ? 0 : reserve;
		item->high = kind == PCI_WINDOW_PREFETCH && pci_window_is_64(bridge);
	}
}

static void bars_collect(struct pci_item *items, struct pci_device *device)
{
	struct pci_item *item = item_of(items, device) + PCI_WINDOWS;

	for (unsigned int n = 0; n < PCI_BARS; n++, item++) {
		const struct pci_bar *bar = &device->bar[n];
		uint32_t roomy = PCI_BAR_64 | PCI_BAR_PREFETCH;

		if (!bar->size)
			continue;
		item->io = bar->flags & PCI_BAR_IO;
		/* Behind a bridge only the prefetchable window reaches above 4 GiB. */
		item->high = device->bridge ? (bar->flags & roomy) == roomy : bar->flags & PCI_BAR_64;
		item->parent = parent_of(items, device,
					 item->io ? PCI_WINDOW_IO :
					 item->high ? PCI_WINDOW_PREFETCH :
						      PCI_WINDOW_MEMORY);
		item->base = bar->base;
		item->size = bar->size;
		item->align = bar->size;
		item->fixed = (bar->flags & PCI_BAR_ASSIGNED) &&
			      (item->io || !pci_host_forbids(pci_machine(), bar->base, bar->size));
	}
}

static void write_back(struct pci_item *items)
{
	struct pci_item *item = items;

	for (struct pci_device *d = NULL; (d = pci_next(d)); item += ITEMS_PER_DEVICE) {
		for (int kind = 0; kind < PCI_WINDOWS; kind++) {
			if (item[kind].placed && !item[kind].fixed)
				pci_window_write(d, kind, item[kind].base, item[kind].size);
		}
		for (unsigned int n = 0; n < PCI_BARS; n++) {
			const struct pci_item *bar = &item[PCI_WINDOWS + n];

			if (!bar->size || bar->fixed)
				continue;
			if (bar->placed) {
				pci_bar_write(d, n, bar->base);
				continue;
			}
			d->bar[n].flags &= ~(uint32_t)PCI_BAR_ASSIGNED;
			if (d->bridge)
				log_warn("pci: %s: BAR %u (%llu KiB) finds no room behind bridge %s; a "
					 "pcie-root-port with pref64-reserve=SIZE has more",
					 d->name, n, (unsigned long long)(bar->size >> 10),
					 d->bridge->name);
			else
				log_warn("pci: %s: BAR %u (%llu KiB) finds no room in the host's "
					 "address space", d->name, n,
					 (unsigned long long)(bar->size >> 10));
		}
	}
}

int pci_assign_all(void)
{
	static struct pci_host host;
	struct pci_item *items;
	unsigned int devices = 0;
	uint64_t phys;
	size_t pages;
	bool needed = false;

	for (struct pci_device *d = NULL; (d = pci_next(d)); devices++) {
		for (unsigned int n = 0; n < PCI_BARS; n++)
			needed |= d->bar[n].size && !(d->bar[n].flags & PCI_BAR_ASSIGNED);
	}
	if (!needed)
		return 0;

	pages = (devices * ITEMS_PER_DEVICE * sizeof(*items) + MM_PAGE_SIZE - 1) / MM_PAGE_SIZE;
	phys = mm_alloc_pages(pages);
	if (phys == MM_NO_PAGES) {
		log_error("pci: no memory to assign addresses in; give the guest more with -m");
		return -ENOMEM;
	}
	items = mm_phys_to_virt(phys);
	for (unsigned int i = 0; i < devices * ITEMS_PER_DEVICE; i++)
		items[i] = (struct pci_item){ .parent = PCI_ITEM_ROOT, .align = 1 };
	for (struct pci_device *d = NULL; (d = pci_next(d));) {
		if (d->header_type == PCI_HEADER_BRIDGE)
			windows_collect(items, d);
		bars_collect(items, d);
	}
	pci_host_ranges(pci_machine(), cpu_physical_bits(), &host);
	pci_assign(items, devices * ITEMS_PER_DEVICE, &host);
	write_back(items);
	mm_free_pages(phys, pages);
	return 0;
}

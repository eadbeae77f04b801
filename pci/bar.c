// SPDX-License-Identifier: BSD-2-Clause
/*
 * BARs and bridge windows: their sizes, where they are, moving them, decoding, mapping. Sources: PCI 3.0,
 * 6.2.5; PCI-to-PCI Bridge Architecture 1.2, 3.2.5.
 */
#include "pci/scan.h"

#include <errno.h>
#include <isthmus/log.h>
#include "cpu/irq.h"
#include "mm/mm.h"
#include "pci/registers.h"

#define PCI_DECODING (PCI_COMMAND_IO | PCI_COMMAND_MEMORY)
#define BRIDGE_BARS 2

static unsigned int bar_register(unsigned int n)
{
	return PCI_REG_BAR0 + 4 * n;
}

static uint32_t register_size(struct pci_device *d, unsigned int n, uint32_t old)
{
	uint32_t mask;

	pci_write32(d, bar_register(n), UINT32_MAX);
	mask = pci_read32(d, bar_register(n));
	pci_write32(d, bar_register(n), old);
	return mask;
}

/* Sizes BAR @n; returns how many registers it takes. Decoding is off. */
static unsigned int bar_read(struct pci_device *d, unsigned int n, unsigned int count)
{
	struct pci_bar *bar = &d->bar[n];
	uint32_t low = pci_read32(d, bar_register(n)), high = 0;
	uint32_t mask = register_size(d, n, low);
	uint64_t size;

	if (!mask)
		return 1;
	if (mask & PCI_BAR_BIT_IO) {
		/* The upper 16 bits may be missing: ports end at 64 KiB. */
		mask = (mask | 0xffff0000) & PCI_BAR_IO_MASK;
		bar->flags = PCI_BAR_IO;
		bar->size = (uint32_t)(~mask + 1);
		bar->base = low & PCI_BAR_IO_MASK & 0xffff;
	} else {
		size = mask & PCI_BAR_MEMORY_MASK;
		bar->flags = mask & PCI_BAR_BIT_PREFETCH ? PCI_BAR_PREFETCH : 0;
		if ((mask & PCI_BAR_TYPE_MASK) == PCI_BAR_TYPE_64 && n + 1 < count) {
			bar->flags |= PCI_BAR_64;
			high = pci_read32(d, bar_register(n + 1));
			size |= (uint64_t)register_size(d, n + 1, high) << 32;
		} else {
			size |= 0xffffffffull << 32;
		}
		bar->size = ~size + 1;
		bar->base = (low & PCI_BAR_MEMORY_MASK) | (uint64_t)high << 32;
	}
	if (bar->size & (bar->size - 1)) {
		log_warn("pci: %s: BAR %u has an impossible size, 0x%llx; left alone", d->name, n,
			 (unsigned long long)bar->size);
		*bar = (struct pci_bar){ 0 };
	}
	if (bar->base)
		bar->flags |= PCI_BAR_ASSIGNED;
	return bar->flags & PCI_BAR_64 ? 2 : 1;
}

static void window_set(struct pci_device *d, enum pci_window_kind kind, uint64_t base, uint64_t limit,
		       uint32_t flags)
{
	struct pci_bar *w = &d->window[kind];

	*w = (struct pci_bar){ .flags = flags };
	/* All zeros is what reset leaves; firmware that opened a window put it elsewhere. */
	if (base && base <= limit) {
		w->base = base;
		w->size = limit - base + 1;
		w->flags |= PCI_BAR_ASSIGNED;
	}
}

static void windows_read(struct pci_device *d)
{
	uint64_t base = pci_read8(d, PCI_REG_BRIDGE_IO_BASE);
	uint64_t limit = pci_read8(d, PCI_REG_BRIDGE_IO_LIMIT);
	uint64_t low = (base & 0xf0) << 8, high = (limit & 0xf0) << 8 | 0xfff;

	if ((base & 0xf) == PCI_BRIDGE_IO_32) {
		low |= (uint64_t)pci_read16(d, PCI_REG_BRIDGE_IO_BASE_HIGH) << 16;
		high |= (uint64_t)pci_read16(d, PCI_REG_BRIDGE_IO_LIMIT_HIGH) << 16;
	}
	window_set(d, PCI_WINDOW_IO, low, high, PCI_BAR_IO);

	base = pci_read16(d, PCI_REG_BRIDGE_MEMORY_BASE);
	limit = pci_read16(d, PCI_REG_BRIDGE_MEMORY_LIMIT);
	window_set(d, PCI_WINDOW_MEMORY, (base & 0xfff0) << 16, (limit & 0xfff0) << 16 | 0xfffff, 0);

	base = pci_read16(d, PCI_REG_BRIDGE_PREFETCH_BASE);
	limit = pci_read16(d, PCI_REG_BRIDGE_PREFETCH_LIMIT);
	low = (base & 0xfff0) << 16;
	high = (limit & 0xfff0) << 16 | 0xfffff;
	if ((base & 0xf) == PCI_BRIDGE_PREFETCH_64) {
		low |= (uint64_t)pci_read32(d, PCI_REG_BRIDGE_PREFETCH_BASE_HIGH) << 32;
		high |= (uint64_t)pci_read32(d, PCI_REG_BRIDGE_PREFETCH_LIMIT_HIGH) << 32;
	}
	window_set(d, PCI_WINDOW_PREFETCH, low, high,
		   PCI_BAR_PREFETCH | (pci_window_is_64(d) ? PCI_BAR_64 : 0));
}

bool pci_window_is_64(const struct pci_device *bridge)
{
	return (pci_read16(bridge, PCI_REG_BRIDGE_PREFETCH_BASE) & 0xf) == PCI_BRIDGE_PREFETCH_64;
}

bool pci_window_exists(struct pci_device *bridge, enum pci_window_kind kind)
{
	uint32_t got;

	/* Base above limit: closed, whatever answers. */
	if (kind == PCI_WINDOW_IO) {
		pci_write8(bridge, PCI_REG_BRIDGE_IO_LIMIT, 0);
		pci_write8(bridge, PCI_REG_BRIDGE_IO_BASE, 0xf0);
		got = pci_read8(bridge, PCI_REG_BRIDGE_IO_BASE) & 0xf0;
	} else if (kind == PCI_WINDOW_MEMORY) {
		pci_write16(bridge, PCI_REG_BRIDGE_MEMORY_LIMIT, 0);
		pci_write16(bridge, PCI_REG_BRIDGE_MEMORY_BASE, 0xfff0);
		got = pci_read16(bridge, PCI_REG_BRIDGE_MEMORY_BASE) & 0xfff0;
	} else {
		pci_write32(bridge, PCI_REG_BRIDGE_PREFETCH_LIMIT_HIGH, 0);
		pci_write16(bridge, PCI_REG_BRIDGE_PREFETCH_LIMIT, 0);
		pci_write16(bridge, PCI_REG_BRIDGE_PREFETCH_BASE, 0xfff0);
		got = pci_read16(bridge, PCI_REG_BRIDGE_PREFETCH_BASE) & 0xfff0;
	}
	return got != 0;
}

/* Taking a chipset's host or ISA bridge off the bus, even for a moment, can take RAM or the console. */
static bool must_not_be_sized(const struct pci_device *d)
{
	return d->class_code == PCI_CLASS_BRIDGE &&
	       (d->subclass == PCI_SUBCLASS_HOST || d->subclass == PCI_SUBCLASS_ISA);
}

void pci_bars_read(struct pci_device *device)
{
	unsigned int count = device->header_type == PCI_HEADER_DEVICE ? PCI_BARS :
			     device->header_type == PCI_HEADER_BRIDGE ? BRIDGE_BARS :
									0;
	uint16_t command = pci_read16(device, PCI_REG_COMMAND);
	uint64_t flags;

	if (device->header_type == PCI_HEADER_BRIDGE)
		windows_read(device);
	if (must_not_be_sized(device))
		return;
	/* All ones in a BAR that decodes would claim the top of memory: decoding off, and no handler
	 * may find its device gone meanwhile. */
	flags = irq_save();
	if (command & PCI_DECODING)
		pci_write16(device, PCI_REG_COMMAND, (uint16_t)(command & ~PCI_DECODING));
	for (unsigned int n = 0; n < count;)
		n += bar_read(device, n, count);
	if (command & PCI_DECODING)
		pci_write16(device, PCI_REG_COMMAND, command);
	irq_restore(flags);
}

void pci_bar_write(struct pci_device *device, unsigned int n, uint64_t base)
{
	struct pci_bar *bar = &device->bar[n];
	uint64_t flags = irq_save();
	uint16_t command = pci_read16(device, PCI_REG_COMMAND);

	pci_write16(device, PCI_REG_COMMAND, (uint16_t)(command & ~PCI_DECODING));
	pci_write32(device, bar_register(n), (uint32_t)base);
	if (bar->flags & PCI_BAR_64)
		pci_write32(device, bar_register(n + 1), (uint32_t)(base >> 32));
	pci_write16(device, PCI_REG_COMMAND, command);
	irq_restore(flags);
	bar->base = base;
	bar->flags |= PCI_BAR_ASSIGNED;
}

void pci_window_write(struct pci_device *bridge, enum pci_window_kind kind, uint64_t base,
		      uint64_t size)
{
	struct pci_bar *w = &bridge->window[kind];
	uint64_t limit = base + size - 1;

	if (kind == PCI_WINDOW_IO) {
		pci_write8(bridge, PCI_REG_BRIDGE_IO_BASE, (uint8_t)(base >> 8 & 0xf0));
		pci_write8(bridge, PCI_REG_BRIDGE_IO_LIMIT, (uint8_t)(limit >> 8 & 0xf0));
		pci_write16(bridge, PCI_REG_BRIDGE_IO_BASE_HIGH, (uint16_t)(base >> 16));
		pci_write16(bridge, PCI_REG_BRIDGE_IO_LIMIT_HIGH, (uint16_t)(limit >> 16));
	} else if (kind == PCI_WINDOW_MEMORY) {
		pci_write16(bridge, PCI_REG_BRIDGE_MEMORY_BASE, (uint16_t)(base >> 16 & 0xfff0));
		pci_write16(bridge, PCI_REG_BRIDGE_MEMORY_LIMIT, (uint16_t)(limit >> 16 & 0xfff0));
	} else {
		pci_write16(bridge, PCI_REG_BRIDGE_PREFETCH_BASE, (uint16_t)(base >> 16 & 0xfff0));
		pci_write16(bridge, PCI_REG_BRIDGE_PREFETCH_LIMIT,
			    (uint16_t)(limit >> 16 & 0xfff0));
		pci_write32(bridge, PCI_REG_BRIDGE_PREFETCH_BASE_HIGH, (uint32_t)(base >> 32));
		pci_write32(bridge, PCI_REG_BRIDGE_PREFETCH_LIMIT_HIGH, (uint32_t)(limit >> 32));
	}
	w->base = base;
	w->size = size;
	w->flags |= PCI_BAR_ASSIGNED;
}

int pci_enable(struct pci_device *device, unsigned int what)
{
	for (unsigned int n = 0; n < PCI_BARS; n++) {
		const struct pci_bar *bar = &device->bar[n];
		unsigned int kind = bar->flags & PCI_BAR_IO ? PCI_IO : PCI_MEMORY;

		if (bar->size && (what & kind) && !(bar->flags & PCI_BAR_ASSIGNED)) {
			log_error("pci: %s: BAR %u (%llu bytes) has no address", device->name, n,
				  (unsigned long long)bar->size);
			return -ENOSPC;
		}
	}
	for (struct pci_device *d = device; d; d = d->bridge) {
		uint16_t command = pci_read16(d, PCI_REG_COMMAND);

		if ((command & what) != what)
			pci_write16(d, PCI_REG_COMMAND, (uint16_t)(command | what));
	}
	return 0;
}

void pci_disable(struct pci_device *device, unsigned int what)
{
	pci_write16(device, PCI_REG_COMMAND,
		    (uint16_t)(pci_read16(device, PCI_REG_COMMAND) & ~what));
}

volatile void *pci_map_bar(struct pci_device *device, unsigned int n, enum pci_mapping mapping)
{
	const struct pci_bar *bar = n < PCI_BARS ? &device->bar[n] : NULL;

	if (!bar || !bar->size || (bar->flags & PCI_BAR_IO)) {
		log_error("pci: %s: BAR %u is no memory BAR", device->name, n);
		return NULL;
	}
	if (!(bar->flags & PCI_BAR_ASSIGNED)) {
		log_error("pci: %s: BAR %u (%llu bytes) has no address", device->name, n,
			  (unsigned long long)bar->size);
		return NULL;
	}
	return mm_map(bar->base, bar->size,
		      mapping == PCI_MAP_WRITE_BACK ? MM_WRITE_BACK : MM_UNCACHED);
}

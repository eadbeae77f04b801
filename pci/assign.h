/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which BAR and which bridge window gets which address: arithmetic alone, so that it is tested on the
 * host. The caller lists what needs a place as a tree of items; nothing here knows of registers.
 */
#ifndef PCI_ASSIGN_H
#define PCI_ASSIGN_H

#include <stdbool.h>
#include <stdint.h>
#include "mm/map.h"
#include "pci/machine.h"

struct pci_range {
	uint64_t base, size;
};

/* Host address ranges that may be given out; low memory is below 4 GiB. */
enum pci_space { PCI_SPACE_IO, PCI_SPACE_LOW, PCI_SPACE_HIGH, PCI_SPACES };

#define PCI_HOST_RANGES 16

struct pci_host {
	struct pci_range range[PCI_SPACES][PCI_HOST_RANGES];
	unsigned int count[PCI_SPACES];
};

#define PCI_ITEM_ROOT (-1)

struct pci_item {
	uint64_t base; /* in: where firmware put it, if fixed; out: where it lies, if placed */
	uint64_t size; /* bytes; of a window that isn't fixed: the least it shall have */
	uint64_t align; /* power of two; of a window: its granularity */
	int parent;    /* index of the window it lies in, smaller than its own; or PCI_ITEM_ROOT */
	bool io;       /* ports, not memory */
	bool high;     /* may lie above 4 GiB */
	bool window;   /* a bridge's window: holds items */
	bool fixed;    /* firmware placed it; taken back if that is impossible */
	bool placed;   /* out */
	bool tried;    /* private to pci_assign() */
};

/*
 * What the host can give out: below 4 GiB from 3 GiB (or the end of RAM there) to the I/O APIC, above
 * 4 GiB the top quarter of the physical address space, both without what the memory map and ECAM hold,
 * and ports from 0xc000.
 */
void pci_host_ranges(const struct pci_machine *machine, unsigned int physical_bits,
		     struct pci_host *host);

/* Whether [base, base + size) touches RAM of the map or ECAM, where no BAR can lie. */
bool pci_host_forbids(const struct pci_machine *machine, uint64_t base, uint64_t size);

/*
 * Places what is not fixed; larger alignment first, memory that may lie high goes below 4 GiB where there
 * is room after all that must. Returns how many items of size > 0 found no place.
 */
unsigned int pci_assign(struct pci_item *items, unsigned int count, const struct pci_host *host);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* What the pci room must be told of the machine, which it can't find out by itself. */
#ifndef PCI_MACHINE_H
#define PCI_MACHINE_H

#include <stdint.h>
#include "mm/map.h"

#define PCI_MACHINE_ECAMS 8

/* Config space of buses first_bus..last_bus of a segment, in memory (MCFG). */
struct pci_ecam {
	uint64_t base; /* physical address of bus 0, even if first_bus is not 0 */
	uint16_t segment;
	uint8_t first_bus, last_bus;
};

struct pci_machine {
	struct pci_ecam ecam[PCI_MACHINE_ECAMS];
	unsigned int ecam_count;
	const struct mm_range *map; /* firmware's memory map, any order; must stay where it is */
	unsigned int map_count;
	uint16_t gpe_port; /* ACPI's general-purpose events, block 0; 0: there are none */
};

/*
 * Called by boot/init.c, through a weak reference so that an app without PCI doesn't carry it, before
 * main(). Without it config space is reached by ports and nothing can be assigned. @machine is copied.
 */
void pci_set_machine(const struct pci_machine *machine);

#endif

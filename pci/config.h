/* SPDX-License-Identifier: BSD-2-Clause */
/* Config space by address, before there is a struct pci_device. */
#ifndef PCI_CONFIG_H
#define PCI_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include "pci/machine.h"

/* One root of buses: a segment's config space, which holds these bus numbers. */
struct pci_root {
	uint16_t segment;
	uint8_t first_bus, last_bus;
};

/*
 * Chooses ECAM where the machine has it and something answers there, else ports where the chipset has
 * them. Returns the number of roots (at most PCI_MACHINE_ECAMS), 0 for a machine without PCI.
 */
unsigned int pci_config_init(const struct pci_machine *machine, struct pci_root *roots);

/* Reads a register of a function: all ones where nothing answers. */
uint32_t pci_config_read(uint16_t segment, uint8_t bus, uint8_t devfn, unsigned int offset,
			 unsigned int bytes);
void pci_config_write(uint16_t segment, uint8_t bus, uint8_t devfn, unsigned int offset,
		      unsigned int bytes, uint32_t value);

bool pci_config_is_ecam(void);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* What the pci room's files do to each other's devices. */
#ifndef PCI_SCAN_H
#define PCI_SCAN_H

#include <isthmus/pci.h>
#include "pci/machine.h"

const struct pci_machine *pci_machine(void);

/* Reads the sizes and addresses of a function's BARs and of a bridge's windows into @device. */
void pci_bars_read(struct pci_device *device);

/* Writes an address; decoding is off meanwhile. */
void pci_bar_write(struct pci_device *device, unsigned int n, uint64_t base);
void pci_window_write(struct pci_device *bridge, enum pci_window_kind kind, uint64_t base,
		      uint64_t size);

/* Whether the bridge has such a window at all; only for one that is closed. Leaves it closed. */
bool pci_window_exists(struct pci_device *bridge, enum pci_window_kind kind);

/* Whether the bridge's prefetchable window may lie above 4 GiB. */
bool pci_window_is_64(const struct pci_device *bridge);

/* Gives an address to each BAR that has none. 0, or -ENOMEM; what finds no room is logged. */
int pci_assign_all(void);

#endif

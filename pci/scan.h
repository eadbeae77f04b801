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

/* Offset of a port's Express capability if it has a slot for hotplug, else 0. */
unsigned int pci_hotplug_port(const struct pci_device *bridge);

/* Reads the functions of one slot that are not in the list yet. Returns how many. */
unsigned int pci_slot_read(uint16_t segment, uint8_t bus, unsigned int slot,
			   struct pci_device *bridge);

/* Takes a function off the list; its memory is used again. */
void pci_device_remove(struct pci_device *device);

/* QEMU's ACPI registers for hotplug, acpi.c. They are looked for once; false: not there. */
bool pci_acpi_find(void);
/* Has something been asked for? Clears the event. */
bool pci_acpi_event(void);
/* Marks devices that shall leave and buses on which something came. In interrupt context. */
void pci_acpi_look(void);
void pci_acpi_eject(struct pci_device *device);
/* Scans the root bus slots or ports where something came. */
unsigned int pci_acpi_take_in(void);
bool pci_acpi_waiting(void);
/* In hotplug.c: the device, or all functions of its slot, shall leave. In interrupt context. */
void pci_slot_leave(struct pci_device *any);

/* Gives an address to each BAR that has none. 0, or -ENOMEM; what finds no room is logged. */
int pci_assign_all(void);

#endif

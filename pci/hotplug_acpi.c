// SPDX-License-Identifier: BSD-2-Clause
/*
 * QEMU's ACPI registers for hotplug, without ACPI's interpreter. Source: QEMU,
 * docs/specs/acpi_pci_hotplug.txt.
 *
 * A bus is chosen by a number that QEMU gave to each bus with hotplug, and that stands in AML alone.
 * On pc number 0 is the root bus. Which port behind q35's root bus has which number can't be known
 * here; so the device is told by its slot, if there is but one that it can be.
 */
#include "pci/scan.h"

#include <isthmus/log.h>
#include "cpu/io.h"
#include "pci/registers.h"

#define REG_UP 0x00    /* read: bit per slot where something came; reading clears */
#define REG_DOWN 0x04  /* read: bit per slot that shall be let go */
#define REG_EJECT 0x08 /* write: bit of the slot that may go */
#define REG_BUS 0x10   /* which bus the others are about */
#define BLOCK_PC 0xae00
#define BLOCK_Q35 0x0cc0
#define GPE_HOTPLUG 0x02

#define VENDOR_INTEL 0x8086
#define HOST_PC 0x1237
#define HOST_Q35 0x29c0
#define SLOTS 32
#define BUSES_MAX 256u

static uint16_t block; /* first port; 0: none */
static bool root_is_bus_0;
static uint32_t root_came; /* slots of the root bus where something came */
static bool behind_came;   /* somewhere behind bridges */

bool pci_acpi_find(void)
{
	static bool done;

	if (done)
		return block;
	done = true;
	for (const struct pci_device *d = NULL; (d = pci_next((struct pci_device *)d));) {
		if (d->bus || d->slot || d->function || d->vendor != VENDOR_INTEL)
			continue;
		root_is_bus_0 = d->device == HOST_PC;
		block = d->device == HOST_PC ? BLOCK_PC : d->device == HOST_Q35 ? BLOCK_Q35 : 0;
	}
	/* Where QEMU was told to leave ACPI out of it, nothing answers. */
	if (block) {
		port_out32(block + REG_BUS, 0);
		if (port_in32(block + REG_DOWN) == UINT32_MAX)
			block = 0;
	}
	return block;
}

bool pci_acpi_event(void)
{
	uint16_t gpe = pci_machine()->gpe_port;

	if (!gpe)
		return true; /* no way to tell without looking */
	if (!(port_in8(gpe) & GPE_HOTPLUG))
		return false;
	port_out8(gpe, GPE_HOTPLUG);
	return true;
}

static unsigned int buses(void)
{
	unsigned int count = 1;

	for (const struct pci_device *d = NULL; (d = pci_next((struct pci_device *)d));)
		count += d->header_type == PCI_HEADER_BRIDGE;
	return count < BUSES_MAX ? count : BUSES_MAX;
}

/* The device in that slot of that bus; NULL for none, or for more than one it may be (*@several). */
static struct pci_device *find(unsigned int bus, unsigned int slot, bool *several)
{
	struct pci_device *found = NULL;

	*several = false;
	for (struct pci_device *d = NULL; (d = pci_next(d));) {
		bool root = !d->bridge && !d->bus && !d->segment;

		if (d->slot != slot || d->presence == PCI_GONE || root != (root_is_bus_0 && !bus) ||
		    (!root && !d->bridge))
			continue;
		if (found && (found->bus != d->bus))
			*several = true;
		if (!found)
			found = d;
	}
	return *several ? NULL : found;
}

static void slot_leaves(unsigned int bus, unsigned int slot)
{
	static bool said;
	bool several;
	struct pci_device *device = find(bus, slot, &several);

	if (several && !said) {
		said = true;
		log_error("pci: QEMU wants one of several devices back, and only ACPI's AML says "
			  "which: nothing is let go; start QEMU with -global "
			  "%s.acpi-pci-hotplug-with-bridge-support=off",
			  root_is_bus_0 ? "PIIX4_PM" : "ICH9-LPC");
	}
	if (!device || device->presence != PCI_PRESENT)
		return;
	device->hotplug_bus = (uint8_t)bus;
	pci_slot_leave(device);
}

void pci_acpi_look(void)
{
	for (unsigned int bus = 0; bus < buses(); bus++) {
		uint32_t up, down;

		port_out32(block + REG_BUS, bus);
		up = port_in32(block + REG_UP);
		down = port_in32(block + REG_DOWN);
		if (root_is_bus_0 && !bus)
			root_came |= up;
		else
			behind_came |= up;
		for (unsigned int slot = 0; slot < SLOTS; slot++) {
			if (down >> slot & 1)
				slot_leaves(bus, slot);
		}
	}
}

void pci_acpi_eject(struct pci_device *device)
{
	port_out32(block + REG_BUS, device->hotplug_bus);
	port_out32(block + REG_EJECT, 1u << device->slot);
}

bool pci_acpi_waiting(void)
{
	return root_came || behind_came;
}

/* Whether something in that slot is still held by the driver of what was there before. */
static bool occupied(uint16_t segment, uint8_t bus, unsigned int slot)
{
	for (const struct pci_device *d = NULL; (d = pci_next((struct pci_device *)d));) {
		if (d->segment == segment && d->bus == bus && d->slot == slot &&
		    d->presence == PCI_GONE)
			return true;
	}
	return false;
}

static unsigned int bridges_take_in(void)
{
	unsigned int count = 0;
	bool busy = false;

	/* What is added stands behind its bridge in the list and is gone through, too: no harm. */
	for (struct pci_device *d = NULL; (d = pci_next(d));) {
		for (unsigned int slot = 0; d->secondary && slot < SLOTS; slot++) {
			if (occupied(d->segment, d->secondary, slot))
				busy = true;
			else
				count += pci_slot_read(d->segment, d->secondary, slot, d);
		}
	}
	behind_came = busy;
	return count;
}

unsigned int pci_acpi_take_in(void)
{
	unsigned int count = 0;

	for (unsigned int slot = 0; slot < SLOTS; slot++) {
		if (!(root_came >> slot & 1) || occupied(0, 0, slot))
			continue;
		root_came &= ~(1u << slot);
		count += pci_slot_read(0, 0, slot, NULL);
	}
	if (behind_came)
		count += bridges_take_in();
	return count;
}

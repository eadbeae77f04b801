// SPDX-License-Identifier: BSD-2-Clause
/*
 * Config space: by memory (PCI Express Base 3.0, 7.2.2, "ECAM") or by ports (PCI 3.0, 3.2.2.3.2).
 * ECAM is mapped bus by bus when a bus is first looked at: a whole segment would be 256 MiB.
 */
#include "pci/config.h"

#include <isthmus/log.h>
#include <isthmus/pci.h>
#include "cpu/io.h"
#include "cpu/irq.h"
#include "mm/mm.h"
#include "pci/registers.h"

#define PORT_CONFIG_ADDRESS 0xcf8
#define CONFIG_ADDRESS_ENABLE (1u << 31)
#define PORT_CONFIG_DATA 0xcfc

#define ECAM_BUS_SIZE 0x100000u
#define CONFIG_SIZE 0x100u
#define ECAM_CONFIG_SIZE 0x1000u
#define NOTHING UINT32_MAX

static struct pci_ecam ecam[PCI_MACHINE_ECAMS];
static unsigned int ecam_count;
static volatile uint8_t *ecam_bus[PCI_MACHINE_ECAMS][256];
static bool has_ports;

static volatile uint8_t *ecam_address(uint16_t segment, uint8_t bus, uint8_t devfn)
{
	for (unsigned int i = 0; i < ecam_count; i++) {
		const struct pci_ecam *e = &ecam[i];

		if (e->segment != segment || bus < e->first_bus || bus > e->last_bus)
			continue;
		if (!ecam_bus[i][bus])
			ecam_bus[i][bus] = mm_map(e->base + (uint64_t)bus * ECAM_BUS_SIZE,
						  ECAM_BUS_SIZE, MM_UNCACHED);
		return ecam_bus[i][bus] ? ecam_bus[i][bus] + ((uint32_t)devfn << 12) : NULL;
	}
	return NULL;
}

static bool offset_is_valid(unsigned int offset, unsigned int bytes)
{
	return offset % bytes == 0 && offset < (ecam_count ? ECAM_CONFIG_SIZE : CONFIG_SIZE);
}

/* Address and data are two ports: nobody may come in between. */
static uint32_t ports_read(uint8_t bus, uint8_t devfn, unsigned int offset, unsigned int bytes)
{
	uint64_t flags = irq_save();
	uint16_t data = (uint16_t)(PORT_CONFIG_DATA + (offset & 3));
	uint32_t value;

	port_out32(PORT_CONFIG_ADDRESS, CONFIG_ADDRESS_ENABLE | (uint32_t)bus << 16 |
						(uint32_t)devfn << 8 | (offset & 0xfc));
	value = bytes == 1 ? port_in8(data) : bytes == 2 ? port_in16(data) : port_in32(data);
	irq_restore(flags);
	return value;
}

static void ports_write(uint8_t bus, uint8_t devfn, unsigned int offset, unsigned int bytes,
			uint32_t value)
{
	uint64_t flags = irq_save();
	uint16_t data = (uint16_t)(PORT_CONFIG_DATA + (offset & 3));

	port_out32(PORT_CONFIG_ADDRESS, CONFIG_ADDRESS_ENABLE | (uint32_t)bus << 16 |
						(uint32_t)devfn << 8 | (offset & 0xfc));
	if (bytes == 1)
		port_out8(data, (uint8_t)value);
	else if (bytes == 2)
		port_out16(data, (uint16_t)value);
	else
		port_out32(data, value);
	irq_restore(flags);
}

uint32_t pci_config_read(uint16_t segment, uint8_t bus, uint8_t devfn, unsigned int offset,
			 unsigned int bytes)
{
	uint32_t ones = NOTHING >> (32 - 8 * bytes);
	volatile uint8_t *at;

	if (!offset_is_valid(offset, bytes))
		return ones;
	if (!ecam_count)
		return has_ports && !segment ? ports_read(bus, devfn, offset, bytes) : ones;
	at = ecam_address(segment, bus, devfn);
	if (!at)
		return ones;
	at += offset;
	return bytes == 1 ? mmio_read8(at) : bytes == 2 ? mmio_read16(at) : mmio_read32(at);
}

void pci_config_write(uint16_t segment, uint8_t bus, uint8_t devfn, unsigned int offset,
		      unsigned int bytes, uint32_t value)
{
	volatile uint8_t *at;

	if (!offset_is_valid(offset, bytes))
		return;
	if (!ecam_count) {
		if (has_ports && !segment)
			ports_write(bus, devfn, offset, bytes, value);
		return;
	}
	at = ecam_address(segment, bus, devfn);
	if (!at)
		return;
	at += offset;
	if (bytes == 1)
		mmio_write8(at, (uint8_t)value);
	else if (bytes == 2)
		mmio_write16(at, (uint16_t)value);
	else
		mmio_write32(at, value);
}

/* The address register reads back what was written only where there is one (PCI 3.0, 3.2.2.3.2). */
static bool ports_find(void)
{
	uint64_t flags = irq_save();
	uint32_t old = port_in32(PORT_CONFIG_ADDRESS);
	bool found;

	port_out32(PORT_CONFIG_ADDRESS, CONFIG_ADDRESS_ENABLE);
	found = port_in32(PORT_CONFIG_ADDRESS) == CONFIG_ADDRESS_ENABLE;
	port_out32(PORT_CONFIG_ADDRESS, old);
	irq_restore(flags);
	return found;
}

/*
 * Whether config space is where ACPI says: where there are ports as well, the first function must be the
 * same by both ways; else any function 0 on the first bus must answer.
 */
static bool ecam_answers(void)
{
	if (has_ports && !ecam[0].segment && !ecam[0].first_bus) {
		uint32_t id = ports_read(0, 0, PCI_REG_VENDOR_ID, 4);

		if (id != NOTHING)
			return pci_config_read(0, 0, 0, PCI_REG_VENDOR_ID, 4) == id;
	}
	for (unsigned int slot = 0; slot < 32; slot++) {
		uint32_t id = pci_config_read(ecam[0].segment, ecam[0].first_bus,
					      (uint8_t)(slot << 3), PCI_REG_VENDOR_ID, 4);

		if (id != NOTHING && id != 0)
			return true;
	}
	return false;
}

unsigned int pci_config_init(const struct pci_machine *machine, struct pci_root *roots)
{
	has_ports = ports_find();
	ecam_count = 0;
	for (unsigned int i = 0; i < machine->ecam_count && i < PCI_MACHINE_ECAMS; i++) {
		if (machine->ecam[i].first_bus <= machine->ecam[i].last_bus)
			ecam[ecam_count++] = machine->ecam[i];
	}
	if (ecam_count && !ecam_answers()) {
		log_warn("pci: ACPI places config space at 0x%llx, where it isn't%s",
			 (unsigned long long)ecam[0].base, has_ports ? "; using ports" : "");
		ecam_count = 0;
	}
	for (unsigned int i = 0; i < ecam_count; i++) {
		roots[i].segment = ecam[i].segment;
		roots[i].first_bus = ecam[i].first_bus;
		roots[i].last_bus = ecam[i].last_bus;
	}
	if (ecam_count)
		return ecam_count;
	roots[0].segment = 0;
	roots[0].first_bus = 0;
	roots[0].last_bus = 255;
	return has_ports;
}

bool pci_config_is_ecam(void)
{
	return ecam_count > 0;
}

const char *pci_config_method(void)
{
	return ecam_count ? "ECAM" : "ports";
}

static uint8_t devfn_of(const struct pci_device *device)
{
	return (uint8_t)(device->slot << 3 | device->function);
}

uint8_t pci_read8(const struct pci_device *device, unsigned int offset)
{
	return (uint8_t)pci_config_read(device->segment, device->bus, devfn_of(device), offset, 1);
}

uint16_t pci_read16(const struct pci_device *device, unsigned int offset)
{
	return (uint16_t)pci_config_read(device->segment, device->bus, devfn_of(device), offset, 2);
}

uint32_t pci_read32(const struct pci_device *device, unsigned int offset)
{
	return pci_config_read(device->segment, device->bus, devfn_of(device), offset, 4);
}

void pci_write8(const struct pci_device *device, unsigned int offset, uint8_t value)
{
	pci_config_write(device->segment, device->bus, devfn_of(device), offset, 1, value);
}

void pci_write16(const struct pci_device *device, unsigned int offset, uint16_t value)
{
	pci_config_write(device->segment, device->bus, devfn_of(device), offset, 2, value);
}

void pci_write32(const struct pci_device *device, unsigned int offset, uint32_t value)
{
	pci_config_write(device->segment, device->bus, devfn_of(device), offset, 4, value);
}

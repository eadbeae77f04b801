// SPDX-License-Identifier: BSD-2-Clause
/*
 * Finds every function. Buses that firmware numbered keep their numbers; behind a bridge without (sound)
 * numbers they are numbered here, depth first (PCI-to-PCI Bridge Architecture 1.2, 12.1).
 */
#include "pci/scan.h"

#include <errno.h>
#include <isthmus/log.h>
#include "mm/mm.h"
#include "pci/config.h"
#include "pci/registers.h"

#define SLOTS 32
#define FUNCTIONS 8

static struct pci_machine the_machine;
static struct pci_device *first;
static struct pci_device *spare; /* devices not used yet, chained by .next */
static uint8_t bus_seen[256 / 8]; /* of the segment that is being scanned */
static bool out_of_memory;

void pci_set_machine(const struct pci_machine *machine)
{
	the_machine = *machine;
}

const struct pci_machine *pci_machine(void)
{
	return &the_machine;
}

struct pci_device *pci_next(struct pci_device *previous)
{
	return previous ? previous->next : first;
}

static uint32_t order(const struct pci_device *d)
{
	return (uint32_t)d->segment << 16 | (uint32_t)d->bus << 8 | (uint32_t)d->slot << 3 |
	       d->function;
}

static struct pci_device *device_alloc(void)
{
	struct pci_device *device;

	if (!spare) {
		uint64_t page = mm_alloc_pages(1);

		if (page == MM_NO_PAGES)
			return NULL;
		device = mm_phys_to_virt(page);
		for (size_t i = 0; i < MM_PAGE_SIZE / sizeof(*device); i++) {
			device[i].next = spare;
			spare = &device[i];
		}
	}
	device = spare;
	spare = device->next;
	*device = (struct pci_device){ 0 };
	return device;
}

/* Into the list by address, so that a bridge always comes before what is behind it. */
static void device_insert(struct pci_device *device)
{
	struct pci_device **at = &first;

	while (*at && order(*at) < order(device))
		at = &(*at)->next;
	device->next = *at;
	*at = device;
}

static struct pci_device *function_read(uint16_t segment, uint8_t bus, uint8_t devfn,
					struct pci_device *bridge)
{
	struct pci_device *d = device_alloc();

	if (!d) {
		out_of_memory = true;
		return NULL;
	}
	d->segment = segment;
	d->bus = bus;
	d->slot = devfn >> 3;
	d->function = devfn & 7;
	d->bridge = bridge;
	log_format(d->name, sizeof(d->name), "%04x:%02x:%02x.%u", segment, bus, d->slot,
		   d->function);
	d->vendor = pci_read16(d, PCI_REG_VENDOR_ID);
	d->device = pci_read16(d, PCI_REG_DEVICE_ID);
	d->revision = pci_read8(d, PCI_REG_REVISION);
	d->prog_if = pci_read8(d, PCI_REG_PROG_IF);
	d->subclass = pci_read8(d, PCI_REG_SUBCLASS);
	d->class_code = pci_read8(d, PCI_REG_CLASS);
	d->header_type = pci_read8(d, PCI_REG_HEADER_TYPE) & PCI_HEADER_TYPE_MASK;
	if (d->header_type == PCI_HEADER_DEVICE) {
		d->subsystem_vendor = pci_read16(d, PCI_REG_SUBSYSTEM_VENDOR);
		d->subsystem = pci_read16(d, PCI_REG_SUBSYSTEM);
	}
	pci_bars_read(d);
	device_insert(d);
	return d;
}

static bool function_answers(uint16_t segment, uint8_t bus, uint8_t devfn)
{
	uint16_t vendor =
		(uint16_t)pci_config_read(segment, bus, devfn, PCI_REG_VENDOR_ID, 2);

	return vendor != 0xffff && vendor != 0;
}

static bool bus_is_seen(unsigned int bus)
{
	return bus_seen[bus / 8] >> (bus % 8) & 1;
}

static void bridge_number(struct pci_device *bridge, unsigned int secondary,
			  unsigned int subordinate)
{
	uint32_t old = pci_read32(bridge, PCI_REG_BRIDGE_PRIMARY);

	bridge->secondary = (uint8_t)secondary;
	bridge->subordinate = (uint8_t)subordinate;
	pci_write32(bridge, PCI_REG_BRIDGE_PRIMARY,
		    (old & 0xff000000) | subordinate << 16 | secondary << 8 | bridge->bus);
}

/* Whether firmware's numbers can stay: behind this bus, within @limit, and nobody else's. */
static bool bridge_is_numbered(struct pci_device *bridge, unsigned int limit)
{
	uint8_t primary = pci_read8(bridge, PCI_REG_BRIDGE_PRIMARY);
	uint8_t secondary = pci_read8(bridge, PCI_REG_BRIDGE_SECONDARY);
	uint8_t subordinate = pci_read8(bridge, PCI_REG_BRIDGE_SUBORDINATE);

	if (primary != bridge->bus || secondary <= bridge->bus || subordinate < secondary ||
	    subordinate > limit || bus_is_seen(secondary))
		return false;
	bridge->secondary = secondary;
	bridge->subordinate = subordinate;
	return true;
}

static bool is_listed(uint16_t segment, uint8_t bus, uint8_t devfn)
{
	for (const struct pci_device *d = first; d; d = d->next) {
		if (d->segment == segment && d->bus == bus && (d->slot << 3 | d->function) == devfn)
			return true;
	}
	return false;
}

unsigned int pci_slot_read(uint16_t segment, uint8_t bus, unsigned int slot,
			   struct pci_device *bridge)
{
	uint8_t devfn = (uint8_t)(slot << 3);
	unsigned int functions = 1, count = 0;

	if (!function_answers(segment, bus, devfn))
		return 0;
	if (pci_config_read(segment, bus, devfn, PCI_REG_HEADER_TYPE, 1) &
	    PCI_HEADER_MULTI_FUNCTION)
		functions = FUNCTIONS;
	for (unsigned int f = 0; f < functions; f++) {
		uint8_t at = (uint8_t)(devfn | f);

		if (function_answers(segment, bus, at) && !is_listed(segment, bus, at) &&
		    function_read(segment, bus, at, bridge))
			count++;
	}
	return count;
}

void pci_device_remove(struct pci_device *device)
{
	struct pci_device **at = &first;

	while (*at != device)
		at = &(*at)->next;
	*at = device->next;
	device->next = spare;
	spare = device;
}

static void bus_read(uint16_t segment, uint8_t bus, struct pci_device *bridge)
{
	bus_seen[bus / 8] |= (uint8_t)(1u << (bus % 8));
	for (unsigned int slot = 0; slot < SLOTS; slot++)
		pci_slot_read(segment, bus, slot, bridge);
}

static struct pci_device *next_bridge(struct pci_device *previous, uint16_t segment, uint8_t bus)
{
	struct pci_device *d = previous;

	while ((d = pci_next(d))) {
		if (d->segment == segment && d->bus == bus && d->header_type == PCI_HEADER_BRIDGE)
			return d;
	}
	return NULL;
}

/*
 * Scans a bus and all behind it; bus numbers up to @limit may be used there. Returns the highest number in
 * use. Recursion is bounded: each level has a higher bus number than the one above.
 */
static unsigned int bus_scan(uint16_t segment, uint8_t bus, unsigned int limit,
			     struct pci_device *bridge)
{
	unsigned int highest = bus;
	struct pci_device *b;

	bus_read(segment, bus, bridge);
	/* First those that firmware numbered, so that the others get numbers that are free. */
	for (b = NULL; (b = next_bridge(b, segment, bus));) {
		if (!bridge_is_numbered(b, limit))
			continue;
		bus_scan(segment, b->secondary, b->subordinate, b);
		if (b->subordinate > highest)
			highest = b->subordinate;
	}
	for (b = NULL; (b = next_bridge(b, segment, bus));) {
		if (b->secondary)
			continue;
		if (highest >= limit) {
			log_warn("pci: %s: no bus number is left for what is behind this bridge",
				 b->name);
			continue;
		}
		bridge_number(b, highest + 1, limit);
		highest = bus_scan(segment, b->secondary, limit, b);
		bridge_number(b, b->secondary, highest);
	}
	return highest;
}

/* Host bridges besides the first one may have root buses of their own (PCI Firmware 3.0, 3.1). */
static bool has_more_roots(const struct pci_root *root)
{
	for (struct pci_device *d = NULL; (d = pci_next(d));) {
		if (d->segment == root->segment && d->bus == root->first_bus &&
		    (d->slot || d->function) && d->class_code == PCI_CLASS_BRIDGE &&
		    d->subclass == PCI_SUBCLASS_HOST)
			return true;
	}
	return false;
}

static void root_scan(const struct pci_root *root)
{
	for (size_t i = 0; i < sizeof(bus_seen); i++)
		bus_seen[i] = 0;
	bus_scan(root->segment, root->first_bus, root->last_bus, NULL);
	if (!has_more_roots(root))
		return;
	for (unsigned int bus = root->first_bus + 1u; bus <= root->last_bus; bus++) {
		bool answers = false;

		for (unsigned int slot = 0; slot < SLOTS && !bus_is_seen(bus) && !answers; slot++)
			answers = function_answers(root->segment, (uint8_t)bus,
						   (uint8_t)(slot << 3));
		if (answers)
			bus_scan(root->segment, (uint8_t)bus, root->last_bus, NULL);
	}
}

static int scan_all(void)
{
	struct pci_root roots[PCI_MACHINE_ECAMS];
	unsigned int count = pci_config_init(&the_machine, roots);

	if (!count) {
		log_error("pci: this machine has no PCI: no MCFG in ACPI and no port 0xcf8; on "
			  "microvm use -machine microvm,acpi=on,pcie=on");
		return -ENODEV;
	}
	for (unsigned int i = 0; i < count; i++)
		root_scan(&roots[i]);
	if (out_of_memory) {
		log_error("pci: no memory for the list of devices; give the guest more with -m");
		return -ENOMEM;
	}
	return pci_assign_all();
}

int pci_init(void)
{
	static bool done;
	static int result;

	if (!done) {
		done = true;
		result = scan_all();
	}
	return result;
}

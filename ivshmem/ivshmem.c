// SPDX-License-Identifier: BSD-2-Clause
/* Finding a device and opening it. Source: QEMU, docs/specs/ivshmem-spec.txt. */
#include "ivshmem/device.h"

#include <errno.h>
#include <isthmus/log.h>
#include "cpu/cpuid.h"
#include "cpu/io.h"
#include "ivshmem/machine.h"
#include "ivshmem/registers.h"
#include "mm/mm.h"

static struct ivshmem *opened;
static unsigned int max_cpus;

void ivshmem_set_max_cpus(unsigned int cpus)
{
	max_cpus = cpus;
}

/* Says once what this machine makes of shared memory, when that isn't what a program may rely on. */
static void warn_of_hazards(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	if (max_cpus == 1 && cpu_under_tcg())
		log_warn("ivshmem: with one possible CPU, TCG leaves out memory barriers and makes locked "
			 "instructions interruptible by other VMs: locks and fences in the region don't "
			 "hold; start QEMU with -smp 1,maxcpus=2");
}

/*
 * Page tables ask for write-back; the MTRRs have the last word, and firmware often leaves the window
 * above 4 GiB uncacheable, which on real hardware costs two orders of magnitude.
 */
static void memory_type_settle(struct ivshmem *device, const struct pci_bar *bar)
{
	const char *before = mm_effective_type(bar->base, bar->size);

	device->memory_type = before;
	if (!__builtin_strcmp(before, "write-back"))
		return;
	if (!mm_force_write_back(bar->base, bar->size)) {
		device->memory_type = mm_effective_type(bar->base, bar->size);
		device->memory_type_before = before;
		return;
	}
	log_warn("ivshmem: %s: the region at 0x%llx is %s and no MTRR is free to mend it: each access "
		 "goes to the bus, a hundred times slower on real hardware", device->pci->name,
		 (unsigned long long)bar->base, before);
}

/* 0 for a device that is built as the specification says. */
static int check_shape(const struct pci_device *pci)
{
	const struct pci_bar *registers = &pci->bar[IVSHMEM_BAR_REGISTERS];
	const struct pci_bar *region = &pci->bar[IVSHMEM_BAR_REGION];

	if (pci->revision != IVSHMEM_PCI_REVISION)
		log_warn("ivshmem: %s: revision %u, expected %u; going on", pci->name, pci->revision,
			 IVSHMEM_PCI_REVISION);
	if (registers->size < IVSHMEM_REGISTERS_SIZE || (registers->flags & PCI_BAR_IO)) {
		log_error("ivshmem: %s: BAR %u should hold %u bytes of registers, it has %llu", pci->name,
			  IVSHMEM_BAR_REGISTERS, IVSHMEM_REGISTERS_SIZE,
			  (unsigned long long)registers->size);
		return -ENXIO;
	}
	if (!region->size || (region->flags & PCI_BAR_IO)) {
		log_error("ivshmem: %s: BAR %u should be the region, and there is none: give the device "
			  "a memory backend (memdev=) or a server (chardev=)", pci->name,
			  IVSHMEM_BAR_REGION);
		return -ENXIO;
	}
	return 0;
}

static int vectors_prepare(struct ivshmem *device)
{
	int entries = pci_msix_init(device->pci);
	uint64_t state;

	if (entries == -ENODEV)
		return 0; /* ivshmem-plain: IVPosition would read 0, which is a valid id as well */
	if (entries < 0)
		return entries;
	if (entries > IVSHMEM_VECTORS_MAX) {
		log_warn("ivshmem: %s: %d vectors; the first %u are used, since above that the "
			 "doorbell's vector field changes its meaning", device->pci->name, entries,
			 IVSHMEM_VECTORS_MAX);
		entries = IVSHMEM_VECTORS_MAX;
	}
	device->vector_pages = (entries * sizeof(*device->vector) + MM_PAGE_SIZE - 1) / MM_PAGE_SIZE;
	state = mm_alloc_pages(device->vector_pages);
	if (state == MM_NO_PAGES) {
		log_error("ivshmem: %s: no memory for %d vectors", device->pci->name, entries);
		return -ENOMEM;
	}
	device->vector = mm_phys_to_virt(state);
	for (int n = 0; n < entries; n++)
		device->vector[n] = (struct ivshmem_vector){ 0 };
	device->vectors = (unsigned int)entries;
	device->id = (uint16_t)mmio_read32(device->registers + IVSHMEM_REG_IV_POSITION);
	return 0;
}

static int device_prepare(struct ivshmem *device)
{
	const struct pci_bar *region = &device->pci->bar[IVSHMEM_BAR_REGION];
	int error = check_shape(device->pci);

	if (error)
		return error;
	/* MSI-X messages are writes of the device: without bus mastering they vanish. */
	error = pci_enable(device->pci, PCI_MEMORY | PCI_BUS_MASTER);
	if (error)
		return error;
	if ((region->base + region->size - 1) >> cpu_physical_bits()) {
		log_error("ivshmem: %s: the region, %llu MiB at 0x%llx, lies beyond the %u physical address "
			  "bits of this CPU: give QEMU -cpu with more phys-bits, or a smaller region",
			  device->pci->name, (unsigned long long)(region->size >> 20),
			  (unsigned long long)region->base, cpu_physical_bits());
		return -ENOMEM;
	}
	device->registers = pci_map_bar(device->pci, IVSHMEM_BAR_REGISTERS, PCI_MAP_UNCACHED);
	device->region = (void *)pci_map_bar(device->pci, IVSHMEM_BAR_REGION, PCI_MAP_WRITE_BACK);
	if (!device->registers || !device->region)
		return -ENOMEM; /* mm has said why */
	device->size = region->size;
	memory_type_settle(device, region);
	return vectors_prepare(device);
}

static struct ivshmem *device_alloc(void)
{
	uint64_t page = mm_alloc_pages((sizeof(struct ivshmem) + MM_PAGE_SIZE - 1) / MM_PAGE_SIZE);
	struct ivshmem *device;

	if (page == MM_NO_PAGES)
		return NULL;
	device = mm_phys_to_virt(page);
	*device = (struct ivshmem){ 0 };
	return device;
}

static void device_free(struct ivshmem *device)
{
	pci_msix_disable(device->pci);
	for (unsigned int n = 0; n < device->vectors; n++)
		ivshmem_storm_stop(&device->vector[n]);
	if (device->vector)
		mm_free_pages(mm_virt_to_phys(device->vector), device->vector_pages);
	mm_free_pages(mm_virt_to_phys(device),
		      (sizeof(struct ivshmem) + MM_PAGE_SIZE - 1) / MM_PAGE_SIZE);
}

/* The one line about a device that works. */
static void describe(const struct ivshmem *d)
{
	char kind[48] = "plain";
	bool whole_mib = d->size >= 1 << 20;

	if (d->vectors)
		log_format(kind, sizeof(kind), "doorbell, id %u, %u vector%s", d->id, d->vectors,
			   d->vectors == 1 ? "" : "s");
	log_info("ivshmem: %s: %s, region %llu %s at 0x%llx, %s%s%s%s", d->pci->name, kind,
		 (unsigned long long)(d->size >> (whole_mib ? 20 : 10)), whole_mib ? "MiB" : "KiB",
		 (unsigned long long)ivshmem_region_address(d),
		 d->memory_type, d->memory_type_before ? " by an MTRR (firmware left it " : "",
		 d->memory_type_before ? d->memory_type_before : "",
		 d->memory_type_before ? ")" : "");
}

int ivshmem_open(unsigned int index, struct ivshmem **device)
{
	struct pci_device *pci = ivshmem_pci_at(index);
	struct ivshmem *d;
	int error;

	if (!pci) {
		unsigned int count = ivshmem_count();

		if (!count && !ivshmem_was_there(index))
			log_error("ivshmem: no device: give QEMU -device ivshmem-doorbell,chardev=... or "
				  "-device ivshmem-plain,memdev=...");
		else if (ivshmem_was_there(index))
			log_error("ivshmem: device %u is unplugged", index);
		else
			log_error("ivshmem: no device %u: there are %u, counted from 0", index, count);
		return -ENODEV;
	}
	for (d = opened; d; d = d->next) {
		if (d->pci == pci) {
			*device = d;
			return d->gone ? -ENODEV : 0;
		}
	}
	d = device_alloc();
	if (!d) {
		log_error("ivshmem: %s: no memory", pci->name);
		return -ENOMEM;
	}
	d->pci = pci;
	error = ivshmem_hold_while(d, device_prepare);
	if (error) {
		device_free(d);
		pci_release(pci);
		return error;
	}
	d->next = opened;
	opened = d;
	warn_of_hazards();
	describe(d);
	*device = d;
	return 0;
}

void ivshmem_close(struct ivshmem *device)
{
	struct ivshmem **at = &opened;
	struct pci_device *pci = device->pci;

	ivshmem_detach(device);
	ivshmem_settle(device);
	timer_stop(&device->deadline);
	while (*at != device)
		at = &(*at)->next;
	*at = device->next;
	ivshmem_unmap(device);
	device_free(device);
	pci_release(pci);
}

bool ivshmem_has_doorbell(const struct ivshmem *device)
{
	return device->vectors > 0;
}

uint16_t ivshmem_id(const struct ivshmem *device)
{
	return device->id;
}

unsigned int ivshmem_vectors(const struct ivshmem *device)
{
	return device->vectors;
}

void *ivshmem_region(const struct ivshmem *device)
{
	return device->region;
}

uint64_t ivshmem_size(const struct ivshmem *device)
{
	return device->size;
}

uint64_t ivshmem_region_address(const struct ivshmem *device)
{
	return device->pci->bar[IVSHMEM_BAR_REGION].base;
}

const char *ivshmem_memory_type(const struct ivshmem *device)
{
	return device->memory_type;
}

uint64_t ivshmem_page_size(const struct ivshmem *device)
{
	return mm_page_size(device->region);
}

struct pci_device *ivshmem_pci(const struct ivshmem *device)
{
	return device->pci;
}

uint32_t ivshmem_interrupt_mask(const struct ivshmem *device)
{
	return mmio_read32(device->registers + IVSHMEM_REG_INTR_MASK);
}

uint32_t ivshmem_position(const struct ivshmem *device)
{
	return mmio_read32(device->registers + IVSHMEM_REG_IV_POSITION);
}

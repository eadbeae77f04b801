// SPDX-License-Identifier: BSD-2-Clause
/* MSI-X (PCI 3.0, 6.8.2): a table of messages in one BAR, the bits of what is pending in another. */
#include <isthmus/pci.h>

#include <errno.h>
#include <isthmus/cpu.h>
#include <isthmus/log.h>
#include "cpu/apic.h"
#include "cpu/io.h"
#include "cpu/irq.h"
#include "cpu/lock.h"
#include "cpu/others.h"
#include "cpu/vectors.h"
#include "mm/mm.h"
#include "pci/registers.h"

/*
 * A CPU vector with the entries that share it: one, until no vector is left. Vectors mean the same on
 * all CPUs, and all entries of a line go to one of them: no handler runs on two at once.
 */
struct msix_line {
	struct pci_msix_entry *first; /* NULL: the line is not in use */
	unsigned int sharers;
	unsigned int flags; /* VECTOR_* */
	int vector;
	unsigned int cpu;     /* index of the one that the messages go to */
	unsigned int running; /* 1 while that CPU calls the handlers */
};

/* What is bound to an entry of a table. */
struct pci_msix_entry {
	struct pci_msix_entry *next; /* another entry on the same line */
	struct msix_line *line;	     /* NULL: not bound */
	void (*handler)(void *arg);
	void *arg;
};

static struct msix_line lines[VECTOR_LAST - VECTOR_FIRST + 1];
static struct cpu_lock lines_lock; /* not of what interrupts read, which is changed in one store */

static void msix_interrupt(void *arg)
{
	struct msix_line *line = arg;
	struct pci_msix_entry *e, *next;

	/* Either this sees an entry that leaves as gone, or line_leave() on another CPU waits. */
	__atomic_store_n(&line->running, 1, __ATOMIC_SEQ_CST);
	for (e = __atomic_load_n(&line->first, __ATOMIC_SEQ_CST); e; e = next) {
		next = e->next; /* a handler may unbind itself */
		e->handler(e->arg);
	}
	__atomic_store_n(&line->running, 0, __ATOMIC_RELEASE);
}

static volatile uint8_t *entry_register(const struct pci_device *device, unsigned int n,
					unsigned int offset)
{
	return (volatile uint8_t *)device->msix.table + n * PCI_MSIX_ENTRY_SIZE + offset;
}

static bool entry_exists(const struct pci_device *device, unsigned int n)
{
	return device->msix.entry && n < device->msix.entries;
}

/* The table or the PBA: where the capability's register says, if that lies inside the BAR. */
static volatile void *structure_map(struct pci_device *device, unsigned int reg, uint32_t size)
{
	uint32_t where = pci_read32(device, device->msix.capability + reg);
	unsigned int bar = where & PCI_MSIX_BAR_MASK;
	uint32_t offset = where & ~PCI_MSIX_BAR_MASK;
	volatile uint8_t *base;

	if (bar >= PCI_BARS || device->bar[bar].size < (uint64_t)offset + size) {
		log_error("pci: %s: MSI-X says that its %s lies at 0x%x of BAR %u, which hasn't that much",
			  device->name, reg == PCI_REG_MSIX_TABLE ? "table" : "PBA", offset, bar);
		return NULL;
	}
	base = pci_map_bar(device, bar, PCI_MAP_UNCACHED);
	return base ? base + offset : NULL;
}

static size_t state_pages(const struct pci_device *device)
{
	return (device->msix.entries * sizeof(struct pci_msix_entry) + MM_PAGE_SIZE - 1) /
	       MM_PAGE_SIZE;
}

static uint16_t control_read(const struct pci_device *device)
{
	return pci_read16(device, device->msix.capability + PCI_REG_MSIX_CONTROL);
}

static void control_write(struct pci_device *device, unsigned int control)
{
	pci_write16(device, device->msix.capability + PCI_REG_MSIX_CONTROL, (uint16_t)control);
}

int pci_msix_init(struct pci_device *device)
{
	struct pci_msix *msix = &device->msix;
	unsigned int control;
	uint64_t state;

	if (msix->entry)
		return msix->entries;
	msix->capability = (uint8_t)pci_find_capability(device, PCI_CAPABILITY_MSIX);
	if (!msix->capability)
		return -ENODEV;
	control = control_read(device);
	msix->entries = (uint16_t)((control & PCI_MSIX_SIZE_MASK) + 1);
	msix->table = structure_map(device, PCI_REG_MSIX_TABLE,
				    msix->entries * (uint32_t)PCI_MSIX_ENTRY_SIZE);
	msix->pba = structure_map(device, PCI_REG_MSIX_PBA, (msix->entries + 63u) / 64 * 8);
	if (!msix->table || !msix->pba)
		return -ENXIO;
	state = mm_alloc_pages(state_pages(device));
	if (state == MM_NO_PAGES) {
		log_error("pci: %s: no memory for %u MSI-X entries", device->name, msix->entries);
		return -ENOMEM;
	}
	msix->entry = mm_phys_to_virt(state);
	for (unsigned int n = 0; n < msix->entries; n++)
		msix->entry[n] = (struct pci_msix_entry){ 0 };

	/* Enabled under the function mask: no entry with an old message may fire in between. */
	control_write(device, control | PCI_MSIX_ENABLE | PCI_MSIX_FUNCTION_MASK);
	for (unsigned int n = 0; n < msix->entries; n++)
		pci_msix_mask(device, n);
	pci_msix_mask_function(device, false);
	return msix->entries;
}

/* Puts @e on a line of its own, or beside the fewest others where vectors have run out. */
static int line_join(struct pci_device *device, struct pci_msix_entry *e, unsigned int flags,
		     unsigned int cpu)
{
	struct msix_line *empty = NULL, *best = NULL;
	uint64_t irq = cpu_lock_acquire(&lines_lock);
	int vector = -ENOSPC;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct msix_line *l = &lines[i];

		if (!l->first)
			empty = empty ? empty : l;
		else if (l->cpu == cpu && (l->flags & flags) == flags &&
			 (!best || l->sharers < best->sharers))
			best = l;
	}
	if (empty) {
		/* Before the line is used nothing can raise its vector. */
		vector = vector_alloc(device->name, msix_interrupt, empty, flags);
		if (vector >= 0) {
			*empty = (struct msix_line){
				.flags = flags, .vector = vector, .cpu = cpu,
			};
			best = empty;
		}
	}
	if (best) {
		e->line = best;
		e->next = best->first;
		__atomic_store_n(&best->first, e, __ATOMIC_RELEASE);
		best->sharers++;
		vector = best->vector;
	}
	cpu_lock_release(&lines_lock, irq);
	return vector;
}

static void line_leave(struct pci_msix_entry *e)
{
	struct msix_line *line = e->line;
	struct pci_msix_entry **at = &line->first;
	uint64_t irq = cpu_lock_acquire(&lines_lock);
	bool elsewhere = line->cpu != cpu_index();

	while (*at != e)
		at = &(*at)->next;
	__atomic_store_n(at, e->next, __ATOMIC_SEQ_CST);
	e->line = NULL;
	line->sharers--;
	if (!line->first)
		vector_free(line->vector);
	cpu_lock_release(&lines_lock, irq);
	while (elsewhere && __atomic_load_n(&line->running, __ATOMIC_SEQ_CST))
		cpu_spin();
}

/* Gives entry @n, which is masked, a vector and the message that raises it on that CPU. */
static int entry_send(struct pci_device *device, unsigned int n, unsigned int flags, unsigned int cpu)
{
	uint64_t address;
	uint32_t data;
	int vector = line_join(device, &device->msix.entry[n], flags, cpu);
	int error;

	if (vector < 0)
		return vector;
	error = apic_msi_message(cpu_apic_id(cpu), vector, &address, &data);
	if (error) {
		line_leave(&device->msix.entry[n]);
		return error;
	}
	mmio_write32(entry_register(device, n, PCI_MSIX_ENTRY_ADDRESS), (uint32_t)address);
	mmio_write32(entry_register(device, n, PCI_MSIX_ENTRY_ADDRESS_HIGH),
		     (uint32_t)(address >> 32));
	mmio_write32(entry_register(device, n, PCI_MSIX_ENTRY_DATA), data);
	return 0;
}

int pci_msix_bind(struct pci_device *device, unsigned int n, void (*handler)(void *arg), void *arg,
		  unsigned int flags)
{
	struct pci_msix_entry *e;

	if (!entry_exists(device, n) || !handler)
		return -EINVAL;
	pci_msix_unbind(device, n);
	e = &device->msix.entry[n];
	e->handler = handler;
	e->arg = arg;
	return entry_send(device, n, flags, cpu_index());
}

int pci_msix_set_cpu(struct pci_device *device, unsigned int n, unsigned int cpu)
{
	struct pci_msix_entry *e;
	unsigned int before, flags;
	int error, lost;
	bool masked;

	if (!entry_exists(device, n) || !device->msix.entry[n].line ||
	    cpu_apic_id(cpu) == UINT32_MAX)
		return -EINVAL;
	e = &device->msix.entry[n];
	before = e->line->cpu;
	flags = e->line->flags;
	if (before == cpu)
		return 0;
	/* Masked, so that no message goes out half written; what comes meanwhile is kept pending. */
	masked = pci_msix_is_masked(device, n);
	pci_msix_mask(device, n);
	line_leave(e);
	error = entry_send(device, n, flags, cpu);
	lost = error ? entry_send(device, n, flags, before) : 0;
	if (!masked && !lost)
		pci_msix_unmask(device, n);
	return error;
}

void pci_msix_unbind(struct pci_device *device, unsigned int n)
{
	if (!entry_exists(device, n))
		return;
	pci_msix_mask(device, n);
	if (device->msix.entry[n].line)
		line_leave(&device->msix.entry[n]);
}

int pci_msix_vector(const struct pci_device *device, unsigned int n)
{
	if (!entry_exists(device, n) || !device->msix.entry[n].line)
		return -1;
	return device->msix.entry[n].line->vector;
}

static void entry_mask_set(struct pci_device *device, unsigned int n, bool mask)
{
	volatile uint8_t *reg;
	uint32_t control;

	if (!entry_exists(device, n))
		return;
	reg = entry_register(device, n, PCI_MSIX_ENTRY_CONTROL);
	control = mmio_read32(reg) & ~PCI_MSIX_ENTRY_MASKED;
	mmio_write32(reg, control | (mask ? PCI_MSIX_ENTRY_MASKED : 0));
	mmio_read32(reg); /* what was posted has arrived: after masking, nothing more comes */
}

void pci_msix_mask(struct pci_device *device, unsigned int n)
{
	entry_mask_set(device, n, true);
}

void pci_msix_unmask(struct pci_device *device, unsigned int n)
{
	entry_mask_set(device, n, false);
}

bool pci_msix_is_masked(const struct pci_device *device, unsigned int n)
{
	return !entry_exists(device, n) || (mmio_read32(entry_register(device, n,
				PCI_MSIX_ENTRY_CONTROL)) & PCI_MSIX_ENTRY_MASKED);
}

void pci_msix_mask_function(struct pci_device *device, bool mask)
{
	unsigned int control;

	if (!device->msix.entry)
		return;
	control = control_read(device) & ~PCI_MSIX_FUNCTION_MASK;
	control_write(device, control | (mask ? PCI_MSIX_FUNCTION_MASK : 0));
}

bool pci_msix_pending(const struct pci_device *device, unsigned int n)
{
	volatile uint8_t *pba = device->msix.pba;

	return entry_exists(device, n) && (mmio_read32(pba + n / 32 * 4) >> (n % 32) & 1);
}

void pci_msix_disable(struct pci_device *device)
{
	if (!device->msix.entry)
		return;
	pci_msix_mask_function(device, true);
	for (unsigned int n = 0; n < device->msix.entries; n++)
		pci_msix_unbind(device, n);
	control_write(device, control_read(device) & ~(PCI_MSIX_ENABLE | PCI_MSIX_FUNCTION_MASK));
	mm_free_pages(mm_virt_to_phys(device->msix.entry), state_pages(device));
	device->msix = (struct pci_msix){ 0 };
}

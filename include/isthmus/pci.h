/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI for drivers and tools of a guest: what is on the buses, config space, BARs, capabilities, MSI-X.
 *
 * Sources: PCI Local Bus Specification 3.0 (PCI), PCI-to-PCI Bridge Architecture 1.2 (BRIDGE),
 * PCI Express Base Specification 3.0 (PCIE). Functions return 0 or more, or a negative errno value.
 * Nothing here blocks. Devices belong to the pci room and stay where they are until the guest ends, or
 * until they are unplugged and nobody holds them (pci_hold) when pci_hotplug_settle() is called.
 */
#ifndef ISTHMUS_PCI_H
#define ISTHMUS_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PCI_BARS 6
#define PCI_CAPABILITIES_MAX 48		 /* one per dword of 0x40..0xff */
#define PCI_EXTENDED_CAPABILITIES_MAX 64 /* ends the walk of a list that never ends */

/* Capability ids (PCI, appendix H; PCIE, chapter 7). */
#define PCI_CAPABILITY_POWER 0x01
#define PCI_CAPABILITY_MSI 0x05
#define PCI_CAPABILITY_VENDOR 0x09
#define PCI_CAPABILITY_EXPRESS 0x10
#define PCI_CAPABILITY_MSIX 0x11

/* What pci_enable() switches on: bits of the command register (PCI, 6.2.2). */
#define PCI_IO 0x1
#define PCI_MEMORY 0x2
#define PCI_BUS_MASTER 0x4

/* pci_msix_bind(): the handler may use SSE and AVX. The same as in cpu/vectors.h. */
#define VECTOR_SAVES_FPU 1u

#define PCI_BAR_IO 0x1	     /* ports, not memory */
#define PCI_BAR_64 0x2	     /* 64 bits wide: takes the next BAR's register too */
#define PCI_BAR_PREFETCH 0x4 /* reads have no effect */
#define PCI_BAR_ASSIGNED 0x8 /* .base is valid */

struct pci_bar {
	uint64_t base;	/* physical address, or first port */
	uint64_t size;	/* bytes; 0: there is no such BAR */
	uint32_t flags; /* PCI_BAR_* */
};

/* What a bridge lets through to the bus behind it (BRIDGE, 3.2.5). Indices of pci_device.window[]. */
enum pci_window_kind { PCI_WINDOW_IO, PCI_WINDOW_MEMORY, PCI_WINDOW_PREFETCH, PCI_WINDOWS };

struct pci_msix_entry; /* private to the pci room */

struct pci_msix {
	uint8_t capability;  /* offset in config space; 0: pci_msix_init() has not run */
	uint16_t entries;    /* size of the table, 1..2048 */
	volatile void *table;
	volatile void *pba;
	struct pci_msix_entry *entry; /* what is bound to each */
};

/* Whether a device is there: plugged, asked to leave, or unplugged. */
enum pci_presence { PCI_PRESENT, PCI_LEAVING, PCI_GONE };

struct pci_device {
	struct pci_device *next;
	struct pci_device *bridge; /* the bridge it is behind; NULL on a root bus */
	char name[16];		   /* "0000:00:04.0" */
	uint16_t segment;
	uint8_t bus, slot, function;
	uint8_t header_type; /* 0: device, 1: bridge; the multi-function bit is taken off */
	uint16_t vendor, device;
	uint16_t subsystem_vendor, subsystem;
	uint8_t class_code, subclass, prog_if, revision;
	uint8_t secondary, subordinate; /* a bridge's bus numbers; 0: not a bridge, or not numbered */
	struct pci_bar bar[PCI_BARS];	/* the upper half of a 64-bit BAR is an empty one */
	struct pci_bar window[PCI_WINDOWS]; /* of a bridge; size 0: closed or not there */
	struct pci_msix msix;
	volatile enum pci_presence presence;
	bool held; /* by pci_hold(), until pci_let_go() */
	bool used; /* the same, until pci_release() */
	uint8_t hotplug_bus; /* ACPI's number of the bus, where it was asked to leave */
	void (*asked)(void *arg);
	void *asked_arg;
};

/*
 * Finds every function on every bus, numbers buses and assigns BARs and bridge windows where firmware
 * left them empty. The first call does the work, later ones return what it returned.
 * -ENODEV: the machine has no PCI (one line is logged). -ENOMEM: no memory for the list.
 */
int pci_init(void);

/* The device after @previous in the order of the scan, the first one for NULL; NULL at the end. */
struct pci_device *pci_next(struct pci_device *previous);

/*
 * Config space. @offset: below 256, or below 4096 where the machine has ECAM; 16- and 32-bit accesses
 * are aligned. Reads elsewhere give all ones, writes do nothing.
 */
uint8_t pci_read8(const struct pci_device *device, unsigned int offset);
uint16_t pci_read16(const struct pci_device *device, unsigned int offset);
uint32_t pci_read32(const struct pci_device *device, unsigned int offset);
void pci_write8(const struct pci_device *device, unsigned int offset, uint8_t value);
void pci_write16(const struct pci_device *device, unsigned int offset, uint16_t value);
void pci_write32(const struct pci_device *device, unsigned int offset, uint32_t value);

/* "ECAM" or "ports": how config space is reached. */
const char *pci_config_method(void);

/* Offset of the first capability @id, or 0. A list that loops or leaves its ground ends the walk. */
unsigned int pci_find_capability(const struct pci_device *device, uint8_t id);

/* All capabilities' offsets in list order, each once. Returns how many. */
unsigned int pci_capabilities(const struct pci_device *device, uint8_t offsets[PCI_CAPABILITIES_MAX]);

/* The same for PCI Express extended capabilities (offsets from 0x100); none without ECAM. */
unsigned int pci_extended_capabilities(const struct pci_device *device,
				       uint16_t offsets[PCI_EXTENDED_CAPABILITIES_MAX]);

/*
 * Switches on decoding and bus mastering (PCI_IO | PCI_MEMORY | PCI_BUS_MASTER), here and on every
 * bridge above. -ENOSPC: a BAR of that kind has no address (one line is logged), nothing is changed.
 */
int pci_enable(struct pci_device *device, unsigned int what);

/* Switches off on this device alone. */
void pci_disable(struct pci_device *device, unsigned int what);

/* How a BAR is mapped. */
enum pci_mapping { PCI_MAP_UNCACHED, PCI_MAP_WRITE_BACK };

/*
 * Where memory BAR @n can be reached; the same address each time. NULL, with one line logged, when there
 * is no such memory BAR, it has no address, or it can't be mapped (beyond the physical width, no memory).
 */
volatile void *pci_map_bar(struct pci_device *device, unsigned int n, enum pci_mapping mapping);

/*
 * MSI-X (PCI, 6.8.2). pci_msix_init() finds the table, masks every entry and switches MSI-X on, so that
 * from then on an event is kept pending and not lost. Returns the number of entries; -ENODEV: the device
 * has no MSI-X; -ENXIO: the capability points outside its BAR; -ENOMEM. A second call changes nothing.
 */
int pci_msix_init(struct pci_device *device);

/*
 * Sends entry @n to a vector of this CPU, whose handler is called with interrupts off; the entry is
 * masked and stays so. A bound entry is bound anew. Where the CPU's vectors have run out, entries share
 * one, and a shared interrupt calls the handlers of all its entries: a handler may be called for nothing.
 * @flags: 0, or VECTOR_SAVES_FPU for a handler that uses SSE. -EINVAL: no such entry, or no init;
 * -ENOSPC: no vector left to share.
 */
int pci_msix_bind(struct pci_device *device, unsigned int n, void (*handler)(void *arg), void *arg,
		  unsigned int flags);

/*
 * Sends a bound entry to another CPU (<isthmus/cpu.h>), one that cpu_start() has brought up; its handler
 * runs there from now on, and nowhere when this returns. Lasts until the entry is bound anew. Not for
 * interrupt handlers. -EINVAL: not bound, or no such CPU; -ENOSPC: no vector left that goes there;
 * -ENOTSUP: a CPU that messages can't name. After an error it goes where it went.
 */
int pci_msix_set_cpu(struct pci_device *device, unsigned int n, unsigned int cpu);

/* Masks the entry and gives its vector back. */
void pci_msix_unbind(struct pci_device *device, unsigned int n);

/* The CPU vector of entry @n, or -1 while it is not bound. */
int pci_msix_vector(const struct pci_device *device, unsigned int n);

void pci_msix_mask(struct pci_device *device, unsigned int n);
void pci_msix_unmask(struct pci_device *device, unsigned int n);
bool pci_msix_is_masked(const struct pci_device *device, unsigned int n);

/* Masks all entries at once, whatever their own mask says, or lifts that. */
void pci_msix_mask_function(struct pci_device *device, bool mask);

/* Whether an interrupt of entry @n waits for its mask to go. */
bool pci_msix_pending(const struct pci_device *device, unsigned int n);

/* Switches MSI-X off and unbinds every entry. pci_msix_init() starts anew. */
void pci_msix_disable(struct pci_device *device);

/*
 * Devices that come and go. QEMU asks a guest to let a device go (device_del), and the device leaves when
 * the guest has powered its slot off; one that was added (device_add) waits until the guest powers it on.
 * Watched are the slots of PCI Express ports (PCIE, 6.7), and on the machines pc and q35 QEMU's ACPI
 * registers (QEMU, docs/specs/acpi_pci_hotplug.txt).
 *
 * A device that nobody holds is let go at once, from interrupt context.
 */

/* Starts watching: by the ports' own interrupts where they have MSI-X, else ten times a second. Later calls
 * do nothing. Before it, nothing is noticed. 0, or the error of pci_init(). */
int pci_hotplug_init(void);

/*
 * Keeps the device until pci_release(). @asked, with interrupts off, is called once when it shall leave
 * (->presence is PCI_LEAVING then) or when it left without asking (PCI_GONE). May release at once.
 */
void pci_hold(struct pci_device *device, void (*asked)(void *arg), void *arg);

/* Lets the device go: at once if it was asked to leave and nobody holds another function of its slot. What
 * was mapped of it stays mapped, onto nothing, and @device stays valid. Safe in interrupt handlers. */
void pci_let_go(struct pci_device *device);

/* The same, and the caller doesn't refer to @device any more. */
void pci_release(struct pci_device *device);

/*
 * Forgets released devices that are gone and takes in those that came: reads them, assigns addresses within
 * the window of their port. Returns how many came. Not for interrupt handlers.
 */
unsigned int pci_hotplug_settle(void);

/* Whether pci_hotplug_settle() has something to do: a device came that isn't taken in yet, or left. */
bool pci_hotplug_waiting(void);

#endif

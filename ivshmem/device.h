/* SPDX-License-Identifier: BSD-2-Clause */
/* An open device, as the ivshmem room's own files see it. */
#ifndef IVSHMEM_DEVICE_H
#define IVSHMEM_DEVICE_H

#include <isthmus/ivshmem.h>
#include <isthmus/pci.h>
#include "cpu/timer.h"

/* Written by the interrupt handler, read by everybody on this CPU. */
struct ivshmem_vector {
	volatile uint64_t interrupts;
	void (*handler)(void *arg); /* NULL: the interrupt is only counted */
	void *arg;
	/* Against storms; see storm.c. */
	struct ivshmem *device;
	volatile bool masked;	    /* by whoever uses it */
	volatile bool storm;
	uint32_t limit;		    /* interrupts in IVSHMEM_STORM_WINDOW_NS; 0: none */
	uint32_t in_window;
	uint64_t window_ns;
	uint64_t since_ns, before;  /* when the storm began, and how many interrupts there had been */
	unsigned int quiet;	    /* ticks without an interrupt */
	uint64_t ticked;	    /* interrupts at the last tick */
	volatile uint64_t storms;
	volatile uint64_t last_ms, last_interrupts; /* of the last storm that ended */
	uint64_t told, told_over;
	struct timer tick;
};

/* storm.c: after each interrupt of a vector, in interrupt context. */
void ivshmem_storm_count(struct ivshmem_vector *v);
/* Nothing is throttled any more, and no timer runs. */
void ivshmem_storm_stop(struct ivshmem_vector *v);
/* Not in interrupt context: the lines about storms that began and ended. */
void ivshmem_storm_tell(struct ivshmem *device);

struct ivshmem {
	struct ivshmem *next;
	struct pci_device *pci;
	volatile uint8_t *registers;
	void *region;
	uint64_t size;		       /* bytes of the region */
	const char *memory_type;
	const char *memory_type_before; /* NULL: it was so from the start */
	struct ivshmem_vector *vector; /* NULL: plain */
	size_t vector_pages;
	unsigned int vectors;
	uint16_t id;
	volatile bool gone; /* unplugged: registers and region are mapped onto nothing */
	volatile bool storm_news; /* for ivshmem_storm_tell */
	void (*asked)(void *arg);
	void *asked_arg;
	uint64_t asked_ns;     /* when it was asked to leave */
	struct timer deadline; /* when it is taken off, let go or not */
};

/* plug.c: the device with that index, or NULL; and whether there ever was one. */
struct pci_device *ivshmem_pci_at(unsigned int index);
bool ivshmem_was_there(unsigned int index);

/* Holds the device from before prepare() on, so that it can't vanish in the middle. -ENODEV: it was
 * asked to leave meanwhile. The caller lets go after an error. */
int ivshmem_hold_while(struct ivshmem *device, int (*prepare)(struct ivshmem *device));
/* Waits until a detached device's slot is off. */
void ivshmem_settle(struct ivshmem *device);
void ivshmem_unmap(struct ivshmem *device);

#endif

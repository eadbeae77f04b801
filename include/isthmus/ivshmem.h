/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's inter-VM shared memory device: a region of memory that several VMs share, and, on the doorbell
 * variant, interrupts between them. This is the bare device: it knows peers' numbers and nothing of
 * messages, and it is told nothing of peers that come and go.
 *
 * Source: QEMU, docs/specs/ivshmem-spec.txt. Functions return 0 or a negative errno value.
 */
#ifndef ISTHMUS_IVSHMEM_H
#define ISTHMUS_IVSHMEM_H

#include <stdbool.h>
#include <stdint.h>

#define IVSHMEM_VECTORS_MAX 256 /* above, the doorbell's vector field changes its meaning */
#define IVSHMEM_NO_VECTOR UINT32_MAX

struct ivshmem;
struct pci_device;

/*
 * How many ivshmem devices there are: one more than the highest index. 0 also where there is no PCI. Opens
 * nothing. A device keeps its index; while one is unplugged, ivshmem_open() of its index gives -ENODEV.
 */
unsigned int ivshmem_count(void);

/*
 * Opens device @index (0 is the first in bus order): maps its registers and its region and, where it has
 * a doorbell, switches MSI-X on. A second call gives the same device. It stays open until ivshmem_close().
 * Each failure logs one line. -ENODEV: no such device; -ENOSPC: firmware gave it no addresses and there
 * was no room; -ENOMEM: can't be mapped; -ENXIO: it isn't built as the specification says.
 */
int ivshmem_open(unsigned int index, struct ivshmem **device);

/* False for ivshmem-plain: no interrupts and no peer id. */
bool ivshmem_has_doorbell(const struct ivshmem *device);

/* This VM's peer id, as the server gave it. 0 on a plain device, where it means nothing. */
uint16_t ivshmem_id(const struct ivshmem *device);

/* How many vectors this VM has, 1..256; 0 on a plain device. Other peers may have fewer or more. */
unsigned int ivshmem_vectors(const struct ivshmem *device);

/* The region, mapped write-back, and its size in bytes (a power of two). */
void *ivshmem_region(const struct ivshmem *device);
uint64_t ivshmem_size(const struct ivshmem *device);

/* The region's physical address in this VM. */
uint64_t ivshmem_region_address(const struct ivshmem *device);

/* The memory type the CPU really uses for the region, from page tables and MTRRs: "write-back". */
const char *ivshmem_memory_type(const struct ivshmem *device);

/* The size in bytes of the pages that map the region's beginning: 4 KiB, 2 MiB or 1 GiB. */
uint64_t ivshmem_page_size(const struct ivshmem *device);

/* The PCI device underneath, for tools. */
struct pci_device *ivshmem_pci(const struct ivshmem *device);

/* The registers that are safe to read (IntrMask and IVPosition), for tools. */
uint32_t ivshmem_interrupt_mask(const struct ivshmem *device);
uint32_t ivshmem_position(const struct ivshmem *device);

/*
 * Rings: @vector of @peer gets an interrupt. The write goes out after every earlier store. There is no
 * error: a peer or a vector that isn't there takes no notice, nor does one whose QEMU hasn't heard of this
 * VM yet, and several rings may become one interrupt. No effect on a plain device.
 */
void ivshmem_notify(struct ivshmem *device, uint16_t peer, uint16_t vector);

/*
 * Lets @vector interrupt this CPU from now on, and counts its interrupts. @handler, if not NULL, is called
 * with interrupts off; @flags as in pci_msix_bind(). A ring that came before is delivered now.
 * -EINVAL: no such vector; -ENOSPC: no CPU vector left.
 */
int ivshmem_set_handler(struct ivshmem *device, unsigned int vector, void (*handler)(void *arg),
			void *arg, unsigned int flags);

/*
 * Sends a vector that has its handler to another CPU, as pci_msix_set_cpu() does, with the same errors.
 * ivshmem_wait() for it is then that CPU's.
 */
int ivshmem_set_cpu(struct ivshmem *device, unsigned int vector, unsigned int cpu);

/* Takes the handler off; rings are kept pending again. */
void ivshmem_clear_handler(struct ivshmem *device, unsigned int vector);

/* Interrupts of @vector since its handler was set. */
uint64_t ivshmem_interrupts(const struct ivshmem *device, unsigned int vector);

/* A masked vector's ring is kept pending, once, until it is unmasked. */
void ivshmem_mask(struct ivshmem *device, unsigned int vector);
void ivshmem_unmask(struct ivshmem *device, unsigned int vector);

/*
 * Storms. A peer that rings a vector without end would leave this CPU no time for anything else. A vector with
 * more than its limit of interrupts in each IVSHMEM_STORM_WINDOW_NS is masked and looked at by timer: one
 * interrupt a millisecond, for as long as the storm lasts, so that no ring is missed. One line in the log tells
 * its beginning, one its end (both at the next ivshmem_wait() of the device).
 *
 * @limit is in interrupts per window, IVSHMEM_STORM_LIMIT at first; 0: never. -EINVAL: no such vector.
 */
#define IVSHMEM_STORM_WINDOW_NS 10000000ull
#define IVSHMEM_STORM_LIMIT 2560
int ivshmem_set_storm_limit(struct ivshmem *device, unsigned int vector, unsigned int limit);

/* How many storms @vector has had since its handler was set. */
uint64_t ivshmem_storms(const struct ivshmem *device, unsigned int vector);

/*
 * Sleeps in hlt until @vector has had more than *@seen interrupts or the clock passes @deadline_ns (of
 * clock_now_ns()); *@seen is then the new count. With IVSHMEM_NO_VECTOR (and @device and @seen NULL) it
 * waits for the deadline alone. 0, -ETIMEDOUT, -EINVAL for a vector that isn't there, or -ENODEV: the
 * device was unplugged.
 */
int ivshmem_wait(struct ivshmem *device, unsigned int vector, uint64_t *seen, uint64_t deadline_ns);

/*
 * Waits until this VM's QEMU knows whom it may ring. A device is there, and has its id, before QEMU has
 * read the server's list of peers; until then it drops rings without a word, those to oneself too. The
 * list ends with one's own vectors, so that a ring to oneself which arrives shows that every peer that
 * was there before is known. @vector has its handler (ivshmem_set_handler()) and is one that the server
 * gave this VM; its count may go up by more than one, for a moment after the return too. Rings again
 * and again, at the latest after 50 ms, until one arrives: 0; or errors of ivshmem_wait(). Source: QEMU,
 * hw/misc/ivshmem.c, ivshmem_recv_setup() and ivshmem_read().
 */
int ivshmem_await_doorbell(struct ivshmem *device, unsigned int vector, uint64_t deadline_ns);

/*
 * Unplugging. When QEMU asks the guest to let a device go (device_del), an open device is let go at once, and
 * its region reads as nothing from then on, without a fault; unless somebody asked to be told, by
 * ivshmem_on_unplug(). Then it stays until ivshmem_detach() or ivshmem_close(), but no longer than
 * IVSHMEM_UNPLUG_GRACE_NS, or the delay asked for.
 */
#define IVSHMEM_UNPLUG_GRACE_NS 3000000000ull
#define IVSHMEM_UNPLUG_MAX_NS 60000000000ull /* after the request, no delay lasts longer */

/*
 * @asked is called with interrupts off when the device shall leave, at once if it shall already; and again
 * if it was taken off because its time had passed. NULL: nobody wants to be told any more.
 */
void ivshmem_on_unplug(struct ivshmem *device, void (*asked)(void *arg), void *arg);

/* Shall it leave, or is it gone? Is it gone? */
bool ivshmem_is_leaving(const struct ivshmem *device);
bool ivshmem_is_gone(const struct ivshmem *device);

/* Not before @deadline_ns. -ENODEV: nobody asked for it, or it is gone already. */
int ivshmem_delay_unplug(struct ivshmem *device, uint64_t deadline_ns);

/* Lets a device go that shall leave: masks its vectors and powers its slot off. What the app still does to
 * it has no effect. The slot goes off 50 ms later if there is a doorbell, whose last rings QEMU must have
 * taken by then. Safe in interrupt handlers. No effect on one that shall stay. */
void ivshmem_detach(struct ivshmem *device);

/* Gives the device back: vectors, mapping, memory; and lets it go if it shall leave, which blocks until its
 * slot is off. The handle is invalid after it. Until then a device that comes to the same place is not seen. */
void ivshmem_close(struct ivshmem *device);

/*
 * Waits until device @index is there. 0; -EAGAIN: it isn't, and @deadline_ns had passed at the call;
 * -ETIMEDOUT.
 */
int ivshmem_await(unsigned int index, uint64_t deadline_ns);

#endif

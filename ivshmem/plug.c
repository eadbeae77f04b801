// SPDX-License-Identifier: BSD-2-Clause
/* Devices that leave and come back: which is which, letting go, and waiting for one. */
#include "ivshmem/device.h"

#include <errno.h>
#include <isthmus/clock.h>
#include <isthmus/log.h>
#include "cpu/irq.h"
#include "ivshmem/registers.h"
#include "mm/layout.h"
#include "mm/mm.h"

#define SEATS_MAX 256
#define AWAIT_STEP_NS 20000000ull
/*
 * From masking a doorbell's vectors to powering its slot off. QEMU 7.2 dispatches an event that it saw
 * before the device left to where the device was: rings under way must have been taken by then.
 */
#define QUIET_NS 50000000ull

/*
 * An index means the same device as long as the guest runs: each place on a bus where a device was
 * has a number. One that comes to a place that had none takes the first number whose device is away.
 */
struct seat {
	uint16_t segment;
	uint8_t bus, slot, function;
	struct pci_device *pci; /* NULL: away */
};

static struct seat seats[SEATS_MAX];
static unsigned int seat_count;

static bool is_ivshmem(const struct pci_device *d)
{
	return d->vendor == IVSHMEM_PCI_VENDOR && d->device == IVSHMEM_PCI_DEVICE;
}

static bool is_at(const struct seat *s, const struct pci_device *d)
{
	return s->segment == d->segment && s->bus == d->bus && s->slot == d->slot &&
	       s->function == d->function;
}

static void seat_take(struct pci_device *d)
{
	struct seat *vacant = NULL;

	for (struct seat *s = seats; s < seats + seat_count; s++) {
		if (is_at(s, d)) {
			s->pci = d;
			return;
		}
	}
	for (struct seat *s = seats; s < seats + seat_count && !vacant; s++)
		vacant = s->pci ? NULL : s;
	if (!vacant && seat_count < SEATS_MAX)
		vacant = &seats[seat_count++];
	if (vacant)
		*vacant = (struct seat){ d->segment, d->bus, d->slot, d->function, d };
}

/* Two rounds, so that devices known by their places get theirs before the others choose. */
static void seats_refresh(void)
{
	for (unsigned int i = 0; i < seat_count; i++)
		seats[i].pci = NULL;
	if (pci_hotplug_init() < 0)
		return;
	pci_hotplug_settle();
	for (int round = 0; round < 2; round++) {
		for (struct pci_device *d = NULL; (d = pci_next(d));) {
			bool known = false;

			if (!is_ivshmem(d) || d->presence == PCI_GONE)
				continue;
			for (unsigned int i = 0; i < seat_count; i++)
				known |= is_at(&seats[i], d);
			if (known || round)
				seat_take(d);
		}
	}
}

struct pci_device *ivshmem_pci_at(unsigned int index)
{
	seats_refresh();
	return index < seat_count ? seats[index].pci : NULL;
}

bool ivshmem_was_there(unsigned int index)
{
	return index < seat_count;
}

unsigned int ivshmem_count(void)
{
	unsigned int count = 0;

	seats_refresh();
	for (unsigned int i = 0; i < seat_count; i++)
		count = seats[i].pci ? i + 1 : count;
	return count;
}

int ivshmem_await(unsigned int index, uint64_t deadline_ns)
{
	int late = -EAGAIN;

	while (!ivshmem_pci_at(index)) {
		uint64_t now = clock_now_ns();

		if (now >= deadline_ns)
			return late;
		late = -ETIMEDOUT;
		clock_sleep_until(deadline_ns - now < AWAIT_STEP_NS ? deadline_ns :
								      now + AWAIT_STEP_NS);
	}
	return 0;
}

/* Interrupt context, as all that pci calls here. */
static void deadline_passed(void *arg)
{
	struct ivshmem *device = arg;

	if (device->gone) {
		pci_let_go(device->pci);
		return;
	}
	log_warn("ivshmem: %s: was not let go in time; taken off", device->pci->name);
	ivshmem_detach(device);
	if (device->asked)
		device->asked(device->asked_arg);
}

/* Interrupt context: the device shall leave, or left. */
static void unplug_asked(void *arg)
{
	struct ivshmem *device = arg;

	device->asked_ns = clock_now_ns();
	if (device->pci->presence == PCI_GONE)
		device->gone = true;
	else if (!device->asked)
		ivshmem_detach(device);
	else
		timer_start(&device->deadline, device->asked_ns + IVSHMEM_UNPLUG_GRACE_NS);
	if (device->asked)
		device->asked(device->asked_arg);
}

int ivshmem_hold_while(struct ivshmem *device, int (*prepare)(struct ivshmem *device))
{
	uint64_t flags;
	int error;

	device->deadline = (struct timer){ .fire = deadline_passed, .arg = device };
	pci_hold(device->pci, NULL, NULL);
	error = prepare(device);
	flags = irq_save();
	if (!error && ivshmem_is_leaving(device)) {
		log_info("ivshmem: %s: unplugged while it was opened", device->pci->name);
		error = -ENODEV;
	}
	if (!error)
		pci_hold(device->pci, unplug_asked, device);
	irq_restore(flags);
	return error;
}

bool ivshmem_is_leaving(const struct ivshmem *device)
{
	return device->gone || device->pci->presence != PCI_PRESENT;
}

bool ivshmem_is_gone(const struct ivshmem *device)
{
	return device->gone;
}

void ivshmem_on_unplug(struct ivshmem *device, void (*asked)(void *arg), void *arg)
{
	uint64_t flags = irq_save();
	bool late = ivshmem_is_leaving(device);

	device->asked = asked;
	device->asked_arg = arg;
	if (late && asked)
		asked(arg);
	else if (late)
		ivshmem_detach(device);
	irq_restore(flags);
}

int ivshmem_delay_unplug(struct ivshmem *device, uint64_t deadline_ns)
{
	uint64_t flags = irq_save();
	int error = -ENODEV;

	if (!device->gone && ivshmem_is_leaving(device)) {
		uint64_t last = device->asked_ns + IVSHMEM_UNPLUG_MAX_NS;

		timer_start(&device->deadline, deadline_ns < last ? deadline_ns : last);
		error = 0;
	}
	irq_restore(flags);
	return error;
}

void ivshmem_detach(struct ivshmem *device)
{
	uint64_t flags = irq_save();

	if (!device->gone && ivshmem_is_leaving(device)) {
		device->gone = true;
		pci_msix_mask_function(device->pci, true);
		pci_disable(device->pci, PCI_MEMORY | PCI_BUS_MASTER);
		log_info("ivshmem: %s: unplugged", device->pci->name);
		if (device->vector)
			timer_start(&device->deadline, clock_now_ns() + QUIET_NS);
		else
			pci_let_go(device->pci);
	}
	irq_restore(flags);
}

void ivshmem_settle(struct ivshmem *device)
{
	while (device->gone && device->pci->presence == PCI_LEAVING && device->deadline.active)
		clock_sleep_until(device->deadline.deadline_ns);
}

void ivshmem_unmap(struct ivshmem *device)
{
	/* The registers stay mapped: other devices' may lie in the same page. */
	if (device->region && device->size >= MM_PAGE_SIZE)
		mm_unmap(device->region, device->size);
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * Slots of PCI Express ports, and what all ways of plugging share. Source: PCI Express Base
 * Specification 3.0, 6.7 and 7.8.
 *
 *   slot status   known device   slot shows   what happens
 *   button        present        -            it shall leave: its holder is asked, or it goes
 *   any           present        empty        it left without asking: its holder is told
 *   any           none, or gone  present      something came: pci_hotplug_settle() takes it in
 *
 * The look runs in interrupt context and takes nothing off the list of devices.
 */
#include "pci/scan.h"

#include <errno.h>
#include <isthmus/clock.h>
#include <isthmus/log.h>
#include "cpu/irq.h"
#include "cpu/timer.h"
#include "pci/registers.h"

#define SLOTS_MAX 64
#define POLL_NS 100000000ull
#define CLEAR_TRIES 16
#define POWER_UP_TRIES 1000

struct slot {
	struct pci_device *port;
	unsigned int capability;
	bool came; /* something is there that is not in the list */
};

static struct slot slots[SLOTS_MAX];
static unsigned int slot_count;
static volatile bool waiting; /* for pci_hotplug_settle() */
static struct timer poll_timer;
static bool polled_slots, polled_acpi;

unsigned int pci_hotplug_port(const struct pci_device *bridge)
{
	unsigned int at = pci_find_capability(bridge, PCI_CAPABILITY_EXPRESS);

	if (!at || !(pci_read16(bridge, at + PCI_REG_EXPRESS_FLAGS) & PCI_EXPRESS_FLAGS_SLOT) ||
	    !(pci_read32(bridge, at + PCI_REG_EXPRESS_SLOT_CAPABILITIES) & PCI_EXPRESS_SLOT_HOTPLUG))
		return 0;
	return at;
}

static bool same_slot(const struct pci_device *a, const struct pci_device *b)
{
	return a->segment == b->segment && a->bus == b->bus && a->slot == b->slot;
}

/* In the same slot as @any, or behind a bridge that is. */
static bool leaves_with(const struct pci_device *d, const struct pci_device *any)
{
	while (d && !same_slot(d, any))
		d = d->bridge;
	return d;
}

static struct slot *slot_of(const struct pci_device *device)
{
	for (unsigned int i = 0; i < slot_count; i++) {
		if (device->bridge && slots[i].port == device->bridge)
			return &slots[i];
	}
	return NULL;
}

static void control_change(const struct slot *slot, uint16_t clear, uint16_t set)
{
	unsigned int at = slot->capability + PCI_REG_EXPRESS_SLOT_CONTROL;
	uint16_t old = pci_read16(slot->port, at);

	pci_write16(slot->port, at, (uint16_t)((old & ~clear) | set));
}

static void eject(struct pci_device *device)
{
	struct slot *slot = slot_of(device);

	if (pci_acpi_find())
		pci_acpi_eject(device);
	else if (slot)
		control_change(slot, 0, PCI_EXPRESS_CONTROL_POWER_LED_OFF |
					PCI_EXPRESS_CONTROL_POWER_OFF);
}

/* The topmost bridge that shall leave together with @device, or itself. */
static struct pci_device *topmost(struct pci_device *device)
{
	while (device->bridge && device->bridge->presence == PCI_LEAVING)
		device = device->bridge;
	return device;
}

/* Lets a slot go whose functions were all asked to leave and are all let go. */
static void slot_try_eject(struct pci_device *any)
{
	any = topmost(any);
	for (struct pci_device *d = NULL; (d = pci_next(d));) {
		if (leaves_with(d, any) && (d->held || d->presence == PCI_PRESENT))
			return;
	}
	for (struct pci_device *d = NULL; (d = pci_next(d));) {
		if (leaves_with(d, any) && d->presence == PCI_LEAVING) {
			/* What it still would write must not go out any more. */
			pci_disable(d, PCI_MEMORY | PCI_IO | PCI_BUS_MASTER);
			d->presence = PCI_GONE;
			log_debug("pci: %s: let go", d->name);
		}
	}
	eject(any);
	waiting = true;
}

static void slot_mark(struct pci_device *any, enum pci_presence presence)
{
	for (struct pci_device *d = NULL; (d = pci_next(d));) {
		if (!leaves_with(d, any) || d->presence >= presence)
			continue;
		d->presence = presence;
		if (d->held && d->asked)
			d->asked(d->asked_arg);
	}
}

void pci_slot_leave(struct pci_device *any)
{
	if (any->presence != PCI_PRESENT)
		return;
	slot_mark(any, PCI_LEAVING);
	if (any->presence == PCI_LEAVING) /* else its holder has let go at once */
		slot_try_eject(any);
}

/* Events must be clear all at once, or the port never interrupts again. Returns what there was. */
static uint16_t status_take(const struct slot *slot)
{
	unsigned int at = slot->capability + PCI_REG_EXPRESS_SLOT_STATUS;
	uint16_t status, seen = 0;

	for (unsigned int tries = 0; tries < CLEAR_TRIES; tries++) {
		status = pci_read16(slot->port, at);
		seen = (uint16_t)((seen & PCI_EXPRESS_STATUS_EVENTS) | status);
		if (!(status & PCI_EXPRESS_STATUS_EVENTS))
			break;
		pci_write16(slot->port, at, status & PCI_EXPRESS_STATUS_EVENTS);
	}
	return (uint16_t)((seen & PCI_EXPRESS_STATUS_EVENTS) |
			  (status & ~(uint16_t)PCI_EXPRESS_STATUS_EVENTS));
}

static struct pci_device *slot_device(const struct slot *slot)
{
	struct pci_device *d = NULL;

	while ((d = pci_next(d))) {
		if (d->bridge == slot->port && d->presence != PCI_GONE)
			return d;
	}
	return NULL;
}

static void slot_look(struct slot *slot, bool first)
{
	struct pci_device *device;
	uint16_t status;
	bool present;

	if (!slot->port || slot->port->presence == PCI_GONE)
		return;
	status = status_take(slot);
	device = slot_device(slot);
	present = status & PCI_EXPRESS_STATUS_PRESENT;
	if (device && !present) {
		log_warn("pci: %s: left without asking", device->name);
		slot_mark(device, PCI_GONE);
		waiting = true;
	} else if (device && (status & PCI_EXPRESS_STATUS_BUTTON) &&
		   !(first && (status & PCI_EXPRESS_STATUS_PRESENCE))) {
		/* At the first look, with a change of presence, it is the button of its coming. */
		pci_slot_leave(device);
	} else if (!device && present && (status & PCI_EXPRESS_STATUS_EVENTS || first)) {
		slot->came = true;
		waiting = true;
	}
}

static void slots_look(void *arg)
{
	struct slot *slot = arg;

	slot_look(slot, false);
}

static void poll(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; polled_slots && i < slot_count; i++)
		slot_look(&slots[i], false);
	if (polled_acpi && pci_acpi_event()) {
		pci_acpi_look();
		waiting |= pci_acpi_waiting();
	}
	timer_start(&poll_timer, clock_now_ns() + POLL_NS);
}

/* The port's own interrupt, of which entry 0 is the one for hotplug in QEMU's ports. */
static bool slot_interrupts(struct slot *slot)
{
	if (pci_msix_init(slot->port) < 1 || pci_enable(slot->port, PCI_MEMORY | PCI_BUS_MASTER) ||
	    pci_msix_bind(slot->port, 0, slots_look, slot, 0))
		return false;
	pci_msix_unmask(slot->port, 0);
	control_change(slot, 0, PCI_EXPRESS_CONTROL_BUTTON | PCI_EXPRESS_CONTROL_PRESENCE |
				PCI_EXPRESS_CONTROL_INTERRUPT);
	return true;
}

static void slots_start(void)
{
	for (struct pci_device *d = NULL; (d = pci_next(d));) {
		unsigned int at = d->header_type == PCI_HEADER_BRIDGE ? pci_hotplug_port(d) : 0;

		if (!at)
			continue;
		if (slot_count == SLOTS_MAX) {
			log_warn("pci: more than %u slots for hotplug; the rest is not watched",
				 SLOTS_MAX);
			break;
		}
		slots[slot_count++] = (struct slot){ .port = d, .capability = at };
	}
	for (unsigned int i = 0; i < slot_count; i++) {
		uint64_t flags = irq_save();

		slot_look(&slots[i], true);
		if (!slot_interrupts(&slots[i]))
			polled_slots = true;
		/* What came in between has raised no interrupt. */
		slot_look(&slots[i], false);
		irq_restore(flags);
	}
}

int pci_hotplug_init(void)
{
	static bool started;
	int error = pci_init();

	if (error || started)
		return error;
	started = true;
	/* With ACPI's registers there, QEMU asks by them, and by them alone. */
	if (pci_acpi_find())
		polled_acpi = true;
	else
		slots_start();
	if ((polled_acpi || polled_slots) && timer_ready()) {
		poll_timer.fire = poll;
		timer_start(&poll_timer, clock_now_ns() + POLL_NS);
	}
	return 0;
}

void pci_hold(struct pci_device *device, void (*asked)(void *arg), void *arg)
{
	uint64_t flags = irq_save();

	device->asked = asked;
	device->asked_arg = arg;
	device->held = true;
	device->used = true;
	irq_restore(flags);
}

void pci_let_go(struct pci_device *device)
{
	uint64_t flags = irq_save();

	device->held = false;
	if (device->presence == PCI_LEAVING)
		slot_try_eject(device);
	irq_restore(flags);
}

void pci_release(struct pci_device *device)
{
	pci_let_go(device);
	device->used = false;
	if (device->presence == PCI_GONE)
		waiting = true;
}

bool pci_hotplug_waiting(void)
{
	return waiting;
}

/* A bridge stays on the list until all that was behind it is off. */
static bool is_needed(const struct pci_device *bridge)
{
	for (struct pci_device *d = NULL; (d = pci_next(d));) {
		if (d->bridge == bridge)
			return true;
	}
	return false;
}

static void slot_forget(struct pci_device *port)
{
	for (unsigned int i = 0; i < slot_count; i++) {
		if (slots[i].port == port) {
			pci_msix_disable(port);
			slots[i].port = NULL;
		}
	}
}

static void forget_gone(void)
{
	struct pci_device *next;

	for (struct pci_device *d = pci_next(NULL); d; d = next) {
		next = pci_next(d);
		if (d->presence == PCI_GONE && !d->used && !is_needed(d)) {
			slot_forget(d);
			pci_device_remove(d);
			next = pci_next(NULL); /* its bridge may go now */
		}
	}
}

/* Powers the slot on and reads what is in it. */
static unsigned int slot_take_in(struct slot *slot)
{
	unsigned int count = 0;

	for (struct pci_device *d = NULL; (d = pci_next(d));) {
		if (d->bridge == slot->port)
			return 0; /* somebody still holds what was there before */
	}
	slot->came = false;
	/* It may have been taken back before the slot was powered on. */
	if (!(pci_read16(slot->port, slot->capability + PCI_REG_EXPRESS_SLOT_STATUS) &
	      PCI_EXPRESS_STATUS_PRESENT))
		return 0;
	control_change(slot, PCI_EXPRESS_CONTROL_POWER_LED | PCI_EXPRESS_CONTROL_POWER_OFF,
		       PCI_EXPRESS_CONTROL_POWER_LED_ON);
	for (unsigned int tries = 0; tries < POWER_UP_TRIES && !count; tries++)
		count = pci_slot_read(slot->port->segment, slot->port->secondary, 0, slot->port);
	if (!count) {
		log_warn("pci: slot of %s: something is there and doesn't answer", slot->port->name);
		control_change(slot, 0, PCI_EXPRESS_CONTROL_POWER_LED_OFF |
					PCI_EXPRESS_CONTROL_POWER_OFF);
	}
	return count;
}

unsigned int pci_hotplug_settle(void)
{
	unsigned int came = 0;
	uint64_t flags;

	if (!waiting)
		return 0;
	waiting = false;
	flags = irq_save(); /* the look goes through the list, and reading a slot changes it */
	forget_gone();
	for (unsigned int i = 0; i < slot_count; i++) {
		if (slots[i].port && slots[i].came)
			came += slot_take_in(&slots[i]);
		waiting |= slots[i].came;
	}
	came += pci_acpi_take_in();
	waiting |= pci_acpi_waiting();
	if (came)
		pci_assign_all();
	/* One that was asked back before it was taken in wasn't known at that look. */
	if (came && polled_acpi)
		pci_acpi_look();
	irq_restore(flags);
	return came;
}

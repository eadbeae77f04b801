// SPDX-License-Identifier: BSD-2-Clause
/* Ringing, being rung, and sleeping until then. */
#include "ivshmem/device.h"

#include <errno.h>
#include <isthmus/clock.h>
#include <isthmus/cpu.h>
#include "cpu/io.h"
#include "cpu/irq.h"
#include "cpu/timer.h"
#include "ivshmem/registers.h"

/* Between two rings to oneself: at first, and at most. */
#define AGAIN_FIRST_NS 200000ull
#define AGAIN_MAX_NS   50000000ull

void ivshmem_notify(struct ivshmem *device, uint16_t peer, uint16_t vector)
{
	/* One aligned 32-bit write, which no earlier store passes: x86 keeps stores in order, and an
	 * uncached one waits for all before it (Intel SDM volume 3, 8.2.2 and 11.3). */
	mmio_write32(device->registers + IVSHMEM_REG_DOORBELL, (uint32_t)peer << 16 | vector);
}

/* All that a doorbell does in interrupt context, unless somebody asked for more. */
static void vector_interrupt(void *arg)
{
	struct ivshmem_vector *v = arg;

	v->interrupts++;
	if (v->handler)
		v->handler(v->arg);
	ivshmem_storm_count(v);
}

int ivshmem_set_handler(struct ivshmem *device, unsigned int vector, void (*handler)(void *arg),
			void *arg, unsigned int flags)
{
	int error;

	if (vector >= device->vectors)
		return -EINVAL;
	pci_msix_mask(device->pci, vector);
	ivshmem_storm_stop(&device->vector[vector]);
	device->vector[vector] = (struct ivshmem_vector){
		.handler = handler, .arg = arg, .device = device, .limit = IVSHMEM_STORM_LIMIT };
	error = pci_msix_bind(device->pci, vector, vector_interrupt, &device->vector[vector], flags);
	if (error)
		return error;
	pci_msix_unmask(device->pci, vector);
	return 0;
}

int ivshmem_set_cpu(struct ivshmem *device, unsigned int vector, unsigned int cpu)
{
	return vector < device->vectors ? pci_msix_set_cpu(device->pci, vector, cpu) : -EINVAL;
}

void ivshmem_clear_handler(struct ivshmem *device, unsigned int vector)
{
	if (vector >= device->vectors)
		return;
	pci_msix_unbind(device->pci, vector);
	ivshmem_storm_stop(&device->vector[vector]);
}

uint64_t ivshmem_interrupts(const struct ivshmem *device, unsigned int vector)
{
	return vector < device->vectors ? device->vector[vector].interrupts : 0;
}

void ivshmem_mask(struct ivshmem *device, unsigned int vector)
{
	if (vector >= device->vectors)
		return;
	device->vector[vector].masked = true;
	pci_msix_mask(device->pci, vector);
}

void ivshmem_unmask(struct ivshmem *device, unsigned int vector)
{
	if (vector >= device->vectors)
		return;
	device->vector[vector].masked = false;
	/* In a storm its next tick does it. */
	if (!device->vector[vector].storm)
		pci_msix_unmask(device->pci, vector);
}

/*
 * The wake-up that ends a wait in vain. It is left running from one wait to the next, since programming
 * the timer costs as much as a doorbell: a fresh wait moves it only when it would come too late. One that
 * comes too early finds the clock not there yet and is set again.
 */
static void deadline_fire(void *arg)
{
	(void)arg;
}

static struct timer deadline_timers[CPU_MAX]; /* each CPU has its own */

static void deadline_arm(struct timer *timer, uint64_t deadline_ns)
{
	if (deadline_ns == UINT64_MAX)
		return;
	timer->fire = deadline_fire;
	if (!timer->active || timer->deadline_ns > deadline_ns)
		timer_start(timer, deadline_ns);
}

int ivshmem_wait(struct ivshmem *device, unsigned int vector, uint64_t *seen, uint64_t deadline_ns)
{
	struct timer *timer = &deadline_timers[cpu_index()];
	const volatile uint64_t *count;
	uint64_t flags;

	if (vector == IVSHMEM_NO_VECTOR) {
		clock_sleep_until(deadline_ns);
		return -ETIMEDOUT;
	}
	if (vector >= device->vectors)
		return -EINVAL;
	count = &device->vector[vector].interrupts;
	ivshmem_storm_tell(device);

	/* Interrupts are off from the look at the count until hlt: none is missed in between. */
	flags = irq_save();
	while (*count == *seen) {
		if (device->gone) {
			irq_restore(flags);
			return -ENODEV;
		}
		if (!timer->active || timer->deadline_ns > deadline_ns) {
			if (clock_now_ns() >= deadline_ns) {
				irq_restore(flags);
				return -ETIMEDOUT;
			}
			deadline_arm(timer, deadline_ns);
		}
		cpu_sleep();
	}
	*seen = *count;
	irq_restore(flags);
	return 0;
}

int ivshmem_await_doorbell(struct ivshmem *device, unsigned int vector, uint64_t deadline_ns)
{
	uint64_t seen = ivshmem_interrupts(device, vector), pause = AGAIN_FIRST_NS;

	for (;;) {
		uint64_t until = clock_now_ns() + pause;
		int error;

		if (vector < device->vectors && !device->gone)
			ivshmem_notify(device, device->id, (uint16_t)vector);
		error = ivshmem_wait(device, vector, &seen, until < deadline_ns ? until : deadline_ns);
		if (error != -ETIMEDOUT || clock_now_ns() >= deadline_ns)
			return error;
		pause = 2 * pause < AGAIN_MAX_NS ? 2 * pause : AGAIN_MAX_NS;
	}
}

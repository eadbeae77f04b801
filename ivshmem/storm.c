// SPDX-License-Identifier: BSD-2-Clause
/*
 * A vector that is rung without end, whose interrupts would take the whole CPU:
 *
 *   calm    limit interrupts within IVSHMEM_STORM_WINDOW_NS    storm: masked, a tick in 1 ms
 *   storm   the tick                                           unmasked: a ring that is pending comes
 *   storm   that interrupt                                     its handler, as ever; masked again
 *   storm   QUIET_TICKS without an interrupt                   calm
 */
#include "ivshmem/device.h"

#include <errno.h>
#include <isthmus/clock.h>
#include <isthmus/log.h>

#define TICK_NS 1000000
#define QUIET_TICKS 20

static void storm_tick(void *arg)
{
	struct ivshmem_vector *v = arg;
	unsigned int n = (unsigned int)(v - v->device->vector);

	v->quiet = v->interrupts == v->ticked ? v->quiet + 1 : 0;
	v->ticked = v->interrupts;
	if (v->quiet >= QUIET_TICKS) {
		v->last_ms = (clock_now_ns() - v->since_ns) / 1000000;
		v->last_interrupts = v->interrupts - v->before;
		v->storm = false;
		v->device->storm_news = true;
	} else {
		timer_start(&v->tick, clock_now_ns() + TICK_NS);
	}
	if (!v->masked && !v->device->gone)
		pci_msix_unmask(v->device->pci, n);
}

void ivshmem_storm_count(struct ivshmem_vector *v)
{
	unsigned int n = (unsigned int)(v - v->device->vector);
	uint64_t now;

	if (v->storm) {
		pci_msix_mask(v->device->pci, n);
		return;
	}
	/* The clock is read only when a limit's worth has come. */
	if (!v->limit || ++v->in_window < v->limit)
		return;
	now = clock_now_ns();
	v->in_window = 0;
	if (now - v->window_ns >= IVSHMEM_STORM_WINDOW_NS) {
		v->window_ns = now;
		return;
	}
	v->window_ns = now;
	v->storm = true;
	v->storms++;
	v->device->storm_news = true;
	v->since_ns = now;
	v->before = v->interrupts - v->limit;
	v->quiet = 0;
	v->ticked = v->interrupts;
	v->tick.fire = storm_tick;
	v->tick.arg = v;
	pci_msix_mask(v->device->pci, n);
	timer_start(&v->tick, now + TICK_NS);
}

void ivshmem_storm_stop(struct ivshmem_vector *v)
{
	v->storm = false;
	if (v->tick.fire)
		timer_stop(&v->tick);
}

static void tell_over(struct ivshmem *device, struct ivshmem_vector *v)
{
	v->told_over = v->told;
	log_warn("ivshmem: %s: storm on vector %u over after %llu ms, with %llu interrupts",
		 device->pci->name, (unsigned int)(v - device->vector), (unsigned long long)v->last_ms,
		 (unsigned long long)v->last_interrupts);
}

void ivshmem_storm_tell(struct ivshmem *device)
{
	if (__builtin_expect(!device->storm_news, 1))
		return;
	device->storm_news = false;
	for (unsigned int n = 0; n < device->vectors; n++) {
		struct ivshmem_vector *v = &device->vector[n];
		uint64_t storms = v->storms;

		if (v->told_over != v->told && (storms != v->told || !v->storm))
			tell_over(device, v);
		if (storms != v->told) {
			v->told = storms;
			log_warn("ivshmem: %s: storm on vector %u: over %u interrupts in %u ms; masked, and "
				 "looked at every ms until it ends", device->pci->name, n, v->limit,
				 (unsigned int)(IVSHMEM_STORM_WINDOW_NS / 1000000));
			if (!v->storm)
				tell_over(device, v);
		}
	}
}

int ivshmem_set_storm_limit(struct ivshmem *device, unsigned int vector, unsigned int limit)
{
	if (vector >= device->vectors)
		return -EINVAL;
	device->vector[vector].limit = limit;
	return 0;
}

uint64_t ivshmem_storms(const struct ivshmem *device, unsigned int vector)
{
	return vector < device->vectors ? device->vector[vector].storms : 0;
}

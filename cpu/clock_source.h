/* SPDX-License-Identifier: BSD-2-Clause */
/* The counters that the TSC is measured against. Private to cpu/. */
#ifndef CPU_CLOCK_SOURCE_H
#define CPU_CLOCK_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include "cpu/clock.h"
#include "cpu/clock_line.h"

struct clock_source {
	const char *name;
	struct clock_unit unit;
	uint32_t (*read)(const struct clock_source *source);
	volatile void *base; /* HPET */
	uint16_t port;       /* PM timer */
	bool lasting;        /* counts on while the guest uses its timers */
};

/* The best source that counts, started; false if there is none. */
bool clock_source_find(const struct clock_sources *offered, struct clock_source *found);

/* The local APIC's timer as a source of unknown speed: unit is 1/1. */
bool clock_source_apic(struct clock_source *source);

/*
 * The tightest of `tries` bracketed reads; count is what the source shows, not carried on. Takes
 * interrupts off for each read.
 */
struct clock_sample clock_source_sample(const struct clock_source *source, unsigned tries);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clock's set-up. The TSC counts; its speed is measured against the best source there is, in
 * this order: HPET, ACPI PM timer, the local APIC's timer where CPUID says TCG (there it runs at
 * 1 GHz exactly). CPUID leaf 15h is used when it agrees with the measurement within 1 %, and alone
 * (or leaf 16h, or the hypervisor's leaf 0x40000010) only where there is nothing to measure with.
 *
 * Each end of a measurement is the tightest of 20 bracketed reads (TSC, source, TSC). The first, at
 * the first reading of the clock, takes less than a millisecond; later ones, from a timer at
 * growing intervals, go back to the same starting point and so get better with time. A better speed
 * holds from then on and moves nothing that was. clock_error_ppm() is the bound that follows from
 * the widths of the brackets and the source's own step.
 */
#ifndef CPU_CLOCK_H
#define CPU_CLOCK_H

#include <isthmus/clock.h>
#include <stdbool.h>
#include <stdint.h>

struct clock_sources {
	volatile void *hpet;      /* its registers, mapped uncached; NULL: none */
	uint16_t pm_timer_port;   /* FADT's PM_TMR_BLK; 0: none */
	bool pm_timer_32bit;      /* FADT flag TMR_VAL_EXT */
};

/*
 * Who says what there is to measure with; after apic_init(). It is asked at the first reading of the
 * clock, which then measures, so that a program that never asks for the time doesn't wait for it at
 * boot. What it says in the log bears the time 0.
 */
void clock_set_sources(struct clock_sources (*find)(void));

/* A panic: from here on readings change nothing, neither measure nor mend. */
void clock_freeze(void);

/* "HPET", "PM timer", ...: what the speed was measured against. */
const char *clock_source_name(void);

/* The TSC's frequency as the clock now has it. */
uint64_t clock_frequency_hz(void);

/* clock_now_ns() for where nothing may be changed, as in a panic: reads and that's all. */
uint64_t clock_peek_ns(void);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC: Intel SDM volume 3, chapter "Advanced Programmable Interrupt Controller". */
#ifndef CPU_APIC_H
#define CPU_APIC_H

#include <stdbool.h>
#include <stdint.h>

/* Physical address of the registers, from IA32_APIC_BASE; 0 if this CPU has no local APIC. */
uint64_t apic_physical_base(void);

/*
 * Switch this CPU's APIC on with everything in it masked, and the 8259s off. base: where its
 * registers are mapped, uncached. As x2APIC where the CPU has that, with the timer by TSC deadline
 * where it has that. Returns 0, or -ENODEV where CPUID knows no APIC.
 */
int apic_init(volatile void *base);

/* The same for the APIC of each further CPU, on that CPU. */
void apic_init_cpu(void);

/* Which of the two ways apic_init() chose. */
bool apic_is_x2apic(void);
bool apic_has_tsc_deadline(void);

/* Has apic_init() succeeded? */
bool apic_ready(void);

/* This CPU's id, as MSI addresses and the MADT know it. */
uint32_t apic_id(void);

/*
 * What a device must write where (MSI message) to raise vector, edge-triggered, on the CPU with that
 * APIC id. -ENOTSUP: an id above 255, which messages have no room for.
 */
int apic_msi_message(uint32_t id, int vector, uint64_t *address, uint32_t *data);

/*
 * Interrupts from this CPU to others: a vector to the CPU with that APIC id; the two that start one
 * (SDM volume 3, "MP Initialization"), address being a page below 1 MiB; an NMI.
 */
void apic_send(uint32_t id, int vector);
void apic_send_init(uint32_t id);
void apic_send_startup(uint32_t id, uint32_t address);
void apic_send_nmi(uint32_t id);

/*
 * One-shot timer: its interrupt comes at deadline_ns of clock_now_ns() or later, and earlier
 * when that is further away than the hardware counts: look at the clock and arm again. A deadline
 * that has passed comes at once. Arming again replaces; UINT64_MAX disarms. Software timers
 * (timer.h) own it once one has been started.
 */
void apic_timer_arm(uint64_t deadline_ns);
void apic_timer_set_handler(void (*handler)(void *arg), void *arg);

/* The timer as a reference clock for calibration: start it counting down from ~0, masked; read. */
void apic_timer_count_start(void);
uint32_t apic_timer_count_read(void);

/* Timer ticks per second, measured by the clock (clock.h), which sets it. */
void apic_timer_set_frequency(uint64_t hz);
uint64_t apic_timer_frequency(void);

/* For the entry code: is this vector in service; the interrupt in service has been handled. */
bool apic_in_service(int vector);
void apic_end_interrupt(void);

/* Interrupts that turned out to be none, of the APIC and of the 8259s; errors the APIC reported. */
uint64_t apic_spurious_count(void);
uint64_t apic_error_count(void);

#endif

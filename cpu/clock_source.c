// SPDX-License-Identifier: BSD-2-Clause
// Sources: IA-PC HPET specification 1.0a, section 2.3 (registers); ACPI specification 6.4, section
// 4.8.3.3 (PM timer); Intel SDM volume 3, "APIC Timer".
#include "cpu/clock_source.h"
#include <stddef.h>
#include "cpu/apic.h"
#include "cpu/clock_state.h"
#include "cpu/cpuid.h"
#include "cpu/io.h"
#include "cpu/irq.h"

#define HPET_REG_CAPABILITIES 0x000
#define HPET_REG_PERIOD 0x004 /* upper half of it: femtoseconds per step */
#define   HPET_PERIOD_MAX 0x05f5e100u
#define HPET_REG_CONFIGURATION 0x010
#define   HPET_CONFIGURATION_ENABLE (1u << 0)
#define HPET_REG_COUNTER 0x0f0

#define PM_TIMER_HZ 3579545

/* Reads until a source that doesn't move counts as dead; each takes 0.1 us or more. */
#define READS_TO_MOVE 2000

static const volatile uint8_t *hpet_register(const struct clock_source *source, unsigned offset)
{
	return (const volatile uint8_t *)source->base + offset;
}

/* The low half only: some HPETs have no more, and 64-bit reads are not atomic on all of them. */
static uint32_t read_hpet(const struct clock_source *source)
{
	return mmio_read32(hpet_register(source, HPET_REG_COUNTER));
}

static uint32_t read_pm_timer(const struct clock_source *source)
{
	return port_in32(source->port);
}

/* It counts down. */
static uint32_t read_apic(const struct clock_source *source)
{
	(void)source;
	return ~apic_timer_count_read();
}

static bool moves(const struct clock_source *source)
{
	uint32_t first = source->read(source);

	for (unsigned i = 0; i < READS_TO_MOVE; i++) {
		if (source->read(source) != first)
			return true;
	}
	return false;
}

static bool find_hpet(const struct clock_sources *offered, struct clock_source *source)
{
	uint32_t period, configuration;

	*source = (struct clock_source){ .name = "HPET", .read = read_hpet, .base = offered->hpet,
					 .lasting = true };
	if (offered->hpet == NULL)
		return false;
	period = mmio_read32(hpet_register(source, HPET_REG_PERIOD));
	if (period == 0 || period > HPET_PERIOD_MAX)
		return false;
	source->unit = (struct clock_unit){ period, 1000000, 32 };
	configuration = mmio_read32(hpet_register(source, HPET_REG_CONFIGURATION));
	if (!(configuration & HPET_CONFIGURATION_ENABLE))
		mmio_write32((volatile uint8_t *)source->base + HPET_REG_CONFIGURATION,
			     configuration | HPET_CONFIGURATION_ENABLE);
	return moves(source);
}

static bool find_pm_timer(const struct clock_sources *offered, struct clock_source *source)
{
	*source = (struct clock_source){ .name = "PM timer", .read = read_pm_timer,
					 .port = offered->pm_timer_port, .lasting = true };
	source->unit = (struct clock_unit){ 1000000000, PM_TIMER_HZ,
					    offered->pm_timer_32bit ? 32 : 24 };
	return source->port != 0 && moves(source);
}

bool clock_source_apic(struct clock_source *source)
{
	*source = (struct clock_source){ .name = "APIC timer", .read = read_apic };
	source->unit = (struct clock_unit){ 1, 1, 32 };
	if (!apic_ready())
		return false;
	apic_timer_count_start();
	return moves(source);
}

bool clock_source_find(const struct clock_sources *offered, struct clock_source *found)
{
	if (find_hpet(offered, found) || find_pm_timer(offered, found))
		return true;
	/* TCG's runs at 1 GHz exactly; others' could be anything. */
	return cpu_under_tcg() && clock_source_apic(found);
}

struct clock_sample clock_source_sample(const struct clock_source *source, unsigned tries)
{
	struct clock_sample best = { .width = UINT64_MAX };

	for (unsigned i = 0; i < tries; i++) {
		uint64_t flags = irq_save();
		uint64_t before = clock_ticks_ordered();
		uint32_t count = source->read(source);
		uint64_t after = clock_ticks_ordered();

		irq_restore(flags);
		if (after - before < best.width)
			best = (struct clock_sample){ before, after - before, count };
	}
	return best;
}

// SPDX-License-Identifier: BSD-2-Clause
// The clock's speed: measured at its first reading, then better and better from a timer.
#include <isthmus/log.h>
#include <stddef.h>
#include "cpu/apic.h"
#include "cpu/clock.h"
#include "cpu/clock_source.h"
#include "cpu/clock_state.h"
#include "cpu/cpuid.h"
#include "cpu/irq.h"
#include "cpu/timer.h"

#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull

#define FIRST_SPAN_NS 400000 /* and the reads at both ends: below a millisecond */
#define TRIES_FIRST 20
#define TRIES_LATER 20
#define SPIN_MAX 1000000 /* reads of a source until its span must be over, come what may */

#define REFINE_FIRST_NS (10 * NS_PER_MS)
#define REFINE_FACTOR 10
#define REFINE_LAST_NS (100 * NS_PER_S)

#define ERROR_UNKNOWN_PPB 1000000000u
#define ERROR_FLOOR_PPB 10u         /* the arithmetic's own, and what a reading costs */
#define AGREE_PPB 10000000u         /* 1 %: CPUID is believed */
#define SUSPICION_PPB 1000u         /* what a steady TSC may differ beyond both bounds */
#define CPUID_ALONE_ERROR_PPB 1000000u /* 0.1 %: nominal values, never checked */

#define GUESSED_HZ 2000000000ull

static struct clock_sources (*find_sources)(void);
static bool unmeasured; /* there may be sources, which nobody has measured with */
static struct clock_source source;
static struct clock_sample origin; /* count: as shown, at the start of the measurement */
static bool origin_is_fresh;       /* nothing was measured from it yet */
static uint64_t slope;
static uint32_t error_ppb = ERROR_UNKNOWN_PPB;
static const char *source_name = "none";
static struct timer refine_timer;
static uint64_t refine_interval_ns = REFINE_FIRST_NS;

const char *clock_source_name(void)
{
	clock_need_speed();
	return source_name;
}

unsigned clock_error_ppm(void)
{
	clock_need_speed();
	return (error_ppb + 999) / 1000;
}

/* The TSC's frequency as CPUID has it, 0 if it doesn't. Intel SDM volume 2, CPUID leaf 15h. */
static uint64_t frequency_from_crystal(void)
{
	struct cpuid r = cpuid_or_zero(0x15, 0);

	if (r.eax == 0 || r.ebx == 0 || r.ecx == 0)
		return 0;
	return (uint64_t)r.ecx * r.ebx / r.eax;
}

/* Less exact: the hypervisor's timing leaf (EAX: kHz of the TSC), leaf 16h (EAX: MHz, nominal). */
static uint64_t frequency_nominal(void)
{
	uint64_t khz = cpuid_or_zero(0x40000010, 0).eax;

	return khz ? khz * 1000 : (cpuid_or_zero(0x16, 0).eax & 0xffffull) * 1000000;
}

static void wait_for_span(const struct clock_source *from, uint32_t start)
{
	uint64_t mask = (1ull << from->unit.bits) - 1;
	uint64_t span = clock_ns_to_count(&from->unit, FIRST_SPAN_NS);

	for (unsigned i = 0; i < SPIN_MAX; i++) {
		if (((from->read(from) - start) & mask) >= span)
			return;
	}
}

/* The source's count at `now`, carried on from the origin by what the clock says has passed. */
static uint64_t carry_on(const struct clock_sample *now)
{
	uint64_t ns = clock_scale(now->ticks - origin.ticks, slope);

	return clock_carry(origin.count + clock_ns_to_count(&source.unit, ns), now->count,
			   source.unit.bits);
}

static void measure_apic(const struct clock_source *apic, const struct clock_sample *from)
{
	struct clock_sample to = clock_source_sample(apic, TRIES_FIRST);
	uint64_t ticks = to.ticks - from->ticks + to.width / 2 - from->width / 2;
	uint64_t ns = clock_scale(ticks, slope);

	/* It starts from ~0 and has not wrapped: it stops at 0. */
	if (ns != 0 && to.count > from->count)
		apic_timer_set_frequency((to.count - from->count) * NS_PER_S / ns);
}

/* Nothing to measure with. */
static void trust_cpuid(void)
{
	uint64_t hz = frequency_from_crystal();

	source_name = "CPUID";
	error_ppb = CPUID_ALONE_ERROR_PPB;
	if (hz == 0)
		hz = frequency_nominal();
	if (hz == 0) {
		log_error("clock: no HPET, no PM timer and no frequency in CPUID: "
			  "times are a guess at %llu GHz", GUESSED_HZ / NS_PER_S);
		hz = GUESSED_HZ;
		source_name = "none";
		error_ppb = ERROR_UNKNOWN_PPB;
	}
	slope = clock_slope_of_frequency(hz);
}

static void measure_first(void)
{
	struct clock_sample now;
	uint64_t crystal = clock_slope_of_frequency(frequency_from_crystal());
	uint64_t mask = (1ull << source.unit.bits) - 1;
	uint32_t difference;

	wait_for_span(&source, (uint32_t)origin.count);
	now = clock_source_sample(&source, TRIES_FIRST);
	/* Less than a wrap has passed: a millisecond, where the shortest wrap takes seconds. */
	now.count = origin.count + ((now.count - origin.count) & mask);
	slope = clock_measure(&source.unit, &origin, &now, &error_ppb);
	source_name = source.name;
	if (slope == 0) {
		log_warn("clock: the %s stands still", source.name);
		source.lasting = false;
		trust_cpuid();
		return;
	}
	if (crystal == 0)
		return;
	difference = clock_difference_ppb(crystal, slope);
	if (difference < AGREE_PPB) {
		slope = crystal;
		error_ppb += difference;
		source_name = "CPUID";
	} else {
		log_debug("clock: CPUID leaf 15h is off by %u ppm: not used", difference / 1000);
	}
}

/* Measure again from the origin; believe it if it is a better value of the same speed. */
static void refine(void *arg)
{
	struct clock_sample now = clock_source_sample(&source, TRIES_LATER);
	uint32_t better_ppb, difference;
	uint64_t better;

	(void)arg;
	now.count = carry_on(&now);
	better = clock_measure(&source.unit, &origin, &now, &better_ppb);
	difference = clock_difference_ppb(better, slope);
	if (better == 0 || (!origin_is_fresh &&
			    difference > (uint64_t)error_ppb + better_ppb + SUSPICION_PPB)) {
		/* The VM moved, or slept: one of the two counters jumped. Start over from here. */
		now = clock_source_sample(&source, TRIES_LATER);
		origin = now;
		origin_is_fresh = true;
		refine_interval_ns = REFINE_FIRST_NS;
	} else {
		if (origin_is_fresh || better_ppb <= error_ppb) {
			slope = better;
			error_ppb = better_ppb + ERROR_FLOOR_PPB;
			source_name = source.name;
			clock_set_slope(slope);
		}
		origin_is_fresh = false;
		if (refine_interval_ns < REFINE_LAST_NS)
			refine_interval_ns *= REFINE_FACTOR;
	}
	timer_start(&refine_timer, clock_now_ns() + refine_interval_ns);
}

static void start_refining(void)
{
	if (!source.lasting || slope == 0)
		return;
	refine_timer.fire = refine;
	timer_start(&refine_timer, clock_now_ns() + refine_interval_ns);
}

static void calibrate(void)
{
	struct clock_sources sources = find_sources();
	uint64_t begin = clock_ticks();
	struct clock_source apic;
	struct clock_sample apic_start = { 0, 0, 0 };
	bool has_source = clock_source_find(&sources, &source);
	bool has_apic = clock_source_apic(&apic);

	if (has_apic)
		apic_start = clock_source_sample(&apic, TRIES_FIRST);
	if (has_source) {
		origin = clock_source_sample(&source, TRIES_FIRST);
		origin_is_fresh = false;
		measure_first();
	} else {
		trust_cpuid();
		while (has_apic &&
		       clock_scale(clock_ticks() - apic_start.ticks, slope) < FIRST_SPAN_NS)
			cpu_relax();
	}
	clock_set_slope(slope);
	if (has_apic && cpu_under_tcg())
		apic_timer_set_frequency(NS_PER_S);
	else if (has_apic)
		measure_apic(&apic, &apic_start);
	timer_init();
	start_refining();
	log_debug("clock: TSC at %llu kHz by %s, within %u ppm, measured in %llu us",
		  (unsigned long long)clock_frequency_hz() / 1000, source_name, clock_error_ppm(),
		  (unsigned long long)clock_ticks_to_ns(clock_ticks() - begin) / 1000);
}

void clock_set_sources(struct clock_sources (*find)(void))
{
	find_sources = find;
	unmeasured = true;
}

/* Other CPUs start only after waits on this one, and so find it done. */
void clock_need_speed(void)
{
	uint64_t flags;

	if (!unmeasured)
		return;
	unmeasured = false; /* first: what it has to say in the log asks for the time */
	flags = irq_save();
	calibrate();
	irq_restore(flags);
}

// SPDX-License-Identifier: BSD-2-Clause
// Reading the clock: the TSC through the line that clock_track.h keeps.
#include <isthmus/clock.h>
#include "cpu/clock.h"
#include "cpu/clock_line.h"
#include "cpu/clock_state.h"
#include "cpu/clock_track.h"
#include "cpu/irq.h"
#include "cpu/lock.h"
#include "cpu/timer.h"

static struct clock_track track;
static struct cpu_lock writer;
static uint64_t start_ticks;
static bool frozen;

uint64_t clock_ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* The TSC when everything before it has been done, so that time stamps don't come too early. */
uint64_t clock_ticks_ordered(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

uint64_t clock_peek_ns(void)
{
	struct clock_line line = clock_track_line(&track);

	return clock_line_at(&line, clock_ticks());
}

void clock_freeze(void)
{
	frozen = true;
}

uint64_t clock_now_ns(void)
{
	bool fell_behind;
	uint64_t now = clock_track_now(&track, clock_ticks_ordered(), &fell_behind), flags;

	if ((now != 0 && !fell_behind) || frozen)
		return now;
	if (now == 0) {
		clock_need_speed();
		return clock_peek_ns();
	}
	flags = cpu_lock_acquire(&writer);
	clock_track_mend(&track, clock_ticks_ordered());
	cpu_lock_release(&writer, flags);
	return now;
}

uint64_t clock_ticks_to_ns(uint64_t ticks)
{
	clock_need_speed();
	return clock_scale(ticks, clock_track_line(&track).slope);
}

uint64_t clock_frequency_hz(void)
{
	clock_need_speed();
	return clock_frequency_of_slope(clock_track_line(&track).slope);
}

void clock_set_start(void)
{
	start_ticks = clock_ticks_ordered();
}

void clock_set_slope(uint64_t slope)
{
	uint64_t flags = cpu_lock_acquire(&writer);

	/* The first slope holds from the start on, where time was 0; later ones from now on. */
	if (clock_track_line(&track).slope == 0) {
		clock_track_set_point(&track, start_ticks, 0);
		clock_track_set_slope(&track, start_ticks, slope);
	} else {
		clock_track_set_slope(&track, clock_ticks_ordered(), slope);
	}
	cpu_lock_release(&writer, flags);
}

static void wake(void *arg)
{
	(void)arg; /* that it interrupted hlt is all that was wanted */
}

void clock_sleep_until(uint64_t deadline_ns)
{
	struct timer timer = { .fire = wake };
	uint64_t flags;

	if (clock_now_ns() >= deadline_ns)
		return;
	if (!timer_ready()) {
		while (clock_now_ns() < deadline_ns)
			cpu_relax();
		return;
	}
	timer_start(&timer, deadline_ns);
	flags = irq_save();
	while (clock_now_ns() < deadline_ns)
		cpu_sleep();
	irq_restore(flags);
	timer_stop(&timer);
}

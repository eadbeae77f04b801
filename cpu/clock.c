// SPDX-License-Identifier: BSD-2-Clause
// Reading the clock.
//
// The line (clock_line.h) is kept twice, so that it can be read at any instant, also by an NMI in
// the midst of a change: readers take the copy that the sequence number points to, the one writer
// changes the other one. Readers retry when the number moved meanwhile.
//
// That the clock never goes backwards is held by remembering the latest value anybody got. When the
// line falls behind it by little (CPUs whose TSCs differ by a hair), that value stands until the
// line has caught up; when it falls behind by much (the VM woke up elsewhere with another TSC), the
// line is moved so that it goes on from there.
#include <isthmus/clock.h>
#include "cpu/apic.h"
#include "cpu/clock.h"
#include "cpu/clock_line.h"
#include "cpu/clock_state.h"
#include "cpu/irq.h"
#include "cpu/lock.h"
#include "cpu/timer.h"

#define STANDSTILL_MAX_NS 10000000 /* 10 ms: more can't be a hair */

static struct clock_line lines[2];
static unsigned sequence; /* readers use lines[sequence & 1] */
static uint64_t latest_ns;
static struct cpu_lock writer;
static uint64_t start_ticks;

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

static struct clock_line read_line(void)
{
	struct clock_line line;
	unsigned before;

	do {
		/* Acquire: pairs with the releases in write_line(). */
		before = __atomic_load_n(&sequence, __ATOMIC_ACQUIRE);
		line = *(const volatile struct clock_line *)&lines[before & 1];
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (__atomic_load_n(&sequence, __ATOMIC_RELAXED) != before);
	return line;
}

/* The writer's lock is held. */
static void write_line(const struct clock_line *line)
{
	for (int i = 0; i < 2; i++) {
		unsigned hidden = (sequence & 1) ^ 1;

		*(volatile struct clock_line *)&lines[hidden] = *line;
		__atomic_store_n(&sequence, sequence + 1, __ATOMIC_RELEASE);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	}
}

uint64_t clock_peek_ns(void)
{
	struct clock_line line = read_line();

	return clock_line_at(&line, clock_ticks());
}

/* The TSC has gone back by much: let time go on from the latest value. */
static void mend_line(void)
{
	uint64_t flags = cpu_lock_acquire(&writer);
	struct clock_line line = read_line();
	uint64_t ticks = clock_ticks_ordered();
	uint64_t latest = __atomic_load_n(&latest_ns, __ATOMIC_RELAXED);

	if (clock_line_at(&line, ticks) + STANDSTILL_MAX_NS < latest) {
		line.ticks = ticks;
		line.ns = latest;
		write_line(&line);
	}
	cpu_lock_release(&writer, flags);
}

uint64_t clock_now_ns(void)
{
	struct clock_line line = read_line();
	uint64_t now = clock_line_at(&line, clock_ticks_ordered());
	uint64_t latest = __atomic_load_n(&latest_ns, __ATOMIC_RELAXED);

	do {
		if (now <= latest) {
			if (latest - now > STANDSTILL_MAX_NS)
				mend_line();
			return latest;
		}
	} while (!__atomic_compare_exchange_n(&latest_ns, &latest, now, false, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return now;
}

uint64_t clock_ticks_to_ns(uint64_t ticks)
{
	struct clock_line line = read_line();

	return clock_scale(ticks, line.slope);
}

uint64_t clock_frequency_hz(void)
{
	struct clock_line line = read_line();

	return clock_frequency_of_slope(line.slope);
}

void clock_set_start(void)
{
	start_ticks = clock_ticks_ordered();
}

void clock_set_slope(uint64_t slope)
{
	uint64_t flags = cpu_lock_acquire(&writer);
	struct clock_line line = read_line();
	uint64_t ticks = clock_ticks_ordered();

	if (line.slope == 0)
		line.ticks = start_ticks; /* the first: time 0 was at the start */
	else
		line = (struct clock_line){ ticks, clock_line_at(&line, ticks), line.slope };
	line.slope = slope;
	write_line(&line);
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

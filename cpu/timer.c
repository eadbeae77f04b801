// SPDX-License-Identifier: BSD-2-Clause
// A sorted list per CPU: guests have a handful of timers, and the soonest is what counts.
#include "cpu/timer.h"
#include <isthmus/clock.h>
#include <stddef.h>
#include "cpu/apic.h"
#include "cpu/clock_state.h"
#include "cpu/lock.h"
#include "cpu/percpu.h"

static bool ready;

static void arm(const struct cpu *cpu)
{
	apic_timer_arm(cpu->timers ? cpu->timers->deadline_ns : UINT64_MAX);
}

/* With the lock held in these two. */
static void insert(struct cpu *cpu, struct timer *timer)
{
	struct timer **link = &cpu->timers;

	while (*link != NULL && (*link)->deadline_ns <= timer->deadline_ns)
		link = &(*link)->next;
	timer->next = *link;
	*link = timer;
	timer->active = true;
}

static void remove(struct cpu *cpu, struct timer *timer)
{
	struct timer **link = &cpu->timers;

	while (*link != NULL && *link != timer)
		link = &(*link)->next;
	if (*link != NULL)
		*link = timer->next;
	timer->active = false;
}

/*
 * Fires what is due, one at a time from the list's head, since fire() may start and stop any timer.
 * The work of one interrupt is bounded by the timers that were due when it came: what is started
 * meanwhile, even for a time that has passed, may have to wait for the next one.
 */
static void expire(void *arg)
{
	struct cpu *cpu = cpu_this();
	uint64_t now = clock_now_ns();
	uint64_t flags = cpu_lock_acquire(&cpu->timer_lock);
	unsigned due = 0;

	(void)arg;
	for (struct timer *t = cpu->timers; t != NULL && t->deadline_ns <= now; t = t->next)
		due++;
	for (; due > 0 && cpu->timers != NULL && cpu->timers->deadline_ns <= now; due--) {
		struct timer *timer = cpu->timers;

		cpu->timers = timer->next;
		timer->active = false;
		cpu->firing = timer;
		cpu_lock_release(&cpu->timer_lock, flags);
		timer->fire(timer->arg);
		flags = cpu_lock_acquire(&cpu->timer_lock);
		cpu->firing = NULL;
	}
	arm(cpu);
	cpu_lock_release(&cpu->timer_lock, flags);
}

void timer_init(void)
{
	if (!apic_ready() || apic_timer_frequency() == 0)
		return;
	apic_timer_set_handler(expire, NULL);
	ready = true;
}

bool timer_ready(void)
{
	clock_need_speed(); /* which starts them */
	return ready;
}

bool timer_stop(struct timer *timer)
{
	struct cpu *owner = timer->cpu;
	bool was_active, fires;
	uint64_t flags;

	if (owner == NULL)
		return false;
	flags = cpu_lock_acquire(&owner->timer_lock);
	was_active = timer->active;
	if (was_active)
		remove(owner, timer); /* its interrupt may still come, and finds nothing due */
	fires = owner->firing == timer && owner != cpu_this();
	cpu_lock_release(&owner->timer_lock, flags);
	while (fires && __atomic_load_n(&owner->firing, __ATOMIC_ACQUIRE) == timer)
		cpu_spin();
	return was_active;
}

void timer_start(struct timer *timer, uint64_t deadline_ns)
{
	struct cpu *cpu = cpu_this();
	uint64_t flags;

	timer_stop(timer);
	clock_need_speed(); /* which starts a timer of its own: not with the lock held */
	flags = cpu_lock_acquire(&cpu->timer_lock);
	timer->cpu = cpu;
	timer->deadline_ns = deadline_ns;
	insert(cpu, timer);
	if (cpu->timers == timer)
		arm(cpu);
	cpu_lock_release(&cpu->timer_lock, flags);
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * msg's waiting on a guest: doorbells count, one timer backs every sleep, hlt sleeps.
 *
 * No wake-up is lost: interrupts are off from wait_prepare() to the hlt, so a doorbell that comes
 * after msg has looked at its channels stays pending and ends the hlt; one that came before
 * wait_prepare() is for something that msg sees when it looks again (promise 2 of the message
 * layer).
 */
#include "port/port.h"

#include <stdlib.h>

#include <isthmus/clock.h>
#include <isthmus/log.h>

#include "cpu/copy.h"
#include "cpu/irq.h"
#include "cpu/random.h"
#include "cpu/timer.h"

/* A `pause` costs 0.2 us under TCG, more than a polled message: one in so many turns keeps the
 * neighbour hyperthread happy and the poll quick. */
#define POLLS_PER_PAUSE 64
#define TOUCH_LINE      64
#define TOUCH_MOST      2048
/* What a doorbell that ends a hlt costs the host: QEMU's main loop reads the eventfd and raises the
 * interrupt, the vCPU's thread is woken, and to the guest all that was sleep. */
#define HOST_WAKE_NS    50000

volatile bool port_attention;
static volatile uint64_t wakes; /* written by handlers only */
static uint64_t wakes_at_prepare;
static bool timed_out;
static struct timer backing;

void port_wake(void *unused)
{
	(void)unused;
	wakes = wakes + 1;
}

/* The interrupt itself is what ends the hlt. */
static void backing_fired(void *unused)
{
	(void)unused;
}

static uint64_t wait_now(void *arg)
{
	(void)arg;
	if (__builtin_expect(port_attention, 0))
		port_attend();
	return clock_now_ns();
}

static void wait_relax(void *arg)
{
	static unsigned turns;

	(void)arg;
	if (++turns % POLLS_PER_PAUSE == 0)
		cpu_relax();
}

static void wait_prepare(void *arg)
{
	(void)arg;
	irq_disable();
	/* What came after a sleep that the timer ended must end the next: msg asks whether it did. */
	if (!timed_out)
		wakes_at_prepare = wakes;
	timed_out = false;
}

static void wait_cancel(void *arg)
{
	(void)arg;
	irq_enable();
}

static enum msg_sleep_result wait_sleep_until(void *arg, uint64_t deadline,
	volatile uint32_t *word, uint32_t value)
{
	enum msg_sleep_result result = MSG_SLEEP_NOTIFIED;

	(void)arg, (void)word, (void)value;
	while (wakes == wakes_at_prepare) {
		if (clock_now_ns() >= deadline) {
			result = MSG_SLEEP_TIMER;
			timed_out = true;
			break;
		}
		/* An earlier time is as good and saves programming the APIC at each sleep: when it
		 * fires, this loop asks for the next. */
		if (!backing.active || backing.deadline_ns > deadline)
			timer_start(&backing, deadline);
		cpu_sleep();
	}
	irq_enable();
	return result;
}

static cpu_copy_fn *copy;

static void wait_copy_in(void *to, const void *from, size_t len)
{
	copy(to, from, len);
}

/* A short message: one word of each line first, so that its lines, which are all with another CPU,
 * come at the same time; the loop proper has three or so under way. A long one gets into its
 * stride by itself. */
static void wait_copy_out(void *to, const void *from, size_t len)
{
	const volatile unsigned char *line = from;
	size_t at;

	for (at = 0; len <= TOUCH_MOST && at < len; at += TOUCH_LINE)
		(void)line[at];
	copy(to, from, len);
}

/* malloc keeps nothing at cache lines, and asking newlib for aligned memory splits chunks; so the
 * pointer that malloc gave is kept just below the aligned block. */
#define ALIGNMENT 64

static void *wait_alloc(void *arg, size_t size)
{
	unsigned char *raw;
	uintptr_t aligned;

	(void)arg;
	if (size > SIZE_MAX - ALIGNMENT - sizeof(raw))
		return NULL;
	raw = calloc(1, size + ALIGNMENT + sizeof(raw));
	if (!raw)
		return NULL;
	aligned = ((uintptr_t)raw + sizeof(raw) + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1);
	((void **)aligned)[-1] = raw;
	return (void *)aligned;
}

static void wait_free(void *arg, void *memory)
{
	(void)arg;
	if (memory)
		free(((void **)memory)[-1]);
}

/* Where the CPU has no generator, what differs between guests is when each of them asks: the TSC
 * counts host nanoseconds or finer. splitmix64 spreads it over all bits. */
static uint64_t wait_random(void *arg)
{
	static uint64_t state;
	uint64_t number, z;

	(void)arg;
	if (!cpu_random(&number))
		number = clock_ticks();
	state = (state ^ number) + 0x9e3779b97f4a7c15;
	z = state;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static void wait_report(void *arg, int level, const char *line)
{
	(void)arg;
	log_line(level <= 1 ? LOG_WARN : LOG_INFO, "msg: %s", line);
}

static void choose_copy(void)
{
	unsigned char *blocks = malloc(2 * CPU_COPY_TRIAL);
	const struct cpu_copy *best = cpu_copy_fastest(blocks, blocks ? blocks + CPU_COPY_TRIAL : NULL);

	free(blocks);
	copy = best->copy;
	log_debug("msg: copies by %s", best->name);
}

struct msg_context *port_context(void)
{
	static const struct msg_wait_ops ops = {
		.now = wait_now,
		.relax = wait_relax,
		.prepare = wait_prepare,
		.sleep_until = wait_sleep_until,
		.cancel = wait_cancel,
		.mute = port_mute,
		.copy_in = wait_copy_in,
		.copy_out = wait_copy_out,
		.alloc = wait_alloc,
		.free = wait_free,
		.random = wait_random,
		.report = wait_report,
		.wake_ns = HOST_WAKE_NS,
	};
	static struct msg_context *context;

	if (!context) {
		backing.fire = backing_fired;
		choose_copy();
		context = msg_context_create(&ops);
	}
	return context;
}

uint64_t msg_now_ns(void)
{
	return clock_now_ns();
}

void msg_sleep_until(uint64_t deadline)
{
	clock_sleep_until(deadline);
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * Several CPUs: processors COUNT starts all there are and checks that each stands on its own ground, that
 * what they share is safe, and how work is given and waited for.
 * processors COUNT panic|fault|overflow|exit|nmi: one of them ends the guest while the others are at work.
 */
#include <errno.h>
#include <isthmus/clock.h>
#include <isthmus/cpu.h>
#include <isthmus/log.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "cpu/irq.h"
#include "cpu/percpu.h"
#include "cpu/timer.h"
#include "cpu/vectors.h"
#include "mm/mm.h"
#include "mm/tables.h"
#include "tests/guest/check.h"

#define MS 1000000ull
#define ROUNDS 40
#define LINES 40

static unsigned count;

static struct ground {
	unsigned index, calls;
	uintptr_t stack;
	uint64_t slept_ns;
	double sum;
	bool timer_fired_here, interrupts;
	uint32_t apic_id;
} grounds[CPU_MAX];

static struct timer timers[CPU_MAX];
static atomic_bool all_started;

static void note_cpu(void *arg)
{
	struct ground *g = arg;

	g->timer_fired_here = cpu_index() == g->index;
}

/* All that a CPU has of its own: stack, timer, clock, floating point. */
static void look_around(void *arg)
{
	struct ground *g = arg;
	uint64_t start = clock_now_ns();
	volatile double third = 1.0 / 3;

	g->calls++;
	g->index = cpu_index();
	g->stack = (uintptr_t)&start;
	g->interrupts = irq_enabled();
	g->apic_id = cpu_this()->apic_id;
	timers[g->index] = (struct timer){ .fire = note_cpu, .arg = g };
	timer_start(&timers[g->index], start + 2 * MS);
	for (int i = 0; i < 1000; i++)
		g->sum += third * i;
	clock_sleep_until(start + 5 * MS);
	while (!atomic_load(&all_started))
		clock_sleep_until(clock_now_ns() + MS);
	for (int i = 0; i < 1000 && !g->timer_fired_here; i++)
		clock_sleep_until(clock_now_ns() + MS);
	g->slept_ns = clock_now_ns() - start;
}

static void check_grounds(void)
{
	int cpu[CPU_MAX];

	CHECK(cpu_count() == count);
	CHECK(cpu_index() == 0);
	CHECK(cpu_is_busy(0) && !cpu_is_busy(1) && !cpu_is_busy(CPU_MAX + 3));
	for (unsigned i = 1; i < count; i++)
		CHECK((cpu[i] = cpu_start(look_around, &grounds[i])) > 0);
	atomic_store(&all_started, true);
	for (unsigned i = 1; i < count; i++)
		CHECK(cpu_wait((unsigned)cpu[i]) == 0);
	for (unsigned i = 1; i < count; i++) {
		const struct ground *g = &grounds[i];

		CHECK(!cpu_is_busy((unsigned)cpu[i]));
		CHECK(g->calls == 1 && g->index == (unsigned)cpu[i]);
		CHECK(g->interrupts && g->timer_fired_here && g->slept_ns >= 5 * MS);
		CHECK(g->sum > 166499 && g->sum < 166501);
		for (unsigned j = 1; j < i; j++) {
			CHECK(g->stack / 0x40000 != grounds[j].stack / 0x40000);
			CHECK(g->apic_id != grounds[j].apic_id);
		}
	}
	CHECK(cpu_wait(0) == -EINVAL && cpu_wait(count) == -EINVAL);
	CHECK(vector_strays() == 0);
}

static atomic_uint held, wrong;

/* Memory in pieces of many sizes, each filled and looked at; the heap grows and shrinks meanwhile. */
static void allocate(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg * 7919;

	for (int round = 0; round < ROUNDS; round++) {
		unsigned char *piece[4];
		size_t size[4];

		for (int i = 0; i < 4; i++) {
			seed = seed * 1103515245 + 12345;
			size[i] = seed >> 8 & (i ? 0xfff : 0x3ffff);
			piece[i] = malloc(size[i] + 1);
			if (!piece[i])
				atomic_fetch_add(&wrong, 1);
			else
				memset(piece[i], (int)(uintptr_t)arg + i, size[i] + 1);
		}
		for (int i = 0; i < 4; i++) {
			for (size_t n = 0; piece[i] && n <= size[i]; n += 61)
				if (piece[i][n] != (unsigned char)((uintptr_t)arg + (unsigned)i))
					atomic_fetch_add(&wrong, 1);
			free(piece[i]);
		}
	}
}

static void print(void *arg)
{
	unsigned who = (unsigned)(uintptr_t)arg;

	for (int i = 0; i < LINES; i++) {
		printf("<%u says line %d and %.3f, all of it>\n", who, i, who / 8.0);
		if (i % 4 == 0)
			log_info("<%u logs line %d, all of it>", who, i);
	}
}

/* On every CPU at once, this one too. */
static void on_all(void (*work)(void *))
{
	for (unsigned i = 1; i < count; i++)
		CHECK(cpu_start(work, (void *)(uintptr_t)i) > 0);
	work((void *)0);
	for (unsigned i = 1; i < count; i++)
		CHECK(cpu_wait(i) == 0);
}

static atomic_bool stop;

static void stay(void *arg)
{
	(void)arg;
	atomic_fetch_add(&held, 1);
	while (!atomic_load(&stop))
		clock_sleep_until(clock_now_ns() + MS);
	atomic_fetch_sub(&held, 1);
}

/* More work than CPUs. */
static void check_all_busy(void)
{
	for (unsigned i = 1; i < count; i++)
		CHECK(cpu_start(stay, NULL) > 0);
	CHECK(cpu_start(stay, NULL) == -EAGAIN);
	for (unsigned i = 1; i < count; i++)
		CHECK(cpu_is_busy(i));
	atomic_store(&stop, true);
	for (unsigned i = 1; i < count; i++)
		CHECK(cpu_wait(i) == 0);
	CHECK(atomic_load(&held) == 0);
}

static volatile uint32_t *volatile window;
static atomic_uint seen_old, seen_new, readers;

/* Reads one address until it shows the other page; a CPU that kept the old translation never ends. */
static void read_window(void *arg)
{
	uint64_t end = clock_now_ns() + 20000 * MS;

	(void)arg;
	if (*window == 1)
		atomic_fetch_add(&seen_old, 1);
	atomic_fetch_add(&readers, 1);
	while (*window != 2 && clock_now_ns() < end)
		cpu_relax();
	if (*window == 2)
		atomic_fetch_add(&seen_new, 1);
}

/* A heap address that gets another page: all CPUs must drop what they remember of it. */
static void check_translations(void)
{
	uint64_t pages = 16 * MM_PAGE_SIZE, before, other;
	uint8_t *end;

	/* Up to a page's border, then pages that are given back and taken again. */
	end = mm_heap_grow(0);
	mm_heap_grow((intptr_t)(-(uintptr_t)end & (MM_PAGE_SIZE - 1)));
	end = mm_heap_grow((intptr_t)pages);
	CHECK_OR_END_VOID(end != (void *)-1);
	window = (volatile uint32_t *)end;
	*window = 1;
	before = mm_virt_to_phys(end);
	for (unsigned i = 1; i < count; i++)
		CHECK(cpu_start(read_window, NULL) > 0);
	while (atomic_load(&readers) < count - 1)
		cpu_relax();
	/* The same address on another page, in one step as far as others can see. */
	other = mm_alloc_pages(1);
	*(volatile uint32_t *)mm_phys_to_virt(other) = 2;
	CHECK(tables_map((uint64_t)end, other, MM_PAGE_SIZE, mm_ram_flags()));
	for (unsigned i = 1; i < count; i++)
		CHECK(cpu_wait(i) == 0);
	CHECK(atomic_load(&seen_old) == count - 1);
	CHECK(atomic_load(&seen_new) == count - 1);
	CHECK(tables_map((uint64_t)end, before, MM_PAGE_SIZE, mm_ram_flags()));
	mm_free_pages(other, 1);
	mm_heap_grow(-(intptr_t)pages);
}

static void answer(void *arg)
{
	atomic_fetch_add((atomic_uint *)arg, 1);
}

/* Work given in quick turns: no wake-up is lost, neither the worker's nor the waiter's. */
static void check_turns(void)
{
	atomic_uint answers = 0;
	int cpu;

	for (unsigned i = 0; i < 2000; i++) {
		cpu = cpu_start(answer, &answers);
		if (cpu < 1 || cpu_wait((unsigned)cpu) != 0)
			break;
	}
	CHECK(atomic_load(&answers) == 2000);
}

static int deep(int n)
{
	volatile char room[2000];

	room[0] = (char)n;
	return n == 0 ? 0 : deep(n + 1) + room[0];
}

static volatile int *volatile nowhere = (volatile int *)0x10;

static void end_here(void *arg)
{
	const char *how = arg;

	clock_sleep_until(clock_now_ns() + 5 * MS);
	if (!strcmp(how, "panic"))
		panic("given in on purpose");
	if (!strcmp(how, "fault"))
		*nowhere = 1;
	if (!strcmp(how, "overflow"))
		printf("%d\n", deep(1));
	exit(7);
}

static void chatter(void *arg)
{
	/* One of them with interrupts off: only an NMI reaches it. */
	if ((uintptr_t)arg == 1)
		irq_disable();
	for (unsigned i = 0;; i++)
		if (i % 5000 == 0)
			log_info("cpu %u is at work", cpu_index());
}

static int end_with(char *how)
{
	if (count > 2)
		CHECK(cpu_start(chatter, (void *)1) > 0);
	if (count > 3)
		CHECK(cpu_start(chatter, (void *)2) > 0);
	CHECK(cpu_start(end_here, how) > 0);
	chatter(NULL);
	return 1;
}

int main(int argc, char **argv)
{
	count = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
	if (argc > 2)
		return end_with(argv[2]);
	check_grounds();
	if (count == 1) {
		CHECK(cpu_start(answer, NULL) == -EAGAIN);
		return check_end();
	}
	on_all(allocate);
	CHECK(atomic_load(&wrong) == 0);
	on_all(print);
	check_all_busy();
	check_translations();
	check_turns();
	return check_end();
}

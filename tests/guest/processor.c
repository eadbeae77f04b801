// SPDX-License-Identifier: BSD-2-Clause
// processor: vectors, stray and spurious interrupts, FPU state, timers and the clock, from inside.
// processor lines: logs and prints from main and a handler at once; log_lines.py looks at that.
// processor clock: answers each byte on the serial port with its clock, for clock.py to compare.
#include <errno.h>
#include <isthmus/clock.h>
#include <isthmus/log.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "cpu/apic.h"
#include "cpu/clock.h"
#include "cpu/cpuid.h"
#include "cpu/irq.h"
#include "cpu/timer.h"
#include "cpu/vectors.h"
#include "platform/console.h"
#include "tests/guest/check.h"

#define MS 1000000ull
#define VECTORS (VECTOR_LAST - VECTOR_FIRST + 1)
#define INT_VECTOR 0x90 /* of processor_interrupt_0x90() */

void processor_interrupt_0x27(void);
void processor_interrupt_0x2f(void);
void processor_interrupt_0x90(void);
void processor_interrupt_0xef(void);
void processor_interrupt_0xfe(void);
void processor_interrupt_0xff(void);
unsigned processor_fpu_lost(bool has_avx);
void processor_spoil_fpu(bool has_avx);
extern uint32_t processor_seen_mxcsr;

static bool has_avx;

static void count_up(void *arg)
{
	(*(volatile unsigned *)arg)++;
}

/*
 * Sleeps until the count is there, or so long that it won't come. A deadline that passes on a busy
 * host before its timer is armed is no reason to sleep; its interrupt comes a moment later.
 */
static bool wait_for(const unsigned *count, unsigned wanted)
{
	uint64_t end = clock_now_ns() + 10000 * MS;

	while (*(const volatile unsigned *)count < wanted && clock_now_ns() < end)
		clock_sleep_until(clock_now_ns() + MS / 10);
	return *(const volatile unsigned *)count >= wanted;
}

/* Takes vectors until it has this one, and gives the others back. */
static int take_vector(int wanted, void (*handler)(void *), void *arg, unsigned flags)
{
	int taken[VECTORS], count = 0, vector;

	do {
		vector = vector_alloc("test", handler, arg, flags);
		taken[count++] = vector;
	} while (vector != wanted && vector > 0 && count < VECTORS);
	for (int i = 0; i < count - 1; i++)
		vector_free(taken[i]);
	return vector;
}

static void check_vectors(void)
{
	static bool seen[256];
	unsigned available = vector_available(), calls = 0;
	int taken[VECTORS] = { 0 }, vector;

	CHECK(available > 100 && available <= VECTORS);
	for (unsigned i = 0; i < available; i++) {
		taken[i] = vector_alloc("exhaustion", count_up, &calls, 0);
		if (taken[i] < VECTOR_FIRST || taken[i] > VECTOR_LAST || seen[taken[i]]) {
			CHECK(!"each vector is in range and given out once");
			return;
		}
		seen[taken[i]] = true;
	}
	CHECK(vector_available() == 0);
	CHECK(vector_alloc("one more", count_up, &calls, 0) == -ENOSPC);
	CHECK(strcmp(vector_owner(taken[0]), "exhaustion") == 0);
	for (unsigned i = 0; i < available; i++)
		vector_free(taken[i]);
	CHECK(vector_available() == available);
	CHECK(vector_owner(taken[0]) == NULL);

	/* One given back isn't the next given out: a late interrupt must not find a stranger. */
	vector = vector_alloc("a", count_up, &calls, 0);
	vector_free(vector);
	CHECK(vector_alloc("b", count_up, &calls, 0) != vector);

	vector = take_vector(INT_VECTOR, count_up, &calls, 0);
	CHECK(vector == INT_VECTOR);
	processor_interrupt_0x90();
	CHECK(calls == 1 && vector_count(vector) == 1);
	for (int i = 0; i < 1000; i++)
		processor_interrupt_0x90();
	CHECK(calls == 1001 && vector_count(vector) == 1001);
	vector_free(vector);
	vector_free(-1);
	vector_free(0);
	vector_free(0x1000);
}

static void check_strays(void)
{
	uint64_t spurious = apic_spurious_count(), errors = apic_error_count();
	uint64_t strays = vector_strays();
	unsigned fired = 0;
	struct timer timer = { .fire = count_up, .arg = &fired };

	processor_interrupt_0xff();
	CHECK(apic_spurious_count() == spurious + 1);
	processor_interrupt_0x27(); /* what the master 8259 does when it has nothing to say */
	CHECK(apic_spurious_count() == spurious + 2);
	processor_interrupt_0x2f();
	CHECK(apic_spurious_count() == spurious + 3);
	processor_interrupt_0xfe();
	CHECK(apic_error_count() == errors + 1);
	processor_interrupt_0xef();
	processor_interrupt_0x90();
	CHECK(vector_strays() == strays + 2);

	/* None of them may have left the APIC thinking that something is in service. */
	timer_start(&timer, clock_now_ns() + MS);
	CHECK(wait_for(&fired, 1));
}

static void spoil(void *arg)
{
	(*(unsigned *)arg)++;
	processor_spoil_fpu(has_avx);
}

static void check_fpu(void)
{
	unsigned calls = 0;
	struct cpuid basic = cpuid(1, 0);

	has_avx = (basic.ecx >> 27 & 1) && (basic.ecx >> 28 & 1); /* OSXSAVE, AVX */
	printf("AVX: %s\n", has_avx ? "yes" : "no");

	CHECK(take_vector(INT_VECTOR, spoil, &calls, VECTOR_SAVES_FPU) == INT_VECTOR);
	for (int i = 0; i < 100; i++)
		CHECK(processor_fpu_lost(has_avx) == 0);
	CHECK(calls == 100);
	CHECK(processor_seen_mxcsr == 0x1f80); /* the handler began with the ABI's default */
	vector_free(INT_VECTOR);

	/* Without the flag nobody saves it: the check above can fail. The handler sees all. */
	CHECK(take_vector(INT_VECTOR, spoil, &calls, 0) == INT_VECTOR);
	CHECK(processor_fpu_lost(has_avx) == 1000 + 100 + 32 + (has_avx ? 16 : 0));
	CHECK(processor_seen_mxcsr == 0x3f80);
	vector_free(INT_VECTOR);

	/* A handler that keeps its hands off needs no flag. */
	CHECK(take_vector(INT_VECTOR, count_up, &calls, 0) == INT_VECTOR);
	CHECK(processor_fpu_lost(has_avx) == 0);
	vector_free(INT_VECTOR);
}

struct shot {
	struct timer timer;
	uint64_t fired_ns;
	unsigned fired;
	unsigned order;
};

static unsigned shots;

static void note_shot(void *arg)
{
	struct shot *shot = arg;

	shot->fired_ns = clock_now_ns();
	shot->fired++;
	shot->order = shots++;
}

static void check_one_shots(void)
{
	struct shot shot = { .timer = { .fire = note_shot, .arg = &shot } };
	uint64_t before = vector_count(VECTOR_APIC_TIMER);
	unsigned early = 0, count = 300;

	for (unsigned i = 0; i < count; i++) {
		uint64_t deadline = clock_now_ns() + i * 1000;

		timer_start(&shot.timer, deadline);
		clock_sleep_until(deadline);
		if (!wait_for(&shot.fired, i + 1))
			break;
		early += shot.fired_ns < deadline;
	}
	CHECK(shot.fired == count);
	CHECK(early == 0);
	CHECK(vector_count(VECTOR_APIC_TIMER) >= before + count / 2); /* two timers may share one */
}

static void check_several(void)
{
	static const uint64_t after_ms[] = { 9, 3, 7, 1, 5, 3, 3600000 };
	static const unsigned order[] = { 5, 1, 4, 0, 3, 2, 0 };
	struct shot all[7] = { 0 };
	uint64_t now = clock_now_ns(), flags;

	shots = 0;
	flags = irq_save(); /* all of them before the first fires, however slow the host is */
	for (unsigned i = 0; i < 7; i++) {
		all[i].timer = (struct timer){ .fire = note_shot, .arg = &all[i] };
		timer_start(&all[i].timer, now + after_ms[i] * MS);
	}
	irq_restore(flags);
	CHECK(timer_stop(&all[6].timer));
	CHECK(!timer_stop(&all[6].timer));
	CHECK(wait_for(&shots, 6));
	for (unsigned i = 0; i < 6; i++) {
		CHECK(all[i].fired == 1 && all[i].order == order[i]);
		CHECK(all[i].fired_ns >= now + after_ms[i] * MS);
		CHECK(!timer_stop(&all[i].timer));
	}
	CHECK(all[6].fired == 0);

	/* Moved to later, before its interrupt can come; then to sooner. */
	now = clock_now_ns();
	flags = irq_save();
	timer_start(&all[0].timer, now + MS);
	timer_start(&all[0].timer, now + 3600000 * MS);
	irq_restore(flags);
	clock_sleep_until(now + 5 * MS);
	CHECK(all[0].fired == 1);
	timer_start(&all[0].timer, now + 6 * MS);
	CHECK(wait_for(&all[0].fired, 2));
}

static struct timer storm;
static volatile unsigned storm_count;

/* Starts itself for a time long past. */
static void go_on(void *arg)
{
	(void)arg;
	if (++storm_count < 1000)
		timer_start(&storm, 1);
}

static void check_storm(void)
{
	uint64_t deadline = clock_now_ns() + 20000 * MS; /* on a busy host each takes milliseconds */

	storm.fire = go_on;
	timer_start(&storm, 0);
	while (storm_count < 1000 && clock_now_ns() < deadline)
		cpu_relax();
	CHECK(storm_count == 1000);
}

static void check_clock(void)
{
	uint64_t last = clock_now_ns(), ticks = clock_ticks(), span;
	unsigned backwards = 0, ppm = clock_error_ppm();

	/* For as long as the first two refinements take: 10 and 100 ms. */
	for (uint64_t end = last + 150 * MS; last < end;) {
		uint64_t now = clock_now_ns();

		backwards += now < last;
		last = now;
	}
	ticks = clock_ticks() - ticks;
	CHECK(backwards == 0);
	printf("clock: %s, %u ppm, then %u ppm; TSC %u MHz, APIC timer %u kHz\n",
	       clock_source_name(), ppm, clock_error_ppm(), (unsigned)(clock_frequency_hz() / 1000000),
	       (unsigned)(apic_timer_frequency() / 1000));
	CHECK(ppm > 0 && ppm < 100000);
	CHECK(clock_error_ppm() <= ppm);
	span = clock_ticks_to_ns(ticks);
	CHECK(span >= 100 * MS && span < 60000 * MS); /* the slope was another for a while */
	CHECK(clock_ticks_to_ns(0) == 0);

	/* Sleeps end late, never early; one that is over needs no interrupt. */
	for (uint64_t ns = 1; ns < 20 * MS; ns = ns * 3 + 1) {
		uint64_t deadline = clock_now_ns() + ns;

		clock_sleep_until(deadline);
		CHECK(clock_now_ns() >= deadline);
	}
	clock_sleep_until(0);
	CHECK(irq_enabled());
}

/* For each byte that comes in, a line with the time; 'q' ends. */
static int answer(void)
{
	int c;

	printf("ready %s\n", clock_source_name());
	fflush(stdout);
	while ((c = console_read_char()) != 'q') {
		if (c < 0) {
			clock_sleep_until(clock_now_ns() + 200000);
			continue;
		}
		printf("%c %llu %u\n", c, (unsigned long long)clock_now_ns(), clock_error_ppm());
		fflush(stdout);
	}
	return 0;
}

#define LINES 400

static struct timer line_timer;
static unsigned handler_lines;

static void log_from_handler(void *arg)
{
	(void)arg;
	log_warn("handler line %u, which must not fall into another one", handler_lines++);
	timer_start(&line_timer, clock_now_ns() + 20000 + handler_lines * 7919 % 90000);
}

/* A handler's lines at all moments of main's. */
static int log_lines(void)
{
	line_timer.fire = log_from_handler;
	timer_start(&line_timer, 0);
	for (unsigned i = 0; i < LINES; i++) {
		log_info("main line %u, which no handler's line may split anywhere", i);
		printf("printed line %u, which no handler's line may split anywhere\n", i);
	}
	wait_for(&handler_lines, LINES / 2);
	timer_stop(&line_timer);
	printf("handler wrote %u\n", handler_lines);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "lines") == 0)
		return log_lines();
	if (argc > 1 && strcmp(argv[1], "clock") == 0)
		return answer();
	printf("local APIC: %s, timer %s\n", apic_is_x2apic() ? "x2APIC" : "xAPIC",
	       apic_has_tsc_deadline() ? "by TSC deadline" : "counting");
	check_vectors();
	check_strays();
	check_fpu();
	check_one_shots();
	check_several();
	check_storm();
	check_clock();
	return check_end();
}

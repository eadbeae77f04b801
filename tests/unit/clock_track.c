// SPDX-License-Identifier: BSD-2-Clause
// cpu/clock_track: whatever the ticks do, time doesn't go backwards and doesn't stop for long.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "cpu/clock_track.h"

#define HZ 2500000000ull
#define MS 1000000ull

static uint64_t now_at(struct clock_track *track, uint64_t ticks)
{
	bool fell_behind;
	uint64_t now = clock_track_now(track, ticks, &fell_behind);

	if (fell_behind)
		clock_track_mend(track, ticks);
	return now;
}

static uint64_t ticks_of_ms(uint64_t ms)
{
	return ms * (HZ / 1000);
}

static void start(struct clock_track *track, uint64_t ticks)
{
	memset(track, 0, sizeof(*track));
	clock_track_set_point(track, ticks, 0);
	clock_track_set_slope(track, ticks, clock_slope_of_frequency(HZ));
}

static void counts_from_its_start(void **state)
{
	struct clock_track track;

	(void)state;
	memset(&track, 0, sizeof(track));
	assert_int_equal(now_at(&track, 123456), 0); /* nobody has set it up */
	start(&track, 1000000);
	assert_int_equal(now_at(&track, 1000000), 0);
	assert_in_range(now_at(&track, 1000000 + HZ), 1000 * MS - 1, 1000 * MS);
}

static void small_steps_back_stand_still(void **state)
{
	struct clock_track track;
	uint64_t ticks = 1ull << 40, at, slope;

	(void)state;
	start(&track, 0);
	at = now_at(&track, ticks);
	slope = clock_track_line(&track).slope;
	/* Another CPU's counter lies 3 ms behind: the value stands until that one has caught up. */
	assert_int_equal(now_at(&track, ticks - ticks_of_ms(3)), at);
	assert_int_equal(now_at(&track, ticks - ticks_of_ms(1)), at);
	assert_in_range(now_at(&track, ticks + ticks_of_ms(1)), at + MS - 1, at + MS + 1);
	assert_int_equal(clock_track_line(&track).slope, slope);
}

static void large_steps_back_go_on(void **state)
{
	static const uint64_t after[] = { 0, 1, 1ull << 20, 1ull << 50, (1ull << 62) - 1 };
	struct clock_track track;

	(void)state;
	for (unsigned i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
		uint64_t at;

		start(&track, 1ull << 61);
		at = now_at(&track, 1ull << 62);
		/* The VM has moved: another counter, far behind. */
		assert_int_equal(now_at(&track, after[i]), at);
		assert_in_range(now_at(&track, after[i] + ticks_of_ms(20)), at + 20 * MS - 1,
				at + 20 * MS + 1);
	}
}

static void never_backwards_whatever_comes(void **state)
{
	struct clock_track track;
	uint64_t ticks = 1ull << 40, last = 0;

	(void)state;
	srand(7);
	start(&track, 0);
	for (unsigned i = 0; i < 200000; i++) {
		uint64_t step = ((uint64_t)rand() << 31 | (uint64_t)rand()) >> (rand() % 40 + 20);
		uint64_t now;

		ticks = rand() % 3 ? ticks + step : ticks - step % ticks;
		if (rand() % 50 == 0)
			clock_track_set_slope(&track, ticks, clock_slope_of_frequency(
				HZ + (uint64_t)(rand() % 5000000)));
		now = now_at(&track, ticks);
		assert_true(now >= last);
		last = now;
	}
}

/*
 * An NMI, played by the debugger's trap after every single instruction of the writer: each must
 * see a whole line, the old or the new one.
 */
static struct clock_track shared;
static volatile sig_atomic_t reads, torn, was_old, was_new;

static void read_in_between(int signal_number)
{
	struct clock_line line = clock_track_line(&shared);

	(void)signal_number;
	reads++;
	was_old += line.ticks == 1 && line.slope == 1;
	was_new += line.ticks == 3 && line.slope == 3;
	torn += line.ticks != line.slope;
}

static void set_trap_flag(bool on)
{
	if (on)
		__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" : : : "memory", "cc");
	else
		__asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" : : : "memory", "cc");
}

static void readable_in_the_midst_of_changes(void **state)
{
	(void)state;
	memset(&shared, 0, sizeof(shared));
	clock_track_set_slope(&shared, 1, 1); /* the first and the last word: two stores */
	signal(SIGTRAP, read_in_between);
	set_trap_flag(true);
	clock_track_set_slope(&shared, 3, 3);
	set_trap_flag(false);
	signal(SIGTRAP, SIG_DFL);
	assert_true(was_old > 0 && was_new > 0);
	assert_int_equal(was_old + was_new, reads);
	assert_int_equal(torn, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_from_its_start),
		cmocka_unit_test(small_steps_back_stand_still),
		cmocka_unit_test(large_steps_back_go_on),
		cmocka_unit_test(never_backwards_whatever_comes),
		cmocka_unit_test(readable_in_the_midst_of_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

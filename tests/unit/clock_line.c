// SPDX-License-Identifier: BSD-2-Clause
// cpu/clock_line: the clock's arithmetic over centuries, wraps and bad measurements.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "cpu/clock_line.h"

#define S 1000000000ull
#define YEAR (31557600ull * S)

static const uint64_t frequencies[] = {
	1000000, 25000000, 999999999, 1000000000, 2100000001, 2999999997, 5000000000, 100000000000,
};

static void scales_for_centuries(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(frequencies) / sizeof(frequencies[0]); i++) {
		uint64_t hz = frequencies[i];
		uint64_t slope = clock_slope_of_frequency(hz);

		/* Every second of some years, and then as far as 64-bit ticks go. */
		for (uint64_t s = 1; s <= 100000000 && s <= UINT64_MAX / hz; s *= 7) {
			uint64_t ns = clock_scale(s * hz, slope);

			assert_true(ns <= s * S); /* rounded down */
			/* 2^-40 of a nanosecond per tick is what the slope may lack. */
			assert_true(s * S - ns <= s * (hz >> 40) + s * hz / (1ull << 40) + 1);
		}
		assert_true(clock_difference_ppb(clock_frequency_of_slope(slope), hz) < 100);
	}
	/* 3 GHz, 190 years. */
	assert_true(clock_scale(190 * 31557600ull * 3000000000ull,
				clock_slope_of_frequency(3000000000ull)) > 189 * YEAR);
	assert_int_equal(clock_scale(UINT64_MAX, UINT64_MAX), UINT64_MAX);
	assert_int_equal(clock_scale(0, UINT64_MAX), 0);
	assert_int_equal(clock_slope(S, 0), 0);
	assert_int_equal(clock_frequency_of_slope(0), 0);
}

static void lines_go_both_ways(void **state)
{
	struct clock_line line = { 1000000, 5000, clock_slope_of_frequency(S) };

	(void)state;
	assert_int_equal(clock_line_at(&line, 1000000), 5000);
	assert_int_equal(clock_line_at(&line, 1000100), 5100);
	assert_int_equal(clock_line_at(&line, 999000), 4000);
	assert_int_equal(clock_line_at(&line, 995000), 0);
	assert_int_equal(clock_line_at(&line, 0), 0);
	/* The counter may wrap between the line's point and now. */
	line.ticks = UINT64_MAX - 9;
	assert_int_equal(clock_line_at(&line, 90), 5100);
}

static void slope_changes_without_a_jump(void **state)
{
	struct clock_line line = { 0, 0, clock_slope_of_frequency(2000000000) };
	uint64_t last = 0;

	(void)state;
	for (uint64_t ticks = 0; ticks < 100000000; ticks += 9973) {
		uint64_t ns = clock_line_at(&line, ticks);

		assert_true(ns >= last);
		assert_true(ns - last < 9973);
		last = ns;
		if (ticks / 9973 % 100 == 0) { /* as clock_set_slope() does */
			line.ns = ns;
			line.ticks = ticks;
			line.slope = clock_slope_of_frequency(1998000000 + ticks % 4000000);
		}
	}
}

static void carries_past_wraps(void **state)
{
	(void)state;
	assert_int_equal(clock_carry(0x1000005, 0x000009, 24), 0x1000009);
	assert_int_equal(clock_carry(0x1000005, 0xfffff9, 24), 0x0fffff9);
	assert_int_equal(clock_carry(0x0fffff0, 0x000009, 24), 0x1000009);
	assert_int_equal(clock_carry(5, 3, 24), 3);
	assert_int_equal(clock_carry(0, 0xffffff, 24), 0xffffff); /* no count below 0 */
	assert_int_equal(clock_carry(0x5fffffffeull, 1, 32), 0x600000001ull);
	/* Whatever passes, an expectation wrong by less than half a wrap finds it. */
	for (uint64_t count = 12345; count < 1ull << 40; count = count * 3 + 7) {
		for (int64_t off = -8000000; off <= 8000000; off += 1000000) {
			uint64_t expected = count + (uint64_t)off;

			if (off >= 0 || count > (uint64_t)-off)
				assert_int_equal(clock_carry(expected, count & 0xffffff, 24),
						 count);
		}
	}
}

static void measures_with_its_bound(void **state)
{
	const struct clock_unit hpet = { 10000000, 1000000, 32 }; /* 10 ns */
	const struct clock_unit pm = { 1000000000, 3579545, 24 };
	struct clock_sample from = { 1000, 500, 100 };
	struct clock_sample to = { 1000 + 2000000, 500, 100 + 100000 }; /* 1 ms at 2 GHz */
	uint32_t error;
	uint64_t slope = clock_measure(&hpet, &from, &to, &error);

	(void)state;
	assert_int_equal(clock_frequency_of_slope(slope), 2000000000);
	assert_int_equal(error, 250000 + 10000); /* 500 of 2,000,000 ticks; one of 100,000 steps */

	/* Any truth that the samples allow lies within the bound. */
	for (unsigned where = 0; where <= 500; where += 100) {
		struct clock_sample early = { from.ticks - where, 500, 100 };
		struct clock_sample late = { to.ticks - (500 - where), 500, to.count };
		uint32_t own;
		uint64_t truth = clock_measure(&hpet, &early, &late, &own);

		assert_true(clock_difference_ppb(truth, slope) <= error);
	}

	/* A second of PM timer across a wrap of its 24 bits, carried by the caller. */
	from = (struct clock_sample){ 0, 0, 0xf00000 };
	to = (struct clock_sample){ 3000000000ull, 0, 0xf00000 + 3579545 };
	slope = clock_measure(&pm, &from, &to, &error);
	assert_true(clock_difference_ppb(clock_frequency_of_slope(slope), 3000000000ull) < 2);
	assert_in_range(error, 1, 300);

	/* Ten hours. */
	to = (struct clock_sample){ 36000 * 3000000000ull, 0, 0xf00000 + 36000 * 3579545ull };
	slope = clock_measure(&pm, &from, &to, &error);
	assert_true(clock_difference_ppb(clock_frequency_of_slope(slope), 3000000000ull) < 2);
}

static void refuses_senseless_measurements(void **state)
{
	const struct clock_unit unit = { 1, 1, 32 };
	struct clock_sample a = { 1000, 10, 50 }, b = { 2000, 10, 50 }, c = { 900, 10, 60 };
	uint32_t error;

	(void)state;
	assert_int_equal(clock_measure(&unit, &a, &b, &error), 0); /* the source stands still */
	assert_int_equal(error, UINT32_MAX);
	assert_int_equal(clock_measure(&unit, &a, &c, &error), 0); /* the TSC went back */
	assert_int_equal(clock_measure(&unit, &a, &a, &error), 0);
	assert_int_equal(clock_difference_ppb(5, 0), UINT32_MAX);
	assert_int_equal(clock_difference_ppb(101, 100), 10000000);
	assert_int_equal(clock_difference_ppb(99, 100), 10000000);
	assert_int_equal(clock_difference_ppb(UINT64_MAX, 1), UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scales_for_centuries),
		cmocka_unit_test(lines_go_both_ways),
		cmocka_unit_test(slope_changes_without_a_jump),
		cmocka_unit_test(carries_past_wraps),
		cmocka_unit_test(measures_with_its_bound),
		cmocka_unit_test(refuses_senseless_measurements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
#include "cpu/clock_line.h"

__extension__ typedef unsigned __int128 wide;

#define NS_PER_S 1000000000ull

static uint64_t clamp(wide value)
{
	return value > UINT64_MAX ? UINT64_MAX : (uint64_t)value;
}

uint64_t clock_scale(uint64_t ticks, uint64_t slope)
{
	return clamp((wide)ticks * slope >> CLOCK_SHIFT);
}

uint64_t clock_line_at(const struct clock_line *line, uint64_t ticks)
{
	uint64_t span;

	if ((int64_t)(ticks - line->ticks) >= 0)
		return line->ns + clock_scale(ticks - line->ticks, line->slope);
	span = clock_scale(line->ticks - ticks, line->slope);
	return span < line->ns ? line->ns - span : 0;
}

uint64_t clock_slope(uint64_t ns, uint64_t ticks)
{
	return ticks ? clamp(((wide)ns << CLOCK_SHIFT) / ticks) : 0;
}

uint64_t clock_slope_of_frequency(uint64_t hz)
{
	return clock_slope(NS_PER_S, hz);
}

uint64_t clock_frequency_of_slope(uint64_t slope)
{
	/* Its own inverse: both say what of one makes 10^9 of the other. Rounded to the nearest. */
	return slope ? clamp((((wide)NS_PER_S << CLOCK_SHIFT) + slope / 2) / slope) : 0;
}

uint32_t clock_difference_ppb(uint64_t a, uint64_t b)
{
	uint64_t difference = a > b ? a - b : b - a;
	wide ppb;

	if (b == 0)
		return UINT32_MAX;
	ppb = ((wide)difference * 1000000000 + b - 1) / b;
	return ppb > UINT32_MAX ? UINT32_MAX : (uint32_t)ppb;
}

uint64_t clock_carry(uint64_t expected, uint64_t shown, unsigned bits)
{
	uint64_t mask = (1ull << bits) - 1; /* bits < 64 */
	uint64_t ahead = (shown - expected) & mask;

	if (ahead <= mask / 2)
		return expected + ahead;
	/* Nearer from below, unless there is no below. */
	return expected >= mask + 1 - ahead ? expected - (mask + 1 - ahead) : expected + ahead;
}

uint64_t clock_ns_to_count(const struct clock_unit *unit, uint64_t ns)
{
	return clamp((wide)ns * unit->ns_denominator / unit->ns_numerator);
}

uint64_t clock_measure(const struct clock_unit *unit, const struct clock_sample *from,
		       const struct clock_sample *to, uint32_t *error_ppb)
{
	/* From the middle of one bracket to that of the other, in half ticks. */
	uint64_t halves = 2 * (to->ticks - from->ticks) + to->width - from->width;
	uint64_t steps = to->count - from->count;
	wide error;

	*error_ppb = UINT32_MAX;
	if (to->ticks <= from->ticks || to->count <= from->count || halves == 0)
		return 0;
	error = ((wide)(from->width + to->width) * 1000000000 + halves - 1) / halves +
		((wide)1000000000 + steps - 1) / steps;
	*error_ppb = error > UINT32_MAX ? UINT32_MAX : (uint32_t)error;
	return clamp((((wide)steps * unit->ns_numerator << (CLOCK_SHIFT + 1)) +
		      (wide)unit->ns_denominator * halves / 2) /
		     ((wide)unit->ns_denominator * halves));
}

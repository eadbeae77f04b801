// SPDX-License-Identifier: BSD-2-Clause
#include "cpu/clock_track.h"

struct clock_line clock_track_line(const struct clock_track *track)
{
	struct clock_line line;
	unsigned before;

	do {
		/* Acquire: pairs with the release in write_line(). */
		before = __atomic_load_n(&track->sequence, __ATOMIC_ACQUIRE);
		line = *(const volatile struct clock_line *)&track->lines[before & 1];
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (__atomic_load_n(&track->sequence, __ATOMIC_RELAXED) != before);
	return line;
}

/* Twice: each time into the copy that nobody reads, which then becomes the one that all read. */
static void write_line(struct clock_track *track, const struct clock_line *line)
{
	for (int i = 0; i < 2; i++) {
		unsigned hidden = (track->sequence & 1) ^ 1;

		*(volatile struct clock_line *)&track->lines[hidden] = *line;
		__atomic_store_n(&track->sequence, track->sequence + 1, __ATOMIC_RELEASE);
		/* The next copy must not change before all can see that it is hidden now. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	}
}

uint64_t clock_track_now(struct clock_track *track, uint64_t ticks, bool *fell_behind)
{
	struct clock_line line = clock_track_line(track);
	uint64_t now = clock_line_at(&line, ticks);
	uint64_t latest = __atomic_load_n(&track->latest_ns, __ATOMIC_RELAXED);

	*fell_behind = false;
	do {
		if (now <= latest) {
			*fell_behind = latest - now > CLOCK_STANDSTILL_MAX_NS;
			return latest;
		}
	} while (!__atomic_compare_exchange_n(&track->latest_ns, &latest, now, false,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return now;
}

void clock_track_set_slope(struct clock_track *track, uint64_t ticks, uint64_t slope)
{
	struct clock_line line = clock_track_line(track);

	line = (struct clock_line){ ticks, clock_line_at(&line, ticks), slope };
	write_line(track, &line);
}

void clock_track_set_point(struct clock_track *track, uint64_t ticks, uint64_t ns)
{
	struct clock_line line = clock_track_line(track);

	line.ticks = ticks;
	line.ns = ns;
	write_line(track, &line);
}

void clock_track_mend(struct clock_track *track, uint64_t ticks)
{
	struct clock_line line = clock_track_line(track);
	uint64_t latest = __atomic_load_n(&track->latest_ns, __ATOMIC_RELAXED);

	if (clock_line_at(&line, ticks) + CLOCK_STANDSTILL_MAX_NS < latest)
		clock_track_set_point(track, ticks, latest);
}

// SPDX-License-Identifier: BSD-2-Clause
// Quantiles of the samples, as a line for people and a JSON line for bench/run.py.

#include "bench/floor/floor.h"

static void sift(uint64_t *a, size_t root, size_t count)
{
	for (;;) {
		size_t child = 2 * root + 1;
		uint64_t swap;

		if (child >= count)
			return;
		if (child + 1 < count && a[child + 1] > a[child])
			child++;
		if (a[root] >= a[child])
			return;
		swap = a[root];
		a[root] = a[child];
		a[child] = swap;
		root = child;
	}
}

static void sort(uint64_t *a, size_t count)
{
	size_t i;
	uint64_t swap;

	for (i = count / 2; i--;)
		sift(a, i, count);
	for (i = count; i-- > 1;) {
		swap = a[0];
		a[0] = a[i];
		a[i] = swap;
		sift(a, 0, i);
	}
}

/*
 * The least of the first count of floor_samples but for the lowest tenth; sorts them. A neighbour on
 * either processor stops both guests, so the middle says more of the neighbour than of the ring.
 */
uint64_t floor_undisturbed(size_t count)
{
	sort(floor_samples, count);
	return floor_samples[count / 10];
}

/*
 * samples: TSC ticks, each for round_trips round trips; sorted in place. unit is "us" or "ns",
 * printed with three decimals.
 */
void floor_report(const char *name, const char *unit, uint64_t *samples, size_t count,
		  uint64_t round_trips)
{
	uint64_t divisor = round_trips * (unit[0] == 'u' ? 1000 : 1);
	uint64_t q[5];
	size_t i;

	sort(samples, count);
	q[0] = samples[0];
	q[1] = samples[count / 2];
	q[2] = samples[count * 99 / 100];
	q[3] = samples[count * 999 / 1000];
	q[4] = samples[count - 1];
	for (i = 0; i < 5; i++)
		q[i] = floor_ticks_to_ps(q[i], divisor);
	floor_print("floor: %s count=%lu min=%m p50=%m p99=%m p99.9=%m max=%m %s\n", name,
		    (uint64_t)count * round_trips, q[0], q[1], q[2], q[3], q[4], unit);
	floor_print("{\"bench\":\"guest\",\"side\":\"floor\",\"case\":\"%s\",\"metric\":\"p50\","
		    "\"unit\":\"%s\",\"value\":%m,\"count\":%lu,\"min\":%m,\"p99\":%m,"
		    "\"p99.9\":%m,\"max\":%m}\n",
		    name, unit, q[1], (uint64_t)count * round_trips, q[0], q[2], q[3], q[4]);
}

/* One figure of its own, in thousandths of the unit; bytes is the message or block size. */
void floor_report_value(const char *name, const char *metric, const char *unit, uint64_t bytes,
			uint64_t thousandths)
{
	floor_print("floor: %s %s %lu B: %m %s\n", name, metric, bytes, thousandths, unit);
	floor_print("{\"bench\":\"guest\",\"side\":\"floor\",\"case\":\"%s\",\"metric\":\"%s\","
		    "\"unit\":\"%s\",\"value\":%m,\"bytes\":%lu}\n",
		    name, metric, unit, thousandths, bytes);
}

// SPDX-License-Identifier: BSD-2-Clause
#include "bench/native/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAW_ROUND_TRIPS 2000
#define ROUNDS_LEAST 3
#define TRIES 8 /* of a sample during which the machine changed */
#define RAW_CHANGE_MAX 1.25 /* more than this between before and after: another machine */

const char *const sample_class_name[SAMPLE_CLASSES] = { "80", "125", "480", "any" };
static const double class_limit[SAMPLE_ANY - 1] = { 100, 245 };

static int class_of(double raw)
{
	int c = 0;

	while (c < SAMPLE_ANY - 1 && raw >= class_limit[c])
		c++;
	return c;
}

static double raw_now(bool *disturbed)
{
	const struct bench_load load = { .count = RAW_ROUND_TRIPS };
	unsigned int i;
	double raw;

	for (i = 0, *disturbed = true; *disturbed && i < TRIES; i++)
		raw = pair_run(BENCH_WORK_RAW, NULL, &load, disturbed) / RAW_ROUND_TRIPS;
	return raw;
}

/* How many messages make a sample of the wanted length. */
static uint64_t count_for(struct sample_series *s, const struct sample_plan *plan)
{
	uint64_t count = 16;

	for (;;) {
		double took;

		s->load.count = count;
		took = pair_run(s->work, s->ops, &s->load, NULL);
		if (took > plan->target_ns / 8 || count >= plan->count_max) {
			double n = (double)count * plan->target_ns / took;

			if (n > (double)plan->count_max)
				n = (double)plan->count_max;
			return n < 16 ? 16 : (uint64_t)n;
		}
		count *= 4;
	}
}

static void sample_keep(struct sample_series *s, int c, double took, double raw)
{
	s->value[c][s->count[c]] = took;
	s->ratio[c][s->count[c]] = took / raw;
	s->count[c]++;
}

/* How the machine was just now. */
struct look {
	double raw;
	bool disturbed;
};

/* One sample; begins with a look at the machine that was taken already and leaves the next one. */
static void sample_take(struct sample_series *s, const struct sample_plan *plan, struct look *before)
{
	unsigned int i;

	for (i = 0; i < TRIES; i++) {
		struct look after;
		bool disturbed, changed;
		double raw, took;

		took = pair_run(s->work, s->ops, &s->load, &disturbed) / (double)s->load.count;
		after.raw = raw_now(&after.disturbed);
		raw = (before->raw + after.raw) / 2;
		changed = before->disturbed || disturbed || after.disturbed ||
			  class_of(before->raw) != class_of(after.raw) ||
			  after.raw > before->raw * RAW_CHANGE_MAX ||
			  before->raw > after.raw * RAW_CHANGE_MAX;
		*before = after;
		if (plan->any_class || !changed) {
			sample_keep(s, plan->any_class ? SAMPLE_ANY : class_of(after.raw), took, raw);
			return;
		}
		s->dropped++;
	}
}

void sample_run(struct sample_series *series, size_t n, const struct sample_plan *plan)
{
	double end = pair_now_ns() + plan->budget_ns;
	unsigned int round;
	size_t i;

	for (i = 0; i < n; i++) {
		memset(series[i].count, 0, sizeof(series[i].count));
		series[i].dropped = 0;
		series[i].load.count = count_for(&series[i], plan);
	}
	for (round = 0; round < plan->rounds && round < SAMPLE_MAX; round++) {
		if (round >= ROUNDS_LEAST && pair_now_ns() > end)
			break;
		struct look before;

		before.raw = raw_now(&before.disturbed);
		for (i = 0; i < n; i++)
			/* Each round begins with another side, so that none always follows one. */
			sample_take(&series[(i + round) % n], plan, &before);
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double sample_median(const double *values, unsigned int count)
{
	double sorted[SAMPLE_MAX];

	if (!count)
		return 0;
	memcpy(sorted, values, count * sizeof(*values));
	qsort(sorted, count, sizeof(*sorted), by_value);
	return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

void sample_print(const char *test_case, const struct sample_series *series, bool rate)
{
	int c;

	for (c = 0; c < SAMPLE_CLASSES; c++) {
		double ns = sample_median(series->value[c], series->count[c]);

		if (!series->count[c])
			continue;
		printf("{\"bench\":\"native\",\"side\":\"%s\",\"case\":\"%s\",\"bytes\":%u,"
		       "\"batch\":%u,\"ring\":%zu,\"metric\":\"%s\",\"unit\":\"%s\",\"value\":%.3f,"
		       "\"x_raw\":%.3f,\"class\":\"%s\",\"samples\":%u,\"dropped\":%u}\n",
		       series->side, test_case, series->load.size, series->load.batch,
		       series->load.ring, rate ? "rate" : "p50", rate ? "M/s" : "ns",
		       rate ? 1e3 / ns : ns, sample_median(series->ratio[c], series->count[c]),
		       sample_class_name[c], series->count[c], series->dropped);
	}
	fflush(stdout);
}

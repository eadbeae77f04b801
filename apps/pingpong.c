// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two peers throw a ball to and fro, asleep in between (by doorbell) and by polling, check each throw,
 * and show how long the round trips took. Each mode prints one line:
 *
 *	pingpong: doorbell count=10000 min=30.1 p50=38.2 p99=70.0 p99.9=133.7 max=902.4 us
 */
#include "apps/pingpong.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <isthmus/clock.h>

#define DEFAULT_DOORBELL 10000
#define DEFAULT_POLLED 100000
#define DEFAULT_TIMEOUT_S 60
#define MAX_TIMEOUT_S 86400
#define MAX_DEVICE 255

static const char usage[] =
	"usage: pingpong [--doorbell N] [--polled N] [--timeout SECONDS] [--device N]\n"
	"  --doorbell N       round trips asleep in between (default 10000; 0: none)\n"
	"  --polled N         round trips by polling the region (default 100000; 0: none)\n"
	"  --timeout SECONDS  gives up when the partner is silent that long (default 60)\n"
	"  --device N         plays on the N-th ivshmem device (default 0)\n";

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static double microseconds(uint64_t ticks)
{
	return (double)clock_ticks_to_ns(ticks) / 1000;
}

void pingpong_report(const char *name, uint64_t *samples, size_t count)
{
	qsort(samples, count, sizeof(*samples), compare);
	printf("pingpong: %s count=%zu min=%.3f p50=%.3f p99=%.3f p99.9=%.3f max=%.3f us\n", name, count,
	       microseconds(samples[0]), microseconds(samples[count / 2]),
	       microseconds(samples[count * 99 / 100]), microseconds(samples[count * 999 / 1000]),
	       microseconds(samples[count - 1]));
}

/* A whole number in 0..max; false after one line that says what is wrong. */
static bool number_read(const char *option, const char *text, unsigned long max, unsigned long *value)
{
	char *end;

	errno = 0;
	if (text && *text >= '0' && *text <= '9') {
		*value = strtoul(text, &end, 10);
		if (!*end && !errno && *value <= max)
			return true;
	}
	fprintf(stderr, "pingpong: %s %s: a number from 0 to %lu is needed\n", option,
		text ? text : "(nothing)", max);
	return false;
}

/* 0: play; 1: help was shown; -1 after one line that says what is wrong. */
static int options_read(int argc, char **argv, struct pingpong_options *options)
{
	unsigned long value;

	for (int i = 1; i < argc; i += 2) {
		const char *option = argv[i], *text = i + 1 < argc ? argv[i + 1] : NULL;

		if (!strcmp(option, "--help")) {
			fputs(usage, stdout);
			return 1;
		} else if (!strcmp(option, "--doorbell")) {
			if (!number_read(option, text, PINGPONG_MAX_ROUNDS, &value))
				return -1;
			options->doorbell = (uint32_t)value;
			options->doorbell_forced = value > 0;
		} else if (!strcmp(option, "--polled")) {
			if (!number_read(option, text, PINGPONG_MAX_ROUNDS, &value))
				return -1;
			options->polled = (uint32_t)value;
		} else if (!strcmp(option, "--timeout")) {
			if (!number_read(option, text, MAX_TIMEOUT_S, &value))
				return -1;
			options->timeout_ns = value * 1000000000ull;
		} else if (!strcmp(option, "--device")) {
			if (!number_read(option, text, MAX_DEVICE, &value))
				return -1;
			options->device = (unsigned int)value;
		} else {
			fprintf(stderr, "pingpong: %s: no such option; --help lists them\n", option);
			return -1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct pingpong_options options = {
		.doorbell = DEFAULT_DOORBELL,
		.polled = DEFAULT_POLLED,
		.timeout_ns = DEFAULT_TIMEOUT_S * 1000000000ull,
	};
	int go = options_read(argc, argv, &options);

	if (go)
		return go < 0 ? 2 : 0;
	return pingpong_bare(&options);
}

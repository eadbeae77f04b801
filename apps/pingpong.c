// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two peers throw a ball to and fro, check each throw, and show how long the round trips took:
 * in guests first on the bare device, which is the floor, then over a channel of the message
 * layer. Each mode prints one line:
 *
 *	pingpong: doorbell count=10000 min=30.1 p50=38.2 p99=70.0 p99.9=133.7 max=902.4 us
 *	pingpong: channel-asleep count=10000 min=31.5 ...
 */
#include "apps/pingpong.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_ASLEEP 10000
#define DEFAULT_POLLED 100000
#define DEFAULT_TIMEOUT_S 60
#define MAX_TIMEOUT_S 86400
#define MAX_DEVICE 255

static const char usage[] =
	"usage: pingpong [--asleep N] [--awake N] [--doorbell N] [--polled N] [--bare]\n"
	"                [--timeout SECONDS] [--device N]\n"
	"over a channel:\n"
	"  --asleep N         round trips asleep in between (default 10000; 0: none)\n"
	"  --awake N          round trips without sleep (default 100000; 0: none)\n"
	"on the bare device, in guests only:\n"
	"  --doorbell N       round trips asleep in between (default 10000; 0: none)\n"
	"  --polled N         round trips by polling the region (default 100000; 0: none)\n"
	"  --bare             these only; so do --doorbell and --polled by themselves,\n"
	"                     as --asleep and --awake by themselves mean the channel only\n"
	"  --timeout SECONDS  gives up when the partner is silent that long (default 60)\n"
	"  --device N         plays on the N-th ivshmem device (default 0)\n";

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void pingpong_report(const char *name, uint64_t *samples, size_t count)
{
	qsort(samples, count, sizeof(*samples), compare);
	printf("pingpong: %s count=%zu min=%.3f p50=%.3f p99=%.3f p99.9=%.3f max=%.3f us\n", name,
		count, (double)samples[0] / 1000, (double)samples[count / 2] / 1000,
		(double)samples[count * 99 / 100] / 1000,
		(double)samples[count * 999 / 1000] / 1000, (double)samples[count - 1] / 1000);
}

/* A whole number in 0..max; false after one line that says what is wrong. */
static bool number_read(
	const char *option, const char *text, unsigned long max, unsigned long *value)
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

/* What was not asked for while something else was is left out. */
static void choose(struct pingpong_options *options, bool bare, bool channel)
{
	if (bare && !channel)
		options->asleep = options->awake = 0;
	if (channel && !bare)
		options->doorbell = options->polled = 0;
	options->channel_forced = channel;
}

/* 0: play; 1: help was shown; -1 after one line that says what is wrong. */
static int options_read(int argc, char **argv, struct pingpong_options *options)
{
	bool bare = false, channel = false;

	for (int i = 1; i < argc; i++) {
		const char *option = argv[i], *text = i + 1 < argc ? argv[i + 1] : NULL;
		uint32_t *rounds = !strcmp(option, "--doorbell") ? &options->doorbell :
				   !strcmp(option, "--polled")	 ? &options->polled :
				   !strcmp(option, "--asleep")	 ? &options->asleep :
				   !strcmp(option, "--awake")	 ? &options->awake :
								   NULL;
		unsigned long value;

		if (!strcmp(option, "--help")) {
			fputs(usage, stdout);
			return 1;
		} else if (!strcmp(option, "--bare")) {
			bare = true;
			continue;
		} else if (rounds) {
			if (!number_read(option, text, PINGPONG_MAX_ROUNDS, &value))
				return -1;
			*rounds = (uint32_t)value;
			if (rounds == &options->doorbell)
				options->doorbell_forced = value > 0;
			if (rounds == &options->doorbell || rounds == &options->polled)
				bare = true;
			else
				channel = true;
		} else if (!strcmp(option, "--timeout")) {
			if (!number_read(option, text, MAX_TIMEOUT_S, &value))
				return -1;
			options->timeout_ns = value * 1000000000ull;
		} else if (!strcmp(option, "--device")) {
			if (!number_read(option, text, MAX_DEVICE, &value))
				return -1;
			options->device = (unsigned int)value;
		} else {
			fprintf(stderr, "pingpong: %s: no such option; --help lists them\n",
				option);
			return -1;
		}
		i++;
	}
	choose(options, bare, channel);
	return 0;
}

int main(int argc, char **argv)
{
	struct pingpong_options options = {
		.doorbell = DEFAULT_ASLEEP,
		.polled = DEFAULT_POLLED,
		.asleep = DEFAULT_ASLEEP,
		.awake = DEFAULT_POLLED,
		.timeout_ns = DEFAULT_TIMEOUT_S * 1000000000ull,
	};
	int go = options_read(argc, argv, &options), status;

	if (go)
		return go < 0 ? 2 : 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	status = pingpong_bare(&options);
	return status ? status : pingpong_channel(&options);
}

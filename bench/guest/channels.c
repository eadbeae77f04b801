// SPDX-License-Identifier: BSD-2-Clause
// bench-channels listen|connect [spin=forever|never|adapt] [ring=BYTES] [count=N] CASE:BYTES...
// The figures of channels between two guests, as JSON lines. Both sides are given the same cases.

#include "bench/guest/bench_app.h"

#include <isthmus/clock.h>
#include <isthmus/ivshmem.h>
#include <isthmus/scratch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAW_ROUND_TRIPS 50
#define DEATH_NS 20000000000ULL /* polling guests on a busy host may stand still for long */
#define MEET_TIMEOUT_NS 60000000000ULL

uint8_t app_buffer[APP_MESSAGE_MAX] __attribute__((aligned(4096)));

void app_die(const char *what, int64_t result)
{
	printf("bench-channels: error: %s: %s\n", what, msg_strerror(result));
	exit(1);
}

void app_meet(struct app *app)
{
	uint8_t byte = 0;
	int64_t result = msg_send(app->channel, &byte, 1, msg_now_ns() + MEET_TIMEOUT_NS);

	if (!result)
		result = msg_recv(app->channel, &byte, 1, msg_now_ns() + MEET_TIMEOUT_NS);
	if (result != 1)
		app_die("the other side did not come", result);
}

double app_raw(struct app *app)
{
	volatile uint64_t *flag = app->flag;
	uint64_t start = clock_ticks(), n = app->turn;
	int i;

	if (!flag)
		return 0;
	for (i = 0; i < RAW_ROUND_TRIPS; i++, n += 2) {
		if (app->leads) {
			*flag = n + 1;
			while (*flag != n + 2)
				;
		} else {
			while (*flag != n + 1)
				;
			*flag = n + 2;
		}
	}
	app->turn = n;
	return (double)clock_ticks_to_ns(clock_ticks() - start) / RAW_ROUND_TRIPS;
}

void app_mismatch(uint64_t number, uint64_t first, uint64_t last)
{
	printf("bench-channels: error: message %llu came as %llu/%llu\n",
	       (unsigned long long)number, (unsigned long long)first, (unsigned long long)last);
	exit(1);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double app_median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), by_value);
	return values[count / 2];
}

void app_print(const char *test_case, size_t bytes, const char *metric, const char *unit,
	       double value, double x_raw, double raw, size_t samples)
{
	const char *name = raw <= 0 ? "any" : raw < 100 ? "80" : raw < 245 ? "125" : "480";

	printf("{\"bench\":\"guest\",\"side\":\"isthmus\",\"case\":\"%s\",\"bytes\":%zu,"
	       "\"metric\":\"%s\",\"unit\":\"%s\",\"value\":%.6g,\"x_raw\":%.4g,\"raw\":%.4g,"
	       "\"class\":\"%s\",\"samples\":%zu}\n",
	       test_case, bytes, metric, unit, value, x_raw, raw, name, samples);
	fflush(stdout);
}

/* The raw flag lies in the area that no message ever touches. */
static volatile uint64_t *flag_find(void)
{
	struct ivshmem *device;
	uint64_t size;

	if (ivshmem_open(0, &device))
		return NULL;
	size = ivshmem_size(device);
	return (volatile uint64_t *)((uint8_t *)ivshmem_region(device) + scratch_cell(size, 0, 1));
}

static void open_channel(struct app *app, uint64_t spin_ns, uint32_t ring)
{
	const struct msg_options options = {
		.name = app->leads ? "leader" : "follower",
		.spin_ns = spin_ns,
		.death_ns = DEATH_NS,
	};
	const struct msg_channel_options channel = { .ring = ring };
	uint64_t deadline = msg_now_ns() + MEET_TIMEOUT_NS;
	struct msg_listener *listener;
	int result = msg_attach(NULL, &options, &app->region);

	if (result)
		app_die("attach", result);
	if (app->leads) {
		result = msg_connect(app->region, "bench", &channel, &app->channel, deadline);
	} else {
		result = msg_listen(app->region, "bench", &channel, &listener);
		if (!result)
			result = msg_accept(listener, &app->channel, deadline);
	}
	if (result)
		app_die("open a channel", result);
}

static void case_run(struct app *app, const char *word)
{
	const char *colon = strchr(word, ':');
	size_t length = colon ? (size_t)(colon - word) : strlen(word);
	size_t bytes = colon ? strtoul(colon + 1, NULL, 10) : 64;
	const struct app_case *c;

	for (c = app_cases; c->name; c++) {
		if (strlen(c->name) == length && !strncmp(c->name, word, length)) {
			c->run(app, bytes);
			return;
		}
	}
	printf("bench-channels: error: no case '%s'\n", word);
	exit(1);
}

int main(int argc, char **argv)
{
	struct app app = { 0 };
	uint64_t spin_ns = MSG_FOREVER;
	uint32_t ring = 512 << 10;
	int i;

	if (argc < 3 || (strcmp(argv[1], "listen") && strcmp(argv[1], "connect"))) {
		printf("usage: bench-channels listen|connect [spin=forever|never|adapt] "
		       "[ring=BYTES] [count=N] CASE:BYTES...\n");
		return 2;
	}
	app.leads = !strcmp(argv[1], "connect");
	for (i = 2; i < argc && strchr(argv[i], '='); i++) {
		const char *value = strchr(argv[i], '=') + 1;

		if (!strncmp(argv[i], "spin=", 5))
			spin_ns = !strcmp(value, "never") ? MSG_SPIN_NEVER :
				  !strcmp(value, "adapt") ? 0 :
							    MSG_FOREVER;
		else if (!strncmp(argv[i], "ring=", 5))
			ring = (uint32_t)strtoul(value, NULL, 10);
		else if (!strncmp(argv[i], "count=", 6))
			app.count = strtoul(value, NULL, 10);
	}
	app.flag = flag_find();
	open_channel(&app, spin_ns, ring);
	for (; i < argc; i++)
		case_run(&app, argv[i]);
	app_meet(&app);
	msg_leave(app.region);
	return 0;
}

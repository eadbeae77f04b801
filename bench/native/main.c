// SPDX-License-Identifier: BSD-2-Clause
// native: what carries messages between two processes, and how fast. JSON lines on stdout, one per
// figure; bench/run.py makes tables of them.

#include "bench/native/region.h"
#include "bench/native/sample.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SERIES_MAX 256
#define THINK_NS 30000 /* after which the other side sleeps */

struct options {
	bool quick;
	unsigned int rounds;
	const char *suite;
	const char *sides;
	const char *region;
	int cpu[2];
	uint32_t size;
	size_t ring; /* of round trips */
	unsigned int idle_peers;
};

static const uint32_t round_trip_sizes[] = { 8, 48, 64, 256, 1024, 4096, 65536 };
static const uint32_t one_way_sizes[] = { 8, 64, 256, 1024, 4096, 65536 };
static const uint32_t batches[] = { 1, 16, 64 };
static const size_t rings[] = { 512 << 10, 2 << 20 };

static struct sample_series series[SERIES_MAX];

/* Whether the comma-separated list names it; no list names everything. */
static bool named(const char *list, const char *name)
{
	size_t length = strlen(name);

	if (!list)
		return true;
	while (list) {
		if (!strncmp(list, name, length) && (list[length] == ',' || !list[length]))
			return true;
		list = strchr(list, ',');
		if (list)
			list++;
	}
	return false;
}

static void add(size_t *n, const char *side, const struct bench_ring_ops *ops, enum bench_work work,
		uint32_t size, uint32_t batch, size_t ring)
{
	if (*n == SERIES_MAX)
		bench_fail("more than %d series at once", SERIES_MAX);
	series[(*n)++] = (struct sample_series){
		.side = side,
		.ops = ops,
		.work = work,
		.load = { .size = size, .batch = batch, .ring = ring },
	};
}

static void print_all(const char *test_case, size_t n, bool rate)
{
	size_t i;

	for (i = 0; i < n; i++)
		sample_print(test_case, &series[i], rate);
}

static struct sample_plan plan_for(const struct options *o, double target_ns)
{
	return (struct sample_plan){
		.rounds = o->rounds ? o->rounds : o->quick ? 5 : 21,
		.target_ns = o->quick ? target_ns / 2 : target_ns,
		.count_max = 4000000,
		.budget_ns = o->quick ? 1e9 : 6e9,
	};
}

static void suite_round_trip(const struct options *o)
{
	struct sample_plan plan = plan_for(o, 1e6);
	size_t i, k;

	for (i = 0; i < sizeof(round_trip_sizes) / sizeof(*round_trip_sizes); i++) {
		uint32_t size = round_trip_sizes[i];
		size_t n = 0;

		if (o->size && o->size != size)
			continue;
		add(&n, "raw", NULL, BENCH_WORK_RAW, 8, 1, 0);
		add(&n, "raw-line", NULL, BENCH_WORK_RAW_LINE, 56, 1, 0);
		for (k = 0; bench_rings[k]; k++) {
			if (named(o->sides, bench_rings[k]->name))
				add(&n, bench_rings[k]->name, bench_rings[k], BENCH_WORK_PING, size,
				    1, o->ring ? o->ring : rings[0]);
		}
		sample_run(series, n, &plan);
		print_all("round-trip", n, false);
	}
}

/* Several messages at once only as far as they leave room for the next batch in the ring. */
static bool batch_fits(uint32_t size, uint32_t batch, size_t ring)
{
	return batch == 1 || (size_t)size * batch <= ring / 4;
}

static void suite_one_way(const struct options *o)
{
	struct sample_plan plan = plan_for(o, 2e6);
	size_t i, r, b, k;

	for (i = 0; i < sizeof(one_way_sizes) / sizeof(*one_way_sizes); i++) {
		uint32_t size = one_way_sizes[i];

		if (o->size && o->size != size)
			continue;
		for (r = 0; r < 2; r++) {
			size_t n = 0;

			for (k = 0; bench_rings[k]; k++) {
				if (!named(o->sides, bench_rings[k]->name))
					continue;
				for (b = 0; b < sizeof(batches) / sizeof(*batches); b++) {
					if (batches[b] > 1 && !bench_rings[k]->batches)
						continue;
					if (batch_fits(size, batches[b], rings[r]))
						add(&n, bench_rings[k]->name, bench_rings[k],
						    BENCH_WORK_ONE_WAY, size, batches[b], rings[r]);
				}
			}
			sample_run(series, n, &plan);
			print_all("one-way", n, true);
		}
	}
}

/* Both sides asleep in between: the time is the kernel's, so it is held against a bare eventfd. */
static void suite_asleep(const struct options *o)
{
	struct sample_plan plan = plan_for(o, 1e6);
	size_t n = 0, k;

	/* Many short ones: who is woken late once should spoil one sample only. */
	plan.rounds = o->rounds ? o->rounds : o->quick ? 15 : 63;
	plan.any_class = true;
	add(&n, "eventfd", NULL, BENCH_WORK_EVENTFD, 8, 1, 0);
	for (k = 0; bench_sleepers[k]; k++) {
		if (named(o->sides, bench_sleepers[k]->name))
			add(&n, bench_sleepers[k]->name, bench_sleepers[k], BENCH_WORK_PING, 64, 1,
			    rings[0]);
	}
	for (k = 0; k < n; k++)
		series[k].load.think_ns = THINK_NS;
	sample_run(series, n, &plan);
	print_all("asleep", n, false);
}

static const struct {
	const char *name;
	void (*run)(const struct options *o);
} suites[] = {
	{ "round-trip", suite_round_trip },
	{ "one-way", suite_one_way },
	{ "asleep", suite_asleep },
};

static _Noreturn void usage(int status)
{
	fputs("usage: native [--quick] [--suite round-trip|one-way|asleep|idle] [--sides NAME,...]\n"
	      "              [--size BYTES] [--rounds N] [--cpus A,B]\n"
	      "              [--ring BYTES] [--region WHERE] [--idle-peers N]\n"
	      "Prints JSON lines. --cpus names the processors of the two processes (0,1), --region\n"
	      "the region of the channels (a memory file), as in msg_attach; --idle-peers lets\n"
	      "others join and sleep there, in the suite idle until this is killed.\n",
	      status ? stderr : stdout);
	exit(status);
}

static void options_parse(struct options *o, int argc, char **argv)
{
	static const struct option names[] = {
		{ "quick", no_argument, NULL, 'q' },	 { "suite", required_argument, NULL, 's' },
		{ "sides", required_argument, NULL, 'c' }, { "size", required_argument, NULL, 'b' },
		{ "rounds", required_argument, NULL, 'r' }, { "cpus", required_argument, NULL, 'p' },
		{ "region", required_argument, NULL, 'g' },
		{ "ring", required_argument, NULL, 'n' },
		{ "idle-peers", required_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' },	 { NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", names, NULL)) != -1) {
		switch (c) {
		case 'q':
			o->quick = true;
			break;
		case 's':
			o->suite = optarg;
			break;
		case 'c':
			o->sides = optarg;
			break;
		case 'b':
			o->size = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'r':
			o->rounds = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'p':
			if (sscanf(optarg, "%d,%d", &o->cpu[0], &o->cpu[1]) != 2)
				usage(2);
			break;
		case 'i':
			o->idle_peers = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'n':
			o->ring = strtoul(optarg, NULL, 10);
			break;
		case 'g':
			o->region = optarg;
			break;
		case 'h':
			usage(0);
		default:
			usage(2);
		}
	}
	if (optind != argc)
		usage(2);
}

/* The idle peers are one more process, which ends with this one. */
static void idle_peers_start(unsigned int count)
{
	int ready[2];
	char byte;
	pid_t child;

	if (!count)
		return;
	if (pipe(ready) || (child = fork()) < 0)
		bench_fail("cannot start a process for idle peers");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (bench_idle_peers(count))
			_exit(1);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		bench_fail("the %u idle peers could not join", count);
	close(ready[0]);
}

/* Nothing is measured here: the idle peers are there for others, who are told when they have joined. */
static _Noreturn void suite_idle(const struct options *o)
{
	bench_region_prepare(o->region);
	idle_peers_start(o->idle_peers);
	printf("{\"bench\":\"native\",\"case\":\"idle-peers\",\"peers\":%u}\n", o->idle_peers);
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	struct options o = { .cpu = { 0, 1 } };
	bool any = false;
	size_t i;

	options_parse(&o, argc, argv);
	if (o.suite && !strcmp(o.suite, "idle"))
		suite_idle(&o);
	for (i = 0; i < sizeof(suites) / sizeof(*suites); i++)
		any = any || named(o.suite, suites[i].name);
	if (!any)
		bench_fail("no suite named '%s'; there are round-trip, one-way, asleep and idle", o.suite);
	printf("{\"bench\":\"native\",\"case\":\"left-out\",\"packages\":\"%s\"}\n", bench_missing);
	bench_region_prepare(o.region);
	idle_peers_start(o.idle_peers);
	pair_start(o.cpu);
	for (i = 0; i < sizeof(suites) / sizeof(*suites); i++) {
		if (named(o.suite, suites[i].name))
			suites[i].run(&o);
	}
	pair_stop();
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * migrant: writes a checked pattern while its VM is moved from one QEMU to another, and notices nothing.
 *
 * Step s writes the word 1 + s % (words - 1) of its ground, after checking that the word still
 * holds what the round before wrote there; word 0 is the count of steps done. So each round reads back
 * every word, and from outside the whole ground can be held against its first word. The clock
 * may never go back. A doorbell device rings itself. 'q' on the serial port ends it after one more
 * whole round; every tenth of a second it says "at STEP CLOCK".
 *
 * usage: migrant region|ram. ram: the ground is its own memory, and no device is looked for.
 */
#include <inttypes.h>
#include <isthmus/clock.h>
#include <isthmus/ivshmem.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

#define MS 1000000ull
#define STEPS_AT_ONCE 2048
#define PATIENCE (20000 * MS) /* for a doorbell; a busy host is slow */
#define RAM_BYTES (1u << 20)

struct ground {
	volatile uint64_t *words;
	uint64_t count;
	uint64_t steps;
};

static uint64_t clock_last;

/* What step s writes; the same formula is in migration.py. */
static uint64_t pattern(uint64_t step)
{
	return step * 0x9e3779b97f4a7c15ull + 1;
}

static bool clock_check(void)
{
	uint64_t now = clock_now_ns();

	if (now < clock_last) {
		printf("FAIL clock went back from %" PRIu64 " to %" PRIu64 "\n", clock_last, now);
		return false;
	}
	clock_last = now;
	return true;
}

static bool steps_do(struct ground *g, unsigned int steps)
{
	uint64_t round = g->count - 1;

	while (steps--) {
		volatile uint64_t *word = &g->words[1 + g->steps % round];
		uint64_t expected = g->steps < round ? 0 : pattern(g->steps - round);

		if (*word != expected || g->words[0] != g->steps) {
			printf("FAIL step %" PRIu64 ": found 0x%016" PRIx64 " for 0x%016" PRIx64
			       ", count %" PRIu64 "\n",
			       g->steps, *word, expected, g->words[0]);
			return false;
		}
		*word = pattern(g->steps);
		g->words[0] = ++g->steps;
	}
	return clock_check();
}

/* Rings itself once and waits for the interrupt. */
static bool doorbell_check(struct ivshmem *device, uint64_t *seen)
{
	uint64_t before = *seen;

	ivshmem_notify(device, ivshmem_id(device), 0);
	if (!ivshmem_wait(device, 0, seen, clock_now_ns() + PATIENCE) && *seen > before)
		return true;
	printf("FAIL no interrupt after %" PRIu64 "\n", before);
	return false;
}

static bool asked_to_end(void)
{
	struct timeval none = {0};
	fd_set reading;
	char c = 0;

	FD_ZERO(&reading);
	FD_SET(STDIN_FILENO, &reading);
	return select(STDIN_FILENO + 1, &reading, NULL, NULL, &none) > 0 &&
	       read(STDIN_FILENO, &c, 1) == 1 && c == 'q';
}

static bool ground_take(struct ground *g, bool ram, struct ivshmem **device)
{
	if (ram) {
		g->words = calloc(1, RAM_BYTES);
		g->count = RAM_BYTES / 8;
		return g->words;
	}
	if (ivshmem_open(0, device) < 0)
		return false;
	g->words = ivshmem_region(*device);
	g->count = ivshmem_size(*device) / 8;
	return !ivshmem_has_doorbell(*device) || !ivshmem_set_handler(*device, 0, NULL, NULL, 0);
}

int main(int argc, char **argv)
{
	bool ram = argc == 2 && !strcmp(argv[1], "ram"), bell;
	struct ivshmem *device = NULL;
	struct ground g = {0};
	uint64_t seen = 0, said = 0;

	if (argc != 2 || (!ram && strcmp(argv[1], "region"))) {
		fprintf(stderr, "usage: migrant region|ram\n");
		return 2;
	}
	if (!ground_take(&g, ram, &device))
		return 1;
	bell = device && ivshmem_has_doorbell(device);
	while (!asked_to_end()) {
		if (!steps_do(&g, STEPS_AT_ONCE) || (bell && !doorbell_check(device, &seen)))
			return 1;
		if (clock_last - said >= 100 * MS) {
			said = clock_last;
			printf("at %" PRIu64 " %" PRIu64 "\n", g.steps, clock_last);
			fflush(stdout);
		}
		clock_sleep_until(clock_now_ns() + MS);
	}
	for (uint64_t end = g.steps + g.count; g.steps < end;)
		if (!steps_do(&g, STEPS_AT_ONCE))
			return 1;
	printf("PASS %" PRIu64 " steps, %" PRIu64 " doorbells\n", g.steps, seen);
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
#include "bench/native/work.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void work_raw(const struct bench_work_ground *ground, const struct bench_end *end)
{
	volatile uint64_t *flag = ground->line;
	uint64_t n;

	for (n = 0; n < 2 * end->load.count; n += 2) {
		if (end->side) {
			while (*flag != n + 1)
				;
			*flag = n + 2;
		} else {
			*flag = n + 1;
			while (*flag != n + 2)
				;
		}
	}
}

static void line_write(volatile uint64_t *line, const uint64_t *from, uint64_t flag)
{
	int i;

	for (i = 1; i < 8; i++)
		line[i] = from[i];
	line[0] = flag;
}

static void line_read(volatile uint64_t *line, uint64_t *to, uint64_t flag)
{
	int i;

	while (line[0] != flag)
		;
	for (i = 1; i < 8; i++)
		to[i] = line[i];
}

void work_raw_line(const struct bench_work_ground *ground, const struct bench_end *end)
{
	volatile uint64_t *line = ground->line;
	uint64_t own[8] = { 0 };
	uint64_t n;

	for (n = 0; n < 2 * end->load.count; n += 2) {
		if (end->side) {
			line_read(line, own, n + 1);
			line_write(line, own, n + 2);
		} else {
			own[1] = own[7] = n;
			line_write(line, own, n + 1);
			line_read(line, own, n + 2);
		}
		if (own[1] != own[7])
			bench_fail("raw line: %llu came as %llu", (unsigned long long)own[1],
				   (unsigned long long)own[7]);
	}
}

static void wake(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		bench_fail("eventfd: cannot be written: %s", strerror(errno));
}

static void await(int fd)
{
	uint64_t value;

	if (read(fd, &value, sizeof(value)) != sizeof(value))
		bench_fail("eventfd: cannot be read: %s", strerror(errno));
}

void work_eventfd(const struct bench_work_ground *ground, const struct bench_end *end)
{
	uint64_t n;

	for (n = 0; n < end->load.count; n++) {
		if (end->side) {
			await(ground->eventfd[0]);
			bench_think(end->load.think_ns);
			wake(ground->eventfd[1]);
		} else {
			bench_think(end->load.think_ns);
			wake(ground->eventfd[0]);
			await(ground->eventfd[1]);
		}
	}
}

// SPDX-License-Identifier: BSD-2-Clause
#include "bench/native/region.h"

#include "bench/native/bench.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define REGION_BYTES (64L << 20)

static char path[64];
static const char *region;

const char *bench_region(void)
{
	return region;
}

/* The file has no name outside the two processes, so that no way to end leaves it behind. */
void bench_region_prepare(const char *where)
{
	int fd;

	region = where;
	if (where)
		return;
	fd = memfd_create("isthmus-bench", 0);
	if (fd < 0 || ftruncate(fd, REGION_BYTES))
		bench_fail("no memory for a region of %ld bytes: %s", REGION_BYTES,
			   strerror(errno));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	region = path;
}

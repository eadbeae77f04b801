// SPDX-License-Identifier: BSD-2-Clause
/* select() on the console: whether standard input has something; output is always ready. */
#include <errno.h>
#include <isthmus/clock.h>
#include <stdint.h>
#include <sys/select.h>
#include <unistd.h>
#include "libc/input.h"

#define NS_PER_S  1000000000ull
#define NS_PER_US 1000ull

static int ready(int count, fd_set *set, int first, int last)
{
	int found = 0;

	for (int fd = 0; set && fd < count; fd++) {
		if (!FD_ISSET(fd, set))
			continue;
		if (fd >= first && fd <= last)
			found++;
		else
			FD_CLR(fd, set);
	}
	return found;
}

/* No descriptors but 0, 1 and 2, and none of those in places where it can't wait. */
static int check(int count, const fd_set *set)
{
	for (int fd = STDERR_FILENO + 1; set && fd < count; fd++)
		if (FD_ISSET(fd, set))
			return -1;
	return 0;
}

/* As POSIX has it; nothing is ever exceptional. Sleeps, and looks at the console now and then. */
int select(
	int count, fd_set *reading, fd_set *writing, fd_set *exceptional, struct timeval *timeout)
{
	bool reads = reading && count > STDIN_FILENO && FD_ISSET(STDIN_FILENO, reading), input;
	uint64_t limit = UINT64_MAX, now = clock_now_ns();
	int writes;

	if (count < 0 || count > FD_SETSIZE ||
	    (timeout && (timeout->tv_sec < 0 || timeout->tv_usec < 0))) {
		errno = EINVAL;
		return -1;
	}
	if (check(count, reading) || check(count, writing) || check(count, exceptional)) {
		errno = EBADF;
		return -1;
	}
	if (timeout && (uint64_t)timeout->tv_sec < UINT64_MAX / NS_PER_S / 4)
		limit = now + (uint64_t)timeout->tv_sec * NS_PER_S +
			(uint64_t)timeout->tv_usec * NS_PER_US;
	writes = ready(count, writing, STDOUT_FILENO, STDERR_FILENO);
	while (!(input = reads && input_waits()) && !writes && now < limit) {
		uint64_t look = now + INPUT_POLL_NS;

		clock_sleep_until(reads && look < limit ? look : limit);
		now = clock_now_ns();
	}
	ready(count, exceptional, 0, -1);
	return writes + ready(count, reading, STDIN_FILENO, input ? STDIN_FILENO : -1);
}

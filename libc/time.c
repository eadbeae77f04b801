// SPDX-License-Identifier: BSD-2-Clause
/* Time of day from the battery clock, read once, and the monotonic clock; waiting by hlt. */
#include <errno.h>
#include <isthmus/clock.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>
#include "platform/rtc.h"

#define NS_PER_S	1000000000ull
#define NS_PER_US	1000ull
#define NS_PER_CLOCK	(NS_PER_S / CLOCKS_PER_SEC)

/* Nanoseconds since 1970; without a battery clock, since the guest began. */
static uint64_t now_since_1970(void)
{
	static bool known;
	static uint64_t start;

	if (!known) {
		start = (uint64_t)rtc_read() * NS_PER_S;
		if (start)
			start -= clock_now_ns();
		known = true;
	}
	return start + clock_now_ns();
}

int gettimeofday(struct timeval *now, void *zone)
{
	uint64_t ns = now_since_1970();

	(void)zone;
	now->tv_sec = (time_t)(ns / NS_PER_S);
	now->tv_usec = (suseconds_t)(ns % NS_PER_S / NS_PER_US);
	return 0;
}

/* All time is the one process's own. */
clock_t times(struct tms *used)
{
	clock_t clocks = (clock_t)(clock_now_ns() / NS_PER_CLOCK);

	if (used)
		*used = (struct tms){ .tms_utime = clocks };
	return clocks;
}

static struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){ (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	if (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME) {
		errno = EINVAL;
		return -1;
	}
	*now = timespec_of(clock == CLOCK_MONOTONIC ? clock_now_ns() : now_since_1970());
	return 0;
}

int clock_getres(clockid_t clock, struct timespec *resolution)
{
	if (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME) {
		errno = EINVAL;
		return -1;
	}
	if (resolution)
		*resolution = timespec_of(1);
	return 0;
}

static void sleep_ns(uint64_t ns)
{
	clock_sleep_until(clock_now_ns() + ns);
}

int nanosleep(const struct timespec *wanted, struct timespec *left)
{
	if (wanted->tv_sec < 0 || wanted->tv_nsec < 0 || wanted->tv_nsec >= (long)NS_PER_S) {
		errno = EINVAL;
		return -1;
	}
	sleep_ns((uint64_t)wanted->tv_sec * NS_PER_S + (uint64_t)wanted->tv_nsec);
	if (left)
		*left = timespec_of(0);
	return 0;
}

int usleep(useconds_t us)
{
	sleep_ns(us * NS_PER_US);
	return 0;
}

unsigned sleep(unsigned seconds)
{
	sleep_ns(seconds * NS_PER_S);
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// One thread's side of waiting: the clock, sleeping on eventfds or on a futex, private memory.
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "host/client/ivshmem_client.h"
#include "host/client/ivshmem_eventfd.h"
#include "host/peer/peer.h"

#define NS_PER_S  1000000000ull
#define MAX_POLLS 64

static uint64_t peer_now(void *arg)
{
	struct timespec now;

	(void)arg;
	if (__builtin_expect(peer_holes, 0))
		peer_attend_holes();
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t msg_now_ns(void)
{
	return peer_now(NULL);
}

static struct timespec to_timespec(uint64_t ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S) };

	if (ns / NS_PER_S > INT32_MAX)
		t.tv_sec = INT32_MAX;
	return t;
}

void msg_sleep_until(uint64_t deadline)
{
	struct timespec t = to_timespec(deadline);

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static void peer_relax(void *arg)
{
	(void)arg;
	__builtin_ia32_pause();
}

// Eventfds remember, and the futex compares: nothing to prepare.
static void peer_nothing(void *arg)
{
	(void)arg;
}

static enum msg_sleep_result sleep_on_word(volatile uint32_t *word, uint32_t value,
	uint64_t deadline)
{
	struct timespec t = to_timespec(deadline);

	if (!syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value, &t, NULL, FUTEX_BITSET_MATCH_ANY))
		return MSG_SLEEP_NOTIFIED;
	return errno == ETIMEDOUT ? MSG_SLEEP_TIMER : MSG_SLEEP_NOTIFIED;
}

// In a storm of doorbells: the eventfds are left alone, the kernel counts in them.
static _Thread_local bool muted;

static void peer_mute(void *arg, bool on)
{
	struct peer_region *region;

	(void)arg;
	muted = on;
	for (region = peer_regions(); region && !on; region = region->next)
		if (region->client)
			ivshmem_eventfd_drain(ivshmem_client_own_eventfd(region->client, 0));
}

static enum msg_sleep_result peer_sleep_until(void *arg, uint64_t deadline, volatile uint32_t *word,
	uint32_t value)
{
	struct pollfd fds[MAX_POLLS];
	struct peer_region *owner[MAX_POLLS], *region;
	uint64_t now = peer_now(arg);
	struct timespec left = to_timespec(deadline > now ? deadline - now : 0);
	nfds_t n = 0, i;
	int ready;

	if (word && muted) {
		msg_sleep_until(deadline);
		return MSG_SLEEP_TIMER;
	}
	if (word)
		return sleep_on_word(word, value, deadline);
	for (region = peer_regions(); region && n + 2 <= MAX_POLLS; region = region->next) {
		if (!region->client)
			continue;
		owner[n] = NULL;
		fds[n++] = (struct pollfd){
			muted ? -1 : ivshmem_client_own_eventfd(region->client, 0), POLLIN, 0 };
		owner[n] = region;
		fds[n++] = (struct pollfd){ ivshmem_client_fd(region->client), POLLIN, 0 };
	}
	ready = ppoll(fds, n, &left, NULL);
	if (!ready)
		return MSG_SLEEP_TIMER;
	for (i = 0; ready > 0 && i < n; i++) {
		if (!fds[i].revents)
			continue;
		if (owner[i])
			peer_read_server(owner[i]);
		else
			ivshmem_eventfd_drain(fds[i].fd);
	}
	return MSG_SLEEP_NOTIFIED;
}

static void peer_copy(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
}

static void *peer_alloc(void *arg, size_t size)
{
	void *memory;

	(void)arg;
	if (posix_memalign(&memory, 64, size ? size : 1))
		return NULL;
	return memset(memory, 0, size);
}

static void peer_free(void *arg, void *memory)
{
	(void)arg;
	free(memory);
}

static uint64_t peer_random(void *arg)
{
	uint64_t value;

	if (getrandom(&value, sizeof(value), 0) != sizeof(value))
		value = peer_now(arg) * 0x9e3779b97f4a7c15u ^ (uint64_t)getpid() << 32;
	return value;
}

void peer_say(const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fprintf(stderr, "isthmus: %s\n", line);
}

static void peer_report(void *arg, int level, const char *line)
{
	(void)arg;
	if (level <= 1)
		peer_say("%s", line);
}

const struct msg_wait_ops peer_wait_ops = {
	.now = peer_now,
	.relax = peer_relax,
	.prepare = peer_nothing,
	.sleep_until = peer_sleep_until,
	.cancel = peer_nothing,
	.mute = peer_mute,
	.copy_in = peer_copy,
	.copy_out = peer_copy,
	.alloc = peer_alloc,
	.free = peer_free,
	.random = peer_random,
	.report = peer_report,
};

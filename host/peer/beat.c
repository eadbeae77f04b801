// SPDX-License-Identifier: BSD-2-Clause
// The heart of a region: a thread of its own, so that a peer
// that computes for a minute is not dead.
#include <errno.h>
#include <signal.h>
#include <time.h>
#include "host/peer/peer.h"

static void *beat_main(void *arg)
{
	struct peer_region *region = arg;
	struct timespec next;
	int err;

	clock_gettime(CLOCK_MONOTONIC, &next);
	pthread_mutex_lock(&region->beat_lock);
	while (region->beat) {
		uint64_t ns = region->beat->period_ns;

		msg_beat_once(region->beat);
		next.tv_sec += (time_t)(ns / 1000000000u);
		next.tv_nsec += (long)(ns % 1000000000u);
		if (next.tv_nsec >= 1000000000) {
			next.tv_nsec -= 1000000000;
			next.tv_sec++;
		}
		// After a stop there is nothing to catch up with: one beat, then the usual pace.
		err = pthread_cond_timedwait(&region->beat_wake, &region->beat_lock, &next);
		if (err == ETIMEDOUT)
			clock_gettime(CLOCK_MONOTONIC, &next);
	}
	pthread_mutex_unlock(&region->beat_lock);
	return NULL;
}

int peer_beat_start(void *arg, struct msg_beat *beat)
{
	struct peer_region *region = arg;
	pthread_condattr_t attributes;
	sigset_t all, old;
	int err;

	pthread_mutex_init(&region->beat_lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&region->beat_wake, &attributes);
	pthread_condattr_destroy(&attributes);
	region->beat = beat;
	// The program's signals are for the program's threads.
	sigfillset(&all);
	// But a beat on a page that the file lost is this thread's own (hole.c).
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&region->beat_thread, NULL, beat_main, region);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	// To the caller this is no "nothing to do at once".
	return err == EAGAIN ? -ENOMEM : -err;
}

void peer_beat_stop(void *arg, struct msg_beat *beat)
{
	struct peer_region *region = arg;

	(void)beat;
	pthread_mutex_lock(&region->beat_lock);
	region->beat = NULL;
	pthread_cond_signal(&region->beat_wake);
	pthread_mutex_unlock(&region->beat_lock);
	pthread_join(region->beat_thread, NULL);
	pthread_cond_destroy(&region->beat_wake);
	pthread_mutex_destroy(&region->beat_lock);
}

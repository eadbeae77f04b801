// SPDX-License-Identifier: BSD-2-Clause
/*
 * A region whose file was cut short: the touch of a lost page is a SIGBUS, which would end the whole
 * program. Here it ends the region: the handler lays memory of nobody else's over all of it, so that
 * the access goes on, and notes the fact; the owner's thread tells msg (msg_region_gone), and the app
 * hears MSG_EVENT_REGION_GONE and -ENODEV.
 *
 * A SIGBUS anywhere else goes to whoever had the signal before.
 */
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include "host/peer/peer.h"

#define WATCHED_MAX 1024

/* What the handler may look at: it can come at any moment, in any thread. */
static struct {
	_Atomic uintptr_t base; /* 0: free */
	_Atomic uint64_t size;
	_Atomic int *gone;
} watched[WATCHED_MAX];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction former;

_Atomic int peer_holes;

static void pass_on(int signal, siginfo_t *info, void *context)
{
	struct sigaction fallback = { .sa_handler = SIG_DFL };

	if (former.sa_flags & SA_SIGINFO)
		former.sa_sigaction(signal, info, context);
	else if (former.sa_handler != SIG_DFL && former.sa_handler != SIG_IGN)
		former.sa_handler(signal);
	else
		sigaction(signal, &fallback, NULL); /* the access happens again, and ends us */
}

static void bus_error(int signal, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;
	unsigned i;

	for (i = 0; i < WATCHED_MAX; i++) {
		uintptr_t base = atomic_load(&watched[i].base);
		uint64_t size = atomic_load(&watched[i].size);

		if (!base || at - base >= size)
			continue;
		/* A system call and nothing else: safe here. */
		if (mmap((void *)base, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) ==
			MAP_FAILED)
			break;
		atomic_store(watched[i].gone, 1);
		atomic_store(&peer_holes, 1);
		return;
	}
	pass_on(signal, info, context);
}

static void install(void)
{
	struct sigaction action = { .sa_sigaction = bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, &former);
}

void peer_watch_holes(struct peer_region *region)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	unsigned i;

	pthread_once(&once, install);
	pthread_mutex_lock(&lock);
	for (i = 0; i < WATCHED_MAX && atomic_load(&watched[i].base); i++)
		;
	if (i < WATCHED_MAX) {
		watched[i].gone = &region->hole;
		atomic_store(&watched[i].size, region->size);
		atomic_store(&watched[i].base, (uintptr_t)region->base);
	}
	pthread_mutex_unlock(&lock);
}

void peer_unwatch_holes(struct peer_region *region)
{
	unsigned i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < WATCHED_MAX; i++)
		if (atomic_load(&watched[i].base) == (uintptr_t)region->base)
			atomic_store(&watched[i].base, 0);
	pthread_mutex_unlock(&lock);
}

void peer_attend_holes(void)
{
	static _Thread_local bool inside;
	struct peer_region *region;

	if (inside)
		return;
	inside = true;
	for (region = peer_regions(); region; region = region->next)
		if (atomic_load(&region->hole) && region->region && !region->hole_told) {
			region->hole_told = true;
			peer_say("a region's file was cut short: the region is gone");
			msg_region_gone(region->region);
		}
	inside = false;
}

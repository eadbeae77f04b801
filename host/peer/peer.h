/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * msg in a Linux process: what its files share. A region comes from an ivshmem server's socket
 * (doorbells are eventfds) or is a bare shared file (doorbells are futexes on the sleepers'
 * words).
 */
#ifndef HOST_PEER_PEER_H
#define HOST_PEER_PEER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "msg/port.h"

struct ivshmem_client;

struct peer_region {
	struct peer_region *next;      /* of this thread */
	struct msg_region *region;     /* NULL until joined */
	void *base;
	uint64_t size;
	struct ivshmem_client *client; /* NULL: a bare file */
	bool server_lost;
	_Atomic int hole;              /* its file was cut short; set by a signal handler */
	bool hole_told;
	pthread_t beat_thread;
	pthread_mutex_t beat_lock;
	pthread_cond_t beat_wake;
	struct msg_beat *beat;         /* under beat_lock; NULL: stop */
};

/* The regions of the calling thread, newest first. */
struct peer_region *peer_regions(void);

/* The calling thread's context; NULL: no memory. */
struct msg_context *peer_context(void);

/* wait.c: the table for every thread. */
extern const struct msg_wait_ops peer_wait_ops;

/* Reads what the server says: peers that come and go, or its end. */
void peer_read_server(struct peer_region *region);

/* beat.c: for struct msg_region_ops; arg is the struct peer_region. */
int peer_beat_start(void *arg, struct msg_beat *beat);
void peer_beat_stop(void *arg, struct msg_beat *beat);

/* hole.c: from here on a touch of a page that its file lost ends the region and not the program. A
 * signal handler for SIGBUS is installed at the first call, and stays. */
void peer_watch_holes(struct peer_region *region);
void peer_unwatch_holes(struct peer_region *region);
/* Not 0: a region of some thread has lost its file, and that thread must call peer_attend_holes. */
extern _Atomic int peer_holes;
void peer_attend_holes(void);

/* One line on stderr. */
void peer_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif

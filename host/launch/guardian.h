/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guardian: a small process that outlives the launcher, however that ends, and leaves nothing
 * behind. It owns the run's private directory and knows every child. When its socket to the
 * launcher closes (an exit, a crash, SIGKILL), it kills what still runs and removes the directory.
 *
 * It sits in a session of its own, so that no Ctrl-C and no hang-up reaches it. The children also
 * carry a parent-death signal, in case the guardian dies first.
 */
#ifndef ISTHMUS_LAUNCH_GUARDIAN_H
#define ISTHMUS_LAUNCH_GUARDIAN_H

#include <stdbool.h>
#include <sys/types.h>

struct guardian {
	pid_t pid;
	int pidfd; /* readable once the guardian has died, which it should not */
	int socket;
	char *dir; /* the private directory, mode 0700; owned */
};

/*
 * Fork the guardian and let it make the directory: `dir`, which must not exist, or with NULL a
 * fresh one under $TMPDIR or /tmp. Returns false after one line on stderr.
 */
bool guardian_start(struct guardian *g, const char *dir);

/* Tell of a child, which leads a process group of its own. False: the guardian is gone. */
bool guardian_watch(struct guardian *g, pid_t pid, int pidfd);

/* Let it clean up, and wait until it has. */
void guardian_finish(struct guardian *g);

#endif

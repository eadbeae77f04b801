/* SPDX-License-Identifier: BSD-2-Clause */
/* One program under the launcher: a QEMU or an ivshmem-server, with pipes for its output. */
#ifndef ISTHMUS_LAUNCH_CHILD_H
#define ISTHMUS_LAUNCH_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "host/launch/guardian.h"
#include "host/launch/text.h"

struct child {
	pid_t pid; /* 0: not started, or ended and reaped */
	int pidfd;
	int in, out, err; /* our ends of its stdin (-1 unless asked for), stdout and stderr */
	int end_code;     /* si_code and si_status of its end, once child_reap said so */
	int end_status;
};

#define CHILD_NONE ((struct child){.pidfd = -1, .in = -1, .out = -1, .err = -1})

/*
 * Start `argv`. `fds[i]` becomes descriptor CHILD_FIRST_FD + i in the child (-1: none); everything
 * else but 0, 1 and 2 is closed. With `wants_input` its stdin is a pipe, else /dev/null. It runs in
 * a process group of its own (Ctrl-C is the launcher's to pass on), dies with the launcher, and the
 * guardian knows it before its program runs. Returns 0 or the errno of what failed (that of exec
 * included).
 */
int child_start(struct child *c, struct guardian *g, const struct words *argv, const int *fds,
	size_t n_fds, bool wants_input);

#define CHILD_FIRST_FD 10

/* Send `sig` to its whole process group, if it still runs. */
void child_kill(const struct child *c, int sig);

/* If it has ended: kill what is left of its group, reap it, return true. Doesn't block. */
bool child_reap(struct child *c);

#endif

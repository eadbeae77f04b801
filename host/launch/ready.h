/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ISTHMUS_LAUNCH_READY_H
#define ISTHMUS_LAUNCH_READY_H

#include <stdbool.h>

/*
 * Whether somebody listens on the Unix socket `path` (as it was given to bind). QEMU waits for a
 * silent server without a time limit, so it must not be started earlier. A connection would answer
 * too, but it would count as a client and take a peer id: /proc/net/unix is read instead.
 */
bool ready_listening(const char *path);

/* The same for the text of /proc/net/unix at hand. Pure. */
bool ready_in_table(const char *table, const char *path);

#endif

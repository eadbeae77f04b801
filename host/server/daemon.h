/* SPDX-License-Identifier: BSD-2-Clause */
/* Becoming a daemon whose parent knows the outcome, and the pid file. */
#ifndef HOST_SERVER_DAEMON_H
#define HOST_SERVER_DAEMON_H

/*
 * Forks. The child returns with the descriptor to hand to daemon_ready(); the parent stays until
 * the child calls that or ends, and exits with 0 or 1; what the child has to say goes to the
 * standard error that both share until then. Returns -1 after reporting that there is no child.
 */
int daemon_start(void);

/* In the child: lets go of the terminal, and lets the parent exit with success. */
void daemon_ready(int ready);

/* Writes our process id to @path. Returns 0, or -1 after reporting why. */
int pid_file_write(const char *path);

/* Removes @path if it holds our process id: another server may have taken it over. */
void pid_file_remove(const char *path);

#endif

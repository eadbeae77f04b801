/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Unix socket that clients connect to. A stale socket file is replaced, a live one is not.
 * Source: unix(7), Linux net/unix/af_unix.c on connecting to a path.
 */
#ifndef HOST_SERVER_LISTENER_H
#define HOST_SERVER_LISTENER_H

#include <sys/types.h>

struct listener {
	int fd;
	const char *path;
	dev_t device; /* which file is ours */
	ino_t inode;
};

/*
 * Binds @path (which must outlive the listener). Nobody can connect yet, but another server
 * finds the path in use. Returns 0, or -1 after reporting why.
 */
int listener_bind(struct listener *listener, const char *path);

/* From now on clients may come. Returns 0, or -1 after reporting why. */
int listener_listen(struct listener *listener);

/* Closes it and removes the socket file, if the one at that path is still ours. */
void listener_close(struct listener *listener);

#endif

// SPDX-License-Identifier: BSD-2-Clause
#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

#define LISTENER_BACKLOG 4096 /* the kernel cuts it to net.core.somaxconn */

enum path_state { PATH_FREE, PATH_STALE, PATH_TAKEN };

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	return address;
}

/*
 * Says who has @path, without a connection: a running server would tell its clients of it, and
 * QEMU's would die. A datagram socket asks the same question and gets the wrong-type error where
 * a stream socket lives, and "refused" where the file is all that is left.
 */
static enum path_state path_state(const char *path)
{
	struct sockaddr_un address = address_of(path);
	struct stat st;
	int sock, err;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return PATH_FREE;
		report_error("-S %s: %s", path, strerror(errno));
		return PATH_TAKEN;
	}
	if (!S_ISSOCK(st.st_mode)) {
		report_error("-S %s: exists and is not a socket; remove it, or choose another path",
			path);
		return PATH_TAKEN;
	}
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0) {
		report_error("-S %s: %s", path, strerror(errno));
		return PATH_TAKEN;
	}
	err = connect(sock, (struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
	close(sock);
	if (err == ECONNREFUSED)
		return PATH_STALE;
	if (err == ENOENT)
		return PATH_FREE;
	if (err == 0 || err == EPROTOTYPE)
		report_error(
			"-S %s: a running server has it; stop that one, or choose another path",
			path);
	else
		report_error("-S %s: a socket is there, and who has it can't be found out: %s",
			path, strerror(err));
	return PATH_TAKEN;
}

/*
 * Two servers that start at once must not both find the same stale file. Locks the directory,
 * which leaves no file behind. -1 where that can't be: then it is only a race lost.
 */
static int lock_directory(const char *path)
{
	const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
	char *copy = strdup(path);
	int fd;

	if (!copy)
		return -1;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	/* A second at most: anybody who may read the directory may lock it, and for ever. */
	for (int tries = 0; fd >= 0 && tries < 100; tries++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
			break;
		nanosleep(&pause, NULL);
	}
	return fd;
}

static int bind_locked(struct listener *listener)
{
	struct sockaddr_un address = address_of(listener->path);
	struct stat st;

	switch (path_state(listener->path)) {
	case PATH_TAKEN:
		return -1;
	case PATH_STALE:
		report_info("-S %s: replacing what a dead server left", listener->path);
		unlink(listener->path);
		break;
	case PATH_FREE:
		break;
	}
	if (bind(listener->fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		report_error("-S %s: cannot make the socket: %s", listener->path, strerror(errno));
		return -1;
	}
	if (lstat(listener->path, &st) == 0) {
		listener->device = st.st_dev;
		listener->inode = st.st_ino;
	}
	return 0;
}

int listener_bind(struct listener *listener, const char *path)
{
	int lock, err;

	*listener = (struct listener){.path = path};
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener->fd < 0) {
		report_error("-S %s: %s", path, strerror(errno));
		return -1;
	}
	lock = lock_directory(path);
	err = bind_locked(listener);
	if (lock >= 0)
		close(lock);
	if (err)
		listener_close(listener);
	return err;
}

int listener_listen(struct listener *listener)
{
	if (listen(listener->fd, LISTENER_BACKLOG) == 0)
		return 0;
	report_error("-S %s: cannot listen: %s", listener->path, strerror(errno));
	return -1;
}

void listener_close(struct listener *listener)
{
	struct stat st;

	/* Somebody may have put another socket in place of ours: that one stays. */
	if (listener->inode && lstat(listener->path, &st) == 0 && st.st_dev == listener->device &&
		st.st_ino == listener->inode)
		unlink(listener->path);
	if (listener->fd >= 0)
		close(listener->fd);
	*listener = (struct listener){.fd = -1, .path = listener->path};
}

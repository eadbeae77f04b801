// SPDX-License-Identifier: BSD-2-Clause
#include "host/launch/guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/launch/text.h"

/* The longest name in the directory must fit behind it in a sockaddr_un (108 bytes). */
#define DIR_MAX      64
#define LAST_WAIT_MS 5000

struct charge {
	pid_t pid;
	int pidfd;
};

/* The first message either way: the launcher's is a pid, the guardian's the directory or an error.
 */
struct hello {
	int error;
	char dir[256];
};

static void make_dir(const char *wanted, struct hello *h)
{
	const char *base = getenv("TMPDIR");

	if (wanted) {
		snprintf(h->dir, sizeof(h->dir), "%s", wanted);
		if (strlen(wanted) > DIR_MAX)
			h->error = ENAMETOOLONG;
		else if (mkdir(wanted, 0700))
			h->error = errno;
		return;
	}
	if (!base || base[0] != '/' || strlen(base) > DIR_MAX - sizeof("/isthmus-XXXXXX"))
		base = "/tmp";
	snprintf(h->dir, sizeof(h->dir), "%s/isthmus-XXXXXX", base);
	if (!mkdtemp(h->dir))
		h->error = errno;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	remove(path);
	return 0;
}

/* Sockets, files of plain regions, boot media, and what their makers keep in folders of their own. */
static void remove_dir(const char *path)
{
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void end_charges(const struct charge *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		/* The group too: a QEMU started through a wrapper script is the wrapper's child. */
		pidfd_send_signal(c[i].pidfd, SIGKILL, NULL, 0);
		kill(-c[i].pid, SIGKILL);
	}
	for (size_t i = 0; i < n; i++) {
		struct pollfd p = {.fd = c[i].pidfd, .events = POLLIN};

		poll(&p, 1, LAST_WAIT_MS);
	}
}

static bool receive(int socket, struct charge *c)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {.iov_base = &c->pid, .iov_len = sizeof(c->pid)};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *cm;
	ssize_t n;

	do
		n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	cm = n == sizeof(c->pid) ? CMSG_FIRSTHDR(&m) : NULL;
	if (!cm || cm->cmsg_type != SCM_RIGHTS)
		return false;
	memcpy(&c->pidfd, CMSG_DATA(cm), sizeof(c->pidfd));
	return true;
}

_Noreturn static void guard(int socket, const char *wanted)
{
	struct charge *charges = NULL, c;
	struct hello h = {0};
	size_t n = 0;

	setsid();
	prctl(PR_SET_NAME, "isthmus-guard");
	for (int sig = 1; sig < 32; sig++) {
		if (sig != SIGSEGV && sig != SIGBUS && sig != SIGFPE && sig != SIGILL &&
			sig != SIGABRT && sig != SIGCHLD)
			signal(sig, SIG_IGN);
	}
	/* Whoever reads our caller's output must not wait for us. */
	dup2(socket, 3);
	close_range(4, ~0u, 0);
	for (int fd = 0; fd < 3; fd++) {
		int null = open("/dev/null", O_RDWR);

		if (null >= 0 && null != fd) {
			dup2(null, fd);
			close(null);
		}
	}
	socket = 3;
	make_dir(wanted, &h);
	if (send(socket, &h, sizeof(h), MSG_NOSIGNAL) != sizeof(h) && !h.error) {
		remove_dir(h.dir);
		_exit(1);
	}
	if (h.error)
		_exit(1);

	while (receive(socket, &c)) {
		/* Those that have ended and are reaped need no guard; keep the list short. */
		for (size_t i = 0; i < n;) {
			if (kill(-charges[i].pid, 0) && errno == ESRCH) {
				close(charges[i].pidfd);
				charges[i] = charges[--n];
			} else {
				i++;
			}
		}
		charges = text_grow(charges, n + 1, sizeof(*charges));
		charges[n++] = c;
	}
	end_charges(charges, n);
	remove_dir(h.dir);
	_exit(0);
}

bool guardian_start(struct guardian *g, const char *dir)
{
	struct hello h;
	int pair[2];

	*g = (struct guardian){.pid = -1, .pidfd = -1, .socket = -1};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		fprintf(stderr, "isthmus: can't make a socket pair: %s\n", strerror(errno));
		return false;
	}
	g->pid = fork();
	if (g->pid == 0) {
		close(pair[0]);
		guard(pair[1], dir);
	}
	close(pair[1]);
	g->socket = pair[0];
	if (g->pid < 0) {
		fprintf(stderr, "isthmus: can't fork: %s\n", strerror(errno));
		close(g->socket);
		return false;
	}
	g->pidfd = pidfd_open(g->pid, 0);
	if (recv(g->socket, &h, sizeof(h), 0) != sizeof(h)) {
		fprintf(stderr, "isthmus: the guardian process died at once\n");
		guardian_finish(g);
		return false;
	}
	if (h.error == ENAMETOOLONG)
		fprintf(stderr,
			"isthmus: --dir %s: too long for the sockets in it; use at most %d bytes\n",
			h.dir, DIR_MAX);
	else if (h.error == EEXIST)
		fprintf(stderr,
			"isthmus: --dir %s exists; name one that doesn't, it is removed at the "
			"end\n",
			h.dir);
	else if (h.error)
		fprintf(stderr, "isthmus: can't make the directory %s: %s\n", h.dir,
			strerror(h.error));
	if (h.error) {
		guardian_finish(g);
		return false;
	}
	g->dir = text_copy(h.dir);
	return true;
}

bool guardian_watch(struct guardian *g, pid_t pid, int pidfd)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {.iov_base = &pid, .iov_len = sizeof(pid)};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *cm = CMSG_FIRSTHDR(&m);

	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cm), &pidfd, sizeof(pidfd));
	return sendmsg(g->socket, &m, MSG_NOSIGNAL) == sizeof(pid);
}

void guardian_finish(struct guardian *g)
{
	if (g->socket >= 0)
		close(g->socket);
	if (g->pid > 0) {
		while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (g->pidfd >= 0)
		close(g->pidfd);
	/* If it was killed, the directory is still there: the launcher's own children are dead. */
	if (g->dir)
		remove_dir(g->dir);
	free(g->dir);
	*g = (struct guardian){.pid = -1, .pidfd = -1, .socket = -1};
}

// SPDX-License-Identifier: BSD-2-Clause
#include "host/launch/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_both(int *pair)
{
	close_fd(&pair[0]);
	close_fd(&pair[1]);
}

/* Move `fd` above every number that the child's own descriptors will take. */
static int lift(int fd, int floor)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, floor);
}

_Noreturn static void run_child(const struct words *argv, pid_t parent, int in, int out, int err,
	int go, int failed, const int *fds, size_t n_fds)
{
	int floor = CHILD_FIRST_FD + (int)n_fds;
	sigset_t none;
	char byte;
	int e;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);

	/* The guardian must know us before anything of us can be left behind. */
	if (read(go, &byte, 1) != 1)
		_exit(127);
	in = in >= 0 ? lift(in, floor) : open("/dev/null", O_RDONLY | O_CLOEXEC);
	out = lift(out, floor);
	err = lift(err, floor);
	failed = lift(failed, floor);
	for (size_t i = 0; i < n_fds; i++) {
		int high;

		if (fds[i] < 0)
			continue;
		high = lift(fds[i], floor);
		if (high < 0 || dup2(high, CHILD_FIRST_FD + (int)i) < 0)
			goto fail;
		close(high);
	}
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		goto fail;
	/* What the launcher itself was given by a careless parent stays here. */
	close_range(3, CHILD_FIRST_FD - 1, CLOSE_RANGE_CLOEXEC);
	close_range((unsigned int)floor, ~0u, CLOSE_RANGE_CLOEXEC);
	execv(argv->v[0], argv->v);
fail:
	e = errno;
	while (write(failed, &e, sizeof(e)) < 0 && errno == EINTR)
		;
	_exit(127);
}

int child_start(struct child *c, struct guardian *g, const struct words *argv, const int *fds,
	size_t n_fds, bool wants_input)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1}, go[2] = {-1, -1};
	int failed[2] = {-1, -1};
	pid_t parent = getpid();
	int e = 0;

	*c = CHILD_NONE;
	if ((wants_input && pipe2(in, O_CLOEXEC)) || pipe2(out, O_CLOEXEC) ||
		pipe2(err, O_CLOEXEC) || pipe2(go, O_CLOEXEC) || pipe2(failed, O_CLOEXEC)) {
		e = errno;
		goto done;
	}
	c->pid = fork();
	if (c->pid == 0) {
		close_fd(&go[1]);
		run_child(argv, parent, in[0], out[1], err[1], go[0], failed[1], fds, n_fds);
	}
	if (c->pid < 0) {
		e = errno;
		c->pid = 0;
		goto done;
	}
	setpgid(c->pid, c->pid);
	c->pidfd = pidfd_open(c->pid, 0);
	if (c->pidfd < 0) {
		e = errno;
	} else if (!guardian_watch(g, c->pid, c->pidfd)) {
		e = ECHILD;
	} else if (write(go[1], "", 1) == 1) {
		ssize_t n;

		/* EOF here is the exec that worked. */
		close_fd(&failed[1]);
		while ((n = read(failed[0], &e, sizeof(e))) < 0 && errno == EINTR)
			;
		if (n != sizeof(e))
			e = 0;
	}
	if (e) {
		kill(c->pid, SIGKILL);
		while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
			;
		close_fd(&c->pidfd);
		c->pid = 0;
		goto done;
	}
	c->in = in[1];
	c->out = out[0];
	c->err = err[0];
	in[1] = out[0] = err[0] = -1;
	for (int *fd = (int[]){c->in, c->out, c->err, -2}; *fd != -2; fd++) {
		if (*fd >= 0)
			fcntl(*fd, F_SETFL, O_NONBLOCK);
	}
done:
	close_both(in);
	close_both(out);
	close_both(err);
	close_both(go);
	close_both(failed);
	return e;
}

void child_kill(const struct child *c, int sig)
{
	if (c->pid > 0)
		kill(-c->pid, sig);
}

bool child_reap(struct child *c)
{
	siginfo_t info = {0};

	if (c->pid <= 0 || waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) ||
		info.si_pid == 0)
		return false;
	/* Its pid is still taken, so the group's number can't be another's. */
	kill(-c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	c->end_code = info.si_code;
	c->end_status = info.si_status;
	close_fd(&c->pidfd);
	close_fd(&c->in);
	c->pid = 0;
	return true;
}

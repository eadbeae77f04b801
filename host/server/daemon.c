// SPDX-License-Identifier: BSD-2-Clause
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

/* Never returns: the parent's whole part. */
__attribute__((noreturn)) static void wait_for_child(int ready, pid_t child)
{
	char byte;
	ssize_t got;
	int status;

	do {
		got = read(ready, &byte, 1);
	} while (got < 0 && errno == EINTR);
	if (got == 1)
		_exit(EXIT_SUCCESS);
	/* It has ended, and has said why, unless a signal ended it. */
	if (waitpid(child, &status, 0) == child && WIFSIGNALED(status))
		report_error("the daemon was killed at its start by signal %d", WTERMSIG(status));
	_exit(EXIT_FAILURE);
}

int daemon_start(void)
{
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0 || (child = fork()) < 0) {
		report_error("cannot become a daemon: %s", strerror(errno));
		return -1;
	}
	if (child) {
		close(ends[1]);
		wait_for_child(ends[0], child);
	}
	close(ends[0]);
	setsid();
	return ends[1];
}

void daemon_ready(int ready)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	report_to_syslog();
	fflush(NULL);
	/* Holding these would keep a caller waiting who reads our output to its end. */
	for (int fd = 0; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	if (null > STDERR_FILENO)
		close(null);
	if (write(ready, "", 1) != 1)
		report_warning("the process that started this daemon is gone");
	close(ready);
}

int pid_file_write(const char *path)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);

	if (fd < 0) {
		report_error("-p %s: cannot write the PID file: %s", path, strerror(errno));
		return -1;
	}
	if (write(fd, text, (size_t)length) != length) {
		report_error("-p %s: cannot write the PID file: %s", path, strerror(errno));
		close(fd);
		unlink(path);
		return -1;
	}
	close(fd);
	return 0;
}

void pid_file_remove(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t got;

	if (fd < 0)
		return;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (got > 0 && strtol(text, NULL, 10) == (long)getpid())
		unlink(path);
}

// SPDX-License-Identifier: BSD-2-Clause
#include "host/image/tool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/image/bytes.h"

bool workplace_begin(struct workplace *w, char *error)
{
	const char *base = getenv("TMPDIR");
	int n = snprintf(w->path, sizeof(w->path), "%s/isthmus-image-XXXXXX",
			 base && *base ? base : "/tmp");

	if (n < 0 || (size_t)n >= sizeof(w->path))
		return image_fail(error, "$TMPDIR is too long a name");
	if (!mkdtemp(w->path))
		return image_fail(error, "can't make a folder for temporary files, %s: %s", w->path,
			strerror(errno));
	return true;
}

static void remove_tree(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	char child[4096];
	struct stat st;

	while (d && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if ((size_t)snprintf(child, sizeof(child), "%s/%s", path, e->d_name) >= sizeof(child))
			continue;
		if (lstat(child, &st) == 0 && S_ISDIR(st.st_mode))
			remove_tree(child);
		else
			unlink(child);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

void workplace_end(const struct workplace *w)
{
	remove_tree(w->path);
}

_Noreturn static void become(const struct workplace *w, const char *input, int output,
			     const char *const *argv)
{
	int in = open(input ? input : "/dev/null", O_RDONLY);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (input)
		setsid();
	setenv("TMPDIR", w->path, 1);
	setenv("LC_ALL", "C", 1);
	/* The same input gives the same image: mtools and xorriso write this time. 1980, FAT's first. */
	setenv("SOURCE_DATE_EPOCH", "315532800", 0);
	setenv("TZ", "UTC", 1);
	dup2(in, 0);
	dup2(output, 1);
	dup2(output, 2);
	execvp(argv[0], (char *const *)argv);
	_exit(errno == ENOENT ? 127 : 126);
}

/* The last line that has something in it. */
static const char *last_line(struct bytes *text)
{
	char *line;

	bytes_append(text, "", 1);
	line = (char *)text->data;
	for (size_t n = strlen(line); n && (line[n - 1] == '\n' || line[n - 1] == '.'); n--)
		line[n - 1] = '\0';
	return strrchr(line, '\n') ? strrchr(line, '\n') + 1 : line;
}

bool tool_run(const struct workplace *w, const char *package, const char *const *argv,
	const char *input, char *error)
{
	struct bytes said = { 0 };
	char log[300], unused[1024];
	int output, status = 0;
	pid_t pid;

	snprintf(log, sizeof(log), "%s/output", w->path);
	output = open(log, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (output < 0)
		return image_fail(error, "can't write %s: %s", log, strerror(errno));
	pid = fork();
	if (pid == 0)
		become(w, input, output, argv);
	close(output);
	if (pid < 0)
		return image_fail(error, "can't run %s: %s", argv[0], strerror(errno));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return image_fail(error, "%s isn't there; as root: apt-get install %s", argv[0], package);
	if (WIFSIGNALED(status))
		return image_fail(error, "%s was ended by signal %d", argv[0], WTERMSIG(status));
	bytes_read(&said, log, unused);
	image_fail(error, "%s failed: %s", argv[0], last_line(&said));
	bytes_free(&said);
	return false;
}

// SPDX-License-Identifier: BSD-2-Clause
#include "host/launch/part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* No source may keep the others from being heard: read at most this much of each in turn. */
#define READ_MAX	65536

static int open_log(struct screen *s, const char *dir, const char *name, const char *tail, bool *ok)
{
	char *path;
	int fd;

	if (!dir)
		return -1;
	path = text_format("%s/%s%s", dir, name, tail);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0) {
		screen_say(s, "can't write the log %s: %s", path, strerror(errno));
		*ok = false;
	}
	free(path);
	return fd;
}

bool part_init(struct part *p, struct screen *s, const char *name, enum part_role role,
	       size_t index, unsigned int colour, const char *log)
{
	bool ok = true;

	*p = (struct part){ .name = text_copy(name), .index = index, .role = role,
			    .child = CHILD_NONE, .log_out = -1, .log_err = -1 };
	stream_init(&p->out, s, p->name, role == PART_GUEST ? 0 : 1,
		    role == PART_GUEST ? '|' : '!', colour);
	stream_init(&p->err, s, p->name, 1, '!', colour);
	if (role == PART_SERVER) {
		p->log_out = open_log(s, log, name, ".log", &ok);
		p->log_err = p->log_out;
	} else if (role == PART_GUEST) {
		p->log_out = open_log(s, log, name, ".log", &ok);
		p->log_err = open_log(s, log, name, ".qemu.log", &ok);
	}
	return ok;
}

static void write_log(struct screen *s, const char *name, int *fd, const char *bytes, size_t n)
{
	while (*fd >= 0 && n) {
		ssize_t done = write(*fd, bytes, n);

		if (done < 0 && errno != EINTR) {
			screen_say(s, "the log of %s ends here: %s", name, strerror(errno));
			*fd = -1;
		} else if (done > 0) {
			bytes += done;
			n -= (size_t)done;
		}
	}
}

static void read_pipe(struct part *p, struct screen *s, int *fd, struct stream *st, int *log,
		      uint64_t now_ns)
{
	static char buf[16384];

	for (size_t total = 0; *fd >= 0 && total < READ_MAX;) {
		ssize_t n = read(*fd, buf, sizeof(buf));

		if (n > 0) {
			write_log(s, p->name, log, buf, (size_t)n);
			total += (size_t)n;
			if (p->firmware_talks && fd == &p->child.out)
				n = (ssize_t)firmware_filter(&p->firmware, buf, (size_t)n);
			stream_write(st, buf, (size_t)n, now_ns);
		} else if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
			return;
		} else {
			close(*fd);
			*fd = -1;
			stream_end(st);
		}
	}
}

void part_read(struct part *p, struct screen *s, uint64_t now_ns)
{
	read_pipe(p, s, &p->child.err, &p->err, &p->log_err, now_ns);
	read_pipe(p, s, &p->child.out, &p->out, &p->log_out, now_ns);
}

bool part_done(const struct part *p)
{
	return !p->started || (p->ended && p->child.out < 0 && p->child.err < 0);
}

void part_close(struct part *p)
{
	int *fds[] = { &p->child.in, &p->child.out, &p->child.err, &p->child.pidfd };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	stream_end(&p->out);
	stream_end(&p->err);
}

void part_free(struct part *p)
{
	if (p->log_err >= 0 && p->log_err != p->log_out)
		close(p->log_err);
	if (p->log_out >= 0)
		close(p->log_out);
	free(p->name);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The launcher's standard output and error as one screen that many guests share.
 *
 * Each source writes bytes into its stream. The stream cuts them into lines, makes control bytes
 * harmless and puts the source's name before each line. A partial line (a prompt) is shown once its
 * source has been quiet for a moment; it stays open until its source goes on or another one speaks.
 *
 * No write blocks past `give_up_ns`, or once `interrupt` is readable: a stalled terminal can't keep
 * Ctrl-C or a time-out from being obeyed. What it can't take then is dropped.
 */
#ifndef ISTHMUS_LAUNCH_SCREEN_H
#define ISTHMUS_LAUNCH_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_LINE_MAX 4096         /* a longer line is shown in pieces */
#define STREAM_QUIET_NS 100000000ull /* when a partial line is shown */

struct stream;

struct screen {
	int fd[2]; /* [0] for guests' output, [1] for errors and messages */
	bool colour[2];
	int interrupt;             /* -1 or an fd; readable: give up writing */
	uint64_t give_up_ns;       /* CLOCK_MONOTONIC; UINT64_MAX: never */
	bool same_terminal;        /* both fds end in one place, so an open line is shared */
	bool broken;               /* a write failed: nobody reads any more */
	size_t name_width;         /* names are padded to this, so that lines align */
	const struct stream *open; /* whose partial line is on the screen */
};

struct stream {
	struct screen *screen;
	const char *name;    /* borrowed */
	unsigned int which;  /* 0 or 1: index into screen->fd */
	unsigned int colour; /* index into the palette */
	char mark;           /* between name and text: '|' output, '!' QEMU's complaints */
	char line[STREAM_LINE_MAX + 64]; /* already harmless */
	size_t n;
	size_t shown;          /* bytes of line[] already on the screen (an open line) */
	bool cr;               /* a carriage return is pending */
	unsigned char utf8[4]; /* an unfinished UTF-8 sequence */
	unsigned int utf8_n;
	char escape[32]; /* an unfinished escape sequence */
	unsigned int escape_n;
	uint64_t last_ns; /* when the last byte came */
};

/* Colour is decided here: a terminal, no NO_COLOR (https://no-color.org), no TERM=dumb. */
void screen_init(struct screen *s, int out, int err);

void stream_init(struct stream *st, struct screen *s, const char *name, unsigned int which,
	char mark, unsigned int colour);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t screen_now(void);

/* Bytes from the source at time now_ns. */
void stream_write(struct stream *st, const char *bytes, size_t n, uint64_t now_ns);

/* Show a partial line that is old enough. Returns when to call again, UINT64_MAX for never. */
uint64_t stream_tick(struct stream *st, uint64_t now_ns);

/* The source has ended: show what is left and close the line. */
void stream_end(struct stream *st);

/* One message of the launcher's own: "isthmus: ...\n" on the error side. */
void screen_say(struct screen *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

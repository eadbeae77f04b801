// SPDX-License-Identifier: BSD-2-Clause
#include "host/launch/screen.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host/launch/text.h"

/* Readable on dark and on light ground; red is left to the terminal's own warnings. */
static const char *const palette[] = {
	"\033[36m",
	"\033[33m",
	"\033[32m",
	"\033[35m",
	"\033[34m",
	"\033[96m",
	"\033[93m",
	"\033[92m",
	"\033[95m",
	"\033[94m",
};
#define ESC        0x1b
#define COLOUR_OFF "\033[0m"

static bool wants_colour(int fd)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fd) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

void screen_init(struct screen *s, int out, int err)
{
	struct stat a, b;

	*s = (struct screen){.fd = {out, err}, .interrupt = -1, .give_up_ns = UINT64_MAX};
	s->colour[0] = wants_colour(out);
	s->colour[1] = wants_colour(err);
	s->same_terminal = fstat(out, &a) == 0 && fstat(err, &b) == 0 && a.st_dev == b.st_dev &&
			   a.st_ino == b.st_ino;
}

uint64_t screen_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* How long poll() may wait for the screen, in milliseconds. */
static int patience(const struct screen *s)
{
	uint64_t now;

	if (s->give_up_ns == UINT64_MAX)
		return -1;
	now = screen_now();
	if (now >= s->give_up_ns)
		return 0;
	now = (s->give_up_ns - now) / 1000000 + 1;
	return now > 60000 ? 60000 : (int)now;
}

static void put(struct screen *s, unsigned int which, const char *bytes, size_t n)
{
	while (n && !s->broken) {
		struct pollfd p[2] = {
			{.fd = s->fd[which], .events = POLLOUT},
			{.fd = s->interrupt, .events = POLLIN},
		};
		int wait_ms = patience(s), ready = poll(p, 2, wait_ms);
		ssize_t done;

		if (ready < 0 || (ready == 0 && wait_ms > 0))
			continue;
		if (!p[0].revents)
			return; /* stalled, and something more urgent has come */
		/* Pipes that poll as writable take this much without blocking. */
		done = write(s->fd[which], bytes, n < 512 ? n : 512);
		if (done < 0 && errno != EINTR && errno != EAGAIN) {
			s->broken = true;
			return;
		}
		if (done > 0) {
			bytes += done;
			n -= (size_t)done;
		}
	}
}

void stream_init(struct stream *st, struct screen *s, const char *name, unsigned int which,
	char mark, unsigned int colour)
{
	*st = (struct stream){.screen = s,
		.name = name,
		.which = which,
		.mark = mark,
		.colour = colour % (sizeof(palette) / sizeof(palette[0]))};
	if (strlen(name) > s->name_width)
		s->name_width = strlen(name);
}

/* End another source's open line, so that a new one can begin. */
static void close_open_line(struct screen *s, unsigned int which)
{
	if (!s->open || (s->open->which != which && !s->same_terminal))
		return;
	put(s, s->open->which, "\n", 1);
	s->open = NULL;
}

/* Show line[shown..n), and end the line if asked. */
static void show(struct stream *st, bool end)
{
	struct screen *s = st->screen;
	struct text t = {0};

	if (s->open != st) {
		bool colour = s->colour[st->which];

		close_open_line(s, st->which);
		text_addf(&t, "%s%-*s %c%s ", colour ? palette[st->colour] : "", (int)s->name_width,
			st->name, st->mark, colour ? COLOUR_OFF : "");
	}
	text_add(&t, st->line + st->shown, st->n - st->shown);
	if (end) {
		/* No blank after the mark of an empty line. */
		while (t.n && t.s[t.n - 1] == ' ')
			t.n--;
		text_add(&t, "\n", 1);
		st->n = 0;
		st->shown = 0;
		s->open = NULL;
	} else {
		st->shown = st->n;
		s->open = st;
	}
	put(s, st->which, t.s, t.n);
	text_free(&t);
}

static void add(struct stream *st, const char *bytes, size_t n)
{
	if (st->n + n > STREAM_LINE_MAX)
		show(st, true);
	memcpy(st->line + st->n, bytes, n);
	st->n += n;
}

/* A byte that a terminal might obey is shown as \xNN instead. */
static void add_escaped(struct stream *st, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	const char out[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};

	add(st, out, sizeof(out));
}

static void flush_utf8(struct stream *st)
{
	for (unsigned int i = 0; i < st->utf8_n; i++)
		add_escaped(st, st->utf8[i]);
	st->utf8_n = 0;
}

static unsigned int utf8_length(unsigned char first)
{
	if (first >= 0xc2 && first <= 0xdf)
		return 2;
	if (first >= 0xe0 && first <= 0xef)
		return 3;
	if (first >= 0xf0 && first <= 0xf4)
		return 4;
	return 0;
}

/*
 * Well-formed (Unicode 15, table 3-7) and harmless: no C1 controls (U+0080..9f), and none of the
 * marks that reorder the line around them (U+200e, 200f, 202a..202e, 2066..2069).
 */
static bool utf8_harmless(const unsigned char *c, unsigned int n)
{
	unsigned int v = c[0] & (0xffu >> (n + 1));

	for (unsigned int i = 1; i < n; i++)
		v = v << 6 | (c[i] & 0x3f);
	if (n == 2)
		return v >= 0xa0;
	if (n == 3)
		return v >= 0x800 && (v < 0xd800 || v > 0xdfff) && v != 0x200e && v != 0x200f &&
		       (v < 0x2028 || v > 0x202e) && (v < 0x2066 || v > 0x2069);
	return v >= 0x10000 && v <= 0x10ffff;
}

/* What was held back as the beginning of a sequence is none: show it. */
static void flush_escape(struct stream *st)
{
	unsigned int n = st->escape_n;

	st->escape_n = 0;
	for (unsigned int i = 0; i < n; i++) {
		if (st->escape[i] == ESC)
			add_escaped(st, ESC);
		else
			add(st, &st->escape[i], 1);
	}
}

/*
 * Colour and cursor sequences (ECMA-48 section 5.4: ESC [, parameters, intermediates, one final
 * byte) say nothing in a line that has a name before it, and firmware's consoles are full of them:
 * a well-formed one is left out. False: the byte is no part of one and is yet to be handled.
 */
static bool escape_goes_on(struct stream *st, unsigned char c)
{
	bool final = st->escape_n > 1 && c >= 0x40 && c <= 0x7e;
	bool inside = st->escape_n > 1 ? c >= 0x20 && c <= 0x3f : c == '[';

	if (final) {
		st->escape_n = 0;
		return true;
	}
	if (inside && st->escape_n < sizeof(st->escape)) {
		st->escape[st->escape_n++] = (char)c;
		return true;
	}
	flush_escape(st);
	return false;
}

static void add_byte(struct stream *st, unsigned char c)
{
	if (st->utf8_n) {
		if ((c & 0xc0) == 0x80) {
			st->utf8[st->utf8_n++] = c;
			if (st->utf8_n < utf8_length(st->utf8[0]))
				return;
			if (utf8_harmless(st->utf8, st->utf8_n)) {
				add(st, (const char *)st->utf8, st->utf8_n);
				st->utf8_n = 0;
			}
			flush_utf8(st);
			return;
		}
		flush_utf8(st);
	}
	if (st->escape_n && escape_goes_on(st, c))
		return;
	/* A lone carriage return would overwrite the name: it ends the line; \r\n ends it once. */
	if (st->cr && c != '\r') {
		st->cr = false;
		if (st->n || c == '\n')
			show(st, true);
		if (c == '\n')
			return;
	}
	if (c == '\n') {
		show(st, true);
	} else if (c == '\r') {
		st->cr = true;
	} else if (utf8_length(c)) {
		st->utf8[0] = c;
		st->utf8_n = 1;
	} else if (c == ESC) {
		st->escape[0] = (char)c;
		st->escape_n = 1;
	} else if ((c >= ' ' && c < 0x7f) || c == '\t') {
		add(st, (const char *)&c, 1);
	} else {
		add_escaped(st, c);
	}
}

void stream_write(struct stream *st, const char *bytes, size_t n, uint64_t now_ns)
{
	for (size_t i = 0; i < n; i++)
		add_byte(st, (unsigned char)bytes[i]);
	if (n)
		st->last_ns = now_ns;
}

uint64_t stream_tick(struct stream *st, uint64_t now_ns)
{
	if (st->n <= st->shown)
		return UINT64_MAX;
	if (now_ns - st->last_ns < STREAM_QUIET_NS)
		return st->last_ns + STREAM_QUIET_NS;
	show(st, false);
	return UINT64_MAX;
}

void stream_end(struct stream *st)
{
	flush_utf8(st);
	flush_escape(st);
	if (st->n || st->screen->open == st)
		show(st, true);
	st->cr = false;
}

void screen_say(struct screen *s, const char *fmt, ...)
{
	struct text t = {0};
	char buf[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	text_addf(&t, "isthmus: %s\n", buf);
	close_open_line(s, 1);
	put(s, 1, t.s, t.n);
	text_free(&t);
}

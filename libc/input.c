// SPDX-License-Identifier: BSD-2-Clause
/* Standard input: the console, a line at a time as far as has come. */
#include "libc/input.h"
#include <errno.h>
#include <isthmus/clock.h>
#include <unistd.h>
#include "platform/console.h"

#define END_OF_INPUT	4		/* Ctrl-D, as terminals send it */
#define NOTHING		(-1)

static int ahead = NOTHING;		/* taken from the console by input_waits() */
static bool ended, after_return;

/* The next byte without the line feed of a pair, or NOTHING. */
static int next_byte(void)
{
	int c = ahead;

	if (c != NOTHING) {
		ahead = NOTHING;
		return c;
	}
	c = console_read_char();
	if (after_return && c == '\n') {
		after_return = false;
		c = console_read_char();
	}
	if (c >= 0)
		after_return = c == '\r';
	return c < 0 ? NOTHING : c;
}

bool input_waits(void)
{
	if (!ended && ahead == NOTHING)
		ahead = next_byte();
	return ended || ahead != NOTHING;
}

/*
 * Blocks until there is something, then returns what has come up to a line's end. A carriage
 * return, which is what terminals send, is a line's end, and so is one with a line feed. Ctrl-D on
 * an empty line ends the input.
 */
_READ_WRITE_RETURN_TYPE read(int fd, void *buffer, size_t size)
{
	char *bytes = buffer;
	size_t n = 0;

	if (fd != STDIN_FILENO) {
		errno = EBADF;
		return -1;
	}
	while (n < size && !ended) {
		int c = next_byte();

		if (c == NOTHING && n)
			break;
		if (c == NOTHING) {
			clock_sleep_until(clock_now_ns() + INPUT_POLL_NS);
		} else if (c == END_OF_INPUT) {
			ended = n == 0;
			break;
		} else {
			bytes[n++] = c == '\r' ? '\n' : (char)c;
			if (bytes[n - 1] == '\n')
				break;
		}
	}
	return (_READ_WRITE_RETURN_TYPE)n;
}

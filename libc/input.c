// SPDX-License-Identifier: BSD-2-Clause
/* Standard input: the console, a line at a time as far as has come. */
#include <errno.h>
#include <isthmus/clock.h>
#include <stdbool.h>
#include <unistd.h>
#include "platform/console.h"

#define POLL_NS		5000000ull	/* between two looks at the console the CPU sleeps */
#define END_OF_INPUT	4		/* Ctrl-D, as terminals send it */

/*
 * Blocks until there is something, then returns what has come up to a line's end. A carriage
 * return, which is what terminals send, is a line's end, and so is one with a line feed. Ctrl-D on
 * an empty line ends the input.
 */
_READ_WRITE_RETURN_TYPE read(int fd, void *buffer, size_t size)
{
	static bool ended, after_return;
	char *bytes = buffer;
	size_t n = 0;

	if (fd != STDIN_FILENO) {
		errno = EBADF;
		return -1;
	}
	while (n < size && !ended) {
		int c = console_read_char();
		bool pair = after_return && c == '\n';

		after_return = c < 0 ? after_return : c == '\r';
		if (pair)
			continue;
		if (c < 0 && n)
			break;
		if (c < 0) {
			clock_sleep_until(clock_now_ns() + POLL_NS);
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

/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line cut into words: a pure function, tested on the host. */
#ifndef BOOT_COMMAND_LINE_H
#define BOOT_COMMAND_LINE_H

#include <stddef.h>

enum command_line_error {
	COMMAND_LINE_OPEN_QUOTE = -1,	/* a quotation that does not end */
	COMMAND_LINE_OPEN_ESCAPE = -2,	/* a backslash with nothing after it */
	COMMAND_LINE_TOO_MANY = -3,	/* more than `max` words */
};

/*
 * Cuts `line` into words in place and puts them into words[0..max - 1]; returns how many. White
 * space parts words. '...' takes all as it is; "..." too, but for \" and \\; outside of quotes a
 * backslash takes the next character as it is. Quotes may stand inside a word, and '' is an
 * empty word. Or returns a command_line_error, with `line` spoilt.
 */
int command_line_split(char *line, char **words, size_t max);

#endif

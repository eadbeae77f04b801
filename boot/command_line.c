// SPDX-License-Identifier: BSD-2-Clause
#include "boot/command_line.h"

#include <stdbool.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Moves one word from *from to *to, without its quotes, and ends it; *to never overtakes *from. */
static int take_word(char **from, char **to)
{
	char quote = 0, *in = *from, *out = *to;

	for (; *in && (quote || !is_space(*in)); in++) {
		if (quote && *in == quote) {
			quote = 0;
		} else if (!quote && (*in == '\'' || *in == '"')) {
			quote = *in;
		} else if (*in == '\\' && !quote) {
			if (!in[1])
				return COMMAND_LINE_OPEN_ESCAPE;
			*out++ = *++in;
		} else if (*in == '\\' && quote == '"' && (in[1] == '"' || in[1] == '\\')) {
			*out++ = *++in;
		} else {
			*out++ = *in;
		}
	}
	if (quote)
		return COMMAND_LINE_OPEN_QUOTE;
	if (*in)
		in++;
	*out++ = '\0';
	*from = in;
	*to = out;
	return 0;
}

int command_line_split(char *line, char **words, size_t max)
{
	char *from = line, *to = line;
	size_t count = 0;

	for (;;) {
		while (is_space(*from))
			from++;
		if (!*from)
			return (int)count;
		if (count == max)
			return COMMAND_LINE_TOO_MANY;
		words[count++] = to;

		int error = take_word(&from, &to);

		if (error)
			return error;
	}
}

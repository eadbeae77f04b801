// SPDX-License-Identifier: BSD-2-Clause
// Lines: put together on the caller's stack and handed to the sink in one piece, so that nothing
// here is shared between a handler and what it interrupted.
#include <isthmus/log.h>
#include "log/line.h"
#include "log/sink.h"

#define LINE_MAX 240 /* bytes of a line's text; room for its time stamp and ending comes on top */

static const struct log_sink *current_sink;
static enum log_level current_level = LOG_INFO;

static const char *const labels[] = {
	[LOG_ERROR] = "error", [LOG_WARN] = "warn ", [LOG_INFO] = "info ", [LOG_DEBUG] = "debug",
};

void log_set_sink(const struct log_sink *sink)
{
	current_sink = sink;
}

void log_set_level(enum log_level level)
{
	current_level = level;
}

const struct log_sink *log_get_sink(void)
{
	return current_sink;
}

int log_parse_level(const char *word, enum log_level *level)
{
	for (unsigned i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		const char *a = labels[i], *b = word;

		while (*a && *a != ' ' && *a == *b) {
			a++;
			b++;
		}
		if ((*a == '\0' || *a == ' ') && *b == '\0') {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return -1;
}

/* A line is one line: what would break it or steer a terminal (a peer may have named it) goes. */
static void make_printable(char *text, int length)
{
	for (int i = 0; i < length; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = text[i] == '\t' ? ' ' : '?';
	}
}

void log_write_line(const char *label, const char *format, va_list arguments)
{
	const struct log_sink *sink = current_sink;
	char line[LINE_MAX + 64];
	uint64_t now;
	int head, length;

	if (sink == NULL)
		return;
	now = sink->now_ns ? sink->now_ns() : 0;
	head = log_format(line, sizeof(line), "[%5llu.%06u] %s ",
			  (unsigned long long)(now / 1000000000),
			  (unsigned)(now % 1000000000 / 1000), label);
	length = log_vformat(line + head, LINE_MAX + 1, format, arguments);
	if (length > LINE_MAX) {
		length = LINE_MAX;
		for (int i = 1; i <= 3; i++)
			line[head + length - i] = '.';
	}
	while (length > 0 && line[head + length - 1] == '\n')
		length--;
	make_printable(line + head, length);
	line[head + length] = '\n';
	sink->write(line, (size_t)(head + length + 1));
}

void log_line(enum log_level level, const char *format, ...)
{
	va_list arguments;

	if (level > current_level)
		return;
	va_start(arguments, format);
	log_write_line(labels[level], format, arguments);
	va_end(arguments);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* How a line is put together; private to log/. */
#ifndef LOG_LINE_H
#define LOG_LINE_H

#include <stdarg.h>

/* Write "[time] label text" to the sink, whatever the level. label: five characters. */
void log_write_line(const char *label, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));

#endif

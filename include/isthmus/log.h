/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines on the console for whoever watches the guest, and the way out when nothing can go on.
 *
 * A line looks like "[    0.001234] warn  ivshmem: text". It is written whole: a line logged by an
 * interrupt handler stands before or after the line it interrupted, never inside it.
 */
#ifndef ISTHMUS_LOG_H
#define ISTHMUS_LOG_H

#include <stdarg.h>
#include <stddef.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/*
 * Log one line; no '\n' at the end is needed. May be called from interrupt handlers. Never fails
 * and never blocks longer than the console takes; a line beyond 240 bytes ends in "...".
 *
 * The formatter is small and needs no libc and no FPU: %s %c %d %i %u %x %X %p %%, with l, ll, z,
 * a width, the flags 0 - #, and for %s a precision (width and precision may be *). Floating point
 * is printf's.
 */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/* Lines above this level are dropped; LOG_INFO unless "isthmus.log=LEVEL" says otherwise. */
void log_set_level(enum log_level level);

/*
 * Format into buffer, always ending it with a NUL if size > 0. Returns the length the whole text
 * has, as snprintf does; the text was cut if that is >= size.
 */
int log_format(char *buffer, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int log_vformat(char *buffer, size_t size, const char *format, va_list arguments)
	__attribute__((format(printf, 3, 0)));

/*
 * Say why, print a stack trace with function names, and end the VM with the status that means
 * panic. For what can't happen and can't be mended; may be called from anywhere.
 */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One line per thing worth saying: to standard error, or to syslog once the server is a daemon.
 * Each call is one line; no line feed at the end of @format. errno is left as it was.
 */
#ifndef HOST_SERVER_REPORT_H
#define HOST_SERVER_REPORT_H

#include <stdbool.h>

/* Says report_info() lines too (-v). */
void report_set_verbose(bool verbose);

/* From now on lines go to syslog (facility daemon) under the program's name. */
void report_to_syslog(void);

/* Something failed: what, where, how to mend it. */
void report_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Something happened to one client or is odd; the server goes on. A hundred lines at once and ten a
 * second after that: a client that misbehaves in a loop must not fill the disk. How many were left
 * out is said with the next one.
 */
void report_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What the server does, only under -v. */
void report_info(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif

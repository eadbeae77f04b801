// SPDX-License-Identifier: BSD-2-Clause
#include "report.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define WARNINGS_AT_ONCE 100
#define WARNING_MS       100 /* one more after so long */

static bool is_verbose;
static bool uses_syslog;

void report_set_verbose(bool verbose)
{
	is_verbose = verbose;
}

void report_to_syslog(void)
{
	openlog("ivshmem-server", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	uses_syslog = true;
}

static void report(int priority, const char *format, va_list args)
{
	int saved = errno;
	char line[512];

	vsnprintf(line, sizeof(line), format, args);
	if (uses_syslog)
		syslog(priority, "%s", line);
	else
		fprintf(stderr, "ivshmem-server: %s\n", line);
	errno = saved;
}

/* Whether one more warning may be said now; counts those that may not in *@left_out. */
static bool take_budget(unsigned int *left_out)
{
	static int64_t budget_ms = WARNINGS_AT_ONCE * WARNING_MS, last_ms;
	struct timespec now;
	int64_t now_ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	budget_ms += now_ms - last_ms;
	last_ms = now_ms;
	if (budget_ms > WARNINGS_AT_ONCE * WARNING_MS)
		budget_ms = WARNINGS_AT_ONCE * WARNING_MS;
	if (budget_ms < WARNING_MS) {
		++*left_out;
		return false;
	}
	budget_ms -= WARNING_MS;
	return true;
}

/*
 * Whether a line would go out at once. A full pipe that nobody reads must not stop the server, and
 * with it every QEMU that starts: what is only news is left out then, and counted.
 */
static bool is_heard(unsigned int *left_out)
{
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

	if (uses_syslog || poll(&out, 1, 0) != 0)
		return true;
	++*left_out;
	return false;
}

static void say(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(int priority, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(priority, format, args);
	va_end(args);
}

void report_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(LOG_ERR, format, args);
	va_end(args);
}

void report_warning(const char *format, ...)
{
	static unsigned int left_out;
	va_list args;

	if (!take_budget(&left_out) || !is_heard(&left_out))
		return;
	if (left_out)
		say(LOG_WARNING, "left out %u lines like the next", left_out);
	left_out = 0;
	va_start(args, format);
	report(LOG_WARNING, format, args);
	va_end(args);
}

void report_info(const char *format, ...)
{
	static unsigned int left_out;
	va_list args;

	if (!is_verbose || !is_heard(&left_out))
		return;
	if (left_out)
		say(LOG_INFO, "left out %u lines that nobody was reading", left_out);
	left_out = 0;
	va_start(args, format);
	report(LOG_INFO, format, args);
	va_end(args);
}

// SPDX-License-Identifier: BSD-2-Clause
#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

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

void report_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(LOG_ERR, format, args);
	va_end(args);
}

void report_warning(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(LOG_WARNING, format, args);
	va_end(args);
}

void report_info(const char *format, ...)
{
	va_list args;

	if (!is_verbose)
		return;
	va_start(args, format);
	report(LOG_INFO, format, args);
	va_end(args);
}

// SPDX-License-Identifier: BSD-2-Clause
/* A failed assert() is a panic: it names the place and shows who called. */
#include <assert.h>
#include <isthmus/log.h>

void __assert_func(const char *file, int line, const char *function, const char *expression)
{
	panic("assertion failed: %s, in %s(), %s:%d", expression, function ? function : "?", file,
		line);
}

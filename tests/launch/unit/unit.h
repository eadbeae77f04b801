/* SPDX-License-Identifier: BSD-2-Clause */
/* What every unit test here includes first: cmocka wants its own headers in this order. */
#ifndef ISTHMUS_TESTS_LAUNCH_UNIT_H
#define ISTHMUS_TESTS_LAUNCH_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define assert_contains(text, part)                                                                \
	do {                                                                                       \
		if (!strstr((text), (part)))                                                       \
			fail_msg("'%s' is not in '%s'", (part), (text));                           \
	} while (0)

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks for guests that test their own runtime: each failure is a line. */
#ifndef TESTS_GUEST_CHECK_H
#define TESTS_GUEST_CHECK_H

#include <stdio.h>

static int checks_failed, checks_made;

/* Notes whether the expression holds; goes on either way. */
#define CHECK(expression) ((void)check_that(!!(expression), #expression, __FILE__, __LINE__))

/* For what cannot be gone on from: returns from main() with the failure. */
#define CHECK_OR_END(expression) do { \
	if (!check_that(!!(expression), #expression, __FILE__, __LINE__)) \
		return check_end(); \
} while (0)

/* The same in a function that returns nothing: leaves that function alone. */
#define CHECK_OR_END_VOID(expression) do { \
	if (!check_that(!!(expression), #expression, __FILE__, __LINE__)) \
		return; \
} while (0)

static inline int check_that(int holds, const char *expression, const char *file, int line)
{
	checks_made++;
	if (!holds) {
		checks_failed++;
		printf("FAIL %s:%d: %s\n", file, line, expression);
	}
	return holds;
}

/* What main() returns: 0, or 1 after a failure or when nothing was checked. */
static inline int check_end(void)
{
	if (checks_failed || !checks_made)
		printf("FAIL %d of %d checks\n", checks_failed, checks_made);
	else
		printf("PASS %d checks\n", checks_made);
	return checks_failed || !checks_made;
}

#endif

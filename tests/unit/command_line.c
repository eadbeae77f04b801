// SPDX-License-Identifier: BSD-2-Clause
// boot/command_line: words, quotes, and lines that are wrong.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "boot/command_line.h"

#define MOST 8

/* The words must be those, each followed by a bar. */
static void splits(const char *line, const char *expected)
{
	char *copy = strdup(line), *words[MOST], joined[200] = "";
	int count = command_line_split(copy, words, MOST);

	assert_true(count >= 0);
	for (int i = 0; i < count; i++)
		snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%s|", words[i]);
	assert_string_equal(joined, expected);
	free(copy);
}

static void fails(const char *line, int error)
{
	char *copy = strdup(line), *words[MOST];

	assert_int_equal(command_line_split(copy, words, MOST), error);
	free(copy);
}

static void words(void **state)
{
	(void)state;
	splits("", "");
	splits(" \t\r\n ", "");
	splits("one", "one|");
	splits("  one \t two\n", "one|two|");
	splits("a b c d e f g h", "a|b|c|d|e|f|g|h|");
	splits("isthmus.name=x y=z", "isthmus.name=x|y=z|");
}

static void quotes(void **state)
{
	(void)state;
	splits("'one two' \"three  four\"", "one two|three  four|");
	splits("a'b c'd\"e f\"g", "ab cde fg|");
	splits("'' \"\" x", "||x|");
	splits("'a\"b' \"c'd\"", "a\"b|c'd|");
	splits("one\\ two \\\\ \\' \\\"", "one two|\\|'|\"|");
	splits("\"a\\\"b\\\\c\\d\"", "a\"b\\c\\d|");
	splits("'a\\b'", "a\\b|");
}

static void errors(void **state)
{
	(void)state;
	fails("'one", COMMAND_LINE_OPEN_QUOTE);
	fails("one \"two'", COMMAND_LINE_OPEN_QUOTE);
	fails("one \"two\\\"", COMMAND_LINE_OPEN_QUOTE);
	fails("one \\", COMMAND_LINE_OPEN_ESCAPE);
	fails("a b c d e f g h i", COMMAND_LINE_TOO_MANY);
}

/* Random lines of the characters that matter, on the heap, where a sanitizer sees every step. */
static void never_leaves_the_line(void **state)
{
	static const char letters[] = "ab '\"\\\t";
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 200000; round++) {
		char *found[MOST];
		size_t length = seed % 24;
		char *line = malloc(length + 1);

		for (size_t i = 0; i < length; i++) {
			seed = seed * 1664525 + 1013904223;
			line[i] = letters[(seed >> 16) % (sizeof(letters) - 1)];
		}
		line[length] = '\0';
		seed = seed * 1664525 + 1013904223;

		int count = command_line_split(line, found, MOST);

		assert_true(count >= COMMAND_LINE_TOO_MANY && count <= MOST);
		for (int i = 0; i < count; i++)
			assert_true(found[i] >= line && found[i] + strlen(found[i]) <= line + length);
		free(line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),
		cmocka_unit_test(quotes),
		cmocka_unit_test(errors),
		cmocka_unit_test(never_leaves_the_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
#include "tests/launch/unit/unit.h"

#include "host/launch/text.h"

static void check_words(const char *line, size_t n, const char *const *want)
{
	struct words w = {0};
	const char *why = split_words(line, strlen(line), &w);

	if (why)
		fail_msg("'%s': %s", line, why);
	assert_int_equal(w.n, n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(w.v[i], want[i]);
	words_free(&w);
}

#define CHECK_WORDS(line, ...)                                                                     \
	check_words(line, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                  \
		(const char *[]){__VA_ARGS__})

static void splits_as_a_shell_does(void **state)
{
	(void)state;
	CHECK_WORDS("a bc  d\t e", "a", "bc", "d", "e");
	CHECK_WORDS("  lead and trail  \r", "lead", "and", "trail");
	CHECK_WORDS("'a b' \"c d\" e\\ f", "a b", "c d", "e f");
	CHECK_WORDS("a'b'\"c\"d", "abcd");
	CHECK_WORDS("'' \"\"", "", "");
	CHECK_WORDS("\"a\\\"b\" \"c\\\\d\" \"e\\nf\" 'g\\h'", "a\"b", "c\\d", "e\\nf", "g\\h");
	CHECK_WORDS("a#b # comment 'open", "a#b");
	check_words("", 0, NULL);
	check_words("# only a comment", 0, NULL);
	check_words("   ", 0, NULL);
}

static void names_what_splits_badly(void **state)
{
	static const struct {
		const char *line, *why;
	} bad[] = {
		{"a 'b", "a ' is never closed"},
		{"a \"b 'c'", "a \" is never closed"},
		{"a\\", "a backslash ends the line; write \\\\ for one backslash"},
		{"\"a\\", "a backslash ends the line; write \\\\ for one backslash"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct words w = {0};
		const char *why = split_words(bad[i].line, strlen(bad[i].line), &w);

		assert_non_null(why);
		assert_string_equal(why, bad[i].why);
		words_free(&w);
	}
}

/* What quote_shell() writes must come back as the one word, from sh itself and from our own reader.
 */
static void quotes_so_that_sh_reads_it_back(void **state)
{
	static const char *const words[] = {
		"plain",
		"",
		" ",
		"a b",
		"it's",
		"''",
		"'",
		"$HOME",
		"`id`",
		"a;b",
		"a\\b",
		"\\",
		"*",
		"\"x\"",
		"~",
		"#",
		"a,b=c",
		"-n",
		"!",
		"tab\there",
		"new\nline",
		"\xff\x01",
		"{a,b}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct text command = {0}, line = {0};
		struct words w = {0};
		char back[64];
		size_t n;
		FILE *f;

		text_add_str(&command, "printf %s ");
		quote_shell(&command, words[i]);
		f = popen(command.s, "r");
		assert_non_null(f);
		n = fread(back, 1, sizeof(back) - 1, f);
		back[n] = '\0';
		assert_int_equal(pclose(f), 0);
		assert_string_equal(back, words[i]);

		quote_shell(&line, words[i]);
		assert_null(split_words(line.s, line.n, &w));
		assert_int_equal(w.n, 1);
		assert_string_equal(w.v[0], words[i]);
		words_free(&w);
		text_free(&line);
		text_free(&command);
	}
}

static void doubles_commas_for_qemu(void **state)
{
	struct text t = {0};

	(void)state;
	quote_qemu(&t, "/a,b,,c");
	assert_string_equal(t.s, "/a,,b,,,,c");
	text_free(&t);
}

static void reads_sizes(void **state)
{
	static const char *const bad[] = {"", "M", "-1", "+1", " 1", "1 ", "1x", "1KB", "0x10",
		"1.5M", "18446744073709551616", "17179869184G", "16777216T"};
	unsigned long long v;

	(void)state;
	assert_true(parse_size("0", &v) && v == 0);
	assert_true(parse_size("4096", &v) && v == 4096);
	assert_true(parse_size("4k", &v) && v == 4096);
	assert_true(parse_size("3M", &v) && v == 3u << 20);
	assert_true(parse_size("16G", &v) && v == 16ull << 30);
	assert_true(parse_size("1t", &v) && v == 1ull << 40);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse_size(bad[i], &v))
			fail_msg("'%s' was taken for %llu", bad[i], v);
	}
}

static void reads_numbers_in_their_range(void **state)
{
	static const char *const bad[] = {
		"", "0", "257", "-1", "+1", " 1", "1 ", "0x1", "1e1", "99999999999999999999999"};
	unsigned long long v;

	(void)state;
	assert_true(parse_number("1", 1, 256, &v) && v == 1);
	assert_true(parse_number("256", 1, 256, &v) && v == 256);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(parse_number(bad[i], 1, 256, &v));
}

static void writes_sizes_short(void **state)
{
	static const struct {
		unsigned long long bytes;
		const char *want;
	} cases[] = {{0, "0"}, {1, "1"}, {4096, "4K"}, {4097, "4097"}, {1536ull << 20, "1536M"},
		{1ull << 30, "1G"}, {1ull << 40, "1T"}, {1ull << 60, "1048576T"}};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned long long back;

		format_size(buf, sizeof(buf), cases[i].bytes);
		assert_string_equal(buf, cases[i].want);
		assert_true(parse_size(buf, &back) && back == cases[i].bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits_as_a_shell_does),
		cmocka_unit_test(names_what_splits_badly),
		cmocka_unit_test(quotes_so_that_sh_reads_it_back),
		cmocka_unit_test(doubles_commas_for_qemu),
		cmocka_unit_test(reads_sizes),
		cmocka_unit_test(reads_numbers_in_their_range),
		cmocka_unit_test(writes_sizes_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

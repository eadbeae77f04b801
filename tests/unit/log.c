// SPDX-License-Identifier: BSD-2-Clause
// log/: the formatter against the host's snprintf, whole lines, and the steps of a panic.
#include <isthmus/log.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "log/panic.h"
#include "log/sink.h"

#define SAME(...)                                                                                  \
	do {                                                                                       \
		char ours[128], theirs[128];                                                       \
		int length = log_format(ours, sizeof(ours), __VA_ARGS__);                          \
		assert_int_equal(length, snprintf(theirs, sizeof(theirs), __VA_ARGS__));           \
		assert_string_equal(ours, theirs);                                                 \
	} while (0)

static void formats_as_printf_does(void **state)
{
	(void)state;
	SAME("plain, 100%%");
	SAME("%d %i %u %x %X", -1, INT_MIN, UINT_MAX, 0xbeef, 0xbeef);
	SAME("%ld %lu %lx", LONG_MIN, ULONG_MAX, ULONG_MAX);
	SAME("%lld %llu %llX", LLONG_MIN, ULLONG_MAX, 0x123456789abcdefull);
	SAME("%zu %zx %zd", (size_t)SIZE_MAX, (size_t)0, (size_t)42);
	SAME("%jd %td", (intmax_t)-7, (ptrdiff_t)-8);
	SAME("%hhu %hd", (unsigned char)255, (short)-3);
	SAME("[%5d] [%-5d] [%05d] [%-5u]", -42, -42, -42, 7u);
	SAME("[%16lx] [%016lx] [%-16lx]", 0xabcul, 0xabcul, 0xabcul);
	SAME("[%s] [%8s] [%-8s] [%.2s] [%8.3s]", "abc", "abc", "abc", "abc", "abcdef");
	SAME("[%*d] [%-*d] [%.*s]", 6, 1, 6, 2, 2, "xyz");
	SAME("[%*d]", -6, 3);
	SAME("[%#x] [%#lx] [%#010x] [%#10X] [%-#8x] [%#x]", 0xabu, 0xabul, 0xabu, 0xabu, 0xabu, 0u);
	SAME("[%c] [%3c] [%-3c]", 'x', 'y', 'z');
	SAME("%p", (void *)0xdeadbeef);
	SAME("%d", 0);
}

static void formats_what_printf_would_not(void **state)
{
	char text[64];
	const char *volatile null = NULL; /* hidden from the compiler's own look */
	const char *volatile odd = "a %q b %d";

	(void)state;
	log_format(text, sizeof(text), "[%s]", null);
	assert_string_equal(text, "[(null)]");
	/* An unknown letter: the rest stands as it is, and nothing is taken. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
	log_format(text, sizeof(text), odd);
	assert_string_equal(text, "a %q b %d");
	odd = "cut %";
	log_format(text, sizeof(text), odd);
	assert_string_equal(text, "cut %");
	odd = "%99999999999999999999d";
	assert_true(log_format(text, sizeof(text), odd, 1) > 0);
#pragma GCC diagnostic pop
}

static void cuts_and_ends(void **state)
{
	char text[8];

	(void)state;
	for (size_t size = 0; size <= sizeof(text); size++) {
		memset(text, '#', sizeof(text));
		assert_int_equal(log_format(text, size, "%s", "0123456789"), 10);
		for (size_t i = size; i < sizeof(text); i++)
			assert_int_equal(text[i], '#');
		if (size > 0) {
			assert_int_equal(strlen(text), size - 1);
			assert_memory_equal(text, "0123456789", size - 1);
		}
	}
	assert_int_equal(log_format(NULL, 0, "%d", 12345), 5);
}

static char written[4096];
static size_t written_length;
static unsigned writes;
static uint64_t now;

static void write_down(const char *text, size_t size)
{
	assert_true(written_length + size < sizeof(written));
	memcpy(written + written_length, text, size);
	written_length += size;
	written[written_length] = '\0';
	writes++;
}

static uint64_t tell_now(void)
{
	return now;
}

static const struct log_sink sink = { write_down, tell_now };

static void forget(void)
{
	written_length = 0;
	written[0] = '\0';
	writes = 0;
}

static void lines_are_whole(void **state)
{
	char name[400];

	(void)state;
	log_set_sink(NULL);
	log_info("nobody hears");
	log_set_sink(&sink);
	log_set_level(LOG_INFO);
	forget();

	now = 1234567;
	log_warn("ivshmem: %s", "text");
	assert_string_equal(written, "[    0.001234] warn  ivshmem: text\n");
	assert_int_equal(writes, 1);

	forget();
	now = 12345ull * 1000000000 + 999999999;
	log_info("with its own end\n");
	log_error("x\ny\033[2Jz\t!");
	assert_string_equal(written, "[12345.999999] info  with its own end\n"
				     "[12345.999999] error x?y?[2Jz !\n");
	assert_int_equal(writes, 2);

	forget();
	log_debug("below the level");
	assert_int_equal(writes, 0);
	log_set_level(LOG_DEBUG);
	log_debug("at it");
	assert_int_equal(writes, 1);

	/* Too long: cut, marked, and still one line. */
	forget();
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	log_error("%s", name);
	assert_int_equal(writes, 1);
	assert_string_equal(written + written_length - 5, "n...\n");
	assert_int_equal(written_length, strlen("[12345.999999] error ") + 240 + 1);

	log_set_level(LOG_ERROR);
	forget();
	log_warn("w");
	log_error("e");
	assert_int_equal(writes, 1);
}

static void levels_have_names(void **state)
{
	enum log_level level = LOG_ERROR;

	(void)state;
	assert_int_equal(log_parse_level("debug", &level), 0);
	assert_int_equal(level, LOG_DEBUG);
	assert_int_equal(log_parse_level("warn", &level), 0);
	assert_int_equal(level, LOG_WARN);
	assert_int_equal(log_parse_level("info", &level), 0);
	assert_int_equal(log_parse_level("error", &level), 0);
	assert_int_equal(level, LOG_ERROR);
	assert_int_equal(log_parse_level("", &level), -1);
	assert_int_equal(log_parse_level("warning", &level), -1);
	assert_int_equal(log_parse_level("war", &level), -1);
	assert_int_equal(log_parse_level("warn ", &level), -1);
}

static jmp_buf out;
static int panic_again; /* how often describe panics again */
static unsigned begun, died;

static void begin(void)
{
	begun++;
}

static void describe(uintptr_t code, uintptr_t frame)
{
	assert_true(code != 0 && frame != 0);
	panic_line("described");
	if (panic_again-- > 0)
		panic("second");
}

static void die(void)
{
	died++;
	longjmp(out, 1);
}

static void panics_end_however_deep(void **state)
{
	static const struct panic_hooks hooks = { begin, describe, die, NULL };

	(void)state;
	log_set_sink(&sink);
	log_set_level(LOG_ERROR);
	panic_set_hooks(&hooks);
	forget();
	now = 0;
	panic_again = 1;
	if (setjmp(out) == 0)
		panic("first %d", 1);
	assert_string_equal(written, "[    0.000000] panic first 1\n"
				     "[    0.000000] panic described\n"
				     "[    0.000000] panic inside the panic: second\n");
	assert_int_equal(begun, 2);
	assert_int_equal(died, 1);

	/* That was two; the third says nothing more and dies. */
	forget();
	if (setjmp(out) == 0)
		panic("third");
	assert_string_equal(written, "");
	assert_int_equal(died, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_as_printf_does),
		cmocka_unit_test(formats_what_printf_would_not),
		cmocka_unit_test(cuts_and_ends),
		cmocka_unit_test(lines_are_whole),
		cmocka_unit_test(levels_have_names),
		cmocka_unit_test(panics_end_however_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

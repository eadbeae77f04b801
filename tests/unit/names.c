// SPDX-License-Identifier: BSD-2-Clause
// cpu/names: what a panic calls things.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "cpu/names.h"

#define BASE 0xffffffff80200000ul

static const uint32_t symbols[] = { 0x10, 0x20, 0x100 };

static const struct cpu_image image = {
	.name = "unit", .base = BASE, .text_end = BASE + 0x1000, .rodata_end = BASE + 0x2000,
	.end = BASE + 0x8000, .symbol_count = 3, .symbols = symbols,
	.symbol_names = "start\0middle\0last",
};

static const struct cpu_stack stacks[CPU_STACKS] = {
	[CPU_STACK_MAIN] = { BASE + 0x3000, BASE + 0x4000, BASE + 0x5000 },
	[CPU_STACK_INTERRUPT] = { BASE + 0x5000, BASE + 0x6000, BASE + 0x7000 },
};

static void every_exception_has_a_name(void **state)
{
	unsigned errors = 0;

	(void)state;
	for (unsigned v = 0; v < 32; v++) {
		assert_non_null(name_of_exception(v));
		assert_true(strlen(name_of_exception(v)) > 2);
		assert_non_null(name_of_exception_short(v));
		for (unsigned w = 0; w < v; w++)
			assert_string_not_equal(name_of_exception(v), name_of_exception(w));
		errors |= (unsigned)name_has_error(v) << v;
	}
	assert_int_equal(errors, 0x60227d00); /* as entry.S has it */
	assert_non_null(name_of_exception(200));
	assert_string_equal(name_of_exception(14), "page fault");
	assert_string_equal(name_of_exception_short(6), "#UD");
}

static void error_codes_are_read(void **state)
{
	char text[NAME_MAX_TEXT];

	(void)state;
	name_error(text, sizeof(text), 14, 0);
	assert_string_equal(text, "read, page not mapped");
	name_error(text, sizeof(text), 14, 3);
	assert_string_equal(text, "write, page present but protected");
	name_error(text, sizeof(text), 14, 0x11);
	assert_string_equal(text, "execution, page present but protected");
	name_error(text, sizeof(text), 14, 0xd);
	assert_string_equal(text, "read, page present but protected, from user mode, "
				  "reserved bit set in a page table");
	name_error(text, sizeof(text), 14, UINT64_MAX);
	assert_true(strlen(text) < sizeof(text));
	name_error(text, sizeof(text), 13, 0x42 << 3 | 2);
	assert_string_equal(text, "IDT entry 0x42");
	name_error(text, sizeof(text), 11, 0x18 | 1);
	assert_string_equal(text, "GDT entry 0x3, while delivering another event");
	name_error(text, sizeof(text), 10, 0x2c);
	assert_string_equal(text, "LDT entry 0x5");
	name_error(text, sizeof(text), 13, 0);
	assert_non_null(strstr(text, "canonical"));
	name_error(text, sizeof(text), 21, 3);
	assert_string_equal(text, "missing endbranch");
	name_error(text, sizeof(text), 21, 99);
	assert_string_equal(text, "");
	name_error(text, sizeof(text), 6, 0);
	assert_string_equal(text, "");
	/* Never past the end. */
	for (size_t size = 0; size < 60; size++) {
		memset(text, '#', sizeof(text));
		name_error(text, size, 14, 0xd);
		assert_int_equal(text[size], '#');
	}
}

static void flags_are_named(void **state)
{
	char text[NAME_MAX_TEXT];

	(void)state;
	name_flags(text, sizeof(text), 0x246);
	assert_string_equal(text, "PF ZF IF");
	name_flags(text, sizeof(text), 2);
	assert_string_equal(text, "");
	name_flags(text, sizeof(text), UINT64_MAX);
	assert_string_equal(text, "CF PF AF ZF SF TF IF DF OF NT RF AC ID");
}

static void code_has_its_function(void **state)
{
	char text[NAME_MAX_TEXT];
	struct cpu_image bare = image;
	size_t distance;

	(void)state;
	assert_null(name_find_symbol(&image, BASE, &distance)); /* before the first */
	assert_string_equal(name_find_symbol(&image, BASE + 0x10, &distance), "start");
	assert_int_equal(distance, 0);
	assert_string_equal(name_find_symbol(&image, BASE + 0x1f, &distance), "start");
	assert_string_equal(name_find_symbol(&image, BASE + 0x20, &distance), "middle");
	assert_string_equal(name_find_symbol(&image, BASE + 0xff, &distance), "middle");
	assert_int_equal(distance, 0xdf);
	assert_string_equal(name_find_symbol(&image, BASE + 0xfff, &distance), "last");
	assert_null(name_find_symbol(&image, BASE + 0x1000, &distance));
	assert_null(name_find_symbol(&image, 0, &distance));
	assert_null(name_find_symbol(&image, UINT64_MAX, &distance));
	bare.symbol_count = 0;
	assert_null(name_find_symbol(&bare, BASE + 0x20, &distance));

	name_code(text, sizeof(text), &image, BASE + 0x24, false);
	assert_string_equal(text, "middle+0x4");
	/* A call that ends `start` returns to where `middle` begins. */
	name_code(text, sizeof(text), &image, BASE + 0x20, true);
	assert_string_equal(text, "start+0x10");
	name_code(text, sizeof(text), &image, 0x1234, false);
	assert_string_equal(text, "0x1234");
}

static void addresses_have_places(void **state)
{
	static const struct {
		uintptr_t address;
		const char *place;
	} places[] = {
		{ 0, "null pointer" }, { 0xfff, "null pointer" }, { 0x1000, "outside the image" },
		{ 0x1111111111111111, "not canonical" },
		{ 0x0000800000000000, "not canonical" },
		{ 0xffff800000000000, "outside the image" },
		{ BASE + 0x20, "text of middle+0x0" },
		{ BASE + 0x1000, "read-only data of the image" },
		{ BASE + 0x2000, "data of the image" },
		{ BASE + 0x3fff, "guard of the main stack" },
		{ BASE + 0x4000, "main stack" },
		{ BASE + 0x5000, "guard of the interrupt stack" },
		{ BASE + 0x6fff, "interrupt stack" },
		{ BASE + 0x7000, "data of the image" },
		{ BASE + 0x8000, "outside the image" },
	};
	char text[NAME_MAX_TEXT];

	(void)state;
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		name_place(text, sizeof(text), &image, stacks, places[i].address);
		assert_string_equal(text, places[i].place);
	}
	assert_int_equal(name_find_guard(stacks, BASE + 0x2fff), -1);
	assert_int_equal(name_find_guard(stacks, 0), -1); /* stacks that don't exist hold nothing */
	assert_int_equal(name_find_stack(stacks, 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_exception_has_a_name),
		cmocka_unit_test(error_codes_are_read),
		cmocka_unit_test(flags_are_named),
		cmocka_unit_test(code_has_its_function),
		cmocka_unit_test(addresses_have_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
#include "tests/launch/unit/unit.h"

#include "host/launch/options.h"

static bool parse(const char *line, struct run_options *o, struct words *argv, struct text *error)
{
	assert_null(split_words(line, strlen(line), argv));
	return run_options_parse((int)argv->n, argv->v, o, error);
}

static void reads_everything(void **state)
{
	struct text error = {0};
	struct words argv = {0};
	struct run_options o;

	(void)state;
	if (!parse("-n 3 ping --timeout=5 --machine pc --mem 1G --vectors 8 --size 64K --plain "
		   "--accel tcg "
		   "--cpu max --smp 2 --bios qboot --boot iso --qemu /q --server=/s --dir d --log l --input a "
		   "--keep-going --dry-run --gdb=b --qemu-arg -L --qemu-arg=dir -- -n --plain",
		    &o, &argv, &error))
		fail_msg("%s", error.s);
	assert_string_equal(o.what, "ping");
	assert_int_equal(o.guests, 3);
	assert_int_equal(o.timeout_s, 5);
	assert_string_equal(o.machine, "pc");
	assert_int_equal(o.mem_mib, 1024);
	assert_int_equal(o.vectors, 8);
	assert_int_equal(o.size, 65536);
	assert_true(o.plain && o.keep_going && o.dry_run && o.gdb);
	assert_string_equal(o.accel, "tcg");
	assert_string_equal(o.cpu, "max");
	assert_int_equal(o.cpus, 2);
	assert_string_equal(o.bios, "qboot");
	assert_string_equal(o.boot, "iso");
	assert_string_equal(o.qemu, "/q");
	assert_string_equal(o.server, "/s");
	assert_string_equal(o.dir, "d");
	assert_string_equal(o.log, "l");
	assert_string_equal(o.input, "a");
	assert_string_equal(o.gdb_guest, "b");
	assert_int_equal(o.qemu_args.n, 2);
	assert_string_equal(o.qemu_args.v[0], "-L");
	assert_string_equal(o.qemu_args.v[1], "dir");
	assert_int_equal(o.args.n, 2);
	assert_string_equal(o.args.v[1], "--plain");
	run_options_free(&o);
	words_free(&argv);

	assert_true(parse("x --hotplug acpi --master --incoming", &o, &argv, &error));
	assert_string_equal(o.hotplug, "acpi");
	assert_true(o.master && o.incoming);
	run_options_free(&o);
	words_free(&argv);
	assert_true(parse("x --hugepages", &o, &argv, &error));
	assert_true(o.hugepages && !o.huge_page && !o.gdb_guest);
	run_options_free(&o);
	words_free(&argv);
	assert_true(parse("x --hugepages=1G", &o, &argv, &error));
	assert_true(o.hugepages && o.huge_page == 1u << 30 && !o.gdb && !o.gdb_guest);
	run_options_free(&o);
	words_free(&argv);
	assert_false(parse("x --hugepages=3M", &o, &argv, &error));
	assert_non_null(strstr(error.s, "wants a page size"));
	run_options_free(&o);
	words_free(&argv);
	text_free(&error);

	assert_true(parse("x --gdb -n12", &o, &argv, &error));
	assert_true(o.gdb);
	assert_null(o.gdb_guest);
	assert_int_equal(o.guests, 12);
	run_options_free(&o);
	words_free(&argv);
}

static void names_what_is_wrong(void **state)
{
	static const struct {
		const char *line, *error;
	} bad[] = {
		{"", "run wants an APP or a TOPOLOGY"},
		{"-n 2", "run wants an APP or a TOPOLOGY"},
		{"a b", "run takes one APP or TOPOLOGY, not 'a' and 'b'"},
		{"a --fast", "run has no option '--fast'"},
		{"a -x", "run has no option '-x'"},
		{"a -n", "-n wants a number of guests after it"},
		{"a -n 0", "-n 0: wants a number of guests from 1 to 1000"},
		{"a -n two", "-n two: wants a number of guests from 1 to 1000"},
		{"a -n1x", "-n 1x: wants"},
		{"a --timeout -1", "--timeout -1: wants whole seconds from 1"},
		{"a --size 3M", "--size 3M: QEMU takes only powers of two"},
		{"a --size big", "--size 'big': wants a size such as 4M"},
		{"a --vectors 300", "--vectors 300: wants a number of vectors from 1 to 256"},
		{"a --mem 0", "--mem '0': wants MiB"},
		{"a --machine ''", "--machine '': wants pc, q35 or microvm"},
		{"a --plain=yes", "--plain takes no value"},
		{"a --qemu-arg", "--qemu-arg wants one word for QEMU after it"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct text error = {0};
		struct words argv = {0};
		struct run_options o;

		if (parse(bad[i].line, &o, &argv, &error))
			fail_msg("this was taken: %s", bad[i].line);
		assert_contains(error.s, bad[i].error);
		assert_null(strchr(error.s, '\n'));
		run_options_free(&o);
		words_free(&argv);
		text_free(&error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_everything),
		cmocka_unit_test(names_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
/* What is said of huge pages, against made-up files of the kernel's. */
#include "tests/launch/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/launch/huge.h"

#define MIB (1ull << 20)

static char folder[64];

static void write_file(const char *name, const char *content)
{
	char *path = text_format("%s/%s", folder, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(content, f);
	fclose(f);
	free(path);
}

static int make_folder(void **state)
{
	char *pool;

	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/isthmus-huge-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	pool = text_format("%s/hugepages-2048kB", folder);
	mkdir(pool, 0700);
	free(pool);
	return 0;
}

static int remove_folder(void **state)
{
	static const char *const names[] = { "hugepages-2048kB/nr_hugepages",
		"hugepages-2048kB/free_hugepages", "hugepages-2048kB/resv_hugepages",
		"hugepages-2048kB/nr_overcommit_hugepages", "hugepages-2048kB/surplus_hugepages",
		"hugepages-2048kB", "meminfo", "mounts", "" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *path = text_format("%s/%s", folder, names[i]);

		remove(path);
		free(path);
	}
	return access(folder, F_OK) == 0 ? -1 : 0;
}

static void check(uint64_t page, uint64_t pages, const char *expected)
{
	struct text error = { 0 };

	assert_int_equal(huge_enough(folder, page, pages, &error), !expected);
	if (expected)
		assert_non_null(strstr(error.s, expected));
	else
		assert_int_equal(error.n, 0);
	text_free(&error);
}

static void enough_or_not(void **state)
{
	(void)state;
	check(2 * MIB, 1, "0 of 0 are to be had; as root, run: echo 1 > ");
	write_file("hugepages-2048kB/nr_hugepages", "10\n");
	write_file("hugepages-2048kB/free_hugepages", "6\n");
	check(2 * MIB, 6, NULL);
	check(2 * MIB, 7, "need 7 huge pages of 2M, and 6 of 10 are to be had; as root, run: echo 11 > ");
	write_file("hugepages-2048kB/resv_hugepages", "5\n");
	check(2 * MIB, 1, NULL);
	check(2 * MIB, 2, "1 of 10 is to be had; as root, run: echo 11 > ");
	write_file("hugepages-2048kB/nr_overcommit_hugepages", "4\n");
	write_file("hugepages-2048kB/surplus_hugepages", "1\n");
	check(2 * MIB, 4, NULL);
	check(2 * MIB, 5, "echo 11 > ");
	write_file("hugepages-2048kB/resv_hugepages", "50\n");
	write_file("hugepages-2048kB/surplus_hugepages", "4\n");
	check(2 * MIB, 1, "0 of 10 are");
	check(1024 * MIB, 1, "no huge pages of 1G; it has 2M");
}

static void the_default(void **state)
{
	char *path = text_format("%s/meminfo", folder);

	(void)state;
	assert_int_equal(huge_default(path), 0);
	write_file("meminfo", "MemTotal: 5 kB\nHugePages_Free: 3\nHugepagesize:       2048 kB\nHugetlb: 1 kB\n");
	assert_int_equal(huge_default(path), 2 * MIB);
	free(path);
}

static void the_mount(void **state)
{
	char *path = text_format("%s/mounts", folder), *found;

	(void)state;
	assert_null(huge_mount(path, 2 * MIB));
	write_file("mounts", "tmpfs /2M tmpfs rw,pagesize=2M 0 0\n"
		   "hugetlbfs /dev/hugepages hugetlbfs rw,relatime,pagesize=2M 0 0\n"
		   "none /big\\040one hugetlbfs rw,pagesize=1024M,size=1G 0 0\n");
	found = huge_mount(path, 2 * MIB);
	assert_string_equal(found, "/dev/hugepages");
	free(found);
	found = huge_mount(path, 1024 * MIB);
	assert_string_equal(found, "/big one");
	free(found);
	assert_null(huge_mount(path, 16 * MIB));
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(enough_or_not, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(the_default, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(the_mount, make_folder, remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
#include "tests/launch/unit/unit.h"

#include <signal.h>

#include "host/launch/accel.h"
#include "host/launch/outcome.h"
#include "host/launch/ready.h"

static void check(int code, int status, int want_exit, const char *want_text)
{
	struct outcome o = outcome_from_wait(code, status);
	char how[128];

	outcome_describe(o, how, sizeof(how));
	assert_string_equal(how, want_text);
	assert_int_equal(outcome_exit_status(o), want_exit);
	assert_int_equal(outcome_is_failure(o), want_exit != 0);
}

static void decodes_what_a_guest_says(void **state)
{
	char text[64];

	(void)state;
	check(CLD_EXITED, 33, 0, "succeeded");
	for (int s = 1; s <= 100; s++) {
		snprintf(text, sizeof(text), "exited with status %d", s);
		check(CLD_EXITED, (16 + s) << 1 | 1, s, text);
	}
	check(CLD_EXITED, 255, EXIT_PANIC, "panicked");
	check(CLD_EXITED, 0, EXIT_NO_STATUS,
		"powered off without a status (shutdown, reset or triple fault)");
}

static void decodes_what_qemu_says(void **state)
{
	char text[64];

	(void)state;
	check(CLD_EXITED, 1, EXIT_QEMU, "QEMU failed (exit code 1)");
	check(CLD_KILLED, SIGKILL, EXIT_QEMU, "QEMU ended by SIGKILL");
	check(CLD_DUMPED, SIGSEGV, EXIT_QEMU, "QEMU ended by SIGSEGV");
	check(CLD_KILLED, 40, EXIT_QEMU, "QEMU ended by signal 40");
	/* Every other code is nobody's: even ones, the values below 16 and those from 117 to 126.
	 */
	for (int code = 2; code < 255; code++) {
		if ((code & 1) && code >= 33 && code <= 233)
			continue;
		snprintf(text, sizeof(text), "QEMU exited with code %d, which is no guest status",
			code);
		check(CLD_EXITED, code, EXIT_QEMU, text);
	}
}

static void ours_is_no_failure(void **state)
{
	const struct outcome o = {OUTCOME_ENDED, 0};

	(void)state;
	assert_false(outcome_is_failure(o));
	assert_int_equal(outcome_exit_status(o), 0);
}

static void finds_listeners(void **state)
{
	static const char table[] =
		"Num       RefCount Protocol Flags    Type St Inode Path\n"
		"0000000000000000: 00000002 00000000 00010000 0001 01  1234 /tmp/x/listens.sock\n"
		"0000000000000000: 00000003 00000000 00000000 0001 03 12345 /tmp/x/connected.sock\n"
		"0000000000000000: 00000003 00000000 00000000 0001 03 99999\n"
		"0000000000000000: 00000002 00000000 00010000 0001 01 55555 @abstract\n"
		"0000000000000000: 00000002 00000000 00000000 0001 01  4321 /tmp/x/bound "
		"only.sock\n"
		"0000000000000000: 00000002 00000000 00010000 0001 01  4321 /tmp/x/a blank.sock\n"
		"0000000000000000: 00000002 00000000 00010000 0001 01  4321 /tmp/x/last.sock";

	(void)state;
	assert_true(ready_in_table(table, "/tmp/x/listens.sock"));
	assert_true(ready_in_table(table, "/tmp/x/a blank.sock"));
	assert_true(ready_in_table(table, "/tmp/x/last.sock"));
	assert_false(ready_in_table(table, "/tmp/x/connected.sock"));
	assert_false(ready_in_table(table, "/tmp/x/bound only.sock"));
	assert_false(ready_in_table(table, "/tmp/x/listens"));
	assert_false(ready_in_table(table, "/listens.sock"));
	assert_false(ready_in_table(table, ""));
	assert_false(ready_in_table("", "/tmp/x/listens.sock"));
}

static void cpuinfo(char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void kvm_needs_device_and_processor(void **state)
{
	char path[] = "/tmp/isthmus-cpuinfo-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	cpuinfo(path, "processor\t: 0\nflags\t\t: fpu vme vmx sse\n");
	assert_true(accel_kvm_works("/dev/null", path));
	assert_false(accel_kvm_works("/nonexistent", path));
	cpuinfo(path, "flags\t\t: fpu svm\n");
	assert_true(accel_kvm_works("/dev/null", path));
	cpuinfo(path, "flags\t\t: fpu vme sse\n");
	assert_false(accel_kvm_works("/dev/null", path));
	cpuinfo(path, "flags\t\t: fpu svm_lock xvmx vmxx\nvmx flags\t: svm\nmodel name\t: vmx\n");
	assert_false(accel_kvm_works("/dev/null", path));
	remove(path);
	assert_false(accel_kvm_works("/dev/null", path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_what_a_guest_says),
		cmocka_unit_test(decodes_what_qemu_says),
		cmocka_unit_test(ours_is_no_failure),
		cmocka_unit_test(finds_listeners),
		cmocka_unit_test(kvm_needs_device_and_processor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
#include "tests/launch/unit/unit.h"

#include "host/launch/firmware.h"

/* Feeds it a byte at a time, and all at once: the same must come out. */
static void check(struct firmware f, const char *in, const char *want_text, const char *want_why)
{
	struct firmware g = f;
	char all[1024], out[1024];
	size_t n = 0;

	strcpy(all, in);
	all[firmware_filter(&f, all, strlen(in))] = '\0';
	for (size_t i = 0; i < strlen(in); i++) {
		char c = in[i];

		if (firmware_filter(&g, &c, 1))
			out[n++] = c;
	}
	out[n] = '\0';
	assert_string_equal(all, want_text);
	assert_string_equal(out, want_text);
	if (!want_why) {
		assert_null(firmware_failure(&f));
		assert_null(firmware_failure(&g));
	} else {
		assert_non_null(firmware_failure(&f));
		assert_contains(firmware_failure(&f), want_why);
		assert_string_equal(firmware_failure(&f), firmware_failure(&g));
	}
}

static void drops_control_sequences(void **state)
{
	const struct firmware f = { 0 };

	(void)state;
	check(f, "\033[2J\033[01;01H\033[=3hHello\r\n\033[0m\033[30m\033[47mx\n", "Hello\r\nx\n", NULL);
	check(f, "a\033", "a", NULL);
	check(f, "a\033[12", "a", NULL);
	check(f, "a\033cb\n", "ab\n", NULL);
	check(f, "plain [2J text\n", "plain [2J text\n", NULL);
}

static void understands_failures(void **state)
{
	static const char path[] = " from PciRoot(0x0)/Pci(0x1F,0x2)/Sata(0x5,0xFFFF,0x0): ";
	const struct firmware plain = { 0 }, secure = { .refuses_in_silence = true };
	char line[512];

	(void)state;
	snprintf(line, sizeof(line), "BdsDxe: loading Boot0001 \"X\"%s\r\n", path);
	check(plain, line, line, NULL);
	snprintf(line, sizeof(line), "BdsDxe: failed to load Boot0001 \"X\"%sAccess Denied\r\n", path);
	check(plain, line, line, "Secure Boot is on");
	snprintf(line, sizeof(line), "BdsDxe: failed to start Boot0001 \"X\"%sSecurity Violation\r\n", path);
	check(plain, line, line, "Secure Boot is on");
	snprintf(line, sizeof(line), "BdsDxe: failed to load Boot0001 \"X\"%sNot Found\r\n", path);
	check(plain, line, line, "BOOTX64.EFI");
	check(secure, line, line, "Secure Boot is on");
	snprintf(line, sizeof(line), "BdsDxe: failed to start Boot0001 \"X\"%sOut of Resources\r\n", path);
	check(plain, line, line, "Out of Resources");
	check(plain, "BdsDxe: No bootable option or device was found.\r\n",
	      "BdsDxe: No bootable option or device was found.\r\n", "nothing to boot");
	/* The guest may say what it likes. */
	check(plain, "I am not BdsDxe: failed to load Boot0001: Access Denied\n",
	      "I am not BdsDxe: failed to load Boot0001: Access Denied\n", NULL);
	/* Not yet a line. */
	check(plain, "BdsDxe: failed to load Boot0001: Not Found", "BdsDxe: failed to load Boot0001: Not Found",
	      NULL);
}

static void the_stub_knows_better(void **state)
{
	static const char text[] = "isthmus: the firmware has no room (out of memory)\r\n"
				   "BdsDxe: failed to load Boot0001 \"X\" from Y: Not Found\r\n";
	const struct firmware plain = { 0 }, secure = { .refuses_in_silence = true };

	(void)state;
	check(plain, text, text, "the firmware has no room (out of memory)");
	check(secure, text, text, "the firmware has no room (out of memory)");
	check(plain, "isthmus: exit 5\n", "isthmus: exit 5\n", NULL);
}

static void survives_long_lines(void **state)
{
	struct firmware f = { 0 };
	char c = 'x', end = '\n';

	(void)state;
	for (int i = 0; i < 100000; i++)
		assert_int_equal(firmware_filter(&f, &c, 1), 1);
	firmware_filter(&f, &end, 1);
	assert_null(firmware_failure(&f));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drops_control_sequences),
		cmocka_unit_test(understands_failures),
		cmocka_unit_test(the_stub_knows_better),
		cmocka_unit_test(survives_long_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

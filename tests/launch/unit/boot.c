// SPDX-License-Identifier: BSD-2-Clause
#include "tests/launch/unit/unit.h"

#include <unistd.h>

#include "host/launch/boot.h"

static struct boot take(const char *file, const char *boot, const char *bios, const char *machine)
{
	struct text error = { 0 };
	struct boot b;

	if (!boot_choose(&b, file, boot, bios, machine, &error))
		fail_msg("%s", error.s);
	return b;
}

static void refuse(const char *file, const char *boot, const char *bios, const char *machine,
		   const char *why)
{
	struct text error = { 0 };
	struct boot b;

	if (boot_choose(&b, file, boot, bios, machine, &error))
		fail_msg("this was taken: %s --boot %s --bios %s --machine %s", file, boot ? boot : "-",
			 bios ? bios : "-", machine);
	assert_contains(error.s, why);
	assert_null(strchr(error.s, '\n'));
	text_free(&error);
}

static void by_default_qemu_loads_the_elf(void **state)
{
	struct boot b = take("/a/x.elf", NULL, NULL, "q35");

	(void)state;
	assert_int_equal(b.kind, BOOT_PVH);
	assert_false(b.made);
	assert_null(b.firmware.bios);
	assert_null(boot_tail(b.kind));
	assert_int_equal(boot_default_mem(&b), 64);
	assert_false(boot_firmware_talks(&b));
	assert_null(take("x.elf", "pvh", "seabios", "pc").firmware.bios);
	assert_string_equal(take("x.elf", NULL, "qboot", "microvm,acpi=on,pcie=on").firmware.bios, "qboot.rom");
	assert_string_equal(take("x.elf", NULL, "mine.bin", "pc").firmware.bios, "mine.bin");
}

static void a_medium_says_how_it_boots(void **state)
{
	(void)state;
	assert_int_equal(take("x.iso", NULL, NULL, "pc").kind, BOOT_ISO);
	assert_true(take("x.iso", "iso", NULL, "pc").made);
	assert_int_equal(take("x.iso", NULL, "/dev/null", "q35").kind, BOOT_ISO);
	refuse("x.iso", "uefi", NULL, "q35", "x.iso boots by --boot iso");
	refuse("x.img", "pvh", NULL, "q35", "x.img boots by --boot disk");
	assert_int_equal(take("x.elf", "iso", NULL, "q35").kind, BOOT_ISO);
	assert_false(take("x.elf", "iso", NULL, "q35").made);
}

static void what_does_not_fit_together(void **state)
{
	(void)state;
	refuse("x.elf", "floppy", NULL, "q35", "wants pvh, uefi, disk or iso");
	refuse("x.elf", "pvh", "ovmf", "q35", "--boot uefi");
	refuse("x.elf", "uefi", "seabios", "q35", "--bios ovmf, not seabios");
	refuse("x.efi", NULL, "qboot", "q35", "--bios ovmf, not qboot");
	refuse("x.elf", "iso", "qboot", "q35", "qboot reads no disks");
	refuse("x.elf", "iso", NULL, "microvm", "microvm boots only by --boot pvh");
	refuse("x.efi", NULL, NULL, "microvm,acpi=on", "microvm boots only by --boot pvh");
	refuse("x.elf", NULL, "ovmf-secure", "pc", "needs q35");
	refuse("x.elf", NULL, "/no/such/bios", "pc", "/no/such/bios: No such file");
}

static void uefi_wants_ovmf(void **state)
{
	struct boot b;

	(void)state;
	if (access("/usr/share/ovmf/OVMF.fd", R_OK))
		return;		/* its error is checked where it isn't installed: nothing to see here */
	b = take("x.elf", "uefi", NULL, "q35");
	assert_int_equal(b.kind, BOOT_UEFI);
	assert_non_null(b.firmware.bios);
	assert_int_equal(boot_default_mem(&b), 128);
	assert_true(boot_firmware_talks(&b));
	assert_false(boot_refuses_in_silence(&b));
	assert_int_equal(take("x.elf", NULL, "ovmf", "pc").kind, BOOT_UEFI);
	assert_int_equal(take("x.elf", "iso", "ovmf", "pc").kind, BOOT_ISO);
	assert_int_equal(take("x.img", NULL, NULL, "pc").kind, BOOT_DISK);
	b = take("x.elf", NULL, "ovmf-secure", "q35");
	assert_non_null(b.firmware.code);
	assert_non_null(b.firmware.vars);
	assert_true(boot_refuses_in_silence(&b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_default_qemu_loads_the_elf),
		cmocka_unit_test(a_medium_says_how_it_boots),
		cmocka_unit_test(what_does_not_fit_together),
		cmocka_unit_test(uefi_wants_ovmf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

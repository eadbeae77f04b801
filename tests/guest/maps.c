// SPDX-License-Identifier: BSD-2-Clause
/*
 * Boots with what a firmware might have said instead of what this one did: boot_main() is wrapped
 * (by the linker), and the command line's word "as=..." says how boot_info is changed.
 */
#include <isthmus/clock.h>
#include <stdlib.h>
#include <string.h>
#include "boot/boot_info.h"
#include "mm/linker.h"
#include "mm/mm.h"
#include "platform/acpi.h"
#include "tests/guest/check.h"

_Noreturn void __real_boot_main(struct boot_info *info);
_Noreturn void __wrap_boot_main(struct boot_info *info);

static void add(struct boot_info *info, uint64_t base, uint64_t size, uint32_t type)
{
	info->ranges[info->range_count++] = (struct mm_range){ base, size, type };
}

/* The firmware's own table with that signature, by way of the RSDT; boot's tables map it 1:1. */
static struct acpi_header *firmware_table(const struct boot_info *info, const char *signature)
{
	const uint32_t *rsdt_at = (const uint32_t *)(info->rsdp + 16);
	const struct acpi_header *rsdt = (const void *)(uintptr_t)*rsdt_at;
	const uint32_t *entry = (const uint32_t *)(rsdt + 1);

	for (; (uintptr_t)entry < (uintptr_t)rsdt + rsdt->length; entry++)
		if (memcmp((void *)(uintptr_t)*entry, signature, 4) == 0)
			return (void *)(uintptr_t)*entry;
	return NULL;
}

static void change(struct boot_info *info, const char *how)
{
	if (strcmp(how, "unsorted") == 0) {
		for (unsigned i = 0, j = info->range_count - 1; i < j; i++, j--) {
			struct mm_range swapped = info->ranges[i];

			info->ranges[i] = info->ranges[j];
			info->ranges[j] = swapped;
		}
		add(info, 0, 0, MM_RANGE_RAM);
		add(info, 0x5000, 0, MM_RANGE_RESERVED);
	} else if (strcmp(how, "overlapping") == 0) {
		add(info, 0x180000, 0x100000, MM_RANGE_RAM);
		add(info, 0x2000800, 0x1000, MM_RANGE_RESERVED);	/* two pages are touched */
		add(info, 0x3000000, UINT64_MAX, MM_RANGE_NVS);		/* wraps */
	} else if (strcmp(how, "hole") == 0) {
		add(info, 0x210000, 0x1000, MM_RANGE_RESERVED);		/* within the image */
	} else if (strcmp(how, "elsewhere") == 0) {
		info->range_count = 0;
		add(info, 0x1000000, 0x1000000, MM_RANGE_RAM);
	} else if (strcmp(how, "tight") == 0) {
		info->range_count = 0;
		add(info, info->image_phys, (uint64_t)(image_end - image_base), MM_RANGE_RAM);
		add(info, 0x400000, 0x1000, MM_RANGE_RAM);
	} else if (strcmp(how, "empty") == 0) {
		info->range_count = 0;
	} else if (strcmp(how, "fragments") == 0) {
		info->range_count = 0;
		add(info, 0x200000, 0x200000, MM_RANGE_RAM);
		while (info->range_count < BOOT_MAX_RANGES)
			add(info, 0x1000000 + info->range_count * 0x3000, 0x2000, MM_RANGE_RAM);
	} else if (strcmp(how, "no-rsdp") == 0) {
		info->rsdp = 0;
	} else if (strcmp(how, "bad-sum-mcfg") == 0) {
		firmware_table(info, "MCFG")->checksum++;
	} else if (strcmp(how, "bad-sum-madt") == 0) {
		firmware_table(info, "APIC")->oem_id[0]++;
	} else if (strcmp(how, "long-hpet") == 0) {
		firmware_table(info, "HPET")->length = UINT32_MAX - 3;
	} else if (strcmp(how, "short-fadt") == 0) {
		firmware_table(info, "FACP")->length = 7;
	} else if (strcmp(how, "wrong-rsdp") == 0) {
		info->rsdp = 0x200000;
	} else if (strcmp(how, "far-rsdp") == 0) {
		info->rsdp = UINT64_MAX - 20;
	}
}

void __wrap_boot_main(struct boot_info *info)
{
	const char *word = info->command_line;

	if (word[0] == 'a' && word[1] == 's' && word[2] == '=')
		change(info, word + 3);
	__real_boot_main(info);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	CHECK(mm_ram_bytes() > 0);
	CHECK(malloc(5000) != NULL);
	if (strcmp(argv[1], "as=overlapping") == 0) {
		CHECK(!mm_is_mapped(mm_phys_to_virt(0x2000000)));
		CHECK(!mm_is_mapped(mm_phys_to_virt(0x2001000)));
		CHECK(mm_is_mapped(mm_phys_to_virt(0x2002000)));
		CHECK(mm_is_mapped(mm_phys_to_virt(0x2fff000)));
		CHECK(!mm_is_mapped(mm_phys_to_virt(0x3000000)));
	}
	if (strstr(argv[1], "rsdp")) {
		CHECK(acpi_find_table("APIC", 0) != NULL);
		CHECK(acpi_platform()->cpu_count == 1);
	}
	if (strcmp(argv[1], "as=bad-sum-madt") == 0)
		CHECK(acpi_platform()->cpu_count == 0 && acpi_platform()->lapic_base == 0xfee00000);
	if (strcmp(argv[1], "as=long-hpet") == 0)
		CHECK(acpi_platform()->hpet_base == 0 && acpi_platform()->pm_timer_port != 0);
	if (strcmp(argv[1], "as=short-fadt") == 0)
		CHECK(!acpi_platform()->has_fadt);
	CHECK(clock_now_ns() > 0);
	return check_end();
}

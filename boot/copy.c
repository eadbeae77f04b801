// SPDX-License-Identifier: BSD-2-Clause
#include "boot/copy.h"

#include <stddef.h>

#define LOW_MEMORY_END 0x100000000ul

static struct boot_info the_info;

struct boot_info *boot_begin(const char *protocol, uint64_t image_phys)
{
	the_info.protocol = protocol;
	the_info.image_phys = image_phys;
	return &the_info;
}

const void *boot_low_memory(uint64_t phys, uint64_t size)
{
	if (phys == 0 || size == 0 || phys >= LOW_MEMORY_END || size > LOW_MEMORY_END - phys)
		return NULL;
	return (const void *)(uintptr_t)phys;
}

void boot_copy_command_line(struct boot_info *info, uint64_t phys)
{
	const char *from = boot_low_memory(phys, 1);
	size_t length = 0;

	if (!from)
		return;
	while (length < BOOT_COMMAND_LINE_SIZE - 1 && from[length]) {
		info->command_line[length] = from[length];
		length++;
	}
	/* Bounded, should the end be missing. */
	while (info->command_line_lost < 0x10000 && from[length + info->command_line_lost])
		info->command_line_lost++;
}

void boot_add_range(struct boot_info *info, uint64_t base, uint64_t size, uint32_t type)
{
	if (size == 0)
		return;
	if (info->range_count == BOOT_MAX_RANGES) {
		info->ranges_lost++;
		return;
	}
	info->ranges[info->range_count++] = (struct mm_range){ base, size, type };
}

void boot_add_module(struct boot_info *info, uint64_t base, uint64_t size)
{
	if (info->module_count == BOOT_MAX_MODULES)
		info->modules_lost++;
	else
		info->modules[info->module_count++] = (struct boot_module){ base, size };
}

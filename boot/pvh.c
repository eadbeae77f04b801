// SPDX-License-Identifier: BSD-2-Clause
/*
 * PVH start info into boot_info. Source: Xen public/arch-x86/hvm/start_info.h. All of it lies in
 * the low 4 GiB, which boot's first page tables map to themselves, and in RAM that the memory map
 * calls free: what is needed later is copied here.
 */
#include <stddef.h>
#include "boot/boot_info.h"
#include "boot/copy.h"
#include "boot/protocol.h"

#define START_INFO_MAGIC	0x336ec578

struct start_info {
	uint32_t magic;
	uint32_t version;		/* the memory map came with 1 */
	uint32_t flags;
	uint32_t module_count;
	uint64_t modules;
	uint64_t command_line;
	uint64_t rsdp;
	uint64_t memory_map;
	uint32_t memory_map_entries;
	uint32_t reserved;
};

struct start_info_module {
	uint64_t base, size, command_line, reserved;
};

struct start_info_range {
	uint64_t base, size;
	uint32_t type;			/* numbered as E820 does */
	uint32_t reserved;
};

void boot_pvh(uint32_t start_info, uint64_t image_phys)
{
	struct boot_info *info = boot_begin("PVH", image_phys);
	const struct start_info *start = boot_low_memory(start_info, sizeof(*start));

	if (!start || start->magic != START_INFO_MAGIC) {
		info->fault = "the loader's start info has no magic number (under QEMU with "
			"SeaBIOS a command line longer than 4095 bytes overwrites it)";
		boot_main(info);
	}
	info->rsdp = start->rsdp;
	boot_copy_command_line(info, start->command_line);

	const struct start_info_range *range = start->version < 1 ? NULL :
		boot_low_memory(start->memory_map,
			(uint64_t)start->memory_map_entries * sizeof(*range));

	if (!range)
		info->fault = "the loader gave no memory map";
	for (uint32_t i = 0; range && i < start->memory_map_entries; i++)
		boot_add_range(info, range[i].base, range[i].size, range[i].type);

	const struct start_info_module *module = boot_low_memory(start->modules,
		(uint64_t)start->module_count * sizeof(*module));

	for (uint32_t i = 0; module && i < start->module_count; i++)
		boot_add_module(info, module[i].base, module[i].size);
	boot_main(info);
}

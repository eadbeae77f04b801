// SPDX-License-Identifier: BSD-2-Clause
/*
 * A 64-bit loader's handover into boot_info. The loader's page tables, on which this begins, lie
 * in memory that the map calls free: before mm takes it, the image's own tables take their place.
 */
#include <stddef.h>
#include "boot/boot_info.h"
#include "boot/copy.h"
#include "boot/handover.h"
#include "boot/protocol.h"

static void copy_framebuffer(struct boot_info *info, const struct handover *h)
{
	info->framebuffer = (struct boot_framebuffer){
		.base = h->framebuffer,
		.width = h->width,
		.height = h->height,
		.pitch = h->pitch,
		.bits_per_pixel = h->bits_per_pixel,
	};
}

void boot_handover(uint64_t handover)
{
	const struct handover *h = boot_low_memory(handover, sizeof(*h));

	if (!h || h->magic != HANDOVER_MAGIC || h->version != HANDOVER_VERSION) {
		struct boot_info *info = boot_begin("UEFI", 0);

		info->fault = "the loader's handover is not version 1: make the .efi again, "
			"with stub and image of one build";
		boot_main(info);
	}

	struct boot_info *info = boot_begin("UEFI", h->image_phys);

	boot_use_own_tables(h->image_phys);
	info->rsdp = h->rsdp;
	boot_copy_command_line(info, h->command_line);

	const struct handover_range *range = boot_low_memory(h->ranges,
		(uint64_t)h->range_count * sizeof(*range));

	if (!range)
		info->fault = "the loader gave no memory map";
	for (uint32_t i = 0; range && i < h->range_count; i++)
		boot_add_range(info, range[i].base, range[i].size, range[i].type);
	for (uint32_t i = 0; i < h->module_count && i < HANDOVER_MAX_MODULES; i++)
		boot_add_module(info, h->modules[i].base, h->modules[i].size);
	copy_framebuffer(info, h);
	boot_main(info);
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * Multiboot2's boot information into boot_info: a list of tags, each at a multiple of 8. Source:
 * Multiboot2 Specification 2.0, section 3.4.
 */
#include <stddef.h>
#include "boot/boot_info.h"
#include "boot/copy.h"
#include "boot/protocol.h"
#include "mm/linker.h"

enum {
	TAG_END = 0,
	TAG_COMMAND_LINE = 1,
	TAG_MODULE = 3,
	TAG_MEMORY_MAP = 6,
	TAG_FRAMEBUFFER = 8,
	TAG_RSDP_1 = 14,
	TAG_RSDP_2 = 15,
};

#define FRAMEBUFFER_RGB	1
#define RSDP_SIZE	36		/* ACPI 6.5, 5.2.5.3; the first version has 20 */
#define LARGEST		0x1000000u	/* bytes of information that a sane loader gives */

struct tag {
	uint32_t type, size;		/* size: without the padding up to the next */
	uint8_t data[];
};

struct tag_memory_map {
	uint32_t entry_size, entry_version;
};

struct tag_range {
	uint64_t base, size;
	uint32_t type;			/* numbered as E820 does */
	uint32_t zero;
};

struct tag_module {
	uint32_t start, end;
};

struct tag_framebuffer {
	uint64_t base;
	uint32_t pitch, width, height;
	uint8_t bits_per_pixel, type, reserved[2];
};

/* The loader gives a copy of the RSDP, not its place, and the copy lies in memory that mm takes. */
static uint8_t rsdp_copy[RSDP_SIZE];

static void take_rsdp(struct boot_info *info, const struct tag *tag, uint32_t size)
{
	for (uint32_t i = 0; i < RSDP_SIZE; i++)
		rsdp_copy[i] = i < size ? tag->data[i] : 0;
	info->rsdp = info->image_phys + (uint64_t)(rsdp_copy - image_base);
}

static void take_memory_map(struct boot_info *info, const struct tag *tag, uint32_t size)
{
	const struct tag_memory_map *map = (const void *)tag->data;

	if (size < sizeof(*map) || map->entry_size < sizeof(struct tag_range) ||
	    map->entry_size % 8 != 0)
		return;
	for (uint32_t at = sizeof(*map); map->entry_size <= size - at; at += map->entry_size) {
		const struct tag_range *range = (const void *)(tag->data + at);

		boot_add_range(info, range->base, range->size, range->type);
	}
}

static void take_framebuffer(struct boot_info *info, const struct tag *tag, uint32_t size)
{
	const struct tag_framebuffer *f = (const void *)tag->data;

	if (size < sizeof(*f) || f->type != FRAMEBUFFER_RGB)
		return;
	info->framebuffer = (struct boot_framebuffer){
		.base = f->base,
		.width = f->width,
		.height = f->height,
		.pitch = f->pitch,
		.bits_per_pixel = f->bits_per_pixel,
	};
}

static void take_tag(struct boot_info *info, const struct tag *tag)
{
	const struct tag_module *module = (const void *)tag->data;
	uint32_t size = tag->size - sizeof(*tag);

	switch (tag->type) {
	case TAG_COMMAND_LINE:
		if (size && tag->data[size - 1] == '\0')
			boot_copy_command_line(info, (uint64_t)tag->data);
		break;
	case TAG_MODULE:
		if (size >= sizeof(*module) && module->end > module->start)
			boot_add_module(info, module->start, module->end - module->start);
		break;
	case TAG_MEMORY_MAP:
		take_memory_map(info, tag, size);
		break;
	case TAG_FRAMEBUFFER:
		take_framebuffer(info, tag, size);
		break;
	case TAG_RSDP_1:
		if (!info->rsdp)	/* the second version, in whatever order, wins */
			take_rsdp(info, tag, size);
		break;
	case TAG_RSDP_2:
		take_rsdp(info, tag, size);
		break;
	}
}

void boot_multiboot2(uint32_t information, uint64_t image_phys)
{
	struct boot_info *info = boot_begin("Multiboot2", image_phys);
	const uint32_t *total = boot_low_memory(information, 8);

	if (!total || *total < 16 || *total > LARGEST || !boot_low_memory(information, *total)) {
		info->fault = "the loader's Multiboot2 information is damaged";
		boot_main(info);
	}
	for (uint32_t at = 8; *total - at >= sizeof(struct tag);) {
		const struct tag *tag = (const void *)((const uint8_t *)total + at);

		if (tag->type == TAG_END || tag->size < sizeof(*tag) || tag->size > *total - at)
			break;
		take_tag(info, tag);
		at += (tag->size + 7) & ~7u;
		if (at > *total)
			break;
	}
	if (info->range_count == 0)
		info->fault = "the loader gave no memory map";
	boot_main(info);
}

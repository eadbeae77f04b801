/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every way of being booted tells the runtime, in one form. Each entry protocol fills it
 * with copies, before mm takes the RAM that the firmware's own structures lie in.
 */
#ifndef BOOT_BOOT_INFO_H
#define BOOT_BOOT_INFO_H

#include <stdint.h>
#include "mm/map.h"

#define BOOT_MAX_RANGES		128
#define BOOT_MAX_MODULES	8
#define BOOT_COMMAND_LINE_SIZE	4096

struct boot_module {
	uint64_t base, size;		/* physical; kept out of the allocator */
};

struct boot_framebuffer {
	uint64_t base;			/* physical; 0: none */
	uint32_t width, height;		/* pixels */
	uint32_t pitch;			/* bytes a line */
	uint32_t bits_per_pixel;
};

struct boot_info {
	const char *protocol;		/* "PVH", for the log */
	const char *fault;		/* why the guest can't go on, in words; NULL */
	uint64_t image_phys;		/* where image_base lies */
	uint64_t rsdp;			/* 0: to be searched for */
	unsigned range_count;
	unsigned module_count;
	unsigned ranges_lost;		/* entries that did not fit */
	unsigned modules_lost;
	unsigned command_line_lost;	/* bytes of it that did not fit */
	struct mm_range ranges[BOOT_MAX_RANGES];
	struct boot_module modules[BOOT_MAX_MODULES];
	struct boot_framebuffer framebuffer;
	char command_line[BOOT_COMMAND_LINE_SIZE];	/* ends in NUL */
};

/*
 * The rest of the boot, whatever the protocol: called on the main stack, interrupts off, on boot's
 * own page tables. `info` stays in use; its command line is cut up in place.
 */
_Noreturn void boot_main(struct boot_info *info);

#endif

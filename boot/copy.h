/* SPDX-License-Identifier: BSD-2-Clause */
/* What entry protocols fill boot_info with. Runs on boot's tables: the low 4 GiB are mapped 1:1. */
#ifndef BOOT_COPY_H
#define BOOT_COPY_H

#include <stdint.h>
#include "boot/boot_info.h"

/* The one boot_info, empty but for these two. */
struct boot_info *boot_begin(const char *protocol, uint64_t image_phys);

/* The bytes at a physical address, or NULL: none given, or beyond the low 4 GiB. */
const void *boot_low_memory(uint64_t phys, uint64_t size);

/* Copies a NUL-ended command line (0: none), as far as it fits; the rest is counted as lost. */
void boot_copy_command_line(struct boot_info *info, uint64_t phys);

/* Adds an entry of the memory map (not if empty) or a module; what doesn't fit is counted. */
void boot_add_range(struct boot_info *info, uint64_t base, uint64_t size, uint32_t type);
void boot_add_module(struct boot_info *info, uint64_t base, uint64_t size);

#endif

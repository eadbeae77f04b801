/* SPDX-License-Identifier: BSD-2-Clause */
/* The C half of each entry protocol, called by its assembly with boot's page tables on. */
#ifndef BOOT_PROTOCOL_H
#define BOOT_PROTOCOL_H

#include <stdint.h>

/* PVH: physical addresses of the start info and of image_base. */
_Noreturn void boot_pvh(uint32_t start_info, uint64_t image_phys);

/* Multiboot2: physical addresses of the boot information and of image_base. */
_Noreturn void boot_multiboot2(uint32_t information, uint64_t image_phys);

/* A 64-bit loader: physical address of its struct handover (handover.h). Begins on its tables. */
_Noreturn void boot_handover(uint64_t handover);

/* Leaves a loader's page tables for tables in the image, which map what boot's all map. */
void boot_use_own_tables(uint64_t image_phys);

#endif

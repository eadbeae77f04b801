/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The UEFI boot stub: a small PE program that carries a guest image, the very ELF file that other
 * loaders take, puts it into memory and hands the machine over to it. Parts of it call each other
 * through this header. Source: UEFI Specification 2.10. Until leave_firmware() every failure is a
 * sentence on the firmware's console and an EFI_STATUS for the firmware.
 */
#ifndef BOOT_UEFI_STUB_H
#define BOOT_UEFI_STUB_H

#include <efi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "boot/handover.h"

#define LOW_MEMORY_LAST	0xfffffffful	/* handover and page tables lie below 4 GiB */
#define IMAGE_ALIGN	0x200000ul	/* one entry of a page directory */

extern EFI_SYSTEM_TABLE *firmware;

/* say.c: one line on the firmware's console: "isthmus: text". Formats as log_format() does. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Says it with the status in words, and returns the status. */
EFI_STATUS fail(EFI_STATUS status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* memory.c: freestanding helpers, and pages from the firmware. */
void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
/* Whole pages below 4 GiB, cleared. NULL after a line that names what they were for. */
void *allocate_low(size_t size, const char *purpose);
void free_pages(uint64_t phys, size_t size);

/* section.c: contents of a section of this program's own PE file, in memory; NULL: not there. */
const void *find_section(const EFI_LOADED_IMAGE *self, const char *name, size_t *size);

/* elf.c: the guest image in memory. */
struct placed_image {
	uint64_t phys;			/* its first byte; aligned to IMAGE_ALIGN */
	uint64_t virt;			/* where it is linked */
	uint64_t size;			/* bytes, with what was cleared */
	uint64_t entry;			/* virtual */
};
EFI_STATUS place_image(const uint8_t *elf, size_t size, struct placed_image *image);

/* arguments.c: built-in arguments, then those that the firmware passed, as UTF-8. */
EFI_STATUS collect_arguments(const EFI_LOADED_IMAGE *self, EFI_HANDLE handle,
	struct handover *handover);

/* machine.c: tables, framebuffer and initial RAM disk, as far as there are any. */
void find_rsdp(struct handover *handover);
void find_framebuffer(struct handover *handover);
EFI_STATUS load_initrd(struct handover *handover);

/* tables.c: page tables for the guest's entry. NULL after a line. */
void *build_tables(const struct placed_image *image);

/* leave.c: memory map, end of boot services, jump. Returns only when it failed. */
EFI_STATUS leave_firmware(EFI_HANDLE self, const struct placed_image *image, void *tables,
	struct handover *handover);

/* enter.S: loads the tables and jumps. One page at most, which the tables map 1:1. */
_Noreturn void enter_guest(void *tables, uint64_t entry, struct handover *handover);

#endif

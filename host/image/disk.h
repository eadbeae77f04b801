/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ISTHMUS_IMAGE_DISK_H
#define ISTHMUS_IMAGE_DISK_H

#include "host/image/tool.h"

/*
 * Writes a disk image to `out`: GPT with one EFI system partition, a FAT file system that has the
 * program at `efi` as EFI/BOOT/BOOTX64.EFI. `efi_size` is that file's size in bytes.
 */
bool disk_write(const struct workplace *w, const char *efi, unsigned long efi_size, const char *out,
	char *error);

#endif

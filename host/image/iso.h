/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ISTHMUS_IMAGE_ISO_H
#define ISTHMUS_IMAGE_ISO_H

#include "host/image/bytes.h"
#include "host/image/tool.h"

/*
 * Writes a CD image to `out` that starts GRUB, under a BIOS and under UEFI, which boots the guest
 * with those arguments (a command line as in -append).
 */
bool iso_write(const struct workplace *w, const struct bytes *elf, const char *arguments,
	const char *out, char *error);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ISTHMUS_IMAGE_ELF_H
#define ISTHMUS_IMAGE_ELF_H

#include "host/image/bytes.h"

/*
 * Checks that `elf` is a guest image and cuts it down to what a loader reads: headers and
 * segments. Symbols and debug information, which follow them in the file, go. False with one line;
 * `path` only names the file there.
 */
bool elf_trim(struct bytes *elf, const char *path, char *error);

#endif

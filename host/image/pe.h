/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ISTHMUS_IMAGE_PE_H
#define ISTHMUS_IMAGE_PE_H

#include "host/image/bytes.h"

/*
 * Adds a section of read-only data to a 64-bit PE program (in memory) as its last one, as the
 * firmware's loader will see it: page-aligned and loaded. The name has at most 8 bytes. False with
 * one line; `path` only names the program there.
 */
bool pe_add_section(struct bytes *pe, const char *path, const char *name, const void *data,
	size_t size, char *error);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the tool's parts are: apps, topologies, the server, QEMU. */
#ifndef ISTHMUS_LAUNCH_PLACE_H
#define ISTHMUS_LAUNCH_PLACE_H

#include <stdbool.h>

#include "host/launch/text.h"

/*
 * The build folder: the parent of the folder that this program's own file lies in. Apps and
 * topologies are in its apps/, programs in its bin/. The string is static.
 */
const char *place_build(void);

/*
 * Find a program: `given` (a path, or a name on the PATH) if not NULL, else `fallback`, likewise.
 * Returns its path (owned by the caller), or NULL with one line in `error`, in which `what`
 * names it and `mend` says what to do.
 */
char *place_program(const char *given, const char *fallback, const char *what, const char *mend,
		    struct text *error);

/*
 * What the user named: an app's image or a topology, by name or by path. A word with a / in it or
 * that ends in .elf, .efi, .img, .iso or .topo is a path; of a name's two files the topology is taken. Returns the path
 * (owned by the caller), or NULL with one line in `error`.
 */
char *place_find(const char *what, bool *is_topology, struct text *error);

/*
 * The image that a topology in `folder` means by `app`: a path is relative to that folder; a name is
 * looked for there and then among the built apps. NULL with one line in `error`.
 */
char *place_app(const char *folder, const char *app, struct text *error);

/* Whether the file is a 64-bit x86 ELF; else one line in `error`. */
bool place_check_image(const char *path, struct text *error);

/* Read a whole file of at most `max` bytes. False with one line in `error`. */
bool place_read(const char *path, size_t max, struct text *out, struct text *error);

#endif

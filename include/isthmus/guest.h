/* SPDX-License-Identifier: BSD-2-Clause */
/* What an app may ask the guest runtime about how it was started. */
#ifndef ISTHMUS_GUEST_H
#define ISTHMUS_GUEST_H

#include <stddef.h>

/*
 * The value of `isthmus.NAME=VALUE` on the guest's command line, or NULL when it was not given.
 * The text lives as long as the guest.
 */
const char *guest_option(const char *name);

/*
 * Module `index` that the loader put beside the image (QEMU's -initrd is module 0), mapped
 * read-write; its size in bytes goes to *size. NULL when there is no such module.
 */
void *guest_module(unsigned index, size_t *size);

#endif

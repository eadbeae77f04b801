/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Huge pages for regions: how many the system has, what to say when they are too few, and where a
 * hugetlbfs is mounted. Source: Linux, Documentation/admin-guide/mm/hugetlbpage.rst.
 *
 * `sysfs`, `meminfo` and `mounts` are the files to look at, NULL for the system's.
 */
#ifndef ISTHMUS_LAUNCH_HUGE_H
#define ISTHMUS_LAUNCH_HUGE_H

#include <stdbool.h>
#include <stdint.h>

#include "host/launch/text.h"

/* The size in bytes of what the system calls its huge page, 0 where it has none. */
uint64_t huge_default(const char *meminfo);

/*
 * Whether `pages` more huge pages of `page` bytes can be had. False with one line that says how many there
 * are and the command that reserves the rest, or which sizes there are.
 */
bool huge_enough(const char *sysfs, uint64_t page, uint64_t pages, struct text *error);

/* Where a hugetlbfs with pages of that size is mounted, owned by the caller; NULL: nowhere. */
char *huge_mount(const char *mounts, uint64_t page);

/*
 * A memfd of `size` bytes in huge pages, put aside now: a program that touches a page that isn't there is killed
 * by SIGBUS. Sealed against resizing. -1 with one line in `error`.
 */
int huge_memfd(const char *name, uint64_t size, uint64_t page, struct text *error);

#endif

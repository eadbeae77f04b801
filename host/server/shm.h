/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The region's file: made, checked, given to clients, removed. Nobody here maps or reads it.
 * Source: QEMU's docs/system/devices/ivshmem.rst for what -M and -m mean; shm_open(3),
 * memfd_create(2), Linux Documentation/admin-guide/mm/hugetlbpage.rst.
 */
#ifndef HOST_SERVER_SHM_H
#define HOST_SERVER_SHM_H

#include <stdbool.h>
#include <sys/types.h>

#include "options.h"

struct shm {
	int fd;           /* what clients get */
	int lock_fd;      /* a second opening, whose lock says that this server lives; or -1 */
	const char *name; /* of a POSIX object, to be unlinked; else NULL */
	dev_t device;     /* which file that name stood for */
	ino_t inode;
	bool created; /* by us, not found */
};

/*
 * Whether a region of options->size can be had at all. Creates nothing that stays; raises
 * options->size to the page size of a hugetlbfs. Returns 0, or -1 after reporting why.
 */
int shm_check(struct options *options);

/*
 * Makes the region, or takes over the object of that name which no living server uses (its
 * contents stay; it is never shrunk, for somebody may still have it mapped).
 * Returns 0, or -1 after reporting why, with nothing left behind.
 */
int shm_open_region(struct shm *shm, const struct options *options);

/* Closes it and, where @unlink_name, removes its name if that still means our file. */
void shm_close_region(struct shm *shm, bool unlink_name);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* A region to look at: found, and mapped for reading alone. */
#ifndef HOST_INSPECT_SOURCE_H
#define HOST_INSPECT_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

struct source {
	const void *base;
	uint64_t size;
};

/*
 * where: a file; the socket of an ivshmem server, which is joined for as long as it takes to get the
 * region (socket=PATH is understood, too); or the name of a shared memory, as a server's -M. One
 * source at a time. False: one line in error.
 */
bool source_open(struct source *source, const char *where, char error[256]);

/* Has the file become shorter than the region? What was read since then means nothing. */
bool source_cut(void);

void source_close(struct source *source);

#endif

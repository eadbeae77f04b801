/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A topology: which guests run which apps with which arguments, on which shared regions.
 *
 * The file format is in docs/running.md. The parser is pure: a buffer goes in, a struct comes out, no
 * file is opened and no name is looked up, so that it can be fuzzed and unit-tested.
 */
#ifndef ISTHMUS_LAUNCH_TOPOLOGY_H
#define ISTHMUS_LAUNCH_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/launch/text.h"

#define TOPOLOGY_NAME_MAX	31		/* bytes in a name */
#define TOPOLOGY_GUESTS_MAX	1000
#define TOPOLOGY_REGIONS_MAX	64
#define TOPOLOGY_ON_MAX		8		/* regions of one guest */
#define TOPOLOGY_VECTORS_MAX	256		/* above, QEMU's meaning of the doorbell changes */
#define TOPOLOGY_SIZE_MIN	4096ull
#define TOPOLOGY_SIZE_DEFAULT	(4ull << 20)
#define TOPOLOGY_VECTORS_DEFAULT 2u
#define TOPOLOGY_MEM_DEFAULT	64u

struct topology_region {
	char name[TOPOLOGY_NAME_MAX + 1];
	bool plain;
	uint64_t size;			/* bytes, a power of two */
	unsigned int vectors;
	unsigned int line;
};

struct topology_guest {
	char name[TOPOLOGY_NAME_MAX + 1];
	char *app;			/* as written: a name or a path */
	struct words args;
	unsigned int on[TOPOLOGY_ON_MAX];	/* indices into regions[] */
	unsigned int n_on;
	char *machine;			/* NULL: the topology's */
	char *boot, *bios;		/* as --boot and --bios; NULL: not said */
	unsigned int mem_mib;		/* 0: the topology's */
	unsigned int count;		/* 0: one guest, and -n can't change that */
	unsigned int line;
};

struct topology {
	char *about;			/* NULL where the file says nothing */
	char *machine;			/* NULL: not said */
	unsigned int mem_mib;		/* 0: not said */
	unsigned int timeout_s;		/* 0: none */
	struct topology_region *regions;
	size_t n_regions;
	struct topology_guest *guests;
	size_t n_guests;
};

/*
 * Parse `n` bytes. `file` only names the source in messages. Returns true, or false with one line in
 * `error` ("FILE:LINE: what is wrong; what would be right") and an empty `*t`. The result owns its
 * memory: topology_free.
 */
bool topology_parse(const char *buf, size_t n, const char *file, struct topology *t,
		    struct text *error);

void topology_free(struct topology *t);

/* NULL, or why `size` can't be a region's size (points into static memory). */
const char *topology_check_size(unsigned long long size);

/* A memory size for -m: MiB, or with the suffix M or G. False where it is none. */
bool topology_parse_mem(const char *s, unsigned int *mem_mib);

/* Letters, digits, - and _, beginning with a letter or digit, at most TOPOLOGY_NAME_MAX bytes. */
bool topology_name_ok(const char *s);

#endif

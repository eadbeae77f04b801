/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of ivshmem-server: QEMU's options and defaults, and Isthmus's own. */
#ifndef HOST_SERVER_OPTIONS_H
#define HOST_SERVER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define OPTIONS_DEFAULT_PID_FILE "/var/run/ivshmem-server.pid"
#define OPTIONS_DEFAULT_SOCKET   "/tmp/ivshmem_socket"
#define OPTIONS_DEFAULT_SHM_NAME "ivshmem"
#define OPTIONS_DEFAULT_SIZE     (UINT64_C(4) << 20)
#define OPTIONS_DEFAULT_VECTORS  1

/* Where the region comes from; of several options the last one wins. */
enum options_region {
	OPTIONS_REGION_SHM,   /* -M: a POSIX shared memory object */
	OPTIONS_REGION_DIR,   /* -m: a file in a directory (hugetlbfs, say) */
	OPTIONS_REGION_MEMFD, /* --memfd: anonymous, sealed against resizing */
};

struct options {
	bool verbose;
	bool foreground;
	bool sticky_ids;
	const char *pid_file;
	const char *socket_path;
	enum options_region region;
	const char *shm_name; /* for OPTIONS_REGION_SHM */
	const char *shm_dir;  /* for OPTIONS_REGION_DIR */
	uint64_t size;        /* bytes, a power of two */
	uint64_t huge_page;   /* bytes of a page of OPTIONS_REGION_MEMFD, 0: ordinary ones */
	unsigned int vectors; /* 0..256 */
	int ready_fd;         /* to write a byte to when clients may come, or -1 */
};

enum options_outcome {
	OPTIONS_RUN,
	OPTIONS_HELP, /* asked for with -h */
	OPTIONS_BAD,  /* one line is in @error */
};

/*
 * Reads the command line. Strings in @options point into @argv. Touches nothing outside: it may
 * be called again and again (a fuzzer does).
 */
enum options_outcome options_parse(int argc, char **argv, struct options *options, char error[256]);

/* Prints what -h shows. */
void options_print_help(FILE *out, const char *program);

#endif

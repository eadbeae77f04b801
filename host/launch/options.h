/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of `isthmus run`. Pure: words in, a struct out. */
#ifndef ISTHMUS_LAUNCH_OPTIONS_H
#define ISTHMUS_LAUNCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "host/launch/text.h"

/* Zero or NULL: not said on the command line, unless noted. Strings are borrowed from argv. */
struct run_options {
	const char *what;		/* APP or TOPOLOGY */
	unsigned int guests;		/* -n */
	unsigned int timeout_s;
	const char *machine;
	unsigned int mem_mib;
	unsigned int vectors;
	uint64_t size;			/* bytes */
	const char *accel;
	const char *cpu;
	unsigned int cpus;
	const char *bios;
	const char *boot;
	const char *qemu;
	const char *server;
	const char *dir;
	const char *log;
	const char *input;		/* guest that reads our stdin; "none" for nobody */
	bool plain;
	bool dry_run;
	bool keep_going;
	const char *hotplug;		/* native, acpi or none: how regions come and go */
	bool master;			/* regions travel with a migration */
	bool incoming;			/* guests wait for a migration */
	bool hugepages;
	uint64_t huge_page;		/* bytes; 0 with hugepages: the system's default */
	bool gdb;
	const char *gdb_guest;		/* NULL with gdb: the first one */
	struct words qemu_args;
	struct words args;		/* after -- */
	bool help;
};

/*
 * Parse argv[0..argc), which begins after the word "run". Returns false with one line in `error`.
 * run_options_free releases the word lists in either case.
 */
bool run_options_parse(int argc, char **argv, struct run_options *o, struct text *error);
void run_options_free(struct run_options *o);

/* What --help prints. */
extern const char run_options_help[];

#endif

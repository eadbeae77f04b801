/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One guest as data, and the QEMU command line for it. Pure: no file is opened, nothing is looked up,
 * so that what a run uses and what --dry-run prints come from the same place.
 */
#ifndef ISTHMUS_LAUNCH_QEMU_H
#define ISTHMUS_LAUNCH_QEMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/launch/text.h"

/* How a region can be taken from a running guest and given back. */
enum qemu_hotplug {
	QEMU_HOTPLUG_NONE,	/* on the root bus, as QEMU puts it there */
	QEMU_HOTPLUG_NATIVE,	/* a root port for each region, by PCI Express's own means */
	QEMU_HOTPLUG_ACPI,	/* by QEMU's ACPI registers; on q35 behind root ports */
};

struct qemu_region {
	bool plain;		/* ivshmem-plain: no interrupts, no server */
	const char *path;	/* the server's socket, or the backing file of a plain region */
	uint64_t size;		/* bytes */
	unsigned int vectors;	/* doorbell only */
	bool master;		/* with qemu_config.master: it travels with this guest */
};

/* All strings are borrowed. NULL and 0 mean "leave the option out" unless said otherwise. */
struct qemu_config {
	const char *program;
	const char *name;
	const char *machine;	/* pc, q35, microvm, or a whole -machine value */
	const char *accel;
	const char *cpu;
	unsigned int cpus;	/* 1 is given to QEMU as 1,maxcpus=2: see qemu.c */
	unsigned int mem_mib;
	const char *bios;
	const char *flash_code, *flash_vars;	/* UEFI with Secure Boot, in place of bios */
	const char *kernel;
	const char *append;
	const char *cd, *disk;	/* what firmware boots from, in place of kernel */
	const char *qmp;	/* socket on which QEMU listens for QMP */
	const char *gdb;	/* socket on which QEMU waits, stopped, for gdb */
	const struct qemu_region *regions;
	size_t n_regions;
	enum qemu_hotplug hotplug;
	bool master;		/* some regions travel with a migration, and the others say that they don't */
	bool incoming;		/* wait for a migration, without devices whose region doesn't travel */
	const struct words *extra;	/* verbatim, last */
};

/* Whether `machine`, a name or a whole -machine value, is of that family: pc-q35-7.2 is a q35. */
bool qemu_machine_is_q35(const char *machine);
bool qemu_machine_is_pc(const char *machine);

/* Append the program and its arguments to `out`. */
void qemu_command(const struct qemu_config *c, struct words *out);

#endif

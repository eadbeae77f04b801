/* SPDX-License-Identifier: BSD-2-Clause */
/* A run, fully decided: every guest, region, program and path. What runs and what --dry-run prints. */
#ifndef ISTHMUS_LAUNCH_PLAN_H
#define ISTHMUS_LAUNCH_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/launch/boot.h"
#include "host/launch/options.h"
#include "host/launch/qemu.h"
#include "host/launch/text.h"
#include "host/launch/topology.h"

struct plan_region {
	char *name;
	bool plain;
	uint64_t size;
	unsigned int vectors;
	bool used;		/* some guest is on it; others are left out */
	char *path;		/* socket, or file of a plain region: plan_place() */
	int fd;			/* the memfd behind a plain region, else -1 */
	int huge_fd;		/* the one that a name in DIR leads to, else -1: plan_create_files() */
};

struct plan_guest {
	char *name;
	char *kernel;		/* what was named: an ELF, or a medium that the user made */
	struct boot boot;
	enum qemu_hotplug hotplug;
	char *medium;		/* what is booted where that isn't `kernel`: plan_place() */
	char *append;
	const char *machine;	/* borrowed from the options or the topology */
	unsigned int mem_mib;
	unsigned int on[TOPOLOGY_ON_MAX];
	unsigned int n_on;
	char *qmp;		/* socket: plan_place() */
	char *gdb;		/* socket, or NULL */
	bool wants_gdb;
	bool wants_input;	/* our stdin is its serial input */
};

struct plan {
	const struct run_options *o;
	struct topology topology;
	char *qemu;
	char *server;		/* NULL where no region wants one */
	const char *accel;
	const char *cpu;
	unsigned int timeout_s;
	uint64_t huge_page;	/* bytes; 0: regions in ordinary pages */
	struct plan_region *regions;
	size_t n_regions;
	struct plan_guest *guests;
	size_t n_guests;
};

/* Decide. Looks files up, creates nothing. False with one line in `error`. `o` must outlive the plan. */
bool plan_make(struct plan *p, const struct run_options *o, struct text *error);

/*
 * Give every socket and file its path in `dir`. With `anonymous`, plain regions become sealed memfds
 * that this process holds, else files in `dir` that plan_create_files() makes, as it makes the media
 * that firmware boots from. False with one line.
 */
bool plan_place(struct plan *p, const char *dir, bool anonymous, struct text *error);
bool plan_create_files(struct plan *p, struct text *error);

/* The command that makes a guest's medium. Only where it has one. */
void plan_image_command(const struct plan *p, size_t guest, struct words *out);

void plan_server_command(const struct plan *p, size_t region, struct words *out);
void plan_guest_command(const struct plan *p, size_t guest, struct words *out);

/* The command that a user types to debug that guest. */
void plan_gdb_command(const struct plan *p, size_t guest, struct text *out);

void plan_free(struct plan *p);

#endif

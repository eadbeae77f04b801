/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's configuration device, read through its ports 0x510 and 0x511.
 * Source: QEMU docs/specs/fw_cfg.txt. Everything answers "not there" on other machines.
 */
#ifndef PLATFORM_FW_CFG_H
#define PLATFORM_FW_CFG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FW_CFG_KEY_SIGNATURE	0x0000
#define FW_CFG_KEY_MAX_CPUS	0x000f	/* u16, little-endian: CPUs that may ever be there */
#define FW_CFG_KEY_DIRECTORY	0x0019

/* Whether the device is there ("QEMU" under the signature key). */
bool fw_cfg_present(void);

/* Reads the first `size` bytes of an item; bytes behind its end read as zero. 0 or -ENODEV. */
int fw_cfg_read(uint16_t key, void *buffer, size_t size);

/* CPUs that this machine can have, or 0 when it can't be known. */
unsigned fw_cfg_max_cpus(void);

/*
 * Reads at most `size` bytes of the file of that name ("etc/..." or "opt/...") and returns the
 * file's whole size, -ENOENT when there is no such file, -ENODEV without fw_cfg.
 */
int64_t fw_cfg_read_file(const char *name, void *buffer, size_t size);

#endif

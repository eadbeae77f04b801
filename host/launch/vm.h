/* SPDX-License-Identifier: BSD-2-Clause */
/* A running VM and its ivshmem devices, as its QEMU tells; taking one out and putting one in. */
#ifndef ISTHMUS_LAUNCH_VM_H
#define ISTHMUS_LAUNCH_VM_H

#include <stdbool.h>
#include <stddef.h>

#include "host/launch/qmp.h"
#include "host/launch/text.h"

#define VM_DEVICES_MAX 16

/* One ivshmem device and what is behind it. Strings are owned. */
struct vm_device {
	char *id;		/* as given to -device */
	char *bus;		/* id of its root port; NULL: on the root bus */
	char *backend;		/* id of its chardev or memory backend */
	char *path;		/* the server's socket, or the backing file */
	bool plain;
	bool master;		/* its region travels with a migration */
	unsigned int vectors;	/* doorbell only */
	unsigned long long size; /* plain only: bytes */
};

struct vm {
	struct qmp qmp;
	char *name;
	char *dir;		/* where its sockets are */
	char *socket;
};

/*
 * Find the VM that `word` names: DIR/GUEST of `isthmus run --dir DIR`, or the path of a QMP socket. False with one
 * line in `error`; vm_close() in either case.
 */
bool vm_open(struct vm *vm, const char *word, struct text *error);
void vm_close(struct vm *vm);

/* Its ivshmem devices that have an id. -1 with one line. vm_device_free() each. */
int vm_devices(struct vm *vm, struct vm_device devices[VM_DEVICES_MAX], struct text *error);
void vm_device_free(struct vm_device *d);

/*
 * Ask the guest to let the device go, wait until it has, and take away what was behind it. False with one line:
 * the guest didn't within `timeout_s`, for one.
 */
bool vm_unplug(struct vm *vm, const struct vm_device *d, unsigned int timeout_s, struct text *error);

/*
 * Put a device in as `d` says. `d->id`, `d->bus` and `d->backend` NULL: chosen, and filled in. Returns when QEMU has
 * it; the guest comes to it by itself.
 */
bool vm_plug(struct vm *vm, struct vm_device *d, struct text *error);

/* A region by name (in the VM's directory) or by path into d->path and d->plain. */
bool vm_find_region(const struct vm *vm, const char *region, struct vm_device *d, struct text *error);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client of QMP, through which a running QEMU is asked to do things. Source: QEMU,
 * docs/interop/qmp-spec.txt and the QAPI reference.
 *
 * All functions block, but not for ever: a QEMU that doesn't answer is an error after QMP_PATIENCE_NS.
 */
#ifndef ISTHMUS_LAUNCH_QMP_H
#define ISTHMUS_LAUNCH_QMP_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/launch/text.h"

#define QMP_PATIENCE_NS 30000000000ull

struct qmp {
	int fd;			/* -1: not connected */
	const char *name;	/* of the VM, in messages; borrowed */
	struct text in;		/* bytes received and not yet read */
	json_t *events;		/* array of those that came and were not waited for */
};

#define QMP_NONE ((struct qmp){ .fd = -1 })

/* Connect to QEMU's socket at `path` and shake hands. False with one line in `error`. */
bool qmp_open(struct qmp *q, const char *path, const char *name, struct text *error);
void qmp_close(struct qmp *q);

/*
 * Execute a command; `arguments` (an object, or NULL) is taken over. Returns what QEMU returned, owned by
 * the caller, or NULL with QEMU's reason as one line in `error`.
 */
json_t *qmp_do(struct qmp *q, const char *command, json_t *arguments, struct text *error);

/* The same where what it returns doesn't matter. */
bool qmp_tell(struct qmp *q, const char *command, json_t *arguments, struct text *error);

/* Give QEMU a copy of `fd`, which it keeps under `label` as the lowest descriptor that it has free. */
bool qmp_give_fd(struct qmp *q, int fd, const char *label, struct text *error);

/* The process at the other end, 0 where that can't be told. */
int qmp_pid(const struct qmp *q);

/* A property of an object as a string, owned by the caller; NULL where it has no such, without a word. */
char *qmp_property(struct qmp *q, const char *object, const char *property);

/*
 * Wait for an event whose data has `key` = `value` (key NULL: any), at most `timeout_ns`. 1, 0 when the time was
 * up, or -1 with one line in `error`.
 */
int qmp_wait(struct qmp *q, const char *event, const char *key, const char *value, uint64_t timeout_ns,
	     struct text *error);

#endif

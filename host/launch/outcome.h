/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What QEMU's exit says about the guest in it, and what the launcher's own exit status says about
 * the run. Pure.
 *
 * A guest ends through isa-debug-exit, which makes QEMU exit with (v << 1) | 1 for a written v
 * (QEMU 7.2, hw/misc/debugexit.c). The runtime writes 16 + min(status, 100), and 127 for a panic:
 * so no status collides with 1 (QEMU's own errors) or with 0 (power-off, reset and triple fault).
 */
#ifndef ISTHMUS_LAUNCH_OUTCOME_H
#define ISTHMUS_LAUNCH_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>

/* The tool's exit statuses beyond 0 and a guest's own 1..100. Documented in docs/running.md. */
enum launch_exit {
	EXIT_FIRMWARE = 119,  /* a guest's firmware didn't start it */
	EXIT_NO_STATUS = 120, /* a guest powered off, reset or triple-faulted */
	EXIT_PANIC = 121,
	EXIT_QEMU = 122,   /* QEMU failed, crashed or gave a code that no guest can give */
	EXIT_SERVER = 123, /* ivshmem-server failed */
	EXIT_TIMEOUT = 124,
	EXIT_TOOL = 125,   /* isthmus couldn't do what was asked; no guest is to blame */
	EXIT_SIGNAL = 128, /* + the signal that ended isthmus: 130 is Ctrl-C */
};

enum outcome_kind {
	OUTCOME_SUCCESS,
	OUTCOME_STATUS, /* value: the guest's status, 1..100 */
	OUTCOME_NO_STATUS,
	OUTCOME_PANIC,
	OUTCOME_QEMU_ERROR,  /* QEMU said why on its stderr */
	OUTCOME_QEMU_CODE,   /* value: the exit code that nobody is known to give */
	OUTCOME_QEMU_SIGNAL, /* value: the signal */
	OUTCOME_FIRMWARE,    /* the firmware didn't start it, and said so */
	OUTCOME_ENDED,       /* the launcher ended it: not its fault */
};

struct outcome {
	enum outcome_kind kind;
	int value;
};

/* From the si_code (CLD_...) and si_status that waitid() gave for a QEMU. */
struct outcome outcome_from_wait(int code, int status);

bool outcome_is_failure(struct outcome o);

/* The launcher's exit status if this outcome is what ended the run. */
int outcome_exit_status(struct outcome o);

/* One phrase that goes after "NAME: ", as "exited with status 3". */
void outcome_describe(struct outcome o, char *buf, size_t n);

/* "SIGSEGV", or "signal 34" for those without a name. */
void describe_signal(int sig, char *buf, size_t n);

#endif

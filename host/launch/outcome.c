// SPDX-License-Identifier: BSD-2-Clause
#include "host/launch/outcome.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define GUEST_VALUE_BASE  16
#define GUEST_STATUS_MAX  100
#define GUEST_VALUE_PANIC 127

struct outcome outcome_from_wait(int code, int status)
{
	int v = status >> 1;

	if (code != CLD_EXITED)
		return (struct outcome){OUTCOME_QEMU_SIGNAL, status};
	if (status == 0)
		return (struct outcome){OUTCOME_NO_STATUS, 0};
	if (status == 1)
		return (struct outcome){OUTCOME_QEMU_ERROR, 1};
	if (!(status & 1))
		return (struct outcome){OUTCOME_QEMU_CODE, status};
	if (v == GUEST_VALUE_PANIC)
		return (struct outcome){OUTCOME_PANIC, 0};
	if (v == GUEST_VALUE_BASE)
		return (struct outcome){OUTCOME_SUCCESS, 0};
	if (v > GUEST_VALUE_BASE && v <= GUEST_VALUE_BASE + GUEST_STATUS_MAX)
		return (struct outcome){OUTCOME_STATUS, v - GUEST_VALUE_BASE};
	return (struct outcome){OUTCOME_QEMU_CODE, status};
}

bool outcome_is_failure(struct outcome o)
{
	return o.kind != OUTCOME_SUCCESS && o.kind != OUTCOME_ENDED;
}

int outcome_exit_status(struct outcome o)
{
	switch (o.kind) {
	case OUTCOME_SUCCESS:
	case OUTCOME_ENDED:
		return 0;
	case OUTCOME_STATUS:
		return o.value;
	case OUTCOME_FIRMWARE:
		return EXIT_FIRMWARE;
	case OUTCOME_NO_STATUS:
		return EXIT_NO_STATUS;
	case OUTCOME_PANIC:
		return EXIT_PANIC;
	case OUTCOME_QEMU_ERROR:
	case OUTCOME_QEMU_CODE:
	case OUTCOME_QEMU_SIGNAL:
		return EXIT_QEMU;
	}
	return EXIT_TOOL;
}

void describe_signal(int sig, char *buf, size_t n)
{
	const char *name = sigabbrev_np(sig);

	if (name)
		snprintf(buf, n, "SIG%s", name);
	else
		snprintf(buf, n, "signal %d", sig);
}

void outcome_describe(struct outcome o, char *buf, size_t n)
{
	char sig[32];

	switch (o.kind) {
	case OUTCOME_SUCCESS:
		snprintf(buf, n, "succeeded");
		break;
	case OUTCOME_STATUS:
		snprintf(buf, n, "exited with status %d", o.value);
		break;
	case OUTCOME_NO_STATUS:
		snprintf(buf, n, "powered off without a status (shutdown, reset or triple fault)");
		break;
	case OUTCOME_PANIC:
		snprintf(buf, n, "panicked");
		break;
	case OUTCOME_QEMU_ERROR:
		snprintf(buf, n, "QEMU failed (exit code 1)");
		break;
	case OUTCOME_QEMU_CODE:
		snprintf(buf, n, "QEMU exited with code %d, which is no guest status", o.value);
		break;
	case OUTCOME_QEMU_SIGNAL:
		describe_signal(o.value, sig, sizeof(sig));
		snprintf(buf, n, "QEMU ended by %s", sig);
		break;
	case OUTCOME_FIRMWARE:
		snprintf(buf, n, "was not started by its firmware");
		break;
	case OUTCOME_ENDED:
		snprintf(buf, n, "was still running and was ended");
		break;
	}
}

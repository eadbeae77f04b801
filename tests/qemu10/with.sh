#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# with.sh COMMAND...: runs a test with the newer QEMU that fetch.sh gets; 77 where it can't.
ISTHMUS_QEMU=$("$(dirname "$0")/fetch.sh" 2>&1) || {
	status=$?
	printf '%s\n' "$ISTHMUS_QEMU"
	exit $status
}
export ISTHMUS_QEMU
exec "$@"

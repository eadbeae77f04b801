/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a UEFI firmware says on the guest's serial port: its terminal control sequences are taken
 * out, and its word that it can't start the guest is understood, since it doesn't end by itself
 * then. Pure.
 */
#ifndef ISTHMUS_LAUNCH_FIRMWARE_H
#define ISTHMUS_LAUNCH_FIRMWARE_H

#include <stdbool.h>
#include <stddef.h>

/* Zero-initialised, but for refuses_in_silence, is the start. */
struct firmware {
	enum { FIRMWARE_TEXT, FIRMWARE_ESCAPE, FIRMWARE_SEQUENCE } state;
	char line[512];			/* the one that is coming in, as far as it fits */
	size_t n;
	/*
	 * Secure Boot is on, and the guest was given to the firmware by QEMU's -kernel: it refuses one
	 * that isn't signed without a word, and fails with the next thing that it tries.
	 */
	bool refuses_in_silence;
	bool stub_spoke;		/* "isthmus: ...": the boot stub ran, and said what is wrong */
	char sentence[256];
	char why[256];			/* the reason; "" while all is well */
};

/* Takes control sequences out of the bytes in place; returns how many are left. */
size_t firmware_filter(struct firmware *f, char *bytes, size_t n);

/* NULL, or why the firmware didn't start the guest, as a phrase that goes after "NAME: ". */
const char *firmware_failure(const struct firmware *f);

#endif

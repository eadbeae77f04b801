/* SPDX-License-Identifier: BSD-2-Clause */
/* How a guest is booted: with which firmware, from what. */
#ifndef ISTHMUS_LAUNCH_BOOT_H
#define ISTHMUS_LAUNCH_BOOT_H

#include <stdbool.h>

#include "host/launch/text.h"

enum boot_kind {
	BOOT_PVH,		/* QEMU loads the ELF */
	BOOT_UEFI,		/* the firmware loads an .efi that QEMU hands it */
	BOOT_DISK,		/* the firmware boots an .img */
	BOOT_ISO,		/* the firmware boots a CD */
};

/* Files; all NULL is QEMU's own default. */
struct boot_firmware {
	const char *bios;	/* -bios */
	const char *code;	/* flash: with Secure Boot, read-only... */
	const char *vars;	/* ...and with the enrolled keys, written to a copy of QEMU's */
};

struct boot {
	enum boot_kind kind;
	bool made;		/* `file` is a medium that the user made, else an ELF to make one from */
	struct boot_firmware firmware;
};

/*
 * From the file to run, --boot and --bios (NULL: not said) and the machine to a decision that fits
 * together. False with one line in `error` that says what doesn't, and what would.
 */
bool boot_choose(struct boot *b, const char *file, const char *boot, const char *bios,
		 const char *machine, struct text *error);

/* Whether the file is what its name says; else one line in `error`. */
bool boot_check_file(const struct boot *b, const char *path, struct text *error);

/* The end of a medium's name, ".efi"; NULL where the ELF itself is booted. */
const char *boot_tail(enum boot_kind kind);

/* Whether the firmware drops an unsigned image without a word: firmware.h. */
bool boot_refuses_in_silence(const struct boot *b);

/* MiB of RAM that a guest gets where nobody says how much: OVMF needs more than the guest does. */
unsigned int boot_default_mem(const struct boot *b);

/* Whether the firmware prints on the guest's serial port before the guest does. */
bool boot_firmware_talks(const struct boot *b);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes of one guest image (the ELF file that the build wrote) whatever a machine boots from. The kind
 * follows from the file's name:
 *
 *   .elf   the image without its debug information: PVH -kernel, or GRUB's multiboot2
 *   .efi   the UEFI stub with that ELF in a section: -kernel under OVMF, or any EFI folder
 *   .img   a disk: GPT, one FAT file system with the .efi as EFI/BOOT/BOOTX64.EFI
 *   .iso   a CD that GRUB starts, under a BIOS and under UEFI
 */
#ifndef ISTHMUS_IMAGE_IMAGE_H
#define ISTHMUS_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

enum image_kind { IMAGE_UNKNOWN, IMAGE_ELF, IMAGE_EFI, IMAGE_DISK, IMAGE_ISO };

/* All strings are borrowed. */
struct image_request {
	const char *elf;		/* the guest image */
	const char *out;		/* the file to write; replaced whole, or not at all */
	const char *stub;		/* the build's stub.efi; for .efi and .img */
	const char *arguments;		/* the guest's command line, built in; NULL or "": none */
	const char *key, *certificate;	/* PEM files to sign with for Secure Boot; NULL: unsigned */
	const char *passphrase;		/* file with that of an encrypted key; NULL: asked for on the terminal */
};

#define IMAGE_ERROR_SIZE 1024

/* By the end of the name. */
enum image_kind image_kind_of(const char *name);

/*
 * Writes the image, running Debian's mtools (.img), grub-mkrescue (.iso) and sbsign (to sign).
 * True, or false with one line in `error` (of IMAGE_ERROR_SIZE bytes) that says what to do.
 */
bool image_write(const struct image_request *request, char *error);

#endif

// SPDX-License-Identifier: BSD-2-Clause
#include "host/launch/firmware.h"

#include <stdio.h>
#include <string.h>

#define ESCAPE 0x1b

/*
 * EDK2's BDS, on which OVMF is built (MdeModulePkg/Library/UefiBootManagerLib/BmBoot.c, as its
 * output shows): `BdsDxe: failed to load Boot0001 "NAME" from PATH: STATUS`, "start" for load, and
 * the same with "not found" for an option that is gone. The guest is the first option always.
 */
static void look_at_line(struct firmware *f)
{
	static const char *const failed[] = { "BdsDxe: failed to load ", "BdsDxe: failed to start " };
	static const char nothing[] = "BdsDxe: No bootable option", stub[] = "isthmus: ";
	static const char refused[] = "Secure Boot is on, and the image isn't signed with an enrolled "
				      "key; see `isthmus image --help`";
	const char *reason;

	f->line[f->n] = '\0';
	f->n = 0;
	/* The stub's sentence, then the firmware's words that it came back: the sentence is the reason. */
	if (!f->stub_spoke && strncmp(f->line, stub, sizeof(stub) - 1) == 0) {
		f->stub_spoke = true;
		snprintf(f->sentence, sizeof(f->sentence), "%s", f->line + sizeof(stub) - 1);
	}
	if (f->why[0])
		return;
	if (strncmp(f->line, nothing, sizeof(nothing) - 1) == 0)
		snprintf(f->why, sizeof(f->why), "it finds nothing to boot");
	for (size_t i = 0; i < 2; i++) {
		if (strncmp(f->line, failed[i], strlen(failed[i])))
			continue;
		reason = strrchr(f->line, ':');
		if (!reason || strlen(reason) < 3)
			continue;
		if (f->stub_spoke)
			snprintf(f->why, sizeof(f->why), "%s", f->sentence);
		else if (strstr(reason, "Access Denied") || strstr(reason, "Security Violation") ||
			 f->refuses_in_silence)
			snprintf(f->why, sizeof(f->why), "%s", refused);
		else if (strstr(reason, "Not Found"))
			snprintf(f->why, sizeof(f->why), "it finds no EFI/BOOT/BOOTX64.EFI that it can "
				 "load (OVMF needs some 128 MiB of RAM to read a disk: --mem 128)");
		else
			snprintf(f->why, sizeof(f->why), "%.60s", reason + 2);
	}
}

size_t firmware_filter(struct firmware *f, char *bytes, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		char c = bytes[i];

		switch (f->state) {
		case FIRMWARE_ESCAPE:
			f->state = c == '[' ? FIRMWARE_SEQUENCE : FIRMWARE_TEXT;
			continue;
		case FIRMWARE_SEQUENCE:
			/* ECMA-48, 5.4: parameters and intermediates up to 0x3f, then one final byte */
			if ((unsigned char)c >= 0x40)
				f->state = FIRMWARE_TEXT;
			continue;
		case FIRMWARE_TEXT:
			break;
		}
		if (c == ESCAPE) {
			f->state = FIRMWARE_ESCAPE;
			continue;
		}
		bytes[kept++] = c;
		if (c == '\n' || c == '\r')
			look_at_line(f);
		else if (f->n < sizeof(f->line) - 1)
			f->line[f->n++] = c;
	}
	return kept;
}

const char *firmware_failure(const struct firmware *f)
{
	return f->why[0] ? f->why : NULL;
}

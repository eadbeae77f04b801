// SPDX-License-Identifier: BSD-2-Clause
#include "host/image/iso.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PACKAGES "grub-common grub-pc-bin grub-efi-amd64-bin xorriso mtools"

static void append_text(struct bytes *b, const char *text)
{
	bytes_append(b, text, strlen(text));
}

/*
 * One word, so that GRUB's script language changes nothing in it. GRUB gives the kernel its words
 * with \ before each " ' and \, and "..." around those with spaces: the guest takes that off again.
 */
static void append_quoted(struct bytes *b, const char *word, size_t length)
{
	append_text(b, " '");
	for (size_t i = 0; i < length; i++) {
		if (word[i] == '\'')
			append_text(b, "'\\''");
		else
			bytes_append(b, &word[i], 1);
	}
	append_text(b, "'");
}

/* Cuts a command line into words, as the guest does, each quoted for GRUB. */
static void append_words(struct bytes *b, const char *s)
{
	while (*s) {
		struct bytes word = { 0 };
		char quote = '\0';

		while (*s == ' ' || *s == '\t')
			s++;
		if (!*s)
			break;
		for (; *s && (quote || (*s != ' ' && *s != '\t')); s++) {
			if (*s == '\\' && quote != '\'' && s[1])
				bytes_append(&word, ++s, 1);
			else if (quote ? *s == quote : *s == '\'' || *s == '"')
				quote = quote ? '\0' : *s;
			else
				bytes_append(&word, s, 1);
		}
		append_quoted(b, (const char *)word.data, word.size);
		bytes_free(&word);
	}
}

static bool write_config(const struct workplace *w, const char *arguments, const char *path,
			 char *error)
{
	struct bytes text = { 0 };
	bool ok;

	(void)w;
	append_text(&text, "set timeout=0\ninsmod all_video\nmultiboot2 /boot/guest.elf");
	append_words(&text, arguments ? arguments : "");
	append_text(&text, "\nboot\n");
	ok = bytes_write(&text, path, error);
	bytes_free(&text);
	return ok;
}

bool iso_write(const struct workplace *w, const struct bytes *elf, const char *arguments,
	const char *out, char *error)
{
	char guest[300], config[300], graft_guest[400], graft_config[400];
	const char *make[] = { "grub-mkrescue", "-o", out, "--locales=", "--fonts=", "--themes=",
		"--install-modules=multiboot2 normal iso9660 all_video part_gpt part_msdos part_apple "
		"part_acorn part_amiga part_bsd part_dfly part_dvh part_plan part_sun part_sunpc",
		graft_guest, graft_config, NULL };

	if (access("/usr/lib/grub/i386-pc", F_OK) || access("/usr/lib/grub/x86_64-efi", F_OK))
		return image_fail(error, "GRUB's modules for BIOS and UEFI aren't both there; as root: "
			"apt-get install " PACKAGES);
	snprintf(guest, sizeof(guest), "%s/guest.elf", w->path);
	snprintf(config, sizeof(config), "%s/grub.cfg", w->path);
	snprintf(graft_guest, sizeof(graft_guest), "boot/guest.elf=%s", guest);
	snprintf(graft_config, sizeof(graft_config), "boot/grub/grub.cfg=%s", config);
	return bytes_write(elf, guest, error) && write_config(w, arguments, config, error) &&
	       tool_run(w, PACKAGES, make, NULL, error);
}

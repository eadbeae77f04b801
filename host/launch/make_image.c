// SPDX-License-Identifier: BSD-2-Clause
/* `isthmus image APP -o FILE [--sign KEY CERT] [-- ARG...]` */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/image/image.h"
#include "host/launch/commands.h"
#include "host/launch/outcome.h"
#include "host/launch/place.h"

static const char help[] =
	"usage: isthmus image APP -o FILE [--sign KEY CERT] [-- ARG...]\n"
	"\n"
	"Writes the app (a name of `isthmus list`, or an .elf file) as what a machine boots from; the end\n"
	"of FILE's name says which:\n"
	"\n"
	"  .elf   the kernel image alone: QEMU's -kernel, or GRUB's multiboot2\n"
	"  .efi   a UEFI program: -kernel under OVMF, or EFI/BOOT/BOOTX64.EFI on any FAT file system\n"
	"  .img   a disk with that program on it, for UEFI\n"
	"  .iso   a CD with GRUB, for BIOS and UEFI\n"
	"\n"
	"  -o FILE           where to write it\n"
	"  --sign KEY CERT   sign an .efi or .img for Secure Boot, with a PEM key and certificate\n"
	"  --passphrase FILE the passphrase of an encrypted KEY, as FILE's first line (else it is asked for)\n"
	"  -- ARG...         arguments that the guest gets at each boot (not for .elf)\n";

struct image_options {
	const char *app, *out, *key, *certificate, *passphrase;
	char **args;
	int n_args;
	bool help;
};

static bool parse(int argc, char **argv, struct image_options *o, struct text *error)
{
	for (int i = 0; i < argc; i++) {
		const char *word = argv[i];

		if (strcmp(word, "--") == 0) {
			o->args = argv + i + 1;
			o->n_args = argc - i - 1;
			break;
		} else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
			o->help = true;
			return true;
		} else if (strcmp(word, "-o") == 0 && i + 1 < argc) {
			o->out = argv[++i];
		} else if (strcmp(word, "--sign") == 0 && i + 2 < argc) {
			o->key = argv[++i];
			o->certificate = argv[++i];
		} else if (strcmp(word, "--passphrase") == 0 && i + 1 < argc) {
			o->passphrase = argv[++i];
		} else if (word[0] == '-') {
			text_addf(error, "image: %s isn't an option of it, or its value is missing; see "
				  "`isthmus image --help`", word);
			return false;
		} else if (o->app) {
			text_addf(error, "image: one app at a time, not '%s' and '%s'; arguments go after --",
				  o->app, word);
			return false;
		} else {
			o->app = word;
		}
	}
	if (!o->app)
		text_add_str(error, "image: which app? `isthmus list` shows what there is");
	else if (!o->out)
		text_addf(error, "image: where to? add -o %s.efi (or .elf, .img, .iso)", o->app);
	return o->app && o->out;
}

static bool write_image(const struct image_options *o, struct text *error)
{
	char *stub = text_format("%s/boot/stub.efi", place_build());
	struct text arguments = { 0 };
	char why[IMAGE_ERROR_SIZE];
	bool is_topology, ok = false;
	char *elf = place_find(o->app, &is_topology, error);

	for (int i = 0; i < o->n_args; i++) {
		if (i)
			text_add_str(&arguments, " ");
		quote_shell(&arguments, o->args[i]);
	}
	if (elf && is_topology) {
		/* pingpong is both: the image is what is meant here. */
		free(elf);
		elf = place_app(place_build(), o->app, error);
	}
	if (elf) {
		struct image_request request = {
			.elf = elf, .out = o->out, .stub = stub, .arguments = arguments.s,
			.key = o->key, .certificate = o->certificate, .passphrase = o->passphrase,
		};

		ok = image_write(&request, why);
		if (!ok)
			text_addf(error, "image: %s", why);
	}
	text_free(&arguments);
	free(elf);
	free(stub);
	return ok;
}

int command_image(int argc, char **argv)
{
	struct image_options o = { 0 };
	struct text error = { 0 };
	int status = EXIT_TOOL;

	if (parse(argc, argv, &o, &error)) {
		if (o.help)
			fputs(help, stdout);
		if (o.help || write_image(&o, &error))
			status = 0;
	}
	if (error.n)
		fprintf(stderr, "isthmus: %s\n", error.s);
	text_free(&error);
	return status;
}

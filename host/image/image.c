// SPDX-License-Identifier: BSD-2-Clause
#include "host/image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/image/bytes.h"
#include "host/image/disk.h"
#include "host/image/elf.h"
#include "host/image/iso.h"
#include "host/image/pe.h"
#include "host/image/tool.h"

#define LONGEST_COMMAND_LINE 4095	/* the guest's BOOT_COMMAND_LINE_SIZE less its NUL */

enum image_kind image_kind_of(const char *name)
{
	static const struct {
		const char *end;
		enum image_kind kind;
	} ends[] = {
		{ ".elf", IMAGE_ELF }, { ".efi", IMAGE_EFI }, { ".img", IMAGE_DISK },
		{ ".iso", IMAGE_ISO },
	};
	size_t n = strlen(name);

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (n > 4 && strcmp(name + n - 4, ends[i].end) == 0)
			return ends[i].kind;
	return IMAGE_UNKNOWN;
}

static const char *arguments_of(const struct image_request *r)
{
	return r->arguments ? r->arguments : "";
}

/* An encrypted key needs its passphrase from somewhere. */
static bool check_passphrase(const struct image_request *r, char *error)
{
	static const char mark[] = "ENCRYPTED";
	struct bytes key = { 0 };
	bool ok = bytes_read(&key, r->key, error), encrypted;
	int terminal;

	if (!ok)
		return false;
	encrypted = key.size && memmem(key.data, key.size, mark, sizeof(mark) - 1);
	bytes_free(&key);
	if (!encrypted || r->passphrase)
		return true;
	terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
	if (terminal < 0)
		return image_fail(error, "%s is encrypted, and there is no terminal to ask on: name a file "
			"that holds its passphrase, with --passphrase FILE", r->key);
	close(terminal);
	return true;
}

/* What can be told before any work. */
static bool check(const struct image_request *r, enum image_kind kind, char *error)
{
	if (kind == IMAGE_UNKNOWN)
		return image_fail(error, "%s: the name must end in .elf, .efi, .img or .iso, which says "
			"what to make", r->out);
	if (strlen(arguments_of(r)) > LONGEST_COMMAND_LINE)
		return image_fail(error, "the arguments are longer than %d bytes", LONGEST_COMMAND_LINE);
	if (kind == IMAGE_ELF && *arguments_of(r))
		return image_fail(error, "%s: an .elf has no place for arguments: give them when it is "
			"booted, as QEMU's -append", r->out);
	if (r->key && kind == IMAGE_ELF)
		return image_fail(error, "%s: only UEFI programs are signed: make an .efi or .img", r->out);
	if (r->key && kind == IMAGE_ISO)
		return image_fail(error, "%s: an .iso boots through GRUB, which would have to be signed "
			"as well: make an .efi or .img", r->out);
	for (int i = 0; r->key && i < 3; i++) {
		const char *file = i == 2 ? r->passphrase : i ? r->certificate : r->key;

		if (file && access(file, R_OK))
			return image_fail(error, "--sign: can't read %s: %s", file, strerror(errno));
	}
	return !r->key || check_passphrase(r, error);
}

/* The .efi, signed if that is wanted, as a file in the workplace. */
static bool make_efi(const struct image_request *r, const struct workplace *w,
		     const struct bytes *elf, const char *path, char *error)
{
	struct bytes pe = { 0 };
	char unsigned_path[300];
	const char *sign[] = { "sbsign", "--key", r->key, "--cert", r->certificate, "--output", path,
			       unsigned_path, NULL };
	bool ok;

	if (access(r->stub, F_OK))
		return image_fail(error, "the build has no UEFI stub (%s); as root: apt-get install "
			"gnu-efi, then build again", r->stub);
	snprintf(unsigned_path, sizeof(unsigned_path), "%s/unsigned.efi", w->path);
	ok = bytes_read(&pe, r->stub, error) &&
	     (!*arguments_of(r) || pe_add_section(&pe, r->stub, ".cmdline", r->arguments,
						   strlen(r->arguments) + 1, error)) &&
	     pe_add_section(&pe, r->stub, ".guest", elf->data, elf->size, error) &&
	     bytes_write(&pe, r->key ? unsigned_path : path, error);
	bytes_free(&pe);
	return ok && (!r->key || tool_run(w, "sbsigntool", sign, r->passphrase, error));
}

static bool make(const struct image_request *r, enum image_kind kind, const struct workplace *w,
		 const char *path, char *error)
{
	struct bytes elf = { 0 };
	char efi[300];
	bool ok = bytes_read(&elf, r->elf, error) && elf_trim(&elf, r->elf, error);

	snprintf(efi, sizeof(efi), "%s/guest.efi", w->path);
	if (ok && kind == IMAGE_ELF) {
		ok = bytes_write(&elf, path, error);
	} else if (ok && kind == IMAGE_EFI) {
		ok = make_efi(r, w, &elf, path, error);
	} else if (ok && kind == IMAGE_ISO) {
		ok = iso_write(w, &elf, r->arguments, path, error);
	} else if (ok) {
		struct bytes made = { 0 };

		ok = make_efi(r, w, &elf, efi, error) && bytes_read(&made, efi, error) &&
		     disk_write(w, efi, made.size, path, error);
		bytes_free(&made);
	}
	bytes_free(&elf);
	return ok;
}

/* What ends the program waits until nothing is left behind; the tools it runs are ended at once. */
static void hold_signals(sigset_t *old)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigprocmask(SIG_BLOCK, &set, old);
}

static bool write_held(const struct image_request *r, enum image_kind kind, char *error)
{
	struct workplace w;
	char part[4096];
	int fd;
	bool ok;

	/* Beside the file it becomes, so that the last step is one rename. */
	if ((size_t)snprintf(part, sizeof(part), "%s.part%d", r->out, (int)getpid()) >= sizeof(part))
		return image_fail(error, "%s: too long a name", r->out);
	fd = open(part, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return image_fail(error, "can't write %s: %s", r->out, strerror(errno));
	close(fd);
	if (!workplace_begin(&w, error)) {
		unlink(part);
		return false;
	}
	ok = make(r, kind, &w, part, error);
	if (ok && rename(part, r->out)) {
		ok = image_fail(error, "can't write %s: %s", r->out, strerror(errno));
	}
	if (!ok)
		unlink(part);
	workplace_end(&w);
	return ok;
}

bool image_write(const struct image_request *r, char *error)
{
	enum image_kind kind = image_kind_of(r->out);
	sigset_t old;
	bool ok;

	if (!check(r, kind, error))
		return false;
	hold_signals(&old);
	ok = write_held(r, kind, error);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return ok;
}

// SPDX-License-Identifier: BSD-2-Clause
#include "host/launch/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "host/image/image.h"
#include "host/launch/place.h"
#include "host/launch/topology.h"

/* Where Debian, Fedora and Arch put them; the first that is there is taken. */
static const char *const ovmf_files[] = {
	"/usr/share/ovmf/OVMF.fd", "/usr/share/OVMF/OVMF.fd", "/usr/share/qemu/OVMF.fd",
	"/usr/share/edk2/x64/OVMF.4m.fd", "/usr/share/edk2-ovmf/x64/OVMF.fd",
};
/* OVMF's Secure Boot build, with the keys that Debian publishes for tests enrolled. */
#define SECURE_CODE	"/usr/share/OVMF/OVMF_CODE_4M.snakeoil.fd"
#define SECURE_VARS	"/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd"
#define OVMF_PACKAGE	"as root: apt-get install ovmf"

static const struct {
	const char *word, *tail;
} kinds[] = {
	[BOOT_PVH] = { "pvh", NULL },
	[BOOT_UEFI] = { "uefi", ".efi" },
	[BOOT_DISK] = { "disk", ".img" },
	[BOOT_ISO] = { "iso", ".iso" },
};

const char *boot_tail(enum boot_kind kind)
{
	return kinds[kind].tail;
}

static bool is_machine(const char *machine, const char *name)
{
	size_t n = strlen(name);

	return strncmp(machine, name, n) == 0 && (!machine[n] || machine[n] == ',');
}

static bool find_kind(struct boot *b, const char *file, const char *boot, struct text *error)
{
	enum image_kind made = image_kind_of(file);
	bool known = false;

	b->made = made != IMAGE_UNKNOWN && made != IMAGE_ELF;
	if (b->made)
		b->kind = made == IMAGE_EFI ? BOOT_UEFI : made == IMAGE_ISO ? BOOT_ISO : BOOT_DISK;
	if (!boot)
		return true;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(boot, kinds[i].word))
			continue;
		if (b->made && b->kind != i) {
			text_addf(error, "--boot %s: %s boots by --boot %s", boot, file,
				  kinds[b->kind].word);
			return false;
		}
		b->kind = (enum boot_kind)i;
		known = true;
	}
	if (!known)
		text_addf(error, "--boot '%s': wants pvh, uefi, disk or iso", boot);
	return known;
}

static bool find_ovmf(struct boot_firmware *f, struct text *error)
{
	for (size_t i = 0; i < sizeof(ovmf_files) / sizeof(ovmf_files[0]); i++) {
		if (access(ovmf_files[i], R_OK) == 0) {
			f->bios = ovmf_files[i];
			return true;
		}
	}
	text_add_str(error, "the UEFI firmware OVMF isn't there; " OVMF_PACKAGE);
	return false;
}

static bool find_secure_ovmf(struct boot_firmware *f, const char *machine, struct text *error)
{
	if (!is_machine(machine, "q35")) {
		text_addf(error, "--bios ovmf-secure: Secure Boot needs q35, not %s", machine);
		return false;
	}
	if (access(SECURE_CODE, R_OK) || access(SECURE_VARS, R_OK)) {
		text_add_str(error, "OVMF's Secure Boot build (" SECURE_CODE ") isn't there; "
			     OVMF_PACKAGE);
		return false;
	}
	f->code = SECURE_CODE;
	f->vars = SECURE_VARS;
	return true;
}

bool boot_choose(struct boot *b, const char *file, const char *boot, const char *bios,
		 const char *machine, struct text *error)
{
	bool ovmf = bios && (strcmp(bios, "ovmf") == 0 || strcmp(bios, "ovmf-secure") == 0);
	bool seabios = !bios || strcmp(bios, "seabios") == 0;
	bool qboot = bios && strcmp(bios, "qboot") == 0;

	*b = (struct boot){ 0 };
	if (!find_kind(b, file, boot, error))
		return false;
	/* OVMF boots no PVH kernel, so who asks for it alone means UEFI. */
	if (ovmf && !boot && !b->made)
		b->kind = BOOT_UEFI;
	if (ovmf && b->kind == BOOT_PVH) {
		text_addf(error, "--bios %s boots no PVH kernel: --boot uefi (or disk, iso) does", bios);
		return false;
	}
	if (b->kind != BOOT_PVH && is_machine(machine, "microvm")) {
		text_addf(error, "microvm boots only by --boot pvh, not %s: take q35 or pc",
			  kinds[b->kind].word);
		return false;
	}
	if (b->kind == BOOT_UEFI || b->kind == BOOT_DISK) {
		if (qboot || (bios && seabios)) {
			text_addf(error, "--boot %s needs a UEFI firmware: --bios ovmf, not %s",
				  kinds[b->kind].word, bios);
			return false;
		}
		if (!bios)
			return find_ovmf(&b->firmware, error);
	}
	if (b->kind == BOOT_ISO && qboot) {
		text_add_str(error, "--boot iso: qboot reads no disks: --bios seabios or ovmf does");
		return false;
	}
	if (ovmf)
		return strcmp(bios, "ovmf") == 0 ? find_ovmf(&b->firmware, error) :
						   find_secure_ovmf(&b->firmware, machine, error);
	b->firmware.bios = qboot ? "qboot.rom" : seabios ? NULL : bios;
	if (b->firmware.bios && strchr(bios, '/') && access(bios, R_OK)) {
		text_addf(error, "--bios %s: %s", bios, strerror(errno));
		return false;
	}
	return true;
}

bool boot_check_file(const struct boot *b, const char *path, struct text *error)
{
	char head[2] = { 0 };
	int fd;

	if (!b->made)
		return place_check_image(path, error);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || read(fd, head, sizeof(head)) < 0) {
		text_addf(error, "can't read %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	close(fd);
	if (b->kind == BOOT_UEFI && memcmp(head, "MZ", 2)) {
		text_addf(error, "%s is no UEFI program; `isthmus image APP -o FILE.efi` makes one", path);
		return false;
	}
	return true;
}

bool boot_refuses_in_silence(const struct boot *b)
{
	return b->kind == BOOT_UEFI && b->firmware.code;
}

unsigned int boot_default_mem(const struct boot *b)
{
	bool seabios = b->kind == BOOT_PVH || (b->kind == BOOT_ISO && !b->firmware.bios && !b->firmware.code);

	return seabios ? TOPOLOGY_MEM_DEFAULT : 128;
}

bool boot_firmware_talks(const struct boot *b)
{
	return b->kind != BOOT_PVH;
}

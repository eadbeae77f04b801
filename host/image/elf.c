// SPDX-License-Identifier: BSD-2-Clause
#include "host/image/elf.h"

#include <elf.h>
#include <string.h>

static bool is_guest(const Elf64_Ehdr *h)
{
	return memcmp(h->e_ident, ELFMAG, SELFMAG) == 0 &&
	       h->e_ident[EI_CLASS] == ELFCLASS64 && h->e_machine == EM_X86_64 &&
	       h->e_type == ET_EXEC && h->e_phentsize == sizeof(Elf64_Phdr);
}

bool elf_trim(struct bytes *elf, const char *path, char *error)
{
	Elf64_Ehdr h = { 0 };
	uint64_t end;

	if (elf->size >= sizeof(h))
		memcpy(&h, elf->data, sizeof(h));
	if (!is_guest(&h))
		return image_fail(error, "%s is no guest image; an x86-64 ELF executable made by "
			"isthmus_add_app() is", path);
	end = h.e_phoff + (uint64_t)h.e_phnum * sizeof(Elf64_Phdr);
	if (h.e_phoff > elf->size || end > elf->size)
		return image_fail(error, "%s is cut short: build it again", path);
	for (unsigned i = 0; i < h.e_phnum; i++) {
		Elf64_Phdr p;

		memcpy(&p, elf->data + h.e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_offset > elf->size || p.p_filesz > elf->size - p.p_offset)
			return image_fail(error, "%s is cut short: build it again", path);
		if (p.p_filesz && p.p_offset + p.p_filesz > end)
			end = p.p_offset + p.p_filesz;
	}
	h.e_shoff = 0;
	h.e_shnum = h.e_shstrndx = 0;
	memcpy(elf->data, &h, sizeof(h));
	bytes_resize(elf, end);
	return true;
}

// SPDX-License-Identifier: BSD-2-Clause
/* This program's own headers, as the firmware's loader put them in memory. Source: Microsoft PE
 * Format; the loader has checked them, and the sections lie where they say. */
#include "boot/uefi/stub.h"

#define DOS_REG_PE_OFFSET	0x3c
#define PE_FILE_HEADER		4	/* behind "PE\0\0" */
#define PE_SECTION_SIZE		40

static uint32_t read32(const uint8_t *at)
{
	return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint32_t read16(const uint8_t *at)
{
	return at[0] | at[1] << 8;
}

static bool name_is(const uint8_t *field, const char *name)
{
	for (int i = 0; i < 8; i++) {
		if (field[i] != (uint8_t)*name)
			return false;
		if (*name)
			name++;
	}
	return *name == '\0';
}

const void *find_section(const EFI_LOADED_IMAGE *self, const char *name, size_t *size)
{
	const uint8_t *base = self->ImageBase;
	const uint8_t *file_header = base + read32(base + DOS_REG_PE_OFFSET) + PE_FILE_HEADER;
	uint32_t count = read16(file_header + 2);
	const uint8_t *section = file_header + 20 + read16(file_header + 16);

	for (; count; count--, section += PE_SECTION_SIZE) {
		uint32_t virtual_size = read32(section + 8), address = read32(section + 12);

		if (!name_is(section, name))
			continue;
		if (address > self->ImageSize || virtual_size > self->ImageSize - address)
			return NULL;
		*size = virtual_size;
		return base + address;
	}
	return NULL;
}

// SPDX-License-Identifier: BSD-2-Clause
/* Source: Microsoft PE Format, "COFF File Header", "Optional Header", "Section Table". */
#include "host/image/pe.h"

#include <string.h>

#define DOS_PE_OFFSET		0x3c
#define SIGNATURE_SIZE		4	/* "PE\0\0" */
#define FILE_SECTIONS		2	/* in the COFF file header */
#define FILE_SYMBOL_TABLE	8
#define FILE_SYMBOL_COUNT	12
#define FILE_OPTIONAL_SIZE	16
#define FILE_HEADER_SIZE	20
#define OPTIONAL_MAGIC		0	/* in the optional header */
#define OPTIONAL_DATA_SIZE	8
#define OPTIONAL_SECTION_ALIGN	32
#define OPTIONAL_FILE_ALIGN	36
#define OPTIONAL_IMAGE_SIZE	56
#define OPTIONAL_HEADERS_SIZE	60
#define OPTIONAL_CHECKSUM	64
#define OPTIONAL_SECURITY	144	/* data directory 4: the signature */
#define MAGIC_64_BIT		0x20b
#define SECTION_VIRTUAL_SIZE	8	/* in an entry of the section table */
#define SECTION_ADDRESS		12
#define SECTION_RAW_SIZE	16
#define SECTION_RAW_OFFSET	20
#define SECTION_FLAGS		36
#define SECTION_SIZE		40
#define FLAG_INITIALIZED_DATA	0x00000040u
#define FLAG_READ		0x40000000u

struct headers {
	uint8_t *file, *optional, *sections;
	unsigned count;
	uint32_t section_align, file_align, headers_size;
};

static uint32_t align_up(uint64_t value, uint32_t alignment)
{
	return (uint32_t)((value + alignment - 1) / alignment * alignment);
}

static bool find_headers(const struct bytes *pe, struct headers *h)
{
	size_t at;

	if (pe->size < DOS_PE_OFFSET + 4 || memcmp(pe->data, "MZ", 2))
		return false;
	at = get32(pe->data + DOS_PE_OFFSET);
	if (at > pe->size || pe->size - at < SIGNATURE_SIZE + FILE_HEADER_SIZE + OPTIONAL_SECURITY + 8 ||
	    memcmp(pe->data + at, "PE\0\0", SIGNATURE_SIZE))
		return false;
	h->file = pe->data + at + SIGNATURE_SIZE;
	h->optional = h->file + FILE_HEADER_SIZE;
	h->sections = h->optional + get16(h->file + FILE_OPTIONAL_SIZE);
	h->count = get16(h->file + FILE_SECTIONS);
	h->section_align = get32(h->optional + OPTIONAL_SECTION_ALIGN);
	h->file_align = get32(h->optional + OPTIONAL_FILE_ALIGN);
	h->headers_size = get32(h->optional + OPTIONAL_HEADERS_SIZE);
	return get16(h->optional + OPTIONAL_MAGIC) == MAGIC_64_BIT && h->count && h->section_align &&
	       h->file_align && h->headers_size <= pe->size &&
	       (size_t)(h->sections - pe->data) + h->count * SECTION_SIZE <= h->headers_size;
}

bool pe_add_section(struct bytes *pe, const char *path, const char *name, const void *data,
	size_t size, char *error)
{
	struct headers h;
	uint32_t address = 0, offset = 0, raw;
	uint8_t *s;

	if (!find_headers(pe, &h))
		return image_fail(error, "%s is no 64-bit PE program: build it again", path);
	for (unsigned i = 0; i < h.count; i++) {
		uint32_t end;

		s = h.sections + i * SECTION_SIZE;
		end = get32(s + SECTION_ADDRESS) + get32(s + SECTION_VIRTUAL_SIZE);
		if (end > address)
			address = end;
		end = get32(s + SECTION_RAW_OFFSET) + get32(s + SECTION_RAW_SIZE);
		if (end > offset)
			offset = end;
	}
	s = h.sections + h.count * SECTION_SIZE;
	if (offset > pe->size || (size_t)(s - pe->data) + SECTION_SIZE > h.headers_size)
		return image_fail(error, "%s has no room for one more section", path);
	if (size > 0x40000000)
		return image_fail(error, "%zu bytes are too many for a section of a PE program", size);

	address = align_up(address, h.section_align);
	offset = align_up(offset, h.file_align);
	raw = align_up(size, h.file_align);
	memset(s, 0, SECTION_SIZE);
	memcpy(s, name, strnlen(name, 8));
	put32(s + SECTION_VIRTUAL_SIZE, (uint32_t)size);
	put32(s + SECTION_ADDRESS, address);
	put32(s + SECTION_RAW_SIZE, raw);
	put32(s + SECTION_RAW_OFFSET, offset);
	put32(s + SECTION_FLAGS, FLAG_INITIALIZED_DATA | FLAG_READ);

	put16(h.file + FILE_SECTIONS, (uint16_t)(h.count + 1));
	put32(h.file + FILE_SYMBOL_TABLE, 0);	/* what lies behind the last section goes */
	put32(h.file + FILE_SYMBOL_COUNT, 0);
	put32(h.optional + OPTIONAL_DATA_SIZE, get32(h.optional + OPTIONAL_DATA_SIZE) + raw);
	put32(h.optional + OPTIONAL_IMAGE_SIZE, align_up((uint64_t)address + size, h.section_align));
	put32(h.optional + OPTIONAL_CHECKSUM, 0);	/* firmware doesn't look; sbsign sets it */
	memset(h.optional + OPTIONAL_SECURITY, 0, 8);

	bytes_resize(pe, offset < pe->size ? offset : pe->size);
	bytes_resize(pe, (size_t)offset + raw);
	memcpy(pe->data + offset, data, size);
	return true;
}

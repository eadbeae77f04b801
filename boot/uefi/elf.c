// SPDX-License-Identifier: BSD-2-Clause
/* The guest image from its ELF file into memory. Source: System V ABI, ELF-64 Object File Format. */
#include "boot/uefi/stub.h"

#define ELF_CLASS_64		2
#define ELF_LITTLE_ENDIAN	1
#define ELF_TYPE_EXEC		2
#define ELF_MACHINE_X86_64	62
#define ELF_SEGMENT_LOAD	1
#define LARGEST_IMAGE		0x3fe00000ul	/* what is left of 1 GiB above the link address */

struct elf_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, segments, sections;
	uint32_t flags;
	uint16_t size, segment_size, segment_count, section_size, section_count, names;
};

struct elf_segment {
	uint32_t type, flags;
	uint64_t offset, virt, phys, file_size, memory_size, align;
};

struct extent {
	uint64_t low, high;		/* physical, as the file's headers say */
	uint64_t virt;			/* of low */
};

static const struct elf_segment *segment_at(const uint8_t *elf, unsigned i)
{
	const struct elf_header *h = (const void *)elf;

	return (const void *)(elf + h->segments + (size_t)i * h->segment_size);
}

static const char *header_fault(const uint8_t *elf, size_t size)
{
	const struct elf_header *h = (const void *)elf;

	if (size < sizeof(*h) || h->ident[0] != 0x7f || h->ident[1] != 'E' || h->ident[2] != 'L' ||
	    h->ident[3] != 'F')
		return "is no ELF file";
	if (h->ident[4] != ELF_CLASS_64 || h->ident[5] != ELF_LITTLE_ENDIAN ||
	    h->type != ELF_TYPE_EXEC || h->machine != ELF_MACHINE_X86_64)
		return "is no 64-bit x86 executable";
	if (h->segment_size < sizeof(struct elf_segment) || h->segments % 8 != 0 ||
	    h->segment_size % 8 != 0 || h->segments > size ||
	    (uint64_t)h->segment_count * h->segment_size > size - h->segments)
		return "is cut short or damaged";
	return NULL;
}

/* Checks every segment and finds what they span together. */
static const char *measure(const uint8_t *elf, size_t size, struct extent *extent)
{
	const struct elf_header *h = (const void *)elf;

	*extent = (struct extent){ .low = UINT64_MAX };
	for (unsigned i = 0; i < h->segment_count; i++) {
		const struct elf_segment *s = segment_at(elf, i);

		if (s->type != ELF_SEGMENT_LOAD || s->memory_size == 0)
			continue;
		if (s->offset > size || s->file_size > size - s->offset ||
		    s->file_size > s->memory_size || s->memory_size > LARGEST_IMAGE ||
		    s->phys > LOW_MEMORY_LAST)
			return "is cut short or damaged";
		if (s->phys < extent->low) {
			extent->low = s->phys;
			extent->virt = s->virt;
		}
		if (s->phys + s->memory_size > extent->high)
			extent->high = s->phys + s->memory_size;
	}
	if (extent->low >= extent->high)
		return "has nothing to load";
	if (extent->low % IMAGE_ALIGN || extent->virt % IMAGE_ALIGN)
		return "doesn't begin at a multiple of 2 MiB";
	if (extent->high - extent->low > LARGEST_IMAGE)
		return "is larger than 1 GiB";
	for (unsigned i = 0; i < h->segment_count; i++) {
		const struct elf_segment *s = segment_at(elf, i);

		if (s->type == ELF_SEGMENT_LOAD && s->memory_size &&
		    s->virt - extent->virt != s->phys - extent->low)
			return "has segments at different distances from their load addresses";
	}
	if (h->entry - extent->virt >= extent->high - extent->low)
		return "begins outside itself";
	return NULL;
}

/* Pages at a multiple of 2 MiB: asks for 2 MiB more and gives back what lies around. */
static EFI_STATUS allocate_aligned(uint64_t size, uint64_t *phys)
{
	uint64_t pages = EFI_SIZE_TO_PAGES(size + IMAGE_ALIGN) * EFI_PAGE_SIZE;
	EFI_PHYSICAL_ADDRESS got;
	EFI_STATUS status = firmware->BootServices->AllocatePages(AllocateAnyPages, EfiLoaderCode,
		EFI_SIZE_TO_PAGES(pages), &got);

	if (EFI_ERROR(status))
		return fail(status, "the firmware has no %lu KiB in one piece for the guest: "
			"give the VM more memory", (unsigned long)pages / 1024);
	*phys = (got + IMAGE_ALIGN - 1) & ~(IMAGE_ALIGN - 1);

	uint64_t used = EFI_SIZE_TO_PAGES(size) * EFI_PAGE_SIZE;

	free_pages(got, *phys - got);
	free_pages(*phys + used, got + pages - (*phys + used));
	return EFI_SUCCESS;
}

EFI_STATUS place_image(const uint8_t *elf, size_t size, struct placed_image *image)
{
	struct extent extent;
	const char *fault = header_fault(elf, size);

	if (!fault)
		fault = measure(elf, size, &extent);
	if (fault)
		return fail(EFI_LOAD_ERROR, "the guest in this program %s: make it again", fault);

	const struct elf_header *h = (const void *)elf;
	EFI_STATUS status = allocate_aligned(extent.high - extent.low, &image->phys);

	if (EFI_ERROR(status))
		return status;
	image->virt = extent.virt;
	image->size = extent.high - extent.low;
	image->entry = h->entry;
	memset((void *)(uintptr_t)image->phys, 0, image->size);
	for (unsigned i = 0; i < h->segment_count; i++) {
		const struct elf_segment *s = segment_at(elf, i);

		if (s->type == ELF_SEGMENT_LOAD)
			memcpy((void *)(uintptr_t)(image->phys + (s->phys - extent.low)),
				elf + s->offset, s->file_size);
	}
	return EFI_SUCCESS;
}

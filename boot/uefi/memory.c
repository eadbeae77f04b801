// SPDX-License-Identifier: BSD-2-Clause
#include "boot/uefi/stub.h"

/* The compiler calls these; volatile keeps it from seeing memcpy in memcpy. */
void *memcpy(void *to, const void *from, size_t size)
{
	volatile uint8_t *t = to;
	const uint8_t *f = from;

	for (; size >= 8 && (((uintptr_t)t | (uintptr_t)f) & 7) == 0; size -= 8, t += 8, f += 8)
		*(volatile uint64_t *)(uintptr_t)t = *(const uint64_t *)(uintptr_t)f;
	while (size--)
		*t++ = *f++;
	return to;
}

void *memset(void *to, int byte, size_t size)
{
	volatile uint8_t *t = to;
	uint64_t word = (uint8_t)byte * 0x0101010101010101ul;

	for (; size && ((uintptr_t)t & 7); size--)
		*t++ = (uint8_t)byte;
	for (; size >= 8; size -= 8, t += 8)
		*(volatile uint64_t *)(uintptr_t)t = word;
	while (size--)
		*t++ = (uint8_t)byte;
	return to;
}

void *allocate_low(size_t size, const char *purpose)
{
	EFI_PHYSICAL_ADDRESS phys = LOW_MEMORY_LAST;
	EFI_STATUS status = firmware->BootServices->AllocatePages(AllocateMaxAddress, EfiLoaderData,
		EFI_SIZE_TO_PAGES(size), &phys);

	if (EFI_ERROR(status)) {
		fail(status, "the firmware has no %lu KiB below 4 GiB for %s: give the VM more memory",
			(unsigned long)(size + 1023) / 1024, purpose);
		return NULL;
	}
	return memset((void *)(uintptr_t)phys, 0, EFI_SIZE_TO_PAGES(size) * EFI_PAGE_SIZE);
}

void free_pages(uint64_t phys, size_t size)
{
	if (size)
		firmware->BootServices->FreePages(phys, EFI_SIZE_TO_PAGES(size));
}

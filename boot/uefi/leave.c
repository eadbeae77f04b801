// SPDX-License-Identifier: BSD-2-Clause
/*
 * Off the firmware. Its memory map must be the newest when boot services end, so the two calls are
 * repeated until they agree; all memory for the map is taken before. Source: UEFI 2.10, 7.2.3
 * and 7.4.6.
 */
#include "boot/uefi/stub.h"

#define ATTEMPTS	8
#define SLACK		32		/* descriptors that may appear while we ask */

enum { RAM = 1, RESERVED = 2, ACPI = 3, NVS = 4, UNUSABLE = 5, PERSISTENT = 7 };

struct firmware_map {
	uint8_t *buffer;
	UINTN capacity, size, key, step;
	uint32_t version;
};

static EFI_STATUS read_map(struct firmware_map *m)
{
	m->size = m->capacity;
	return firmware->BootServices->GetMemoryMap(&m->size, (void *)m->buffer, &m->key, &m->step,
		&m->version);
}

/* Memory for the map as it is now, and for the guest's form of it. */
static EFI_STATUS prepare(struct firmware_map *m, struct handover_range **ranges)
{
	EFI_STATUS status = read_map(m);

	if (status != EFI_BUFFER_TOO_SMALL || m->step < sizeof(EFI_MEMORY_DESCRIPTOR))
		return fail(EFI_ERROR(status) ? status : EFI_DEVICE_ERROR,
			"the firmware doesn't give its memory map");
	m->capacity = m->size + SLACK * m->step;
	m->buffer = allocate_low(m->capacity, "the memory map");
	*ranges = allocate_low(m->capacity / m->step * sizeof(**ranges), "the memory map");
	return m->buffer && *ranges ? EFI_SUCCESS : EFI_OUT_OF_RESOURCES;
}

/* What the guest may do with memory once boot services have ended; UEFI 2.10, table 7.10. */
static uint32_t range_type(const EFI_MEMORY_DESCRIPTOR *d)
{
	switch (d->Type) {
	case EfiLoaderCode:
	case EfiLoaderData:
	case EfiBootServicesCode:
	case EfiBootServicesData:
	case EfiConventionalMemory:
		return d->Attribute & EFI_MEMORY_WB ? RAM : RESERVED;
	case EfiACPIReclaimMemory:
		return ACPI;
	case EfiACPIMemoryNVS:
		return NVS;
	case EfiUnusableMemory:
		return UNUSABLE;
	case 14:	/* EfiPersistentMemory, newer than gnu-efi's header */
		return PERSISTENT;
	default:
		return RESERVED;
	}
}

/* Neighbours of one type become one range: the firmware's own map has a hundred pieces. */
static uint32_t convert_map(const struct firmware_map *m, struct handover_range *ranges)
{
	uint32_t n = 0;

	for (UINTN at = 0; at + m->step <= m->size; at += m->step) {
		const EFI_MEMORY_DESCRIPTOR *d = (const void *)(m->buffer + at);
		uint64_t size = d->NumberOfPages * EFI_PAGE_SIZE;
		uint32_t type = range_type(d);

		if (n && ranges[n - 1].type == type &&
		    ranges[n - 1].base + ranges[n - 1].size == d->PhysicalStart)
			ranges[n - 1].size += size;
		else
			ranges[n++] = (struct handover_range){ d->PhysicalStart, size, type, 0 };
	}
	return n;
}

EFI_STATUS leave_firmware(EFI_HANDLE self, const struct placed_image *image, void *tables,
	struct handover *handover)
{
	struct firmware_map map = { 0 };
	struct handover_range *ranges = NULL;
	EFI_STATUS status = prepare(&map, &ranges);

	if (EFI_ERROR(status))
		return status;
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		status = read_map(&map);
		if (EFI_ERROR(status))
			break;
		status = firmware->BootServices->ExitBootServices(self, map.key);
		if (!EFI_ERROR(status)) {
			handover->range_count = convert_map(&map, ranges);
			handover->ranges = (uintptr_t)ranges;
			enter_guest(tables, image->entry, handover);
		}
		if (status != EFI_INVALID_PARAMETER)
			break;
	}
	return fail(status, "the firmware doesn't let go of the machine");
}

// SPDX-License-Identifier: BSD-2-Clause
/* What the firmware knows of the machine and the guest may want: none of it is an error to miss,
 * but for an initial RAM disk that is there and can't be read. */
#include "boot/uefi/stub.h"

static EFI_GUID acpi2_guid = { 0x8868e871, 0xe4f1, 0x11d3,
	{ 0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81 } };
static EFI_GUID acpi1_guid = { 0xeb9d2d30, 0x2d88, 0x11d3,
	{ 0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d } };
static EFI_GUID graphics_guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
static EFI_GUID load_file2_guid = { 0x4006c0c1, 0xfcb3, 0x403e,
	{ 0x99, 0x6d, 0x4a, 0x6c, 0x87, 0x24, 0xe0, 0x6d } };

static bool guids_equal(const EFI_GUID *a, const EFI_GUID *b)
{
	const uint8_t *x = (const uint8_t *)a, *y = (const uint8_t *)b;

	for (size_t i = 0; i < sizeof(*a); i++)
		if (x[i] != y[i])
			return false;
	return true;
}

void find_rsdp(struct handover *handover)
{
	for (UINTN i = 0; i < firmware->NumberOfTableEntries; i++) {
		const EFI_CONFIGURATION_TABLE *t = &firmware->ConfigurationTable[i];

		/* The ACPI 2.0 entry has the table of 64-bit addresses: it wins in any order. */
		if (guids_equal(&t->VendorGuid, &acpi2_guid)) {
			handover->rsdp = (uintptr_t)t->VendorTable;
			return;
		}
		if (guids_equal(&t->VendorGuid, &acpi1_guid))
			handover->rsdp = (uintptr_t)t->VendorTable;
	}
}

static unsigned bits_of_masks(const EFI_PIXEL_BITMASK *m)
{
	uint32_t all = m->RedMask | m->GreenMask | m->BlueMask | m->ReservedMask;

	return all ? 32 - (unsigned)__builtin_clz(all) : 0;
}

void find_framebuffer(struct handover *handover)
{
	EFI_GRAPHICS_OUTPUT_PROTOCOL *graphics;

	if (EFI_ERROR(firmware->BootServices->LocateProtocol(&graphics_guid, NULL,
			(void **)&graphics)) || !graphics->Mode || !graphics->Mode->Info)
		return;

	const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode = graphics->Mode->Info;
	unsigned bits = 32;

	if (mode->PixelFormat == PixelBitMask)
		bits = bits_of_masks(&mode->PixelInformation);
	else if (mode->PixelFormat != PixelRedGreenBlueReserved8BitPerColor &&
		 mode->PixelFormat != PixelBlueGreenRedReserved8BitPerColor)
		return;		/* pixels only through the firmware, which will be gone */
	bits = (bits + 7) & ~7u;
	handover->framebuffer = graphics->Mode->FrameBufferBase;
	handover->width = mode->HorizontalResolution;
	handover->height = mode->VerticalResolution;
	handover->pitch = mode->PixelsPerScanLine * (bits / 8);
	handover->bits_per_pixel = bits;
}

/*
 * The initial RAM disk: a LoadFile2 under a vendor's device path, which boot loaders and the UEFI
 * shell's `initrd` put up. QEMU's -initrd doesn't get here: it wants a Linux kernel beside it. Source: Linux Documentation/admin-guide/efi-stub.rst; UEFI 2.10, 13.2.
 */
struct initrd_path {
	VENDOR_DEVICE_PATH vendor;
	EFI_DEVICE_PATH end;
} __attribute__((packed));

static struct initrd_path initrd_path = {
	.vendor = {
		.Header = { MEDIA_DEVICE_PATH, MEDIA_VENDOR_DP, { sizeof(VENDOR_DEVICE_PATH), 0 } },
		.Guid = { 0x5568e427, 0x68fc, 0x4f3d,
			{ 0xac, 0x74, 0xca, 0x55, 0x52, 0x31, 0xcc, 0x68 } },
	},
	.end = { END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE,
		{ sizeof(EFI_DEVICE_PATH), 0 } },
};

/* gnu-efi has no name for it; the same shape as LoadFile. */
struct load_file2 {
	EFI_STATUS (EFIAPI *load)(struct load_file2 *self, EFI_DEVICE_PATH *path, BOOLEAN policy,
		UINTN *size, void *buffer);
};

EFI_STATUS load_initrd(struct handover *handover)
{
	EFI_DEVICE_PATH *path = (void *)&initrd_path;
	EFI_HANDLE holder;
	struct load_file2 *loader;
	UINTN size = 0;

	if (EFI_ERROR(firmware->BootServices->LocateDevicePath(&load_file2_guid, &path, &holder)) ||
	    EFI_ERROR(firmware->BootServices->HandleProtocol(holder, &load_file2_guid,
			(void **)&loader)))
		return EFI_SUCCESS;

	EFI_STATUS status = loader->load(loader, path, FALSE, &size, NULL);

	if (status != EFI_BUFFER_TOO_SMALL || size == 0)
		return EFI_SUCCESS;

	void *module = allocate_low(size, "the initial RAM disk");

	if (!module)
		return EFI_OUT_OF_RESOURCES;
	status = loader->load(loader, path, FALSE, &size, module);
	if (EFI_ERROR(status))
		return fail(status, "the firmware can't read the initial RAM disk");
	handover->modules[0] = (struct handover_module){ (uintptr_t)module, size };
	handover->module_count = 1;
	return EFI_SUCCESS;
}

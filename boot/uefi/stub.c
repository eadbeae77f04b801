// SPDX-License-Identifier: BSD-2-Clause
#include "boot/uefi/stub.h"

EFI_SYSTEM_TABLE *firmware;

static EFI_GUID loaded_image_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;

/* Everything that can go wrong while the firmware can still be told. */
static EFI_STATUS boot_guest(EFI_HANDLE handle)
{
	EFI_LOADED_IMAGE *self;
	EFI_STATUS status = firmware->BootServices->HandleProtocol(handle, &loaded_image_guid,
		(void **)&self);

	if (EFI_ERROR(status))
		return fail(status, "the firmware doesn't say where it loaded this program");

	size_t size;
	const void *elf = find_section(self, ".guest", &size);

	if (!elf)
		return fail(EFI_NOT_FOUND, "this is the bare boot stub, with no guest in it: "
			"`isthmus image APP -o FILE.efi` makes one with a guest");

	struct handover *handover = allocate_low(sizeof(*handover), "what the guest is told");
	struct placed_image image;

	if (!handover)
		return EFI_OUT_OF_RESOURCES;
	handover->magic = HANDOVER_MAGIC;
	handover->version = HANDOVER_VERSION;
	handover->size = sizeof(*handover);

	status = collect_arguments(self, handle, handover);
	if (!EFI_ERROR(status))
		status = load_initrd(handover);
	if (!EFI_ERROR(status))
		status = place_image(elf, size, &image);
	if (EFI_ERROR(status))
		return status;
	handover->image_phys = image.phys;
	find_rsdp(handover);
	find_framebuffer(handover);

	void *tables = build_tables(&image);

	if (!tables)
		return EFI_OUT_OF_RESOURCES;
	return leave_firmware(handle, &image, tables, handover);
}

/* Called by gnu-efi's start code, in C's own calling convention. */
EFI_STATUS efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *system_table);

EFI_STATUS efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *system_table)
{
	firmware = system_table;
	return boot_guest(handle);
}

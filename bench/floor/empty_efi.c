// SPDX-License-Identifier: BSD-2-Clause
// bench-empty.efi: the same for UEFI: what the firmware needs before it starts any program. The byte
// goes to the debug console, as OVMF itself writes to the serial ports.

#include <efi.h>

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
	(void)image;
	(void)system;
	__asm__ volatile("outb %0, %1" ::"a"((unsigned char)'!'), "Nd"((unsigned short)0xe9));
	for (;;)
		__asm__ volatile("hlt");
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Multiboot2 header, for GRUB, and the entry it names: 32-bit protected mode, paging off, EBX =
 * physical address of the boot information. Source: Multiboot2 Specification 2.0, sections 3.1 and
 * 3.2. The loader may put the image at any multiple of 2 MiB: a fixed place would, on UEFI, be laid
 * over what the firmware keeps for itself.
 *
 * There is no Multiboot 1 header on purpose: QEMU's -kernel looks for one before the PVH note, and
 * that way in is slower and tells less.
 */
#include "boot/tables.h"

#define TAG_END			0
#define TAG_ENTRY_ADDRESS	3
#define TAG_FRAMEBUFFER		5
#define TAG_MODULE_ALIGN	6
#define TAG_RELOCATABLE		10
#define OPTIONAL		1
#define LOWEST			1	/* of the places that fit */
#define HIGHEST_BYTE		0xffffffff

	.section .text.entry, "ax"
	.balign 8
header:	.long	0xe85250d6		/* magic */
	.long	0			/* architecture: 32-bit protected mode of i386 */
	.long	header_end - header
	.long	-(0xe85250d6 + (header_end - header))

	.word	TAG_ENTRY_ADDRESS, 0
	.long	12, LOAD(boot_multiboot2_start)
	.balign 8
	.word	TAG_RELOCATABLE, 0
	.long	24, 0x200000, HIGHEST_BYTE, 0x200000, LOWEST
	.balign 8
	.word	TAG_FRAMEBUFFER, OPTIONAL	/* any size: for machines without a serial port */
	.long	20, 0, 0, 32
	.balign 8
	.word	TAG_MODULE_ALIGN, OPTIONAL
	.long	8
	.balign 8
	.word	TAG_END, 0
	.long	8
header_end:

	.code32
	.globl	boot_multiboot2_start
boot_multiboot2_start:
	movl	$LOAD(boot_multiboot2), %edi
	jmp	boot_enter32

	.section .note.GNU-stack, "", @progbits

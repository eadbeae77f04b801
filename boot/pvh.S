/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PVH entry: 32-bit protected mode, paging off, EBX = physical address of the start info.
 * Source: Xen docs/misc/pvh.pandoc. Hands over to the way into 64-bit mode that all 32-bit entries
 * share (enter32.S).
 */
#include "boot/tables.h"

	.section .note.pvh, "a", @note
	.balign 4
	.long	2f - 1f, 4f - 3f	/* sizes of name and description */
	.long	18			/* XEN_ELFNOTE_PHYS32_ENTRY */
1:	.asciz	"Xen"
2:	.balign 4
3:	.quad	LOAD(boot_pvh_start)
4:	.balign 4

	.section .text.entry, "ax"
	.code32
	.globl	boot_pvh_start
boot_pvh_start:
	movl	$LOAD(boot_pvh), %edi
	jmp	boot_enter32

	.section .note.GNU-stack, "", @progbits

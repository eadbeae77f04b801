/* SPDX-License-Identifier: BSD-2-Clause */
/* byte.elf: writes one byte to the first serial port at its entry and does nothing else, which is the
 * least that any guest can take from QEMU's start to its first sign of life. */
	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 4, 18			/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.balign 4
	.long floor_entry32

	.section .text.entry, "ax"
	.code32
	.globl floor_entry32
floor_entry32:
	movw	$0x3f8, %dx
	movb	$'!', %al
	outb	%al, (%dx)
1:	cli
	hlt
	jmp	1b
	.section .note.GNU-stack, "", @progbits

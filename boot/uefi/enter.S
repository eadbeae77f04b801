/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The stub's last instructions: off the firmware's page tables, into the guest. In: RDI = page
 * tables, RSI = entry address, RDX = handover. The line of code that runs on both sets of tables
 * must not cross a page, of which tables.c maps the one that this function begins in.
 */
	.text
	.code64
	.balign	64
	.globl	enter_guest
	.type	enter_guest, @function
enter_guest:
	cli
	cld
	movq	%cr4, %rax
	andq	$~0x20000, %rax		/* no PCIDs: a new CR3 must leave nothing behind */
	movq	%rax, %cr4
	movq	%rdi, %cr3
	movq	%rdx, %rdi
	jmp	*%rsi
	.size	enter_guest, . - enter_guest

	.section .note.GNU-stack, "", @progbits

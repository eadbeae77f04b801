/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ELF file's own entry point: 64-bit mode, the image at its link address on the loader's page
 * tables, RDI = physical address of a struct handover (handover.h). Brings the processor's control
 * registers to one known state, whatever the firmware left in them, and calls C.
 */
#define CR0_VALUE	0x80010033	/* PG, WP, NE, ET, MP, PE */
#define CR4_VALUE	0x620		/* PAE, OSFXSR, OSXMMEXCPT: SSE is on before any C */

	.section .text.entry64, "ax"
	.code64
	.globl	boot_handover_start
boot_handover_start:
	cli
	cld
	movl	$CR4_VALUE, %eax	/* first: CET, if on, forbids a change of CR0.WP */
	movq	%rax, %cr4
	movl	$CR0_VALUE, %eax
	movq	%rax, %cr0
	movq	$image_main_stack_top, %rsp

	lgdt	gdt_register(%rip)
	pushq	$8
	leaq	1f(%rip), %rax
	pushq	%rax
	lretq
1:	xorl	%eax, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	%eax, %fs
	movl	%eax, %gs
	lldt	%ax
	xorl	%ebp, %ebp		/* where a stack trace ends */
	call	boot_handover
	ud2

	.section .rodata.entry64, "a"
	.balign 8
gdt:	.quad	0
	.quad	0x00af9b000000ffff	/* 64-bit code */
gdt_end:
gdt_register:
	.word	gdt_end - gdt - 1
	.quad	gdt

	.section .note.GNU-stack, "", @progbits

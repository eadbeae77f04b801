/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From 32-bit protected mode to 64-bit C at the image's high address. In: EBX = the protocol's
 * information, EDI = LOAD() of the C function to call with (EBX, physical address of image_base).
 * EBP becomes how far above its linked load address the image lies (mod 2^32): everything before
 * the last jump runs where the image was loaded, and reaches each symbol as LOAD(it) + EBP.
 */
#include "boot/tables.h"

#define CR0_SET		0x80010022	/* PG, WP, NE, MP */
#define CR0_CLEAR	0x6000000c	/* CD, NW, TS, EM */
#define CR4_SET		0x620		/* PAE, OSFXSR, OSXMMEXCPT: SSE is on before any C */
#define MSR_EFER	0xc0000080

	.section .text.entry, "ax"
	.code32
	.globl	boot_enter32
boot_enter32:
	cli
	cld
	/* No stack yet: borrow the information's first word to learn our own address. */
	movl	(%ebx), %edx
	leal	4(%ebx), %esp
	call	1f
1:	popl	%ebp
	movl	%edx, (%ebx)
	subl	$LOAD(1b), %ebp
	leal	LOAD(image_main_stack_top)(%ebp), %esp

	/* Where RAM ends within the image nothing would hold, least of all this stack. */
	movl	$0x15711105, -8(%esp)
	movl	$0, -4(%esp)
	cmpl	$0x15711105, -8(%esp)
	movl	$LOAD(no_ram_text), %esi
	jne	give_up
	pushl	%edi
	pushl	%ebx

	/* A CPU without long mode gets a sentence instead of a triple fault. */
	movl	$0x80000000, %eax
	cpuid
	cmpl	$0x80000001, %eax
	jb	no_long_mode
	movl	$0x80000001, %eax
	cpuid
	btl	$29, %edx
	jnc	no_long_mode

	/* Low 4 GiB: 2048 entries of 2 MiB, present and writable. */
	leal	LOAD(boot_tables) + BOOT_TABLE_LOW_PDS(%ebp), %edi
	movl	$0x83, %eax
	movl	$2048, %ecx
1:	movl	%eax, (%edi)
	movl	$0, 4(%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	loop	1b

	/* The image: as many entries as it is long, from the second on: it is linked 2 MiB up. */
	leal	LOAD(boot_tables) + BOOT_TABLE_HIGH_PD + 8(%ebp), %edi
	leal	LOAD(image_base) + 0x83(%ebp), %eax
	movl	$(LOAD(image_end) - 1), %ecx
	shrl	$21, %ecx
2:	movl	%eax, (%edi)
	movl	$0, 4(%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	loop	2b

	/* The levels above them. */
	leal	LOAD(boot_tables)(%ebp), %edi
	leal	BOOT_TABLE_LOW_PDPT + 3(%edi), %eax
	movl	%eax, BOOT_TABLE_PML4(%edi)
	leal	BOOT_TABLE_HIGH_PDPT + 3(%edi), %eax
	movl	%eax, BOOT_TABLE_PML4 + 511 * 8(%edi)
	leal	BOOT_TABLE_HIGH_PD + 3(%edi), %eax
	movl	%eax, BOOT_TABLE_HIGH_PDPT + 510 * 8(%edi)
	leal	BOOT_TABLE_LOW_PDS + 3(%edi), %eax
	xorl	%ecx, %ecx
3:	movl	%eax, BOOT_TABLE_LOW_PDPT(%edi, %ecx, 8)
	addl	$0x1000, %eax
	incl	%ecx
	cmpl	$4, %ecx
	jb	3b

	movl	%edi, %cr3
	movl	%cr4, %eax
	orl	$CR4_SET, %eax
	movl	%eax, %cr4
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$0x100, %eax		/* LME */
	wrmsr
	movl	%cr0, %eax
	andl	$~CR0_CLEAR, %eax
	orl	$CR0_SET, %eax
	movl	%eax, %cr0

	popl	%edx			/* the information */
	popl	%ebx			/* the C function */
	leal	LOAD(gdt)(%ebp), %eax
	pushl	%eax
	pushw	$(gdt_end - gdt - 1)
	lgdt	(%esp)
	addl	$6, %esp
	pushl	$8
	leal	LOAD(4f)(%ebp), %eax
	pushl	%eax
	lretl

	.code64
4:	movq	$5f, %rax		/* fits 32 bits with a sign */
	jmp	*%rax
5:	movq	$image_main_stack_top, %rsp
	xorl	%eax, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%edx, %edi
	leal	LOAD(image_base)(%rbp), %esi
	movl	%ebx, %ebx
	leaq	-0x80000000(%rbx), %rax
	xorl	%ebp, %ebp		/* where a stack trace ends */
	call	*%rax
	ud2

	.code32
no_long_mode:
	movl	$LOAD(no_long_mode_text), %esi
	/* Straight to the UART and out: nothing is set up for more. ESI = LOAD() of the text. */
give_up:
	addl	%ebp, %esi
	movl	$0x3f8, %edx
6:	lodsb
	testb	%al, %al
	jz	7f
	outb	%al, %dx
	jmp	6b
7:	movl	$17, %eax		/* exit status 1, as platform/power.h counts */
	movl	$0xf4, %edx
	outl	%eax, %dx
8:	hlt
	jmp	8b

	.balign 8
gdt:	.quad	0
	.quad	0x00af9b000000ffff	/* 64-bit code */
gdt_end:
no_long_mode_text:
	.asciz	"error boot: this CPU has no 64-bit mode: give QEMU another -cpu, such as qemu64\n"
no_ram_text:
	.asciz	"error boot: RAM ends within the image: give the guest more memory, QEMU's -m\n"
	.globl	boot_entry_end
boot_entry_end:

	.section .bss.page_aligned, "aw", @nobits
	.balign 4096
	.globl	boot_tables
boot_tables:
	.skip	BOOT_TABLES_SIZE

	.section .note.GNU-stack, "", @progbits

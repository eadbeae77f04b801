/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where another CPU starts: in real mode, at the beginning of the page below 1 MiB to which smp.c has
 * copied this. From there to 64-bit mode in one step, and into C. Source: Intel SDM volume 3,
 * "Initializing IA-32e Mode", which doesn't ask for protected mode in between.
 */
#define MSR_EFER	0xc0000080
#define AT(symbol)	(symbol - smp_start_code)

	/* Constants: only the copy is run. */
	.section .rodata.smp_start, "a"
	.balign 16
	.globl smp_start_code, smp_start_values, smp_start_end
	.code16
smp_start_code:
	cli
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	AT(gdt_register)
	movl	AT(cr4), %eax
	movl	%eax, %cr4
	movl	AT(cr3), %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	movl	AT(efer), %eax
	xorl	%edx, %edx
	wrmsr
	movl	AT(cr0), %eax
	movl	%eax, %cr0
	ljmpl	*AT(far_pointer)

	.code64
	.globl smp_start_64
smp_start_64:
	xorl	%eax, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	%eax, %fs
	movl	%eax, %gs
	movq	stack(%rip), %rsp
	movq	argument(%rip), %rdi
	xorl	%ebp, %ebp		/* where a stack trace ends */
	movq	entry(%rip), %rax
	call	*%rax
	ud2

	/* struct start_values in smp.c. */
	.balign 8
smp_start_values:
stack:	.quad	0
entry:	.quad	0
argument:
	.quad	0
gdt:	.quad	0
	.quad	0x00af9b000000ffff	/* 64-bit code */
cr0:	.long	0
cr3:	.long	0
cr4:	.long	0
efer:	.long	0
far_pointer:
	.long	0
	.word	8
gdt_register:
	.word	15
	.long	0
smp_start_end:

	.section .note.GNU-stack, "", @progbits

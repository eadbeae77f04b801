/* SPDX-License-Identifier: BSD-2-Clause */
/* What processor.c can't say in C: software interrupts, and the FPU's state across one. */
	.text

	/* A software interrupt: processor_interrupt_0xNN(). */
	.irp vector, 0x27, 0x2f, 0x90, 0xef, 0xfe, 0xff
	.globl	processor_interrupt_\vector
	.type	processor_interrupt_\vector, @function
processor_interrupt_\vector:
	int	$\vector
	ret
	.size	processor_interrupt_\vector, . - processor_interrupt_\vector
	.endr

	/*
	 * unsigned processor_fpu_lost(bool has_avx): fills x87, MXCSR and the vector registers
	 * with a pattern, takes an interrupt at vector 0x90, and returns how many of them came
	 * back different: 1 for each half (third) of a vector register, 100 for MXCSR, 1000 for
	 * x87.
	 */
	.globl	processor_fpu_lost
	.type	processor_fpu_lost, @function
processor_fpu_lost:
	pushq	%rbp
	movq	%rsp, %rbp
	pushq	%rbx
	pushq	%r12
	subq	$16, %rsp
	movl	%edi, %r12d
	fninit
	fldpi
	movl	$0x3f80, (%rsp)		/* round down */
	ldmxcsr	(%rsp)
	/* xmm n: n + 1 in both halves. */
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	movq	$(\n + 1), %rax
	movq	%rax, %xmm\n
	punpcklqdq %xmm\n, %xmm\n
	.endr
	testl	%r12d, %r12d
	je	1f
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vinsertf128 $1, %xmm\n, %ymm\n, %ymm\n
	.endr
1:	int	$0x90
	xorl	%ebx, %ebx
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	movq	%xmm\n, %rax
	cmpq	$(\n + 1), %rax
	je	2f
	incl	%ebx
2:	psrldq	$8, %xmm\n
	movq	%xmm\n, %rax
	cmpq	$(\n + 1), %rax
	je	2f
	incl	%ebx
2:	testl	%r12d, %r12d
	je	2f
	vextractf128 $1, %ymm\n, %xmm\n
	movq	%xmm\n, %rax
	cmpq	$(\n + 1), %rax
	je	2f
	incl	%ebx
2:
	.endr
	stmxcsr	(%rsp)
	cmpl	$0x3f80, (%rsp)
	je	3f
	addl	$100, %ebx
3:	fldpi
	fcomip	%st(1), %st
	jp	4f
	je	5f
4:	addl	$1000, %ebx
5:	fninit
	movl	$0x1f80, (%rsp)
	ldmxcsr	(%rsp)
	testl	%r12d, %r12d
	je	6f
	vzeroupper
6:	movl	%ebx, %eax
	addq	$16, %rsp
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.size	processor_fpu_lost, . - processor_fpu_lost

	/*
	 * void processor_spoil_fpu(bool has_avx): what a handler that uses the FPU leaves behind;
	 * in processor_seen_mxcsr what it found.
	 */
	.globl	processor_spoil_fpu
	.type	processor_spoil_fpu, @function
processor_spoil_fpu:
	stmxcsr	processor_seen_mxcsr(%rip)
	movl	$0x5f80, -8(%rsp)	/* round up; interrupts are off and on another stack */
	ldmxcsr	-8(%rsp)
	testl	%edi, %edi
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	pcmpeqd	%xmm\n, %xmm\n
	.endr
	je	1f
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vinsertf128 $1, %xmm\n, %ymm\n, %ymm\n
	.endr
1:	fninit
	fld1
	ret
	.size	processor_spoil_fpu, . - processor_spoil_fpu

	.bss
	.balign	4
	.globl	processor_seen_mxcsr
processor_seen_mxcsr:
	.skip	4

	.section .note.GNU-stack,"",@progbits

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entry of all 256 vectors. Each stub makes the stack look the same (vector and error code above
 * what the CPU pushed) and jumps to the common part, which saves the registers as struct
 * trap_frame (trap.h) has them and calls C. The IDT gates switch to the vector's stack and
 * turn interrupts off; the stack's top is 16-byte aligned, and so is it at the calls.
 */
	.text

	/*
	 * ENTRY_SIZE bytes each, so that cpu.c finds a vector's stub by multiplication. They are
	 * in every image, and so they are short: a vector less 128 is pushed in two bytes, and a
	 * missing error code is made up for later.
	 */
	.globl cpu_entries
	.balign 16
cpu_entries:
	vector = 0
	.rept 256
	.balign 8
	pushq	$(vector - 128)
	/* #DF #TS #NP #SS #GP #PF #AC #CP #VC #SX bring an error code (SDM volume 3, table 6-1). */
	.if vector >= 32
	jmp	entry_without_error
	.elseif !((1 << vector) & 0x60227d00)
	jmp	entry_without_error
	.else
	jmp	cpu_common_entry
	.endif
	vector = vector + 1
	.endr

	.type entry_without_error, @function
entry_without_error:
	pushq	(%rsp)			/* the vector moves down, a 0 takes its place */
	movq	$0, 8(%rsp)
	.size entry_without_error, . - entry_without_error

	.globl	cpu_common_entry, cpu_common_entry_end
	.type cpu_common_entry, @function
cpu_common_entry:
	/* For gdb, which so finds its way through a handler: true from the two calls on. */
	.cfi_sections .debug_frame
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa %rbp, 16 + 22 * 8	/* the end of trap_frame */
	.cfi_offset %rsp, -2 * 8
	.cfi_offset 16, -5 * 8		/* rip */
	.cfi_offset %rax, -8 * 8
	.cfi_offset %rbx, -9 * 8
	.cfi_offset %rcx, -10 * 8
	.cfi_offset %rdx, -11 * 8
	.cfi_offset %rsi, -12 * 8
	.cfi_offset %rdi, -13 * 8
	.cfi_offset %rbp, -14 * 8
	.cfi_offset %r8, -15 * 8
	.cfi_offset %r9, -16 * 8
	.cfi_offset %r10, -17 * 8
	.cfi_offset %r11, -18 * 8
	.cfi_offset %r12, -19 * 8
	.cfi_offset %r13, -20 * 8
	.cfi_offset %r14, -21 * 8
	.cfi_offset %r15, -22 * 8
	subq	$-128, (%rsp)
	pushq	%rax
	pushq	%rbx
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%rbp
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	cld
	/* A frame record, so that a stack trace goes on into what was interrupted. */
	pushq	(15 + 2) * 8(%rsp)	/* trap_frame.rip */
	pushq	%rbp
	movq	%rsp, %rbp
	leaq	16(%rsp), %rdi
	cmpq	$32, 15 * 8(%rdi)	/* trap_frame.vector */
	jb	1f
	call	vector_dispatch
	addq	$16, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rbp
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rbx
	popq	%rax
	addq	$16, %rsp		/* vector, error */
	iretq
1:	call	trap_handle		/* doesn't return */
cpu_common_entry_end:
	ud2
	.cfi_endproc
	.size cpu_common_entry, . - cpu_common_entry

	.section .note.GNU-stack,"",@progbits

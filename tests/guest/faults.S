/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Faults with every register set to a known value first. fault_NAME() tells traps_announce() the
 * stack and instruction pointers that the fault will see, loads the registers, and faults.
 */
	.macro fault name
	.globl	fault_\name
	.type	fault_\name, @function
fault_\name:
	pushq	%rbp
	movq	%rsp, %rbp
	movq	%rsp, %rdi
	leaq	9f(%rip), %rsi
	call	traps_announce
	/* CF PF AF ZF SF IF DF OF: all that may stand at 1. */
	pushq	$0xed7
	popfq
	movabsq	$0xa0a1a2a3a4a5a6a7, %rax
	movabsq	$0xb0b1b2b3b4b5b6b7, %rbx
	movabsq	$0xc0c1c2c3c4c5c6c7, %rcx
	movabsq	$0xd0d1d2d3d4d5d6d7, %rdx
	movabsq	$0x5152535455565758, %rsi
	movabsq	$0xd1d2d3d4d5d6d7d8, %rdi
	movabsq	$0xb1b2b3b4b5b6b7b8, %rbp
	movabsq	$0x0808080808080808, %r8
	movabsq	$0x0909090909090909, %r9
	movabsq	$0x1010101010101010, %r10
	movabsq	$0x1111111111111111, %r11
	movabsq	$0x1212121212121212, %r12
	movabsq	$0x1313131313131313, %r13
	movabsq	$0x1414141414141414, %r14
	movabsq	$0x1515151515151515, %r15
9:
	.endm

	.macro end name
	ud2
	.size	fault_\name, . - fault_\name
	.endm

	.text
	fault text_write
	movb	$0x90, fault_text_write
	end text_write

	fault rodata_write
	movb	$1, traps_constant
	end rodata_write

	fault data_exec
	call	traps_bytes
	end data_exec

	fault null_read
	movq	0, %rax
	end null_read

	fault null_write
	movl	$1, 0x18
	end null_write

	fault null_call
	call	*traps_null(%rip)
	end null_call

	fault divide
	divl	traps_null(%rip)
	end divide

	fault invalid
	ud2
	end invalid

	fault general_protection
	movabsb	0x8877665544332211, %al
	end general_protection

	/* Through rbp, whose default segment is the stack's. */
	fault stack_segment
	movb	0(%rbp), %al
	end stack_segment

	fault selector
	movw	traps_bad_selector(%rip), %fs
	end selector

	fault breakpoint
	int3
	end breakpoint

	/* With an IDT that ends before #GP and #PF: delivering the one needs the other. */
	fault double
	lidt	traps_short_idt(%rip)
	movq	0, %rax
	end double

	/* Vectors without an error code can be raised by an instruction: see traps_raise[]. */
	.macro raise vector
	fault raise_\vector
	.byte	0xcd, \vector		/* int n, also for 3 */
	end raise_\vector
	.endm

	.irp vector, 0, 1, 2, 3, 4, 5, 6, 7, 9, 15, 16, 18, 19, 20, 22, 23, 24, 25, 26, 27, 28, 31
	raise \vector
	.endr

	.section .rodata
	.balign 8
	.globl	traps_raise
traps_raise:				/* { vector, function } ..., -1 */
	.irp vector, 0, 1, 2, 3, 4, 5, 6, 7, 9, 15, 16, 18, 19, 20, 22, 23, 24, 25, 26, 27, 28, 31
	.quad	\vector, fault_raise_\vector
	.endr
	.quad	-1, 0
	.globl	traps_constant
traps_constant:
	.quad	1
traps_null:
	.quad	0
traps_bad_selector:
	.word	0x128

	.data
	.balign 16
	.globl	traps_bytes
traps_bytes:				/* would run if data could */
	ret
	.globl	traps_short_idt
traps_short_idt:			/* as the IDT is, but for vectors 0 to 8 alone */
	.word	9 * 16 - 1
	.quad	0

	.text
	/* The IDT's base into the short one's. */
	.globl	traps_shorten_idt
traps_shorten_idt:
	subq	$16, %rsp
	sidt	(%rsp)
	movq	2(%rsp), %rax
	movq	%rax, traps_short_idt + 2
	addq	$16, %rsp
	ret

	.section .note.GNU-stack,"",@progbits

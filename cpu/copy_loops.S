/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inner loops of cpu/copy.c. All are void f(void *to, const void *from, size_t bytes) with bytes
 * a multiple of 64, and move 64 bytes a turn; any alignment.
 */
	.text

	.globl copy_loop_registers
	.type copy_loop_registers, @function
	.balign 16
copy_loop_registers:
	test	%rdx, %rdx
	jz	2f
1:	mov	(%rsi), %rax
	mov	8(%rsi), %rcx
	mov	16(%rsi), %r8
	mov	24(%rsi), %r9
	mov	%rax, (%rdi)
	mov	%rcx, 8(%rdi)
	mov	%r8, 16(%rdi)
	mov	%r9, 24(%rdi)
	mov	32(%rsi), %rax
	mov	40(%rsi), %rcx
	mov	48(%rsi), %r8
	mov	56(%rsi), %r9
	mov	%rax, 32(%rdi)
	mov	%rcx, 40(%rdi)
	mov	%r8, 48(%rdi)
	mov	%r9, 56(%rdi)
	add	$64, %rsi
	add	$64, %rdi
	sub	$64, %rdx
	jnz	1b
2:	ret
	.size copy_loop_registers, . - copy_loop_registers

	.globl copy_loop_movsq
	.type copy_loop_movsq, @function
	.balign 16
copy_loop_movsq:
	mov	%rdx, %rcx
	shr	$3, %rcx
	rep movsq
	ret
	.size copy_loop_movsq, . - copy_loop_movsq

	.globl copy_loop_movsb
	.type copy_loop_movsb, @function
	.balign 16
copy_loop_movsb:
	mov	%rdx, %rcx
	rep movsb
	ret
	.size copy_loop_movsb, . - copy_loop_movsb

	.globl copy_loop_sse2
	.type copy_loop_sse2, @function
	.balign 16
copy_loop_sse2:
	test	%rdx, %rdx
	jz	2f
1:	movdqu	(%rsi), %xmm0
	movdqu	16(%rsi), %xmm1
	movdqu	32(%rsi), %xmm2
	movdqu	48(%rsi), %xmm3
	movdqu	%xmm0, (%rdi)
	movdqu	%xmm1, 16(%rdi)
	movdqu	%xmm2, 32(%rdi)
	movdqu	%xmm3, 48(%rdi)
	add	$64, %rsi
	add	$64, %rdi
	sub	$64, %rdx
	jnz	1b
2:	ret
	.size copy_loop_sse2, . - copy_loop_sse2

	.globl copy_loop_avx
	.type copy_loop_avx, @function
	.balign 16
copy_loop_avx:
	test	%rdx, %rdx
	jz	2f
1:	vmovdqu	(%rsi), %ymm0
	vmovdqu	32(%rsi), %ymm1
	vmovdqu	%ymm0, (%rdi)
	vmovdqu	%ymm1, 32(%rdi)
	add	$64, %rsi
	add	$64, %rdi
	sub	$64, %rdx
	jnz	1b
	vzeroupper
2:	ret
	.size copy_loop_avx, . - copy_loop_avx

	.section .note.GNU-stack, "", @progbits

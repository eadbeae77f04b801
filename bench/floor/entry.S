/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The floor's own way in: PVH (32-bit, paging off, EBX = start info) to 64-bit C with the low
 * 4 GiB mapped to themselves, and its three kinds of interrupt stubs. Nothing here is shared with
 * the runtime that the floor is there to judge.
 */
#define APIC_EOI	0xfee000b0

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
	cli
	cld
	movl	$stack_top, %esp
	movl	%ebx, %ebp

	/* 2048 pages of 2 MiB: present, writable, large. */
	movl	$low_pages, %edi
	movl	$0x83, %eax
	movl	$2048, %ecx
1:	movl	%eax, (%edi)
	movl	$0, 4(%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	loop	1b

	movl	$low_pages + 3, %eax
	movl	$floor_pdpt, %edi
	movl	$4, %ecx
2:	movl	%eax, (%edi)
	addl	$0x1000, %eax
	addl	$8, %edi
	loop	2b
	movl	$floor_pdpt + 3, floor_pml4

	movl	%cr4, %eax
	orl	$0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	movl	%eax, %cr4
	movl	$floor_pml4, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	/* EFER.LME */
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	%cr0, %eax
	andl	$~0x4, %eax		/* no FPU emulation */
	orl	$0x80000022, %eax	/* paging, NE, MP */
	movl	%eax, %cr0
	lgdt	gdt_pointer
	ljmp	$8, $floor_entry64

	.code64
floor_entry64:
	xorl	%eax, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	%eax, %fs
	movl	%eax, %gs
	movq	$stack_top, %rsp
	movl	%ebp, %edi
	xorl	%ebp, %ebp
	call	floor_main
3:	cli
	hlt
	jmp	3b

	.text
	/* The doorbell's handler: count, end of interrupt, gone. */
	.globl floor_doorbell_stub
floor_doorbell_stub:
	incl	floor_doorbells
	pushq	%rax
	movl	$APIC_EOI, %eax
	movl	$0, (%rax)
	popq	%rax
	iretq

	.globl floor_timer_stub
floor_timer_stub:
	incl	floor_ticks
	pushq	%rax
	movl	$APIC_EOI, %eax
	movl	$0, (%rax)
	popq	%rax
	iretq

	.globl floor_spurious_stub
floor_spurious_stub:
	iretq

	/* Exceptions: 16 bytes each, number and address told, then the end. */
	.balign 16
	.globl floor_fault_stubs
floor_fault_stubs:
	.set vector, 0
	.rept 32
	.balign 16
	movl	$vector, %edi
	jmp	fault
	.set vector, vector + 1
	.endr
fault:
	movq	(%rsp), %rsi
	movq	8(%rsp), %rdx
	andq	$-16, %rsp
	call	floor_fault

	.section .rodata
	.balign 8
gdt:	.quad 0
	.quad 0x00af9b000000ffff	/* 64-bit code */
gdt_pointer:
	.word . - gdt - 1
	.long gdt

	.bss
	.balign 4096
	.globl floor_pml4, floor_pdpt
floor_pml4:
	.skip 4096
floor_pdpt:
	.skip 4096
low_pages:
	.skip 4 * 4096
	.skip 65536
stack_top:
	.section .note.GNU-stack, "", @progbits

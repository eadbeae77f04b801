/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stand-in guest for the launcher's tests: it does what the words of its command line say, one
 * after the other, and needs nothing of the runtime. The first letter of a word chooses:
 *
 *   =TEXT  print TEXT            xHH    print the byte HH
 *   eN     write N (decimal) to isa-debug-exit: 16 is success, 16 + s status s, 127 a panic
 *   t      triple fault          h      sleep for ever
 *   r      read a line from the serial port and print it in brackets
 *   f      print lines for ever
 *   d      find the first ivshmem device on buses 0 to 15, remember its BAR2; print "ivshmem: N device(s)"
 *   gHH    write the byte HH to the start of the region
 *   pHH    wait until it is there
 *
 * Other words (isthmus.name=) are skipped, and so are single quotes. At the end it exits with
 * success.
 *
 * Entered by PVH: 32-bit, no paging, EBX = start info, whose cmdline_paddr is at offset 24 (Xen,
 * docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h).
 */
#define COM1		0x3f8
#define COM1_LSR	0x3fd
#define LSR_DATA	0x01
#define LSR_THRE	0x20
#define DEBUG_EXIT	0xf4
#define PCI_ADDRESS	0xcf8
#define PCI_DATA	0xcfc
#define IVSHMEM_ID	0x11101af4
#define QUOTE		39

	.section .note.pvh, "a", @note
	.balign 4
	.long	4, 4, 18		/* sizes of name and value; XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	start

	.text
	.code32
	.globl	start
start:
	mov	$stack_top, %esp
	cld
	mov	24(%ebx), %esi		/* ESI walks the command line from here on */

next_word:
	lodsb
	cmp	$' ', %al
	je	next_word
	cmp	$QUOTE, %al
	je	next_word
	test	%al, %al
	jz	success
	cmp	$'=', %al
	je	print_word
	cmp	$'x', %al
	je	print_byte
	cmp	$'e', %al
	je	exit_value
	cmp	$'t', %al
	je	triple_fault
	cmp	$'h', %al
	je	sleep
	cmp	$'r', %al
	je	read_line
	cmp	$'f', %al
	je	flood
	cmp	$'d', %al
	je	find_device
	cmp	$'g', %al
	je	write_region
	cmp	$'p', %al
	je	poll_region
skip_word:
	mov	(%esi), %al
	test	%al, %al
	jz	success
	cmp	$' ', %al
	je	next_word
	inc	%esi
	jmp	skip_word

success:
	mov	$16, %eax
	out	%eax, $DEBUG_EXIT

sleep:
	cli
	hlt
	jmp	sleep

triple_fault:
	lidt	null_idt
	ud2

print_word:
	mov	(%esi), %al
	test	%al, %al
	jz	success
	cmp	$' ', %al
	je	next_word
	cmp	$QUOTE, %al
	je	1f
	call	put
1:	inc	%esi
	jmp	print_word

print_byte:
	call	hex_byte
	call	put
	jmp	skip_word

exit_value:
	xor	%ecx, %ecx
1:	movzbl	(%esi), %eax
	sub	$'0', %eax
	cmp	$9, %eax
	ja	2f
	imul	$10, %ecx
	add	%eax, %ecx
	inc	%esi
	jmp	1b
2:	mov	%ecx, %eax
	out	%eax, $DEBUG_EXIT
	jmp	sleep

read_line:
	mov	$'[', %al
	call	put
1:	mov	$COM1_LSR, %dx
	in	%dx, %al
	test	$LSR_DATA, %al
	pause
	jz	1b
	mov	$COM1, %dx
	in	%dx, %al
	cmp	$'\n', %al
	je	2f
	call	put
	jmp	1b
2:	mov	$']', %al
	call	put
	mov	$'\n', %al
	call	put
	jmp	skip_word

flood:
	mov	$flood_text, %edi
	call	print
	jmp	flood

find_device:
	xor	%ecx, %ecx		/* how many */
	mov	$0x80000000, %ebx	/* bus 0, device 0, function 0 */
1:	mov	%ebx, %eax
	call	pci_read
	cmp	$IVSHMEM_ID, %eax
	jne	2f
	inc	%ecx
	cmp	$1, %ecx
	jne	2f
	lea	0x18(%ebx), %eax	/* BAR2; firmware puts it below 4 GiB while it fits */
	call	pci_read
	and	$~0xf, %eax
	mov	%eax, region
2:	add	$0x800, %ebx
	cmp	$0x80100000, %ebx
	jne	1b
	mov	$device_text, %edi
	call	print
	lea	'0'(%ecx), %eax
	call	put
	mov	$devices_text, %edi
	call	print
	jmp	skip_word

write_region:
	call	hex_byte
	mov	region, %edi
	mov	%al, (%edi)
	jmp	skip_word

poll_region:
	call	hex_byte
	mov	region, %edi
1:	pause
	cmp	%al, (%edi)
	jne	1b
	jmp	skip_word

/* EAX = address in, data out. */
pci_read:
	mov	$PCI_ADDRESS, %dx
	out	%eax, %dx
	mov	$PCI_DATA, %dx
	in	%dx, %eax
	ret

/* Two hex digits at ESI, which moves on, to AL. */
hex_byte:
	call	hex_digit
	mov	%al, %ah
	shl	$4, %ah
	push	%eax
	call	hex_digit
	pop	%edx
	or	%dh, %al
	ret
hex_digit:
	lodsb
	sub	$'0', %al
	cmp	$10, %al
	jb	1f
	sub	$('a' - '0' - 10), %al
1:	and	$15, %al
	ret

print:
	mov	(%edi), %al
	test	%al, %al
	jz	1f
	call	put
	inc	%edi
	jmp	print
1:	ret

/* AL to the serial port. */
put:
	push	%eax
	mov	$COM1_LSR, %dx
1:	in	%dx, %al
	test	$LSR_THRE, %al
	jz	1b
	pop	%eax
	mov	$COM1, %dx
	out	%al, %dx
	ret

	.data
	.balign 4
region:	.long	0
null_idt:
	.word	0
	.long	0
flood_text:
	.asciz	"a line of the flood\n"
device_text:
	.asciz	"ivshmem: "
devices_text:
	.asciz	" device(s)\n"

	.bss
	.balign 16
	.skip	4096
stack_top:
	.section .note.GNU-stack, "", @progbits

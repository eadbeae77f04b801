/* SPDX-License-Identifier: BSD-2-Clause */
/* The empty symbol table of an image's first link; see isthmus_add_image() in cmake/guest.cmake. */
	.section .rodata.symbols, "a"
	.globl image_name, image_symbol_count, image_symbols, image_symbol_names
	.balign 8
image_symbol_count:
	.quad 0
image_symbols:
image_symbol_names:
image_name:
	.asciz ""
	.section .note.GNU-stack, "", @progbits

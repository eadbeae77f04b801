/* SPDX-License-Identifier: BSD-2-Clause */
/* The linker's symbols, declared here and nowhere else; linker/guest.ld says what they mark. */
#ifndef MM_LINKER_H
#define MM_LINKER_H

#include <stddef.h>
#include <stdint.h>

/* Each of the three parts lies on pages of its own; the last two begin somewhere in their first. */
extern const uint8_t image_base[];	/* MM_IMAGE_BASE: headers and text, read-execute */
extern const uint8_t image_text_end[];
extern const uint8_t image_rodata[];	/* read-only; the symbol table is its last part */
extern const uint8_t image_rodata_end[];
extern uint8_t image_data[];		/* read-write: data, bss, stacks */
extern uint8_t image_end[];		/* page-aligned */

/* Functions to be called before main(): __attribute__((constructor)), in order of priority. */
extern void (*const image_init_array[])(void);
extern void (*const image_init_array_end[])(void);

/*
 * The first CPU's stacks, in the image: usable before mm_init() as well, which takes away the
 * guard page below each. Order in memory: guard, stack, guard, stack...
 */
#define MM_MAIN_STACK_SIZE	0x40000ul
#define MM_IST_STACK_SIZE	0x4000ul
#define MM_IST_STACKS		7

extern uint8_t image_main_stack[];	/* lowest byte; its guard is the page below */
extern uint8_t image_main_stack_top[];
extern uint8_t image_ist_stacks[];	/* guard of the first */

/* Top of interrupt stack `ist`, 1 to MM_IST_STACKS as the TSS numbers them. */
static inline void *mm_ist_stack_top(unsigned ist)
{
	return image_ist_stacks + ist * (0x1000ul + MM_IST_STACK_SIZE);
}

#endif

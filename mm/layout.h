/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's virtual addresses. All of them lie in the upper half; the lower half, and with it
 * the null page, is never mapped once mm_init() has run.
 *
 *   0xffff800000000000 + PA   RAM of the memory map: write-back, no execute, without the image
 *   0xffff900000000000 + PA   devices and shared regions: as mm_map() was asked
 *   0xfffff00000020000        the heap, contiguous, grown on demand
 *   0xfffff80000000000        stacks made at run time, each above an unmapped guard page
 *   0xffffffff80200000        the image, wherever in physical memory it lies
 */
#ifndef MM_LAYOUT_H
#define MM_LAYOUT_H

#define MM_PAGE_SIZE	0x1000ul
#define MM_LARGE_SIZE	0x200000ul	/* one entry of a page directory */
#define MM_HUGE_SIZE	0x40000000ul	/* one entry of a page directory pointer table */

#define MM_RAM_BASE	0xffff800000000000ul
#define MM_RAM_LIMIT	0x100000000000ul	/* physical addresses below 16 TiB */
#define MM_DEVICE_BASE	0xffff900000000000ul
#define MM_DEVICE_LIMIT	0x600000000000ul	/* physical addresses below 96 TiB */
/*
 * Not at a rounder address: an emulator's TLB is often direct-mapped with as few as 64 entries, and a
 * shared region begins at a very round one. With the hot pages of both at the same index, each message
 * took 1 us instead of 0.1 under TCG.
 */
#define MM_HEAP_BASE	0xfffff00000020000ul
#define MM_HEAP_LIMIT	0x7ffffe00000ul		/* bytes of heap at most: 8 TiB less 2 MiB */
#define MM_STACK_BASE	0xfffff80000000000ul
#define MM_STACK_LIMIT	0x10000000000ul
#define MM_IMAGE_BASE	0xffffffff80200000ul

#endif

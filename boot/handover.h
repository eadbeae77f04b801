/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a loader that runs in 64-bit mode starts the guest image: the contract between the UEFI stub
 * (boot/uefi/) and the ELF file's own entry point (boot/entry64.S).
 *
 * The loader copies the PT_LOAD segments to p_paddr + displacement, the displacement being one
 * multiple of 2 MiB for all of them, clears what p_memsz has beyond p_filesz, and jumps to e_entry, a
 * virtual address, with
 *
 *   paging on, four levels; the image mapped at its virtual addresses; the low 4 GiB mapped 1:1
 *   RDI = address of a struct handover in the low 4 GiB, as is all that it points to
 *   interrupts off, direction flag clear; no stack, no GDT, nothing else is promised
 *
 * All that memory, tables and handover included, is the guest's own once it has looked at it.
 */
#ifndef BOOT_HANDOVER_H
#define BOOT_HANDOVER_H

#include <stdint.h>

#define HANDOVER_MAGIC		0x4f48534d48545349ul	/* "ISTHMSHO" */
#define HANDOVER_VERSION	1
#define HANDOVER_MAX_MODULES	8

struct handover_range {
	uint64_t base, size;		/* physical, bytes */
	uint32_t type;			/* numbered as E820 does */
	uint32_t zero;
};

struct handover_module {
	uint64_t base, size;
};

struct handover {
	uint64_t magic;
	uint32_t version;
	uint32_t size;			/* of this struct, in bytes */
	uint64_t image_phys;		/* where the image's first byte lies */
	uint64_t rsdp;			/* 0: none */
	uint64_t command_line;		/* UTF-8 that ends in NUL; 0: none */
	uint64_t ranges;		/* struct handover_range[range_count], the memory map */
	uint32_t range_count;
	uint32_t module_count;
	struct handover_module modules[HANDOVER_MAX_MODULES];
	uint64_t framebuffer;		/* 0: none */
	uint32_t width, height;		/* pixels */
	uint32_t pitch;			/* bytes a line */
	uint32_t bits_per_pixel;
};

_Static_assert(sizeof(struct handover) == 56 + 16 * HANDOVER_MAX_MODULES + 24, "no holes");

#endif

// SPDX-License-Identifier: BSD-2-Clause
/*
 * What enter32.S builds in assembly, for entries that come in 64-bit mode on a loader's tables: the
 * low 4 GiB 1:1 and the image at its link address. The tables lie in the image's own bss.
 */
#include "boot/protocol.h"
#include "boot/tables.h"
#include "cpu/paging.h"
#include "mm/linker.h"

#define PRESENT_WRITE	3ul
#define LARGE		0x83ul		/* present, writable, 2 MiB */
#define LARGE_SIZE	0x200000ul
#define LARGE_IN_4_GIB	2048u

extern uint64_t boot_tables[BOOT_TABLES_SIZE / sizeof(uint64_t)];

void boot_use_own_tables(uint64_t image_phys)
{
	uint64_t tables = image_phys + (uint64_t)((const uint8_t *)boot_tables - image_base);
	uint64_t *pml4 = boot_tables + BOOT_TABLE_PML4 / 8;
	uint64_t *low_pdpt = boot_tables + BOOT_TABLE_LOW_PDPT / 8;
	uint64_t *low_pds = boot_tables + BOOT_TABLE_LOW_PDS / 8;
	uint64_t *high_pd = boot_tables + BOOT_TABLE_HIGH_PD / 8;

	for (unsigned i = 0; i < LARGE_IN_4_GIB; i++)
		low_pds[i] = i * LARGE_SIZE | LARGE;
	for (unsigned i = 0; i < 4; i++)
		low_pdpt[i] = (tables + BOOT_TABLE_LOW_PDS + i * 0x1000) | PRESENT_WRITE;
	/* From the second entry on: the image is linked 2 MiB above the directory's first address. */
	for (uint64_t at = 0; at < (uint64_t)(image_end - image_base); at += LARGE_SIZE)
		high_pd[1 + at / LARGE_SIZE] = (image_phys + at) | LARGE;
	boot_tables[BOOT_TABLE_HIGH_PDPT / 8 + 510] = (tables + BOOT_TABLE_HIGH_PD) | PRESENT_WRITE;
	pml4[0] = (tables + BOOT_TABLE_LOW_PDPT) | PRESENT_WRITE;
	pml4[511] = (tables + BOOT_TABLE_HIGH_PDPT) | PRESENT_WRITE;
	cpu_write_cr3(tables + BOOT_TABLE_PML4);
}

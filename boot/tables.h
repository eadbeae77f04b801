/* SPDX-License-Identifier: BSD-2-Clause */
/* What the entries of all protocols share: load addresses, and the tables before mm_init(). */
#ifndef BOOT_TABLES_H
#define BOOT_TABLES_H

/* Where a symbol lies before paging, if the image was loaded where its headers (p_paddr) say. */
#define LOAD(symbol)		(symbol - 0xffffffff80000000)

/* Offsets in boot_tables, each a page but the low directories, which are four. */
#define BOOT_TABLE_PML4		0x0000
#define BOOT_TABLE_LOW_PDPT	0x1000	/* maps the low 4 GiB to themselves */
#define BOOT_TABLE_LOW_PDS	0x2000
#define BOOT_TABLE_HIGH_PDPT	0x6000	/* maps the image at its link address */
#define BOOT_TABLE_HIGH_PD	0x7000
#define BOOT_TABLES_SIZE	0x8000

#endif

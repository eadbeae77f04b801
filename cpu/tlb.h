/* SPDX-License-Identifier: BSD-2-Clause */
/* The emulated TLB of QEMU's translator. */
#ifndef CPU_TLB_H
#define CPU_TLB_H

#include <stddef.h>

/*
 * Makes room in the translator's TLB for the pages of [from, from + bytes), memory that may be read,
 * up to 2048 of them. It is direct-mapped and shrinks to 64 entries when few are used; at a flush
 * it doubles if more than 70 % of it were in use. A miss costs a walk in C, some 100 ns, so that
 * who goes through more memory than that without staying on a page pays it for every message.
 * About 0.4 ms the first time; nothing where no translator runs this CPU.
 */
void cpu_tlb_make_room(const void *from, size_t bytes);

#endif

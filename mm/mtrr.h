/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory type range registers as arithmetic on their values: pure functions, tested on the
 * host. Source: Intel SDM volume 3, section 11.11.
 */
#ifndef MM_MTRR_H
#define MM_MTRR_H

#include <stdbool.h>
#include <stdint.h>

#define MTRR_UNCACHED		0
#define MTRR_WRITE_COMBINING	1
#define MTRR_WRITE_THROUGH	4
#define MTRR_WRITE_PROTECTED	5
#define MTRR_WRITE_BACK		6
#define MTRR_MIXED		(-1)

#define MTRR_FIXED		11
#define MTRR_MAX_VARIABLE	32

#define MTRR_CAP_COUNT		0xffull		/* IA32_MTRRCAP: number of variable ranges */
#define MTRR_CAP_FIXED		(1ull << 8)
#define MTRR_DEF_TYPE		0xffull		/* IA32_MTRR_DEF_TYPE */
#define MTRR_DEF_FIXED_ENABLE	(1ull << 10)
#define MTRR_DEF_ENABLE		(1ull << 11)
#define MTRR_MASK_VALID		(1ull << 11)	/* IA32_MTRR_PHYSMASKn */

/* The registers' raw values. */
struct mtrrs {
	unsigned physical_bits;
	unsigned variable_count;	/* 0 and def_type 0 on a CPU without MTRRs */
	uint64_t def_type;
	uint64_t fixed[MTRR_FIXED];	/* 64K_00000, 16K_80000, 16K_A0000, 4K_C0000... 4K_F8000 */
	struct mtrr_variable {
		uint64_t base, mask;
	} variable[MTRR_MAX_VARIABLE];
};

/* The one type of [phys, phys + size), or MTRR_MIXED. */
int mtrr_type(const struct mtrrs *m, uint64_t phys, uint64_t size);

/*
 * Changes `m` so that [phys, phys + size) is write-back, and as little else as the number of
 * registers allows. What else becomes write-back is never RAM (which is that already) nor in
 * the 20 MiB below 4 GiB (interrupt controllers, firmware), and mm maps other devices uncached by
 * page anyway. 0, also when nothing needed to change; -ENOSPC when there are too few registers;
 * -ENOTSUP below 1 MiB, or where variable ranges have masks with holes.
 */
int mtrr_plan_write_back(struct mtrrs *m, uint64_t phys, uint64_t size);

#endif

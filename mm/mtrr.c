// SPDX-License-Identifier: BSD-2-Clause
#include "mm/mtrr.h"

#include <errno.h>

#define FIXED_END	0x100000ull
#define KEEP_BASE	0xfec00000ull	/* I/O APIC, HPET, local APIC, flash */
#define KEEP_END	0x100000000ull
#define LARGEST_BLOCK	(1ull << 40)
#define MOST_STEPS	4096		/* of a walk over masks with holes */

static uint64_t address_mask(const struct mtrrs *m)
{
	return (m->physical_bits >= 52 ? 1ull << 52 : 1ull << m->physical_bits) - 1;
}

static uint64_t mask_bits(const struct mtrrs *m, unsigned n)
{
	return m->variable[n].mask & address_mask(m) & ~0xfffull;
}

static bool is_valid(const struct mtrrs *m, unsigned n)
{
	return m->variable[n].mask & MTRR_MASK_VALID;
}

/* Bytes that variable range n covers: its mask's lowest bit, if no bit above is missing; else 0. */
static uint64_t contiguous_size(const struct mtrrs *m, unsigned n)
{
	uint64_t mask = mask_bits(m, n);
	uint64_t size = mask & -mask;

	if (mask == 0)
		return address_mask(m) + 1;
	return mask + size == address_mask(m) + 1 ? size : 0;
}

static uint64_t variable_base(const struct mtrrs *m, unsigned n)
{
	return m->variable[n].base & mask_bits(m, n);
}

/* Type of one fixed unit, and where the unit ends. */
static int fixed_type(const struct mtrrs *m, uint64_t at, uint64_t *end)
{
	unsigned reg, shift;
	uint64_t unit, first;

	if (at < 0x80000) {
		reg = 0;
		unit = 0x10000;
		first = 0;
	} else if (at < 0xc0000) {
		reg = at < 0xa0000 ? 1 : 2;
		unit = 0x4000;
		first = at < 0xa0000 ? 0x80000 : 0xa0000;
	} else {
		reg = 3 + (unsigned)((at - 0xc0000) / 0x8000);
		unit = 0x1000;
		first = at & ~0x7fffull;
	}
	shift = (unsigned)((at - first) / unit) * 8;
	*end = (at & ~(unit - 1)) + unit;
	return m->fixed[reg] >> shift & 0xff;
}

static int combine(int a, int b)
{
	if (a == b)
		return a;
	if ((a == MTRR_WRITE_THROUGH && b == MTRR_WRITE_BACK) ||
	    (a == MTRR_WRITE_BACK && b == MTRR_WRITE_THROUGH))
		return MTRR_WRITE_THROUGH;
	return MTRR_UNCACHED;	/* UC wins; the rest is undefined, and so the worst is assumed */
}

/* Type at one address, and up to where it surely stays the same. */
static int type_at(const struct mtrrs *m, uint64_t at, uint64_t *end)
{
	int type = -1;

	*end = UINT64_MAX;
	if (!(m->def_type & MTRR_DEF_ENABLE))
		return MTRR_UNCACHED;
	if (at < FIXED_END && (m->def_type & MTRR_DEF_FIXED_ENABLE))
		return fixed_type(m, at, end);
	if (at < FIXED_END)
		*end = FIXED_END;
	for (unsigned n = 0; n < m->variable_count; n++) {
		uint64_t mask = mask_bits(m, n), size = contiguous_size(m, n);
		uint64_t base = variable_base(m, n), border;
		bool inside;

		if (!is_valid(m, n))
			continue;
		inside = (at & mask) == base;
		if (!size)
			border = (at | ((mask & -mask) - 1)) + 1;
		else if (inside)
			border = base + size;
		else
			border = at < base ? base : UINT64_MAX;
		if (border < *end)
			*end = border;
		if (inside) {
			int t = m->variable[n].base & 0xff;

			type = type < 0 ? t : combine(type, t);
		}
	}
	return type < 0 ? (int)(m->def_type & MTRR_DEF_TYPE) : type;
}

int mtrr_type(const struct mtrrs *m, uint64_t phys, uint64_t size)
{
	uint64_t end = size > UINT64_MAX - phys ? UINT64_MAX : phys + size, border;
	int type = type_at(m, phys, &border);

	for (unsigned steps = 0; border < end; steps++)
		if (steps == MOST_STEPS || type_at(m, border, &border) != type)
			return MTRR_MIXED;
	return type;
}

/* Adds [base, end) as variable ranges of that type: from the bottom up, as large as aligned. */
static bool add_blocks(struct mtrrs *m, uint64_t base, uint64_t end, uint64_t type)
{
	while (base < end) {
		uint64_t block = base ? base & -base : 1ull << 51;
		unsigned n = 0;

		while (block > end - base)
			block >>= 1;
		while (n < m->variable_count && is_valid(m, n))
			n++;
		if (n == m->variable_count)
			return false;
		m->variable[n].base = base | type;
		m->variable[n].mask = (address_mask(m) & ~(block - 1)) | MTRR_MASK_VALID;
		base += block;
	}
	return true;
}

/* Cuts [base, end) out of every variable range of another type than write-back. */
static int cut_out(struct mtrrs *m, uint64_t base, uint64_t end)
{
	struct mtrrs before = *m;

	for (unsigned n = 0; n < before.variable_count; n++) {
		uint64_t from = variable_base(&before, n), size = contiguous_size(&before, n);
		uint64_t type = before.variable[n].base & 0xff;

		if (!is_valid(&before, n) || type == MTRR_WRITE_BACK)
			continue;
		if (!size)
			return -ENOTSUP;
		if (from >= end || from + size <= base)
			continue;
		m->variable[n].mask = 0;
		m->variable[n].base = 0;
		if ((from < base && !add_blocks(m, from, base, type)) ||
		    (from + size > end && !add_blocks(m, end, from + size, type)))
			return -ENOSPC;
	}
	return 0;
}

/* [base, end) is to be write-back, which [phys, phys + size) inside must be. */
static int try_plan(struct mtrrs *m, uint64_t base, uint64_t end, uint64_t phys, uint64_t size)
{
	struct mtrrs plan = *m;
	int error = cut_out(&plan, base, end);

	if (error)
		return error;
	if (mtrr_type(&plan, phys, size) != MTRR_WRITE_BACK &&
	    !add_blocks(&plan, phys, phys + size, MTRR_WRITE_BACK))
		return -ENOSPC;
	if (mtrr_type(&plan, phys, size) != MTRR_WRITE_BACK)
		return -ENOSPC;
	*m = plan;
	return 0;
}

int mtrr_plan_write_back(struct mtrrs *m, uint64_t phys, uint64_t size)
{
	uint64_t end = phys + size;
	int error;

	if (size == 0 || end < phys || phys < FIXED_END)
		return -ENOTSUP;
	if (mtrr_type(m, phys, size) == MTRR_WRITE_BACK)
		return 0;
	if (!(m->def_type & MTRR_DEF_ENABLE)) {
		/* Firmware left them off, and all memory uncached: on, with one type for all. */
		m->def_type = MTRR_DEF_ENABLE | MTRR_WRITE_BACK;
		for (unsigned n = 0; n < m->variable_count; n++)
			m->variable[n] = (struct mtrr_variable){ 0, 0 };
		return 0;
	}
	error = try_plan(m, phys, end, phys, size);
	/* Fewer registers are needed to cut out a larger aligned block around it. */
	for (uint64_t block = 2 * size; error == -ENOSPC && block && block <= LARGEST_BLOCK;
	     block *= 2) {
		uint64_t base = phys & ~(block - 1);

		if (base < KEEP_END && base + block > KEEP_BASE)
			break;
		error = try_plan(m, base, base + block, phys, size);
	}
	if (error == -ENOSPC && end <= KEEP_BASE)
		error = try_plan(m, phys & ~0x3fffffffull, KEEP_BASE, phys, size);
	return error;
}

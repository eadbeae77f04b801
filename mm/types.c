// SPDX-License-Identifier: BSD-2-Clause
#include "mm/types.h"

#include <errno.h>
#include "cpu/cpuid.h"
#include "cpu/irq.h"
#include "cpu/msr.h"
#include "cpu/paging.h"
#include "mm/mm.h"
#include "mm/mtrr.h"

#define CPUID_1_EDX_MTRR (1u << 12)
#define CPUID_1_EDX_PAT (1u << 16)

/* Indices 0 to 3: write-back 6, write-combining 1, UC- 7, uncached 0; 4 to 7 the same. */
#define PAT_VALUE 0x0007010600070106ull

static const uint32_t fixed_registers[MTRR_FIXED] = {
	0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f,
};

static bool has_pat;
static struct mtrrs ours;		/* what mm_force_write_back() made of the MTRRs */
static void (*apply_changes)(void);	/* a pointer, so that images that never ask lack the code */

static void read_mtrrs(struct mtrrs *m)
{
	uint64_t cap;

	*m = (struct mtrrs){ .physical_bits = cpu_physical_bits() };
	if (!(cpuid(1, 0).edx & CPUID_1_EDX_MTRR))
		return;
	cap = msr_read(MSR_REG_MTRR_CAP);
	m->def_type = msr_read(MSR_REG_MTRR_DEF_TYPE);
	m->variable_count = cap & MTRR_CAP_COUNT;
	if (m->variable_count > MTRR_MAX_VARIABLE)
		m->variable_count = MTRR_MAX_VARIABLE;
	for (unsigned n = 0; n < m->variable_count; n++) {
		m->variable[n].base = msr_read(MSR_REG_MTRR_PHYS_BASE(n));
		m->variable[n].mask = msr_read(MSR_REG_MTRR_PHYS_MASK(n));
	}
	if (!(cap & MTRR_CAP_FIXED))
		m->def_type &= ~MTRR_DEF_FIXED_ENABLE;
	else
		for (int n = 0; n < MTRR_FIXED; n++)
			m->fixed[n] = msr_read(fixed_registers[n]);
}

/* With caches off and empty around it, as SDM volume 3, 11.11.7.2 wants. */
static void write_mtrrs(void)
{
	const struct mtrrs *m = &ours;
	uint64_t flags = irq_save(), cr0 = cpu_read_cr0(), cr4 = cpu_read_cr4();

	cpu_write_cr0((cr0 | CPU_CR0_CD) & ~CPU_CR0_NW);
	cpu_flush_caches();
	cpu_write_cr4(cr4 & ~CPU_CR4_PGE);
	cpu_write_cr3(cpu_read_cr3());
	msr_write(MSR_REG_MTRR_DEF_TYPE, m->def_type & ~MTRR_DEF_ENABLE);
	for (unsigned n = 0; n < m->variable_count; n++) {
		msr_write(MSR_REG_MTRR_PHYS_BASE(n), m->variable[n].base);
		msr_write(MSR_REG_MTRR_PHYS_MASK(n), m->variable[n].mask);
	}
	cpu_flush_caches();
	cpu_write_cr3(cpu_read_cr3());
	msr_write(MSR_REG_MTRR_DEF_TYPE, m->def_type);
	cpu_write_cr0(cr0);
	cpu_write_cr4(cr4);
	irq_restore(flags);
}

void types_init_cpu(void)
{
	has_pat = cpuid(1, 0).edx & CPUID_1_EDX_PAT;
	if (has_pat)
		msr_write(MSR_REG_PAT, PAT_VALUE);
	/* Firmware that leaves the MTRRs off leaves all memory uncached, RAM too. */
	if ((cpuid(1, 0).edx & CPUID_1_EDX_MTRR) &&
	    !(msr_read(MSR_REG_MTRR_DEF_TYPE) & MTRR_DEF_ENABLE)) {
		cpu_flush_caches();
		msr_write(MSR_REG_MTRR_DEF_TYPE, MTRR_DEF_ENABLE | MTRR_WRITE_BACK);
	}
	if (apply_changes)
		apply_changes();
}

bool types_has_write_combining(void)
{
	return has_pat;
}

const char *mm_effective_type(uint64_t phys, uint64_t size)
{
	struct mtrrs m;

	if (!(cpuid(1, 0).edx & CPUID_1_EDX_MTRR))
		return "write-back";	/* no MTRRs: the page alone decides */
	read_mtrrs(&m);
	switch (mtrr_type(&m, phys, size)) {
	case MTRR_UNCACHED:
		return "uncached";
	case MTRR_WRITE_COMBINING:
		return "write-combining";
	case MTRR_WRITE_THROUGH:
		return "write-through";
	case MTRR_WRITE_PROTECTED:
		return "write-protected";
	case MTRR_WRITE_BACK:
		return "write-back";
	default:
		return "mixed";
	}
}

int mm_force_write_back(uint64_t phys, uint64_t size)
{
	struct mtrrs m;
	int error;

	if (!(cpuid(1, 0).edx & CPUID_1_EDX_MTRR))
		return 0;
	read_mtrrs(&m);
	if (mtrr_type(&m, phys, size) == MTRR_WRITE_BACK)
		return 0;
	error = mtrr_plan_write_back(&m, phys, size);
	if (error)
		return error;
	ours = m;
	apply_changes = write_mtrrs;
	write_mtrrs();
	read_mtrrs(&m);
	return mtrr_type(&m, phys, size) == MTRR_WRITE_BACK ? 0 : -ENOTSUP;
}

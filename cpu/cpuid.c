// SPDX-License-Identifier: BSD-2-Clause
#include "cpu/cpuid.h"

#define LEAF_HYPERVISOR 0x40000000
#define LEAF_EXTENDED 0x80000000
#define FEATURE_ECX_HYPERVISOR (1u << 31)
#define EXTENDED_EDX_HUGE_PAGES (1u << 26)

struct cpuid cpuid_or_zero(uint32_t leaf, uint32_t subleaf)
{
	const struct cpuid zero = { 0, 0, 0, 0 };
	uint32_t range = leaf & 0xf0000000;

	if (range == LEAF_HYPERVISOR && !(cpuid(1, 0).ecx & FEATURE_ECX_HYPERVISOR))
		return zero;
	if (leaf > cpuid(range, 0).eax || cpuid(range, 0).eax < range)
		return zero;
	return cpuid(leaf, subleaf);
}

bool cpu_under_tcg(void)
{
	struct cpuid name;

	if (!(cpuid(1, 0).ecx & FEATURE_ECX_HYPERVISOR))
		return false;
	/* Not through cpuid_or_zero(): hypervisors may leave the highest leaf at 0. */
	name = cpuid(LEAF_HYPERVISOR, 0);
	return name.ebx == 0x54474354 && name.ecx == 0x43544743 && name.edx == 0x47435447;
}

unsigned cpu_physical_bits(void)
{
	unsigned bits = cpuid_or_zero(LEAF_EXTENDED + 8, 0).eax & 0xff;

	return bits ? bits : 36;
}

bool cpu_has_huge_pages(void)
{
	return cpuid_or_zero(LEAF_EXTENDED + 1, 0).edx & EXTENDED_EDX_HUGE_PAGES;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The CPU's random number generator: Intel SDM volume 1, 7.3.17. */
#ifndef CPU_RANDOM_H
#define CPU_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/cpuid.h"

/* A random number from the hardware; false where there is none, or none for now. */
static inline bool cpu_random(uint64_t *number)
{
	unsigned char ok;

	if (!(cpuid(1, 0).ecx & 1u << 30))
		return false;
	__asm__ volatile("rdrand %0; setc %1" : "=r"(*number), "=qm"(ok) : : "cc");
	return ok;
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying memory, by whichever loop this CPU runs fastest. The order of speed is turned round
 * between machines: under TCG plain 8-byte registers beat SSE by two and a half times and `rep movsb` by ten,
 * although its CPUID says ERMS; on hardware it is the other way round. So it is measured.
 */
#ifndef CPU_COPY_H
#define CPU_COPY_H

#include <stddef.h>

typedef void cpu_copy_fn(void *restrict to, const void *restrict from, size_t bytes);

struct cpu_copy {
	const char *name; /* "registers", "movsq", "sse2", "avx", "movsb" */
	cpu_copy_fn *copy;
};

/*
 * The fastest copy for blocks of some KiB. The first call measures, for about 200 us, with two
 * blocks of CPU_COPY_TRIAL bytes that the caller lends (NULL: no measurement, "registers"). The
 * functions take any alignment and length, don't allow overlap, and may use SSE and AVX registers:
 * not for interrupt handlers.
 */
#define CPU_COPY_TRIAL 8192
const struct cpu_copy *cpu_copy_fastest(void *to, const void *from);

#endif

// SPDX-License-Identifier: BSD-2-Clause
// Which copy is fastest here, by measurement among those that the CPU has.
#include "cpu/copy.h"

#include <stdbool.h>
#include <stdint.h>

#include <isthmus/clock.h>

#include "cpu/cpuid.h"
#include "cpu/irq.h"

cpu_copy_fn copy_loop_registers, copy_loop_movsq, copy_loop_movsb, copy_loop_sse2, copy_loop_avx;

#define TRIALS 3

static void copy_tail(unsigned char *to, const unsigned char *from, size_t bytes)
{
	while (bytes >= 8) {
		uint64_t word;

		__builtin_memcpy(&word, from, 8);
		__builtin_memcpy(to, &word, 8);
		to += 8;
		from += 8;
		bytes -= 8;
	}
	while (bytes--)
		*to++ = *from++;
}

#define WHOLE_COPY(name)                                                                           \
	static void copy_##name(void *restrict to, const void *restrict from, size_t bytes)        \
	{                                                                                          \
		size_t blocks = bytes & ~(size_t)63;                                               \
                                                                                                   \
		copy_loop_##name(to, from, blocks);                                                \
		copy_tail((unsigned char *)to + blocks, (const unsigned char *)from + blocks,      \
			bytes - blocks);                                                           \
	}

WHOLE_COPY(registers)
WHOLE_COPY(movsq)
WHOLE_COPY(movsb)
WHOLE_COPY(sse2)
WHOLE_COPY(avx)

static bool has_avx(void)
{
	struct cpuid features = cpuid(1, 0);

	/* OSXSAVE: cpu_init() found XSAVE and switched the AVX state on with it. */
	return (features.ecx & 1u << 27) && (features.ecx & 1u << 28);
}

static const struct cpu_copy candidates[] = {
	{ "registers", copy_registers }, { "sse2", copy_sse2 }, { "movsq", copy_movsq },
	{ "movsb", copy_movsb }, { "avx", copy_avx }, /* the last one only where there is AVX */
};

/* Shortest of some runs: the others had an interrupt or a cold cache in them. */
static uint64_t time_copy(cpu_copy_fn *copy, void *to, const void *from)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < TRIALS; i++) {
		uint64_t flags = irq_save(), start = clock_ticks();

		copy(to, from, CPU_COPY_TRIAL);

		uint64_t ticks = clock_ticks() - start;

		irq_restore(flags);
		if (ticks < best)
			best = ticks;
	}
	return best;
}

const struct cpu_copy *cpu_copy_fastest(void *to, const void *from)
{
	static const struct cpu_copy *fastest;
	unsigned count = sizeof(candidates) / sizeof(candidates[0]) - !has_avx();
	uint64_t best = UINT64_MAX;

	if (fastest || !to || !from)
		return fastest ? fastest : &candidates[0];
	for (unsigned i = 0; i < count; i++) {
		uint64_t ticks = time_copy(candidates[i].copy, to, from);

		if (ticks < best) {
			best = ticks;
			fastest = &candidates[i];
		}
	}
	return fastest;
}

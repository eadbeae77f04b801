// SPDX-License-Identifier: BSD-2-Clause
// Intel SDM volume 1, chapter "Managing State Using the XSAVE Feature Set".
#include "cpu/fpu.h"
#include <stdbool.h>
#include <stdint.h>
#include "cpu/control.h"
#include "cpu/cpuid.h"
#include "cpu/percpu.h"

#define FEATURE_ECX_XSAVE (1u << 26)
#define FEATURE_ECX_AVX (1u << 28)

#define XCR0_X87_SSE 0x03u
#define XCR0_AVX 0x04u
#define XCR0_AVX512 0xe0u /* all three or none */

#define MXCSR_DEFAULT 0x1f80u /* the System V ABI's: all exceptions masked, nearest */

static bool has_xsave;

static void write_xcr0(uint32_t value)
{
	__asm__ volatile("xsetbv" : : "c"(0), "a"(value), "d"(0) : "memory");
}

static void reset_state(void)
{
	uint32_t mxcsr = MXCSR_DEFAULT;

	__asm__ volatile("fninit; ldmxcsr %0" : : "m"(mxcsr));
}

/*
 * QEMU's translator takes CR4.OSXSAVE for a reserved bit where no extension of XSAVE is there
 * (CPUID leaf 0Dh, 1), and runs the refused instruction again for ever: -cpu Opteron_G4, Opteron_G5
 * and qemu64,+xsave. SSE is all that is to be had there.
 */
static bool can_use_xsave(uint32_t features)
{
	if (!(features & FEATURE_ECX_XSAVE))
		return false;
	return !cpu_under_tcg() || cpuid_or_zero(0x0d, 1).eax != 0;
}

void fpu_init(void)
{
	uint32_t features = cpuid(1, 0).ecx;
	uint32_t wanted = XCR0_X87_SSE;

	cpu_write_cr0((cpu_read_cr0() | CR0_MP | CR0_NE) & ~(uint64_t)(CR0_EM | CR0_TS));
	cpu_write_cr4(cpu_read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
	if (can_use_xsave(features)) {
		uint32_t offered = cpuid_or_zero(0x0d, 0).eax;

		cpu_write_cr4(cpu_read_cr4() | CR4_OSXSAVE);
		if ((features & FEATURE_ECX_AVX) && (offered & XCR0_AVX)) {
			wanted |= XCR0_AVX;
			if ((offered & XCR0_AVX512) == XCR0_AVX512)
				wanted |= XCR0_AVX512;
		}
		write_xcr0(wanted);
		/* EBX: bytes that what XCR0 has on now needs. */
		if (cpuid(0x0d, 0).ebx > CPU_FPU_STATE_MAX)
			write_xcr0(XCR0_X87_SSE);
		has_xsave = true;
	}
	reset_state();
}

void fpu_save(void)
{
	uint8_t *state = cpu_this()->fpu_state;

	if (has_xsave)
		__asm__ volatile("xsave64 (%0)" : : "r"(state), "a"(~0u), "d"(~0u) : "memory");
	else
		__asm__ volatile("fxsave64 (%0)" : : "r"(state) : "memory");
	reset_state();
}

void fpu_restore(void)
{
	uint8_t *state = cpu_this()->fpu_state;

	if (has_xsave)
		__asm__ volatile("xrstor64 (%0)" : : "r"(state), "a"(~0u), "d"(~0u) : "memory");
	else
		__asm__ volatile("fxrstor64 (%0)" : : "r"(state) : "memory");
}

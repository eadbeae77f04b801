/* SPDX-License-Identifier: BSD-2-Clause */
/* x87, SSE and AVX state. Private to cpu/. */
#ifndef CPU_FPU_H
#define CPU_FPU_H

/* Switch on what this CPU has. */
void fpu_init(void);

/*
 * Keep this CPU's state and start from the ABI's defaults; bring it back. Once at a time per CPU:
 * for interrupt handlers, which don't nest.
 */
void fpu_save(void);
void fpu_restore(void);

#endif

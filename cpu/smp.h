/* SPDX-License-Identifier: BSD-2-Clause */
/* Which CPU this is. */
#ifndef CPU_SMP_H
#define CPU_SMP_H

#include "cpu/percpu.h"

/* 0 for the CPU that booted; from cpu_init() on. */
static inline unsigned cpu_index(void)
{
	return cpu_this()->index;
}

#endif

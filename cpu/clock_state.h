/* SPDX-License-Identifier: BSD-2-Clause */
/* What reading the clock and measuring its speed tell each other. Private to cpu/. */
#ifndef CPU_CLOCK_STATE_H
#define CPU_CLOCK_STATE_H

#include <stdint.h>

/* The TSC after all that stands before in the program. */
uint64_t clock_ticks_ordered(void);

/* Has the speed measured if it hasn't been; nothing before clock_set_sources(). */
void clock_need_speed(void);

/* From now on the clock runs with this slope; its value doesn't jump. */
void clock_set_slope(uint64_t slope);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* The two 8259 interrupt controllers, only to be rid of them. Private to cpu/. */
#ifndef CPU_PIC_H
#define CPU_PIC_H

#include <stdint.h>

/* Move them off the exceptions' vectors and mask them whole. Harmless where there are none. */
void pic_silence(void);

/* How many interrupts they raised all the same: spurious ones, which no mask holds back. */
uint64_t pic_spurious_count(void);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* Exceptions: each ends in one readable panic. Intel SDM volume 3, "Interrupt and Exception". */
#ifndef CPU_TRAP_H
#define CPU_TRAP_H

#include <stdint.h>

/* What entry.S leaves on the stack; the order is its contract with this struct. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector;
	uint64_t error; /* 0 where the exception has none */
	/* From here on pushed by the CPU. */
	uint64_t rip, cs, rflags, rsp, ss;
};

/* Called by the entry code for vectors below 0x20. */
_Noreturn void trap_handle(const struct trap_frame *frame);

/* For panic(): print the stack trace from this code address and frame pointer on. */
void trap_describe_caller(uintptr_t code, uintptr_t frame);

#endif

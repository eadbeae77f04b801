/* SPDX-License-Identifier: BSD-2-Clause */
/* Stack traces for panics. Private to cpu/. */
#ifndef CPU_BACKTRACE_H
#define CPU_BACKTRACE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Print who called whom, from this code address and frame pointer outwards. Reads nothing but this
 * CPU's stacks and the image's text, and ends after some lines whatever it finds there. Where the
 * frame pointer is none, the words from stack_pointer on (0: none) that follow a call instruction
 * are shown instead, marked "?". is_return: code is where a call will return to, not where it
 * stands.
 */
void backtrace_print(uintptr_t code, bool is_return, uintptr_t frame, uintptr_t stack_pointer);

/* Does the stack pointer point to what a call pushed? Then *code is where that returns to. */
bool backtrace_find_caller(uintptr_t stack_pointer, uintptr_t *code);

#endif

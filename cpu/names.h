/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of a panic: pure text, from numbers and tables. Private to cpu/. Each writes a
 * NUL-ended text of at most size bytes.
 */
#ifndef CPU_NAMES_H
#define CPU_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cpu/cpu.h"

#define NAME_MAX_TEXT 120 /* enough for any of these, long function names cut */

/* "page fault" and "#PF" of an exception's vector; never NULL. */
const char *name_of_exception(unsigned vector);
const char *name_of_exception_short(unsigned vector);

/* Does the CPU push an error code for it? */
bool name_has_error(unsigned vector);

/* What an error code says: "write, page not mapped", "IDT entry 0x42", ...; empty if nothing. */
void name_error(char *text, size_t size, unsigned vector, uint64_t error);

/* The flags that are set: "IF ZF PF". */
void name_flags(char *text, size_t size, uint64_t rflags);

/* Is it in the image's text? */
bool name_is_code(const struct cpu_image *image, uintptr_t address);

/* Symbol that address lies in and its distance from the start; NULL if not code or no symbols. */
const char *name_find_symbol(const struct cpu_image *image, uintptr_t address, size_t *distance);

/*
 * "function+0x12", or "0x..." if it's none. A return address is looked up by the byte before
 * it, since the call may be the last instruction of its function.
 */
void name_code(char *text, size_t size, const struct cpu_image *image, uintptr_t address,
	       bool is_return);

/* Which stack has address in its guard page, or -1; the same for the stack itself. */
int name_find_guard(const struct cpu_stack *stack, uintptr_t address);
int name_find_stack(const struct cpu_stack *stack, uintptr_t address);
const char *name_of_stack(unsigned kind);

/* Where a faulting address lies: "null page", "text of function+0x0", "main stack", ... */
void name_place(char *text, size_t size, const struct cpu_image *image,
		const struct cpu_stack *stack, uintptr_t address);

#endif

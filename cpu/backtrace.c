// SPDX-License-Identifier: BSD-2-Clause
// Frames are chained by RBP (the guest is built with frame pointers): at RBP lies the caller's RBP,
// above it the return address. entry.S leaves such a record too, so that a trace leads from a
// handler to what it interrupted.
#include "cpu/backtrace.h"
#include "cpu/names.h"
#include "cpu/percpu.h"
#include "log/panic.h"

#define FRAMES_MAX 100000 /* followed: a stack of 1 MiB hasn't more */
#define LINES_MAX 32
#define SCAN_WORDS 1024
#define GUESSES_MAX 12

extern const char cpu_common_entry[], cpu_common_entry_end[]; /* entry.S */

static bool is_entry(uintptr_t code)
{
	return code >= (uintptr_t)cpu_common_entry && code <= (uintptr_t)cpu_common_entry_end;
}

/* Can both words of a frame record be read there? */
static bool is_frame(const struct cpu_stack *stack, uintptr_t frame)
{
	int kind = name_find_stack(stack, frame);

	return frame % 8 == 0 && kind >= 0 && stack[kind].top - frame >= 16;
}

static void print_frame(unsigned number, uintptr_t code, bool is_return, const char *mark)
{
	char name[NAME_MAX_TEXT];

	name_code(name, sizeof(name), cpu_current_image(), code, is_return);
	panic_line("  #%-2u %016lx %s%s", number, (unsigned long)code, mark, name);
}

/* Is there a call that would have pushed this return address? */
static bool follows_call(const struct cpu_image *image, uintptr_t code)
{
	const uint8_t *end = (const uint8_t *)code;

	if (!name_is_code(image, code - 7) || !name_is_code(image, code - 1))
		return false;
	if (end[-5] == 0xe8) /* call rel32 */
		return true;
	for (int length = 2; length <= 7; length++) { /* call r/m64: FF /2 */
		if (end[-length] == 0xff && (end[1 - length] >> 3 & 7) == 2)
			return true;
	}
	return false;
}

static bool read_stack(uintptr_t address, uintptr_t *word)
{
	const struct cpu_stack *stack = cpu_this()->stack;
	int kind = name_find_stack(stack, address);

	if (address % 8 != 0 || kind < 0 || stack[kind].top - address < 8)
		return false;
	*word = *(const uintptr_t *)address;
	return true;
}

bool backtrace_find_caller(uintptr_t stack_pointer, uintptr_t *code)
{
	return read_stack(stack_pointer, code) && follows_call(cpu_current_image(), *code);
}

static void print_guesses(unsigned number, uintptr_t stack_pointer)
{
	unsigned guesses = 0;
	uintptr_t word;

	for (unsigned i = 0; i < SCAN_WORDS && guesses < GUESSES_MAX; i++) {
		if (!read_stack(stack_pointer + 8 * i, &word))
			return;
		if (follows_call(cpu_current_image(), word)) {
			print_frame(number++, word, true, "? ");
			guesses++;
		}
	}
}

/* The chain of frames from a good frame pointer on. */
static void print_chain(unsigned number, uintptr_t code, uintptr_t frame)
{
	const struct cpu_stack *stack = cpu_this()->stack;
	unsigned lines = 0;
	unsigned repeats = 0;

	for (unsigned i = 0; i < FRAMES_MAX && frame != 0; i++) {
		const uintptr_t *record = (const uintptr_t *)frame;
		int kind = name_find_stack(stack, frame);

		if (!is_frame(stack, frame)) {
			panic_line("  the chain of frames is broken: %016lx", (unsigned long)frame);
			return;
		}
		if (record[1] == code) {
			repeats++;
		} else {
			if (repeats > 0)
				panic_line("  ... and %u more of these", repeats);
			repeats = 0;
			if (record[1] == 0)
				return; /* the bottom of the stack, as boot leaves it */
			if (lines++ == LINES_MAX) {
				panic_line("  ... and more");
				return;
			}
			/* Above entry.S's own frame lies where it interrupted: no call's return. */
			print_frame(number, record[1], !is_entry(code), "");
		}
		number++;
		code = record[1];
		/* Outwards means up, but for the step from a handler's stack to another. */
		if (record[0] <= frame && name_find_stack(stack, record[0]) == kind)
			return;
		frame = record[0];
	}
}

void backtrace_print(uintptr_t code, bool is_return, uintptr_t frame, uintptr_t stack_pointer)
{
	const struct cpu_stack *stack = cpu_this()->stack;
	unsigned number = 0;
	uintptr_t word;

	panic_line("stack trace:");
	print_frame(number++, code, is_return, "");
	if (frame != 0 && !is_frame(stack, frame)) {
		print_guesses(number, stack_pointer);
		return;
	}
	/*
	 * A jump to nowhere, or a fault in a function that keeps no frame: the call's own push
	 * still lies on top, and the chain doesn't know of it.
	 */
	if (backtrace_find_caller(stack_pointer, &word) &&
	    (frame == 0 || ((const uintptr_t *)frame)[1] != word))
		print_frame(number++, word, true,
			    name_is_code(cpu_current_image(), code) ? "? " : "");
	print_chain(number, code, frame);
}

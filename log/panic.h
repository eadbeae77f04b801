/* SPDX-License-Identifier: BSD-2-Clause */
/* The steps of a panic, for the two that write one: panic() itself and the CPU's trap handler. */
#ifndef LOG_PANIC_H
#define LOG_PANIC_H

#include <isthmus/log.h>
#include <stdint.h>

/* What the log can't do itself; any of them may be NULL. Set once by boot, must outlive its use. */
struct panic_hooks {
	/*
	 * Make sure that nothing else runs from here on: interrupts off, other CPUs stopped. Doesn't
	 * return on a CPU that isn't the first to panic.
	 */
	void (*begin)(void);
	/* Print, with panic_line(), the stack trace from this code address and frame pointer on. */
	void (*describe)(uintptr_t code, uintptr_t frame);
	/* End the VM with the status of a panic; may return if it could not. */
	void (*die)(void);
	/* Stop this CPU for good. */
	void (*halt)(void);
};

void panic_set_hooks(const struct panic_hooks *hooks);

/*
 * First step. Returns how many panics are under way already: 0 in a first one, which may print all
 * it has; 1 for a fault inside a panic, which should print one line and die. Deeper ones, where
 * even that one line faulted, don't return.
 */
unsigned panic_enter(void);

/* One line of the report, at a level that is never dropped. */
void panic_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Last step. */
_Noreturn void panic_die(void);

#endif

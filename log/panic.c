// SPDX-License-Identifier: BSD-2-Clause
// The way out. Each step may itself fault, which comes back to panic_enter(): every level does
// less than the one before, so that it ends.
#include <isthmus/log.h>
#include <stddef.h>
#include "log/line.h"
#include "log/panic.h"

#define ENTRIES_MAX 80 /* more than there can be CPUs that fail at once */

static const struct panic_hooks *current_hooks;
static unsigned panics, entries;

void panic_set_hooks(const struct panic_hooks *hooks)
{
	current_hooks = hooks;
}

static _Noreturn void halt(void)
{
	if (current_hooks != NULL && current_hooks->halt != NULL)
		current_hooks->halt();
	for (;;)
		;
}

unsigned panic_enter(void)
{
	unsigned before;

	/* begin() itself faults. */
	if (entries++ >= ENTRIES_MAX)
		halt();
	/* First, since it doesn't return on a CPU that comes second. */
	if (current_hooks != NULL && current_hooks->begin != NULL)
		current_hooks->begin();
	before = panics++;
	if (before >= 3)
		halt(); /* dying faulted */
	if (before == 2)
		panic_die(); /* the one line faulted */
	return before;
}

void panic_line(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	log_write_line("panic", format, arguments);
	va_end(arguments);
}

void panic_die(void)
{
	if (current_hooks != NULL && current_hooks->die != NULL)
		current_hooks->die();
	halt();
}

void panic(const char *format, ...)
{
	unsigned before = panic_enter();
	char reason[240];
	va_list arguments;

	va_start(arguments, format);
	log_vformat(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	panic_line("%s%s", before ? "inside the panic: " : "", reason);
	if (before == 0 && current_hooks != NULL && current_hooks->describe != NULL)
		current_hooks->describe((uintptr_t)__builtin_return_address(0),
					*(uintptr_t *)__builtin_frame_address(0));
	panic_die();
}

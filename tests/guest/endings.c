// SPDX-License-Identifier: BSD-2-Clause
/* Ends as its first argument says, so that each way to end can be looked at from outside. */
#include <assert.h>
#include <isthmus/log.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "platform/power.h"

static __attribute__((noinline)) void give_in(void)
{
	panic("gave in, with %d words", 3);
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	int argument = argc > 2 ? atoi(argv[2]) : 0;

	if (strcmp(how, "return") == 0)
		return argument;
	if (strcmp(how, "exit") == 0)
		exit(argument);
	if (strcmp(how, "_exit") == 0)
		_exit(argument);
	if (strcmp(how, "assert") == 0)
		assert(argument == 1 && "an assertion that does not hold");
	if (strcmp(how, "abort") == 0)
		abort();
	if (strcmp(how, "raise") == 0)
		raise(SIGTERM);
	if (strcmp(how, "panic") == 0)
		give_in();
	if (strcmp(how, "power-off") == 0)
		platform_power_off();
	if (strcmp(how, "echo") == 0) {
		char line[200];

		while (fgets(line, sizeof(line), stdin))
			printf("<%.*s>\n", (int)strcspn(line, "\n"), line);
		return 0;
	}
	if (strcmp(how, "flood") == 0) {
		for (int i = 0; i < argument; i++)
			printf("line %d of %d: the quick brown fox jumps over the lazy dog\n", i,
				argument);
		return 0;
	}
	printf("how should I end? \"%s\" is no way\n", how);
	return 2;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Other people's programs, and the folder they work in. */
#ifndef ISTHMUS_IMAGE_TOOL_H
#define ISTHMUS_IMAGE_TOOL_H

#include <stdbool.h>

/* A fresh folder under $TMPDIR or /tmp; removed with all in it by workplace_end(). */
struct workplace {
	char path[256];
};

bool workplace_begin(struct workplace *w, char *error);
void workplace_end(const struct workplace *w);

/*
 * Runs argv[0] from the PATH with its temporary files in the workplace, and waits. With `input` (a
 * file) it reads that and has no terminal to ask on; else its stdin is empty. True when it exits 0; else false with one line: the package to install when it isn't there,
 * or the last line of what it printed.
 */
bool tool_run(const struct workplace *w, const char *package, const char *const *argv,
	const char *input, char *error);

#endif

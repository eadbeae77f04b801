/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ISTHMUS_LAUNCH_DRYRUN_H
#define ISTHMUS_LAUNCH_DRYRUN_H

#include "host/launch/plan.h"

/*
 * Append the plan as commands for a POSIX shell, to be pasted into one or kept as a script: they make
 * the directory, start servers and guests, wait, and clean up. `p` must have been placed in `dir`
 * without anonymous memory.
 */
void dryrun_commands(const struct plan *p, const char *dir, struct text *out);

#endif

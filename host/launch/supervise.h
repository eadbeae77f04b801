/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ISTHMUS_LAUNCH_SUPERVISE_H
#define ISTHMUS_LAUNCH_SUPERVISE_H

#include "host/launch/plan.h"

/* Run the plan until it ends. Returns the tool's exit status (outcome.h). Leaves nothing behind. */
int supervise_run(struct plan *p);

#endif

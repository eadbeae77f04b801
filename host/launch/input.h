/* SPDX-License-Identifier: BSD-2-Clause */
/* Our stdin, passed on to one guest as fast as its serial port takes it. */
#ifndef ISTHMUS_LAUNCH_INPUT_H
#define ISTHMUS_LAUNCH_INPUT_H

#include <stdbool.h>
#include <stddef.h>

struct input {
	int *to;		/* the guest's stdin, -1 in it once closed; NULL: no guest wants any */
	char pending[4096];	/* read, not yet taken */
	size_t n;
	bool ended;
};

/* Whether to wait for stdin to be readable, and for the guest to take more. */
bool input_wants(const struct input *in);
bool input_has(const struct input *in);

/* Read what stdin has; call it when it is readable. */
void input_read(struct input *in);

/* Pass on what the guest takes without blocking; close its stdin after the last byte of ours. */
void input_pass(struct input *in);

#endif

// SPDX-License-Identifier: BSD-2-Clause
#include "host/launch/input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

bool input_wants(const struct input *in)
{
	return in->to && *in->to >= 0 && !in->ended && !in->n;
}

bool input_has(const struct input *in)
{
	return in->to && *in->to >= 0 && in->n;
}

void input_read(struct input *in)
{
	ssize_t n = read(STDIN_FILENO, in->pending, sizeof(in->pending));

	if (n > 0)
		in->n = (size_t)n;
	else if (n == 0 || (errno != EINTR && errno != EAGAIN))
		in->ended = true;
}

void input_pass(struct input *in)
{
	ssize_t n = 0;

	if (!in->to || *in->to < 0)
		return;
	if (in->n)
		n = write(*in->to, in->pending, in->n);
	if (n > 0) {
		in->n -= (size_t)n;
		memmove(in->pending, in->pending + n, in->n);
	}
	if ((n < 0 && errno == EPIPE) || (in->ended && !in->n)) {
		close(*in->to);
		*in->to = -1;
	}
}

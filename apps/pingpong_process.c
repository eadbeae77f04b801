// SPDX-License-Identifier: BSD-2-Clause
/* In a process there is no bare device to play on. */
#include "apps/pingpong.h"

#include <stdio.h>

int pingpong_bare(const struct pingpong_options *options)
{
	if (options->asleep || options->awake || !(options->doorbell || options->polled))
		return 0;
	fprintf(stderr, "pingpong: the bare device is for guests; a process plays --asleep and --awake\n");
	return 2;
}

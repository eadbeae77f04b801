// SPDX-License-Identifier: BSD-2-Clause
/* Where exit() ends, after atexit() functions and the flush of stdio. */
#include <unistd.h>
#include "platform/power.h"

void _exit(int status)
{
	platform_exit(status);
}

// SPDX-License-Identifier: BSD-2-Clause
/* abort() with a stack trace, in the place of newlib's signal to nobody. */
#include <isthmus/log.h>
#include <stdlib.h>

void abort(void)
{
	panic("abort() was called");
}

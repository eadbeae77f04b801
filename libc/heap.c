// SPDX-License-Identifier: BSD-2-Clause
/* malloc()'s ground. */
#include <errno.h>
#include <unistd.h>
#include "mm/mm.h"

void *sbrk(ptrdiff_t increment)
{
	void *old = mm_heap_grow(increment);

	if (old == (void *)-1)
		errno = ENOMEM;
	return old;
}

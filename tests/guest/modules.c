// SPDX-License-Identifier: BSD-2-Clause
/* Shows the module that was loaded beside the image, after having used all memory there is. */
#include <isthmus/guest.h>
#include <stdlib.h>
#include <string.h>
#include "tests/guest/check.h"

int main(void)
{
	size_t size = 0;
	unsigned char sum = 0, *module, *taken;

	/* What the allocator gives out must not be the module. */
	while ((taken = malloc(0x20000)) != NULL)
		memset(taken, 0xa5, 0x20000);
	module = guest_module(0, &size);
	CHECK_OR_END(module != NULL);
	for (size_t i = 0; i < size; i++)
		sum = (unsigned char)(sum * 3 + module[i]);
	printf("module 0: %zu bytes, sum %u, \"%.9s\"\n", size, sum, (const char *)module);
	CHECK(guest_module(1, &size) == NULL);
	return check_end();
}

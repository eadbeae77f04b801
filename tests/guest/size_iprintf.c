// SPDX-License-Identifier: BSD-2-Clause
/* The least an app can be; size.py holds its image against a limit. */
#include <stdio.h>

int main(void)
{
	return iprintf("Hello %d.\n", 1) < 0;
}

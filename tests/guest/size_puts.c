// SPDX-License-Identifier: BSD-2-Clause
/* The least an app can be; size.py holds its image against a limit. */
#include <stdio.h>

int main(void)
{
	return puts("Hello.") < 0;
}

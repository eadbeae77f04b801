// SPDX-License-Identifier: BSD-2-Clause
/* The smallest app: says hello, with the words of its command line if there are any. */
#include <stdio.h>

int main(int argc, char **argv)
{
	printf("Hello from %s", argv[0]);
	for (int i = 1; i < argc; i++)
		printf(" %s", argv[i]);
	printf(".\n");
	return 0;
}

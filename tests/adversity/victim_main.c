// SPDX-License-Identifier: BSD-2-Clause
/*
 * victim WHERE OTHERS: a peer among liars (victim.h) as a program of its own, until SIGTERM.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include "tests/adversity/victim.h"

static struct victim victim;

static void stop(int number)
{
	(void)number;
	victim.stop = true;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	victim = (struct victim){ .path = argv[1], .number = 0, .seed = 1, .death_ns = 500000000,
		.others = (unsigned)atoi(argv[2]) };
	signal(SIGTERM, stop);
	victim_run(&victim);
	printf("%llu calls returned, %llu joins, %llu faults told\n", (unsigned long long)victim.steps,
		(unsigned long long)victim.joined, (unsigned long long)victim.faults);
	return 0;
}

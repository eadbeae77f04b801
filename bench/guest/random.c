// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench-random: reads a large region in random order, each place decided by what the one before held, so that each
 * access waits for its address translation. Prints ns per access as JSON lines, one per sample.
 */
#include <inttypes.h>
#include <isthmus/clock.h>
#include <isthmus/ivshmem.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define STRIDE 4096u /* one word of each page of the smallest kind */

/* Sattolo's shuffle: one cycle through all places. */
static void chain_make(volatile uint8_t *region, uint64_t places)
{
	uint64_t state = 88172645463325252ull;

	for (uint64_t i = 0; i < places; i++)
		*(volatile uint64_t *)(region + i * STRIDE) = i;
	for (uint64_t i = places - 1; i > 0; i--) {
		volatile uint64_t *a = (volatile uint64_t *)(region + i * STRIDE), *b, old;

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		b = (volatile uint64_t *)(region + state % i * STRIDE);
		old = *a;
		*a = *b;
		*b = old;
	}
}

int main(int argc, char **argv)
{
	uint64_t samples = argc > 1 ? strtoull(argv[1], NULL, 10) : 5, place = 0, places;
	struct ivshmem *device;
	volatile uint8_t *region;

	if (ivshmem_open(0, &device) < 0)
		return 1;
	region = ivshmem_region(device);
	places = ivshmem_size(device) / STRIDE;
	chain_make(region, places);
	for (uint64_t s = 0; s < samples; s++) {
		uint64_t start = clock_now_ns();

		for (uint64_t i = 0; i < places; i++)
			place = *(volatile uint64_t *)(region + place * STRIDE);
		printf("{\"bench\":\"hugepages\",\"side\":\"isthmus\",\"case\":\"random\",\"metric\":\"access\","
		       "\"unit\":\"ns\",\"bytes\":%" PRIu64 ",\"guest_page\":%" PRIu64 ",\"value\":%.3f}\n",
		       ivshmem_size(device), ivshmem_page_size(device),
		       (double)(clock_now_ns() - start) / (double)places);
		if (place) {
			printf("FAIL the chain ended at %" PRIu64 "\n", place);
			return 1;
		}
	}
	return 0;
}

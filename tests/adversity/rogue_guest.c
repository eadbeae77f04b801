// SPDX-License-Identifier: BSD-2-Clause
/*
 * A VM that means harm, with nothing but the bare device. It begins when a line comes on the serial port:
 *
 *	ring SECONDS       rings every vector of every peer, as fast as it can
 *	scribble COUNT     writes COUNT words anywhere into the region
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <isthmus/clock.h>
#include <isthmus/ivshmem.h>

#define PEERS 8

static uint64_t ring(struct ivshmem *device, uint64_t ns)
{
	uint64_t end = clock_now_ns() + ns, count = 0;

	while (clock_now_ns() < end)
		for (unsigned int i = 0; i < 64; i++)
			for (uint16_t peer = 0; peer < PEERS; peer++)
				for (uint16_t vector = 0; vector < ivshmem_vectors(device); vector++) {
					/* Not oneself: that would be no storm but a nap. */
					if (peer != ivshmem_id(device))
						ivshmem_notify(device, peer, vector);
					count++;
				}
	return count;
}

static uint64_t scribble(struct ivshmem *device, uint64_t count)
{
	volatile uint64_t *words = ivshmem_region(device);
	uint64_t n = ivshmem_size(device) / 8, random = 12345, i, from = 0, size = n;

	for (i = 0; i < count; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		if (i % 65536 == 0) {
			/* Seldom the header, often the tables, mostly anywhere behind it. */
			unsigned int what = random >> 58;

			from = what == 0 ? 0 : 128;
			size = what < 30 ? 32768 / 8 : n - from;
			clock_sleep_until(clock_now_ns() + 2000000);
		}
		switch (random >> 62) {
		case 0: words[from + (random >> 8) % size] = random; break;
		case 1: words[from + (random >> 8) % size] = random >> 40 & 7; break;
		case 2: words[from + (random >> 8) % size] += 64; break;
		case 3: words[from + (random >> 8) % size] = UINT64_MAX; break;
		}
	}
	return i;
}

int main(void)
{
	struct ivshmem *device;
	char line[64];

	setvbuf(stdout, NULL, _IOLBF, 256);
	if (ivshmem_open(0, &device))
		return 1;
	printf("ready\n");
	while (fgets(line, sizeof(line), stdin)) {
		if (!strncmp(line, "ring ", 5))
			printf("rang %llu times\n", (unsigned long long)ring(device,
				strtoull(line + 5, NULL, 10) * 1000000000));
		else if (!strncmp(line, "scribble ", 9))
			printf("wrote %llu words\n", (unsigned long long)scribble(device,
				strtoull(line + 9, NULL, 10)));
		else if (!strncmp(line, "end", 3))
			break;
	}
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * One cell of the boot matrix, the guest's side: cell DEVICES. In each region the host has written
 * three words (first, middle, last), which are checked and inverted; on a doorbell device the host
 * is then rung until it rings back on every vector. cell.py is the other side.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <isthmus/clock.h>
#include <isthmus/ivshmem.h>

#define PATTERN		0x1570a5c35a3c0000u
#define HOST_ID_OFFSET	16		/* 32 bits: the host's peer id + 1, 0 without a host */
#define RING_AGAIN_NS	100000000u
#define PATIENCE_NS	100000000000u

static int check_words(unsigned index, volatile uint64_t *region, uint64_t size, uint64_t *number)
{
	const uint64_t places[3] = { 0, size / 2, size - 8 };

	*number = (region[0] ^ PATTERN) >> 8;
	for (unsigned k = 0; k < 3; k++) {
		volatile uint64_t *word = region + places[k] / 8;
		uint64_t want = PATTERN ^ (*number << 8 | k), got = *word;

		if (got != want || *number > 255) {
			printf("cell: device %u: at %#" PRIx64 " of %#" PRIx64 " bytes: %#" PRIx64
				", expected %#" PRIx64 "\n", index, places[k], size, got, want);
			return 1;
		}
	}
	for (unsigned k = 0; k < 3; k++)
		region[places[k] / 8] = ~region[places[k] / 8];
	return 0;
}

static int check_doorbell(unsigned index, struct ivshmem *device)
{
	volatile uint32_t *host = (volatile uint32_t *)((char *)ivshmem_region(device) + HOST_ID_OFFSET);
	unsigned vectors = ivshmem_vectors(device);
	uint64_t deadline = clock_now_ns() + PATIENCE_NS, seen = 0;

	for (unsigned v = 0; v < vectors; v++) {
		int err = ivshmem_set_handler(device, v, NULL, NULL, 0);

		if (err) {
			printf("cell: device %u: vector %u of %u: error %d\n", index, v, vectors, err);
			return 1;
		}
	}
	while (!ivshmem_interrupts(device, 0) && clock_now_ns() < deadline) {
		ivshmem_notify(device, (uint16_t)(*host - 1), 0);
		ivshmem_wait(device, 0, &seen, clock_now_ns() + RING_AGAIN_NS);
	}
	for (unsigned v = 0; v < vectors; v++) {
		seen = 0;
		if (!ivshmem_interrupts(device, v) && ivshmem_wait(device, v, &seen, deadline)) {
			printf("cell: device %u: no ring on vector %u of %u\n", index, v, vectors);
			return 1;
		}
	}
	return 0;
}

static int check_device(unsigned index)
{
	struct ivshmem *device;
	uint64_t number;
	int err = ivshmem_open(index, &device);

	if (err) {
		printf("cell: device %u can't be opened: error %d\n", index, err);
		return 1;
	}
	if (check_words(index, ivshmem_region(device), ivshmem_size(device), &number) ||
	    (ivshmem_has_doorbell(device) && check_doorbell(index, device)))
		return 1;
	printf("cell: region %" PRIu64 ": %s, %" PRIu64 " bytes at %#" PRIx64 ", %u vectors, %s\n", number,
		ivshmem_has_doorbell(device) ? "doorbell" : "plain", ivshmem_size(device),
		ivshmem_region_address(device), ivshmem_vectors(device), ivshmem_memory_type(device));
	return 0;
}

int main(int argc, char **argv)
{
	unsigned want = argc > 1 ? (unsigned)atoi(argv[1]) : 1, count = ivshmem_count();

	if (count != want) {
		printf("cell: %u ivshmem devices, expected %u\n", count, want);
		return 1;
	}
	for (unsigned i = 0; i < count; i++)
		if (check_device(i))
			return 1;
	puts("cell: done");
	return 0;
}

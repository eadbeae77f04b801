// SPDX-License-Identifier: BSD-2-Clause
/*
 * A process that rings every vector of every peer of a server, through the eventfds that the server gave
 * it, as fast as it can.
 *
 * ringer SOCKET MILLISECONDS
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "host/client/ivshmem_client.h"

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	struct ivshmem_client_error error;
	struct ivshmem_client *client;
	uint64_t end, count = 0;

	if (argc != 3 || ivshmem_client_open(&client, argv[1], NULL, &error)) {
		fprintf(stderr, "ringer: %s\n", argc == 3 ? error.text : "SOCKET MILLISECONDS");
		return 1;
	}
	end = now_ms() + strtoull(argv[2], NULL, 10);
	while (now_ms() < end) {
		struct ivshmem_client_event event;

		while (ivshmem_client_next_event(client, &event, NULL) > 0)
			;
		for (unsigned int i = 0; i < 16; i++)
			for (int peer = -1; (peer = ivshmem_client_next_peer(client, peer)) >= 0;)
				for (unsigned int v = 0; v < ivshmem_client_peer_vectors(client,
					(unsigned int)peer); v++) {
					ivshmem_client_notify(client, (unsigned int)peer, v);
					count++;
				}
	}
	printf("rang %llu times\n", (unsigned long long)count);
	ivshmem_client_close(client);
	return 0;
}

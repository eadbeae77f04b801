// SPDX-License-Identifier: BSD-2-Clause
/*
 * The client library on a leash: opens a server's socket, then does what standard input says, one
 * line each, and answers one line each. tests/server/client.py holds the other end.
 *
 *	client_probe PATH MIN_VECTORS MAX_VECTORS TIMEOUT_MS
 */
#include <dirent.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/client/ivshmem_client.h"
#include "host/client/ivshmem_eventfd.h"

static int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = -1; /* without this folder itself */

	if (!dir)
		abort();
	for (struct dirent *entry; (entry = readdir(dir));)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

static void print_event(struct ivshmem_client *client)
{
	static const char *const kinds[] = {
		[IVSHMEM_CLIENT_PEER_JOINED] = "joined",
		[IVSHMEM_CLIENT_PEER_VECTOR] = "vector",
		[IVSHMEM_CLIENT_PEER_LEFT] = "left",
		[IVSHMEM_CLIENT_OWN_VECTOR] = "own",
	};
	struct ivshmem_client_event event;
	struct ivshmem_client_error error;
	int got = ivshmem_client_next_event(client, &event, &error);

	if (got < 0)
		printf("error %d %s\n", got, error.text);
	else if (got == 0)
		printf("none\n");
	else
		printf("%s %u %u\n", kinds[event.kind], event.peer, event.vector);
}

static void print_peers(const struct ivshmem_client *client)
{
	printf("peers");
	for (int id = -1; (id = ivshmem_client_next_peer(client, id)) >= 0;)
		printf(" %d:%u", id, ivshmem_client_peer_vectors(client, (unsigned int)id));
	printf("\n");
}

static void obey(struct ivshmem_client *client, const char *line)
{
	struct pollfd readable = {.fd = ivshmem_client_fd(client), .events = POLLIN};
	unsigned int peer, vector;

	if (strcmp(line, "next\n") == 0)
		print_event(client);
	else if (strcmp(line, "wait\n") == 0)
		printf("wait %d\n", poll(&readable, 1, 10000));
	else if (strcmp(line, "peers\n") == 0)
		print_peers(client);
	else if (strcmp(line, "state\n") == 0)
		printf("id=%u size=%" PRIu64 " sealed=%d vectors=%u region=%d fd=%d\n",
			ivshmem_client_id(client), ivshmem_client_region_size(client),
			ivshmem_client_region_sealed(client), ivshmem_client_vectors(client),
			ivshmem_client_region_fd(client) >= 0, ivshmem_client_fd(client) >= 0);
	else if (sscanf(line, "notify %u %u", &peer, &vector) == 2)
		printf("notify %d\n", ivshmem_client_notify(client, peer, vector));
	else if (sscanf(line, "drain %u", &vector) == 1)
		printf("drain %" PRIu64 "\n",
			ivshmem_eventfd_drain(ivshmem_client_own_eventfd(client, vector)));
	else if (strcmp(line, "files\n") == 0)
		printf("files %d\n", open_files());
	else
		printf("what is %s", line);
}

int main(int argc, char **argv)
{
	int before = open_files();
	struct ivshmem_client_options options;
	struct ivshmem_client_error error;
	struct ivshmem_client *client;
	char line[64];
	int err;

	if (argc != 5)
		return 2;
	options = (struct ivshmem_client_options){
		.min_vectors = (unsigned int)atoi(argv[2]),
		.max_vectors = (unsigned int)atoi(argv[3]),
		.timeout_ms = (unsigned int)atoi(argv[4]),
	};
	setvbuf(stdout, NULL, _IOLBF, 0);
	err = ivshmem_client_open(&client, argv[1], &options, &error);
	printf("open %d %s\n", err, err ? error.text : "");
	if (err && client)
		abort();
	while (client && fgets(line, sizeof(line), stdin))
		obey(client, line);
	ivshmem_client_close(client);
	printf("leaked %d\n", open_files() - before);
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * The client library against a server that says anything. The input is a script: each step is one
 * byte that says what comes with the message, one that says how the value is written, and the
 *value:
 *
 *	bits 0-2  the descriptor: none, a region, an eventfd, a pipe, two eventfds, none...
 *	bit 3     send only the first half of the message's 8 bytes
 *	bits 4-5  the value: the next byte as it is; its negative; the next 8 bytes; 65535
 *
 * Whatever the script, open ends at once (the server closes at the end of it), a success is a
 * whole one, events end, and no descriptor stays open.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/client/ivshmem_client.h"
#include "host/client/ivshmem_eventfd.h"

struct script {
	const uint8_t *data;
	size_t size;
};

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static int listener, region, event, pipes[2];
static struct script script;
static pthread_barrier_t turn;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

static uint8_t next_byte(void)
{
	if (!script.size)
		return 0;
	script.size--;
	return *script.data++;
}

static int64_t next_value(unsigned int kind)
{
	uint64_t value = 0;

	switch (kind & 3) {
	case 0:
		return next_byte();
	case 1:
		return -(int64_t)next_byte();
	case 2:
		for (unsigned int i = 0; i < 8; i++)
			value = value << 8 | next_byte();
		return (int64_t)value;
	}
	return 65535;
}

static void send_step(int sock)
{
	unsigned int kind = next_byte();
	int64_t value = next_value(kind >> 4);
	int fds[2] = {event, event};
	unsigned int count = 0;
	union {
		char bytes[CMSG_SPACE(sizeof(fds))];
		struct cmsghdr align;
	} control = {{0}};
	struct iovec part = {.iov_base = &value, .iov_len = kind & 8 ? 4 : 8};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	switch (kind & 7) {
	case 1:
		fds[0] = region;
		count = 1;
		break;
	case 2:
	case 5:
		count = 1;
		break;
	case 3:
		fds[0] = pipes[1];
		count = 1;
		break;
	case 4:
		count = 2;
		break;
	}
	if (count) {
		struct cmsghdr *header = &control.align;

		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(header), fds, count * sizeof(int));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	sendmsg(sock, &message, MSG_NOSIGNAL);
}

static void *serve(void *unused)
{
	for (;;) {
		int sock;

		pthread_barrier_wait(&turn);
		sock = accept(listener, NULL, NULL);
		must(sock >= 0);
		while (script.size)
			send_step(sock);
		close(sock);
		pthread_barrier_wait(&turn);
	}
	return unused;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	pthread_t thread;
	int file;

	(void)argc;
	(void)argv;
	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/ivshmem-client-fuzz.%d",
		getpid());
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	must(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	must(listen(listener, 1) == 0);
	/* libFuzzer ends without atexit(): keep the socket's file without its name. */
	file = open(address.sun_path, O_PATH);
	must(file >= 0 && unlink(address.sun_path) == 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", file);
	region = memfd_create("fuzz", 0);
	event = eventfd(0, EFD_NONBLOCK);
	must(region >= 0 && ftruncate(region, 4096) == 0 && event >= 0 && pipe(pipes) == 0);
	pthread_barrier_init(&turn, NULL, 2);
	must(pthread_create(&thread, NULL, serve, NULL) == 0);
	return 0;
}

static int lowest_free(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ivshmem_client_options options = {
		.min_vectors = size && data[size - 1] % 3, .timeout_ms = 10000};
	struct ivshmem_client_event news;
	struct ivshmem_client_error error = {""};
	struct ivshmem_client *client;
	int before = lowest_free(), err;

	if (size > 200) /* a socket takes some 278 messages unread, and the server here waits */
		return 0;
	script = (struct script){data, size};
	pthread_barrier_wait(&turn);
	err = ivshmem_client_open(&client, address.sun_path, &options, &error);
	pthread_barrier_wait(&turn);
	must(err != -ETIMEDOUT && (err == 0) == (client != NULL) && (err == 0) == !*error.text);
	if (client) {
		must(ivshmem_client_vectors(client) >= options.min_vectors);
		must(ivshmem_client_region_size(client) == 4096);
		while ((err = ivshmem_client_next_event(client, &news, &error)) == 1)
			must(news.peer <= 65535 && news.vector < 256);
		must(err < 0 && *error.text && ivshmem_client_fd(client) == -1);
		for (int id = -1; (id = ivshmem_client_next_peer(client, id)) >= 0;) {
			must(ivshmem_client_peer_vectors(client, (unsigned int)id) > 0);
			must(ivshmem_client_notify(client, (unsigned int)id, 0) == 0);
		}
	}
	ivshmem_client_close(client);
	ivshmem_eventfd_drain(event);
	must(lowest_free() == before);
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
#include "ivshmem_client.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "handshake.h"
#include "ivshmem_eventfd.h"
#include "ivshmem_protocol.h"
#include "receive.h"

#define CONNECT_RETRY_NS 5000000 /* while the server's backlog is full */
#define SETTLE_MS        20      /* of silence show that the server has sent all it had to */

struct peer {
	unsigned int count;
	int fds[IVSHMEM_PROTOCOL_VECTORS_MAX];
};

struct ivshmem_client {
	int sock;  /* -1 once the connection has ended */
	int ended; /* by this error; 0 while it lasts */
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	unsigned int max_vectors;
	struct handshake handshake;
	struct receive receive;
	int region_fd;
	uint64_t region_size;
	bool region_sealed;
	int highest;                              /* id that was ever known */
	struct peer *peers[IVSHMEM_PROTOCOL_IDS]; /* our own as well */
	char why[256];                            /* it ended */
};

/* "ivshmem server PATH: ..." where there is room for it. Returns @err. */
__attribute__((format(printf, 4, 5))) static int fail(
	struct ivshmem_client_error *error, const char *path, int err, const char *format, ...)
{
	va_list args;
	int used;

	if (!error)
		return err;
	used = snprintf(error->text, sizeof(error->text), "ivshmem server %s: ", path);
	if (used < 0 || used >= (int)sizeof(error->text))
		return err;
	va_start(args, format);
	vsnprintf(error->text + used, sizeof(error->text) - (size_t)used, format, args);
	va_end(args);
	return err;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Ends the connection; region and eventfds stay. Returns @err. */
static int end(struct ivshmem_client *client, int err)
{
	client->ended = err;
	receive_release(&client->receive);
	if (client->sock >= 0)
		close(client->sock);
	client->sock = -1;
	return err;
}

static void forget_peer(struct ivshmem_client *client, unsigned int id)
{
	struct peer *peer = client->peers[id];

	if (!peer)
		return;
	for (unsigned int i = 0; i < peer->count; i++)
		close(peer->fds[i]);
	free(peer);
	client->peers[id] = NULL;
}

/*
 * A descriptor that isn't an eventfd would be written to as one. Linux tells them apart only by the
 * name in /proc; without /proc there is no telling.
 */
static bool is_eventfd(int fd)
{
	static const char wanted[] = "anon_inode:[eventfd]";
	char link[48], name[sizeof(wanted)];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, name, sizeof(name));
	if (length < 0)
		return true;
	return length == (ssize_t)sizeof(wanted) - 1 &&
	       memcmp(name, wanted, sizeof(wanted) - 1) == 0;
}

static int take_region(struct ivshmem_client *client, int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL), seals;

	client->region_fd = fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		snprintf(client->why, sizeof(client->why), "gave a region that is not a file");
		return -EPROTO;
	}
	if (flags < 0 || (flags & O_ACCMODE) != O_RDWR) {
		snprintf(client->why, sizeof(client->why),
			"gave a region that is not open for reading and writing");
		return -EPROTO;
	}
	client->region_size = (uint64_t)st.st_size;
	if (st.st_size <= 0 || (client->region_size & (client->region_size - 1))) {
		snprintf(client->why, sizeof(client->why),
			"gave a region of %" PRIu64 " bytes, which is not a power of two",
			client->region_size);
		return -EPROTO;
	}
	seals = fcntl(fd, F_GET_SEALS);
	client->region_sealed = seals >= 0 && (seals & F_SEAL_SHRINK);
	return 0;
}

static int take_vector(
	struct ivshmem_client *client, const struct handshake_message *message, int fd)
{
	struct peer *peer = client->peers[message->peer];

	if (!is_eventfd(fd)) {
		close(fd);
		snprintf(client->why, sizeof(client->why),
			"gave vector %u of peer %u, which is not an eventfd", message->vector,
			message->peer);
		return -EPROTO;
	}
	if (message->vector >= client->max_vectors) {
		close(fd); /* more than is wanted */
		return 0;
	}
	if (!peer) {
		peer = calloc(1, sizeof(*peer));
		if (!peer) {
			close(fd);
			snprintf(client->why, sizeof(client->why),
				"can't be followed: out of memory");
			return -ENOMEM;
		}
		client->peers[message->peer] = peer;
		if ((int)message->peer > client->highest)
			client->highest = (int)message->peer;
	}
	peer->fds[peer->count++] = fd;
	return 0;
}

/* Reads and takes in one message. 1 and *@message; 0: nothing to read; or an error, with why. */
static int take_message(struct ivshmem_client *client, struct handshake_message *message)
{
	int64_t value;
	int fd, err, got;

	if (client->ended)
		return client->ended;
	/* A message may come in parts. */
	do {
		unsigned int before = client->receive.received;

		got = receive_message(&client->receive, client->sock, &value, &fd, client->why);
		if (got == 0 && client->receive.received == before)
			return 0;
	} while (got == 0);
	if (got < 0)
		return end(client, got);
	err = handshake_step(&client->handshake, value, fd >= 0, message, client->why);
	if (err) {
		if (fd >= 0)
			close(fd);
		return end(client, err);
	}
	if (message->meaning == HANDSHAKE_GOT_REGION)
		err = take_region(client, fd);
	else if (message->meaning == HANDSHAKE_GOT_VECTOR)
		err = take_vector(client, message, fd);
	else if (message->meaning == HANDSHAKE_GOT_LEAVE)
		forget_peer(client, message->peer);
	return err ? end(client, err) : 1;
}

int ivshmem_client_next_event(struct ivshmem_client *client, struct ivshmem_client_event *event,
	struct ivshmem_client_error *error)
{
	struct handshake_message message;
	int got;

	for (;;) {
		got = take_message(client, &message);
		if (got < 0)
			return fail(error, client->path, got, "it %s", client->why);
		if (got == 0)
			return 0;
		event->peer = message.peer;
		event->vector = message.vector;
		if (message.meaning == HANDSHAKE_GOT_LEAVE) {
			event->kind = IVSHMEM_CLIENT_PEER_LEFT;
			event->vector = 0;
			return 1;
		}
		if (message.vector >= client->max_vectors)
			continue;
		if (message.peer == client->handshake.own_id)
			event->kind = IVSHMEM_CLIENT_OWN_VECTOR;
		else
			event->kind = message.vector ? IVSHMEM_CLIENT_PEER_VECTOR
						     : IVSHMEM_CLIENT_PEER_JOINED;
		return 1;
	}
}

static int connect_until(
	struct ivshmem_client *client, int64_t deadline, struct ivshmem_client_error *error)
{
	const struct timespec pause = {.tv_nsec = CONNECT_RETRY_NS};
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, client->path, sizeof(address.sun_path));
	client->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (client->sock < 0)
		return fail(error, client->path, -errno, "no socket: %s", strerror(errno));
	while (connect(client->sock, (struct sockaddr *)&address, sizeof(address)) < 0) {
		switch (errno) {
		case EINTR:
			break;
		case EAGAIN: /* its backlog is full; poll() can't tell when that ends */
			if (now_ms() >= deadline)
				return fail(error, client->path, -ETIMEDOUT, "it accepts nobody");
			nanosleep(&pause, NULL);
			break;
		case ENOENT:
		case ECONNREFUSED:
			return fail(error, client->path, -errno,
				"nobody listens there; start one with: ivshmem-server -S %s",
				client->path);
		default:
			return fail(
				error, client->path, -errno, "cannot connect: %s", strerror(errno));
		}
	}
	return 0;
}

/*
 * How long to wait for more when what was asked for is here. A server gives all peers as many
 * vectors, and the others' come first; alone, only its silence shows that it has sent all.
 */
static int64_t patience_ms(const struct ivshmem_client *client, int64_t left)
{
	unsigned int own = ivshmem_client_vectors(client);
	int peer = ivshmem_client_next_peer(client, -1);

	if (own == client->max_vectors)
		return 0;
	if (peer >= 0)
		return own < ivshmem_client_peer_vectors(client, (unsigned int)peer) ? left : 0;
	return left < SETTLE_MS ? left : SETTLE_MS;
}

/* Takes messages until all that was asked for is here, and a little longer for what follows it. */
static int handshake_until(struct ivshmem_client *client, unsigned int min_vectors,
	int64_t deadline, struct ivshmem_client_error *error)
{
	struct pollfd readable = {.fd = client->sock, .events = POLLIN};

	for (;;) {
		bool enough = client->handshake.state == HANDSHAKE_RUNNING &&
			      ivshmem_client_vectors(client) >= min_vectors;
		struct handshake_message message;
		int64_t left = deadline - now_ms();
		int got = take_message(client, &message);

		if (got == -ECONNRESET && enough)
			return 0; /* next_event() will say so: what we need is here */
		if (got < 0)
			return fail(error, client->path, got, "it %s", client->why);
		/* The clock counts even while messages flow: a server could send them for ever. */
		if (left <= 0 && !enough)
			return fail(error, client->path, -ETIMEDOUT, "it has not sent %s in time",
				handshake_expects(&client->handshake));
		if (left <= 0)
			return 0;
		if (got)
			continue;
		if (enough)
			left = patience_ms(client, left);
		if (poll(&readable, 1, left > 60000 ? 60000 : (int)left) == 0 && enough)
			return 0;
	}
}

int ivshmem_client_open(struct ivshmem_client **result, const char *path,
	const struct ivshmem_client_options *options, struct ivshmem_client_error *error)
{
	static const struct ivshmem_client_options defaults = {.min_vectors = 1};
	struct ivshmem_client *client;
	unsigned int max;
	int64_t deadline;
	int err;

	*result = NULL;
	if (!options)
		options = &defaults;
	max = options->max_vectors ? options->max_vectors : IVSHMEM_PROTOCOL_VECTORS_MAX;
	if (max > IVSHMEM_PROTOCOL_VECTORS_MAX || options->min_vectors > max)
		return fail(error, path, -EINVAL,
			"at most %u vectors can be asked for, and %u are wanted",
			max < IVSHMEM_PROTOCOL_VECTORS_MAX ? max : IVSHMEM_PROTOCOL_VECTORS_MAX,
			options->min_vectors > max ? options->min_vectors : max);
	if (strlen(path) >= sizeof(client->path))
		return fail(error, path, -ENAMETOOLONG, "a socket's path has at most %zu bytes",
			sizeof(client->path) - 1);
	client = calloc(1, sizeof(*client));
	if (!client)
		return fail(error, path, -ENOMEM, "out of memory");
	memcpy(client->path, path, strlen(path) + 1);
	client->sock = client->region_fd = client->receive.fd = client->highest = -1;
	client->max_vectors = max;
	handshake_init(&client->handshake);
	deadline =
		now_ms() + (options->timeout_ms ? options->timeout_ms : IVSHMEM_CLIENT_TIMEOUT_MS);

	err = connect_until(client, deadline, error);
	if (!err)
		err = handshake_until(client, options->min_vectors, deadline, error);
	if (err) {
		ivshmem_client_close(client);
		return err;
	}
	*result = client;
	return 0;
}

void ivshmem_client_close(struct ivshmem_client *client)
{
	if (!client)
		return;
	end(client, -ECONNRESET);
	for (int id = 0; id <= client->highest; id++)
		forget_peer(client, (unsigned int)id);
	if (client->region_fd >= 0)
		close(client->region_fd);
	free(client);
}

unsigned int ivshmem_client_id(const struct ivshmem_client *client)
{
	return client->handshake.own_id;
}

int ivshmem_client_region_fd(const struct ivshmem_client *client)
{
	return client->region_fd;
}

uint64_t ivshmem_client_region_size(const struct ivshmem_client *client)
{
	return client->region_size;
}

bool ivshmem_client_region_sealed(const struct ivshmem_client *client)
{
	return client->region_sealed;
}

int ivshmem_client_fd(const struct ivshmem_client *client)
{
	return client->sock;
}

unsigned int ivshmem_client_vectors(const struct ivshmem_client *client)
{
	return ivshmem_client_peer_vectors(client, client->handshake.own_id);
}

int ivshmem_client_own_eventfd(const struct ivshmem_client *client, unsigned int vector)
{
	return ivshmem_client_peer_eventfd(client, client->handshake.own_id, vector);
}

int ivshmem_client_next_peer(const struct ivshmem_client *client, int after)
{
	for (int id = after + 1; id <= client->highest; id++) {
		if (client->peers[id] && (unsigned int)id != client->handshake.own_id)
			return id;
	}
	return -1;
}

unsigned int ivshmem_client_peer_vectors(const struct ivshmem_client *client, unsigned int peer)
{
	if (peer >= IVSHMEM_PROTOCOL_IDS || !client->peers[peer])
		return 0;
	return client->peers[peer]->count;
}

int ivshmem_client_peer_eventfd(
	const struct ivshmem_client *client, unsigned int peer, unsigned int vector)
{
	if (vector >= ivshmem_client_peer_vectors(client, peer))
		return -1;
	return client->peers[peer]->fds[vector];
}

int ivshmem_client_notify(
	const struct ivshmem_client *client, unsigned int peer, unsigned int vector)
{
	int fd = ivshmem_client_peer_eventfd(client, peer, vector);

	return fd < 0 ? -ENOENT : ivshmem_eventfd_ring(fd);
}

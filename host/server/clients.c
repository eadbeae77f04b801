// SPDX-License-Identifier: BSD-2-Clause
#include "clients.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/client/ivshmem_protocol.h"
#include "report.h"

#define UNREAD_MIN   32  /* messages that may wait in a client's socket, however few its vectors */
#define MESSAGE_COST 768 /* bytes that Linux charges a socket for a message of 8 */

int clients_init(struct clients *clients, unsigned int vectors, bool sticky, int region, int epoll)
{
	*clients = (struct clients){.vectors = vectors, .region = region, .epoll = epoll};
	return ids_init(&clients->ids, IVSHMEM_PROTOCOL_IDS, sticky);
}

static void client_free(struct client *client)
{
	close(client->sock); /* epoll forgets it by that */
	queue_release(&client->queue);
	free(client);
}

void clients_release(struct clients *clients)
{
	while (clients->first) {
		struct client *client = clients->first;

		clients->first = client->next;
		client_free(client);
	}
	ids_release(&clients->ids);
}

static void mark_leaving(struct client *client, const char *why, bool orderly)
{
	if (client->leaving)
		return;
	client->leaving = why;
	client->orderly = orderly;
}

static void watch(struct clients *clients, struct client *client, bool room)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLRDHUP | (room ? EPOLLOUT : 0),
		.data.ptr = client,
	};

	if (client->watches_room == room)
		return;
	if (epoll_ctl(clients->epoll, EPOLL_CTL_MOD, client->sock, &event) < 0)
		mark_leaving(client, strerror(errno), false);
	client->watches_room = room;
}

static void flush(struct clients *clients, struct client *client)
{
	if (client->leaving)
		return;
	client->starved = false;
	switch (queue_flush(&client->queue, client->sock)) {
	case QUEUE_EMPTY:
		client->behind = 0;
		watch(clients, client, false);
		break;
	case QUEUE_BLOCKED:
		watch(clients, client, true);
		break;
	case QUEUE_STARVED:
		/* Its socket may well have room: waiting for EPOLLOUT would spin. */
		watch(clients, client, false);
		client->starved = true;
		clients->any_starved = true;
		break;
	case QUEUE_BROKEN:
		mark_leaving(client,
			errno == EPIPE || errno == ECONNRESET ? "it closed" : strerror(errno),
			errno == EPIPE || errno == ECONNRESET);
		break;
	}
}

void clients_retry(struct clients *clients)
{
	clients->any_starved = false;
	for (struct client *client = clients->first; client; client = client->next) {
		if (client->starved)
			flush(clients, client);
	}
}

/* One more thing that @client must be told; it may be too far behind for it. */
static bool may_tell(struct client *client)
{
	if (client->leaving)
		return false;
	if (++client->behind <= CLIENTS_BEHIND_MAX)
		return true;
	mark_leaving(client, "it doesn't read: too many joins and leaves wait for it", false);
	return false;
}

static void tell_of_join(struct clients *clients, const struct client *newcomer)
{
	struct vectors *vectors = ids_vectors(&clients->ids, newcomer->id);

	for (struct client *client = clients->first; client; client = client->next) {
		/* Under sticky ids some know it from its last holder: the eventfds are the same. */
		if (client == newcomer ||
			(clients->ids.sticky &&
				ids_known_since(&clients->ids, newcomer->id, client->joined_at)))
			continue;
		if (may_tell(client) &&
			queue_push_vectors(&client->queue, newcomer->id, vectors) < 0)
			mark_leaving(client, "the server is out of memory", false);
		flush(clients, client);
	}
}

static void tell_of_leave(struct clients *clients, unsigned int id)
{
	/* Without vectors nobody was told of it either, and an unknown id hurts QEMU. */
	if (clients->ids.sticky || !clients->vectors)
		return;
	for (struct client *client = clients->first; client; client = client->next) {
		if (!may_tell(client) || queue_cancel_vectors(&client->queue, id))
			continue;
		if (queue_push(&client->queue, id, -1) < 0)
			mark_leaving(client, "the server is out of memory", false);
		flush(clients, client);
	}
}

static int greet(struct clients *clients, struct client *client)
{
	struct queue *queue = &client->queue;

	if (queue_push(queue, IVSHMEM_PROTOCOL_VERSION, -1) < 0 ||
		queue_push(queue, client->id, -1) < 0 ||
		queue_push(queue, IVSHMEM_PROTOCOL_REGION, clients->region) < 0)
		return -ENOMEM;
	return 0;
}

/* The peers there are, then the client's own vectors: by these it knows that it is complete. */
static int introduce(struct clients *clients, struct client *newcomer)
{
	struct queue *queue = &newcomer->queue;

	for (struct client *peer = clients->first; peer; peer = peer->next) {
		/* One that is leaving as well: it will be told that this one has left. */
		if (peer != newcomer && queue_push_vectors(queue, peer->id,
						ids_vectors(&clients->ids, peer->id)) < 0)
			return -ENOMEM;
	}
	return queue_push_vectors(queue, newcomer->id, ids_vectors(&clients->ids, newcomer->id));
}

static void append(struct clients *clients, struct client *client)
{
	client->previous = clients->last;
	client->next = NULL;
	*(clients->last ? &clients->last->next : &clients->first) = client;
	clients->last = client;
	clients->count++;
}

static void detach(struct clients *clients, struct client *client)
{
	*(client->previous ? &client->previous->next : &clients->first) = client->next;
	*(client->next ? &client->next->previous : &clients->last) = client->previous;
	clients->count--;
}

void clients_refuse(int sock, int64_t refusal)
{
	queue_send_now(sock, refusal, -1);
	close(sock);
}

/*
 * Descriptors that wait unread in sockets count against the user's limit on open files, and at the
 * limit nobody gets any more. So no client may hold back more of them than about what it costs in
 * descriptors anyway: then all together stay below the limit.
 */
static void limit_unread(const struct clients *clients, int sock)
{
	unsigned int messages = clients->vectors + 1;
	int bytes;

	if (messages < UNREAD_MIN)
		messages = UNREAD_MIN;
	bytes = (int)messages * MESSAGE_COST / 2; /* the kernel doubles it, see socket(7) */
	setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

/* A client with an id and a watched socket, or NULL and *@refusal. */
static struct client *admit(struct clients *clients, int sock, int64_t *refusal)
{
	uint64_t oldest = clients->first ? clients->first->joined_at : UINT64_MAX;
	struct client *client = calloc(1, sizeof(*client));
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = client};
	struct ucred credentials = {.pid = 0};
	socklen_t length = sizeof(credentials);
	int id, err;

	*refusal = IVSHMEM_PROTOCOL_REFUSED_FILES;
	getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &credentials, &length);
	id = client ? ids_take(&clients->ids, clients->vectors, oldest) : -ENOMEM;
	if (id == -EUSERS) {
		*refusal = IVSHMEM_PROTOCOL_REFUSED_IDS;
		report_warning(
			"refused process %d: all %u ids are in use, or were used by peers of "
			"clients still here",
			(int)credentials.pid, clients->ids.limit);
	} else if (id < 0) {
		report_warning("refused process %d: no eventfds for its %u vectors: %s (%u clients "
			       "are here)",
			(int)credentials.pid, clients->vectors, strerror(-id), clients->count);
	}
	if (id < 0) {
		free(client);
		return NULL;
	}
	if (epoll_ctl(clients->epoll, EPOLL_CTL_ADD, sock, &event) < 0) {
		err = errno;
		report_warning("refused process %d: cannot watch it: %s", (int)credentials.pid,
			strerror(err));
		ids_give_back(&clients->ids, (unsigned int)id);
		free(client);
		return NULL;
	}
	limit_unread(clients, sock);
	client->sock = sock;
	client->id = (unsigned int)id;
	client->pid = credentials.pid;
	client->joined_at = ++clients->now;
	append(clients, client);
	return client;
}

void clients_join(struct clients *clients, int sock)
{
	int64_t refusal;
	struct client *client = admit(clients, sock, &refusal);

	if (!client) {
		clients_refuse(sock, refusal);
		return;
	}
	report_info("peer %u joined (process %d)", client->id, (int)client->pid);
	/* Others hear of it before it hears of them, so that nobody it rings is a stranger to it.
	 */
	if (greet(clients, client) < 0)
		mark_leaving(client, "the server is out of memory", false);
	flush(clients, client);
	if (client->leaving)
		return; /* it has closed already: nobody need ever know */
	client->announced = true;
	tell_of_join(clients, client);
	if (introduce(clients, client) < 0)
		mark_leaving(client, "the server is out of memory", false);
	flush(clients, client);
}

void clients_handle(struct clients *clients, struct client *client, uint32_t events)
{
	char bytes[64];
	ssize_t got;

	if (client->leaving)
		return;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
		got = recv(client->sock, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (got > 0)
			mark_leaving(client, "it sent bytes, which clients never do", false);
		else if (got == 0 || errno == ECONNRESET)
			mark_leaving(client, "it closed", true);
		else if (errno != EAGAIN && errno != EINTR)
			mark_leaving(client, strerror(errno), false);
	}
	if (events & EPOLLOUT)
		flush(clients, client);
}

void clients_reap(struct clients *clients)
{
	bool found;

	/* Telling of one may show that another has gone. */
	do {
		struct client *client, *next;

		found = false;
		for (client = clients->first; client; client = next) {
			next = client->next;
			if (!client->leaving)
				continue;
			found = true;
			if (client->orderly)
				report_info("peer %u left (process %d): %s", client->id,
					(int)client->pid, client->leaving);
			else
				report_warning("disconnected peer %u (process %d): %s", client->id,
					(int)client->pid, client->leaving);
			detach(clients, client);
			if (client->announced) {
				ids_leave(&clients->ids, client->id, ++clients->now);
				tell_of_leave(clients, client->id);
			} else {
				ids_give_back(&clients->ids, client->id);
			}
			client_free(client);
		}
	} while (found);
}

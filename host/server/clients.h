/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The connected clients: who joins, who leaves, who is told of it and in which order.
 *
 * Source: QEMU's docs/specs/ivshmem-spec.txt, "Client-Server protocol"; docs/server-protocol.md.
 *
 * Nothing here waits. A client is only marked when it is to go, and goes in clients_reap(), so that
 * telling the others, which may show that they have gone too, needs no recursion.
 */
#ifndef HOST_SERVER_CLIENTS_H
#define HOST_SERVER_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ids.h"
#include "queue.h"

struct client {
	struct client *next, *previous;
	int sock;
	unsigned int id;
	pid_t pid; /* 0 when unknown */
	uint64_t joined_at;
	struct queue queue;
	unsigned int behind; /* joins and leaves since it last had read everything */
	bool watches_room;   /* epoll looks for EPOLLOUT too */
	bool starved;        /* to be flushed again after a while */
	const char *leaving; /* why; NULL while it stays */
	bool orderly;        /* it left by itself */
	bool announced;      /* others know, or will know, of it */
};

struct clients {
	struct client *first, *last; /* in the order of joining */
	unsigned int count;
	uint64_t now; /* joins and leaves so far */
	struct ids ids;
	unsigned int vectors; /* for each client */
	int region;           /* the region's descriptor; borrowed */
	int epoll;            /* where sockets are watched, with the client as data; borrowed */
	bool any_starved;
};

/*
 * A client that lets this many joins and leaves pile up unread is disconnected. It is much, for
 * a stopped QEMU does so innocently, and loses its doorbells' news for good.
 */
#define CLIENTS_BEHIND_MAX 4096

/* Returns 0, or -ENOMEM. */
int clients_init(struct clients *clients, unsigned int vectors, bool sticky, int region, int epoll);

/* Disconnects all, without a word to anybody. */
void clients_release(struct clients *clients);

/* A new connection; takes @sock over, whatever becomes of it. */
void clients_join(struct clients *clients, int sock);

/* Tells the caller of @sock that there is no place for it (IVSHMEM_PROTOCOL_REFUSED_...), and
 * closes it. */
void clients_refuse(int sock, int64_t refusal);

/* What epoll has seen on one client's socket. */
void clients_handle(struct clients *clients, struct client *client, uint32_t events);

/* Tries again to send what the kernel had no means for. */
void clients_retry(struct clients *clients);

/* Lets those go who are marked. Pointers to clients from before are invalid afterwards. */
void clients_reap(struct clients *clients);

#endif

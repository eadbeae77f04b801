/* SPDX-License-Identifier: BSD-2-Clause */
/* The server's loop: connections, clients' sockets and signals, by epoll, in one thread. */
#ifndef HOST_SERVER_SERVER_H
#define HOST_SERVER_SERVER_H

#include "clients.h"
#include "listener.h"

struct server {
	struct clients clients;
	struct listener *listener; /* borrowed */
	int epoll, signals, spare;
	bool full; /* not even the spare helps: no accept for a while */
};

/*
 * Lifts the limit on open files to what is allowed. To be called once, before server_init().
 */
void server_raise_file_limit(void);

/* Blocks the signals that end the server; they wait for server_run(). To be called first of all. */
void server_hold_signals(bool daemon);

/* Returns 0, or -1 after reporting why. @region is borrowed. */
int server_init(struct server *server, struct listener *listener, int region, unsigned int vectors,
	bool sticky, bool daemon);

/* Runs until SIGTERM or SIGINT (in the foreground SIGHUP too). Returns 0, or -1 after reporting
 * why. */
int server_run(struct server *server);

void server_release(struct server *server);

#endif

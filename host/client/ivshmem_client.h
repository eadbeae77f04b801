/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client of an ivshmem server (ivshmem-server, or QEMU's own): connects, does the handshake,
 * and keeps the table of peers up to date.
 *
 * Source: QEMU, docs/specs/ivshmem-spec.txt, "Client-Server protocol"; ivshmem_protocol.h.
 *
 * The server is not trusted: every message is checked against the protocol's rules, one by one,
 * and the first that breaks a rule ends the connection with a line that names the rule. No call
 * blocks past its deadline, and only ivshmem_client_open() waits at all.
 *
 * Ownership: the client owns every file descriptor it has received; they are closed by
 * ivshmem_client_close() or when their peer leaves. dup() what must live longer.
 * Threads: calls on one client must not overlap, except ivshmem_client_notify() of peers that
 * no concurrent ivshmem_client_next_event() can report as gone.
 * Errors: 0 (or a count, an id, an fd) and negative errno values.
 */
#ifndef HOST_CLIENT_IVSHMEM_CLIENT_H
#define HOST_CLIENT_IVSHMEM_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

struct ivshmem_client;

/* One line, without a line feed: what went wrong, where, and how to mend it. */
struct ivshmem_client_error {
	char text[256];
};

struct ivshmem_client_options {
	/*
	 * Own vectors that must have arrived before open returns. The protocol never says how
	 * many there will be. Where peers are there already, open waits for as many as they have;
	 * alone, until 20 ms pass without a message; later ones are reported as
	 * IVSHMEM_CLIENT_OWN_VECTOR.
	 * 0: none need come at all (a server may have been started with -n 0).
	 */
	unsigned int min_vectors;
	/* Own and peers' vectors kept; further ones are closed. 0 means all, at most 256. */
	unsigned int max_vectors;
	/* Milliseconds that open may take, all in all. 0 means IVSHMEM_CLIENT_TIMEOUT_MS. */
	unsigned int timeout_ms;
};

#define IVSHMEM_CLIENT_TIMEOUT_MS 5000

enum ivshmem_client_event_kind {
	IVSHMEM_CLIENT_PEER_JOINED, /* its vector 0 has arrived; others follow as PEER_VECTOR */
	IVSHMEM_CLIENT_PEER_VECTOR, /* one more vector of a known peer */
	IVSHMEM_CLIENT_PEER_LEFT,   /* its eventfds are closed by the time this is reported */
	IVSHMEM_CLIENT_OWN_VECTOR,  /* one more vector of this client */
};

struct ivshmem_client_event {
	enum ivshmem_client_event_kind kind;
	unsigned int peer;   /* an id; the own one for OWN_VECTOR */
	unsigned int vector; /* index; 0 for PEER_LEFT */
};

/*
 * Connects to the server's socket at @path and does the handshake: version, id, region, at least
 * as many own vectors as options->min_vectors asks for, and what follows them at once. Peers that
 * arrived on the way are in the table already and are not reported again by
 * ivshmem_client_next_event().
 *
 * @options may be NULL: one own vector, all kept, 5 seconds.
 * Returns 0 and the client in *@client, to be given back with ivshmem_client_close(); or, with
 * nothing left open, *@client NULL and @error (may be NULL) filled:
 * -ENOENT, -ECONNREFUSED, -EACCES	nobody listens there, or not to us
 * -ENAMETOOLONG	@path does not fit a socket address (107 bytes)
 * -EINVAL		@options ask for more than 256 vectors, or min above max
 * -ETIMEDOUT		the server was silent, or too slow
 * -ECONNRESET		the server closed during the handshake
 * -EPROTO		the server broke a rule, speaks another version, or gave an unusable region
 * -EUSERS		the server refused: all ids, or its file descriptors, are in use
 * -EMFILE		this process ran out of file descriptors
 * -ENOMEM		out of memory
 */
int ivshmem_client_open(struct ivshmem_client **client, const char *path,
	const struct ivshmem_client_options *options, struct ivshmem_client_error *error);

/* Closes the connection and every descriptor that came over it. NULL is allowed. */
void ivshmem_client_close(struct ivshmem_client *client);

/* This client's id, 0..65535: its IVPosition. */
unsigned int ivshmem_client_id(const struct ivshmem_client *client);

/* The region's file, open for reading and writing, to be mapped shared. The client owns it. */
int ivshmem_client_region_fd(const struct ivshmem_client *client);

/* Bytes, as they were at the handshake: a power of two. */
uint64_t ivshmem_client_region_size(const struct ivshmem_client *client);

/*
 * True if the region can never shrink (a memfd sealed so, as `ivshmem-server --memfd` makes it).
 * Where it is false, anybody who holds the file may truncate it, and a touch of a lost page is a
 * SIGBUS.
 */
bool ivshmem_client_region_sealed(const struct ivshmem_client *client);

/*
 * The descriptor to watch for EPOLLIN or POLLIN: the socket. When readable, call
 * ivshmem_client_next_event() until it returns 0. After the server has gone it is -1.
 */
int ivshmem_client_fd(const struct ivshmem_client *client);

/*
 * Takes the next message if there is one; never waits.
 * Returns 1 and *@event; 0 when there is nothing (more) to read; or, once the connection has
 * ended, -ECONNRESET (the server closed), -EPROTO (it broke a rule), -EMFILE (this process ran out
 * of descriptors, so that a vector is lost) or another errno, with @error (may be NULL) filled, and
 * the same value ever after.
 * An ended connection is not the end of the client: region, own and peers' eventfds go on working.
 * What is lost is news of peers.
 */
int ivshmem_client_next_event(struct ivshmem_client *client, struct ivshmem_client_event *event,
	struct ivshmem_client_error *error);

/* Own vectors that have arrived, 0..256. */
unsigned int ivshmem_client_vectors(const struct ivshmem_client *client);

/*
 * The eventfd of the own @vector, or -1. Readable when this vector was rung. All holders share its
 * O_NONBLOCK flag and QEMU changes it: empty it only with ivshmem_eventfd_drain().
 */
int ivshmem_client_own_eventfd(const struct ivshmem_client *client, unsigned int vector);

/* The lowest id of a known peer above @after (-1 to begin), without the own one; -1 at the end. */
int ivshmem_client_next_peer(const struct ivshmem_client *client, int after);

/* Vectors of @peer that have arrived; 0 when it is unknown. The own id is allowed. */
unsigned int ivshmem_client_peer_vectors(const struct ivshmem_client *client, unsigned int peer);

/* The eventfd that rings @vector of @peer, or -1. The own id is allowed. */
int ivshmem_client_peer_eventfd(
	const struct ivshmem_client *client, unsigned int peer, unsigned int vector);

/*
 * Rings @vector of @peer (the own id is allowed), as a guest's doorbell does. Does not wait.
 * Returns 0; -ENOENT when that peer or vector is not known (yet), as the device would ignore it;
 * another negative errno when the kernel refused the write.
 */
int ivshmem_client_notify(
	const struct ivshmem_client *client, unsigned int peer, unsigned int vector);

#endif

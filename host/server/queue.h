/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client has still to be sent, in order. An entry is one value with at most one descriptor,
 * or one id with all its eventfds (a message each); so a queue stays short however many
 * vectors there are.
 */
#ifndef HOST_SERVER_QUEUE_H
#define HOST_SERVER_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "vectors.h"

struct queue_entry {
	int64_t value;
	int fd;                  /* borrowed; -1: none */
	struct vectors *vectors; /* a reference; NULL: this is a single message */
	unsigned int next;       /* the vector to send next */
};

struct queue {
	struct queue_entry *entries;
	unsigned int head, tail, room; /* entries[head..tail) wait; room is allocated */
};

enum queue_state {
	QUEUE_EMPTY,   /* all sent */
	QUEUE_BLOCKED, /* the client must read first: wait until its socket takes more */
	QUEUE_STARVED, /* the kernel lacks something (descriptors in flight, memory): try later */
	QUEUE_BROKEN,  /* the client has gone; errno says how */
};

void queue_release(struct queue *queue);

/* Appends one message. @fd is borrowed and must outlive the queue; -1 for none. 0 or -ENOMEM. */
int queue_push(struct queue *queue, int64_t value, int fd);

/* Appends one message per vector of @vectors, with @id as their value. 0 or -ENOMEM. */
int queue_push_vectors(struct queue *queue, unsigned int id, struct vectors *vectors);

/*
 * Takes back the waiting eventfds of @id if not one of them was sent yet, as though it had never
 * come. Returns whether it did.
 */
bool queue_cancel_vectors(struct queue *queue, unsigned int id);

/* Sends as much as the socket takes, without waiting. */
enum queue_state queue_flush(struct queue *queue, int sock);

/* Sends one message. Returns 0 or a negative errno; never waits, never raises SIGPIPE. */
int queue_send_now(int sock, int64_t value, int fd);

#endif

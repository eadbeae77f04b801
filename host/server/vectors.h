/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The eventfds of one id, one per vector. Counted references: the id holds one, and so does each
 * message that still waits to be sent, so that a descriptor lives until its last use.
 */
#ifndef HOST_SERVER_VECTORS_H
#define HOST_SERVER_VECTORS_H

struct vectors {
	unsigned int references;
	unsigned int count;
	int fds[];
};

/* New eventfds with one reference. NULL with errno set (EMFILE, ENFILE, ENOMEM). */
struct vectors *vectors_create(unsigned int count);

struct vectors *vectors_get(struct vectors *vectors);

/* Gives a reference back; the last one closes the eventfds. NULL is allowed. */
void vectors_put(struct vectors *vectors);

/* Takes back what was rung and nobody read, so that a successor isn't woken by it. Never blocks. */
void vectors_drain(struct vectors *vectors);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which ids are taken, which may be given out again, and who has been told of them.
 *
 * QEMU's heap doesn't survive an id that comes back after its disconnect message, so the rule is:
 * an id that left at time L may be given out again only when every client still connected joined
 * after L. Times are counts of joins and leaves, not clocks.
 *
 * With sticky ids no disconnect is ever sent; a vacant id keeps its eventfds for its next taker.
 */
#ifndef HOST_SERVER_IDS_H
#define HOST_SERVER_IDS_H

#include <stdbool.h>
#include <stdint.h>

#include "vectors.h"

struct id_slot {
	bool taken;
	uint64_t left_at;        /* 0: nobody has had it yet */
	struct vectors *vectors; /* while taken, and while vacant under sticky ids; else NULL */
};

struct ids {
	struct id_slot *slots;
	unsigned int count; /* slots in use so far: all above are free */
	unsigned int limit; /* ids there may be, 65536 but in tests */
	bool sticky;
};

/* Returns 0, or -ENOMEM. */
int ids_init(struct ids *ids, unsigned int limit, bool sticky);
void ids_release(struct ids *ids);

/*
 * Takes the lowest id that harms nobody, where @oldest_joined is when the longest-connected
 * client joined (UINT64_MAX: nobody is connected), with @vectors eventfds: new ones, or the
 * drained ones of its last holder.
 * Returns the id; -EUSERS when none is to be had; -EMFILE, -ENFILE or -ENOMEM.
 */
int ids_take(struct ids *ids, unsigned int vectors, uint64_t oldest_joined);

/* The holder of @id leaves at time @now (not 0). */
void ids_leave(struct ids *ids, unsigned int id, uint64_t now);

/* The holder of @id leaves, and nobody was told of it: as though it had never come. */
void ids_give_back(struct ids *ids, unsigned int id);

/* Whether a client that joined at @joined was ever told of @id, whose present holder is new. */
bool ids_known_since(const struct ids *ids, unsigned int id, uint64_t joined);

struct vectors *ids_vectors(const struct ids *ids, unsigned int id);

#endif

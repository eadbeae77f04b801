/* SPDX-License-Identifier: BSD-2-Clause */
/* The ledger of pattern_kills.c, outside the region, and what its peers do (pattern_lives.c). */
#ifndef TESTS_ADVERSITY_PATTERN_KILLS_H
#define TESTS_ADVERSITY_PATTERN_KILLS_H

#include "tests/msg/harness.h"

#define CALLS     4000000
#define ITEMS     1000000
#define LIVES     100000 /* of one peer */
#define PEERS_MAX 16
#define NAMES     4      /* of one server: those of its dead lives are taken for a while */
#define DEATH_NS  (120 * MS)

enum role { SERVER, CALLER, PUBLISHER, SUBSCRIBER, DISPATCHER, PRODUCER, WORKER, MEMBER, ROLES };

/* One publisher's life. */
struct edition {
	volatile uint32_t accepted, trying;
	volatile bool evicted;
};

struct world {
	volatile bool stop_asking, stop; /* callers and producers first: others answer them */
	volatile uint64_t progress[PEERS_MAX]; /* what each did that its role is for */
	volatile uint32_t life[PEERS_MAX];
	volatile uint32_t server_name[PEERS_MAX];
	volatile uint64_t evictions, answered, lost_servers, results, redelivered, ends_heard, dropped,
		barriers, broadcasts, lost_roots;
	volatile uint32_t calls, items;
	volatile uint8_t executed[CALLS];      /* times that a server took that call */
	volatile uint8_t fresh[ITEMS], done[ITEMS], told[ITEMS]; /* given unmarked; done; result taken */
	struct edition edition[LIVES];         /* of the one publisher */
	volatile uint32_t came[PEERS_MAX][LIVES]; /* a member's life: calls of its group it is in or past */
};

struct peer {
	enum role role;
	unsigned number, of_role; /* among all; among those of its role */
	uint32_t life;
	uint64_t random;
	uint64_t until;           /* ends in an orderly way */
	struct msg_region *region;
	char name[MSG_NAME_MAX + 1];
};

extern struct world *world;
extern unsigned servers;          /* peers 0 to servers - 1 */
extern void (*const lives[ROLES])(struct peer *peer);

/* Counts one more. */
#define COUNT(field) __atomic_fetch_add(&world->field, 1, __ATOMIC_RELAXED)

static inline bool peer_asks(const struct peer *peer)
{
	return peer->role == CALLER || peer->role == PRODUCER;
}

static inline bool peer_stops(const struct peer *peer)
{
	return world->stop || (world->stop_asking && peer_asks(peer));
}

static inline bool peer_goes_on(const struct peer *peer)
{
	return !peer_stops(peer) && msg_now_ns() < peer->until;
}

#endif

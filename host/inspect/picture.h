/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A region as it was seen at one time: private copies, put in order. No word of it is true for sure
 * (msg/look.h); all indices in it are checked.
 */
#ifndef HOST_INSPECT_PICTURE_H
#define HOST_INSPECT_PICTURE_H

#include "host/inspect/hearts.h"
#include "msg/look.h"

struct peer {
	uint32_t slot;
	bool torn;               /* it changed hands while it was looked at */
	struct wire_slot wire;
	uint64_t rings, buffers; /* bytes of its land */
	bool kept;               /* it is gone, and a live peer still needs its land */
	uint64_t beat_age_ns;
	bool beats;              /* it was seen to, that long ago; else it stood still at least that long */
};

struct side {                    /* a control block */
	uint32_t slot, index;
	struct wire_channel wire;
	struct side *other;      /* the block that it names, if that names this one; or NULL */
	const char *name;        /* of the endpoint that it was opened by; NULL: not known any more */
	bool connecting;         /* it is the side that asked */
	struct wire_topic topic; /* of a publisher's side, with ring_size not 0 */
	bool topic_first;        /* it is the first of that topic's */
	const struct side *before; /* the same in the picture before; NULL: it wasn't there */
};

struct picture {
	struct look look;
	uint64_t taken_ns, former_ns; /* hearts_now; of the picture before, 0: none */
	bool formatting;              /* a claim to format it anew stands */
	struct peer *peers;           /* by slot, without those that nobody ever held */
	uint32_t n_peers;
	struct side *sides;           /* by slot and index */
	uint32_t n_sides;
	uint64_t land_live, land_kept;
};

/* Takes a picture. former: the one before, or NULL; it must live as long as this one. False: out of
 * memory. */
bool picture_take(struct picture *p, const struct look *look, const struct heart *hearts,
	const struct picture *former);
void picture_free(struct picture *p);

/* NULL: nobody ever held that slot. */
const struct peer *picture_peer(const struct picture *p, uint32_t slot);

/* Is that endpoint of its in use? Does it take part in a group? */
bool picture_listens(const struct peer *peer, unsigned int endpoint);
bool picture_in_group(const struct peer *peer);

/* The name of the group with that hash, if its founder's endpoint still shows it; else NULL. */
const char *picture_group(const struct picture *p, uint64_t hash);

/* How many messages of this side the other one has not received yet. */
uint64_t side_unread(const struct side *side);

/* Subscriber: how many messages the topic has published that it neither received nor lost. */
uint64_t side_behind(const struct side *subscriber);

/* Per second since the picture before, of a count in both; where it went back, 0. */
double picture_rate(const struct picture *p, uint64_t now, uint64_t before);

/* A connecting side of a queue: "producer" or "worker", or "member" where it doesn't say; else NULL. */
const char *side_role(const struct side *side);

#define KIND_FIGURES 4

/* The figures of a kind that has some of its own (calls, queues), and their names. False: it has none. */
bool side_figures(const struct side *side, const char *const **names, uint64_t values[KIND_FIGURES]);

/* Words for what stands in the region; "?" for what can't. */
const char *claim_word(const struct peer *peer);
const char *endpoint_word(uint32_t state);
const char *kind_word(uint32_t kind);
const char *channel_word(uint32_t state);
const char *reason_word(uint32_t reason);
const char *policy_word(uint32_t policy);
const char *phase_word(uint32_t phase);

#endif

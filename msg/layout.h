/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The region byte by byte. docs/wire-format.md says the same in words; change both, and the
 * independent reader in tests/msg/. Little-endian; every word has one writer, named at its line.
 *
 *   0                 struct wire_header                     1 KiB
 *   slot_offset       slots x { struct wire_slot, deeds x u64, channels x struct wire_channel }
 *   land_offset       land: rings and buffers, owned by deed, in grains
 *   end - scratch     the scratch area (<isthmus/scratch.h>)
 */
#ifndef MSG_LAYOUT_H
#define MSG_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <isthmus/msg.h>

#define WIRE_MAGIC      0x0053554d48545349ull /* "ISTHMUS\0" */
#define WIRE_MAJOR      1u
#define WIRE_MINOR      1u
#define WIRE_VERSION    (WIRE_MAJOR << 16 | WIRE_MINOR)
#define WIRE_LINE       64u
#define WIRE_MIN_SIZE   65536u
#define WIRE_MAX_SLOTS  4096u
#define WIRE_MAX_CHANNELS 4096u
#define WIRE_ENDPOINTS  8u
#define WIRE_NAME       48u

/* Written by the formatter alone, before the magic; see msg/format.c. */
struct wire_header {
	uint64_t magic;          /* last, by release; 0 while the rest is written */
	uint32_t version;        /* major << 16 | minor */
	uint32_t check;          /* FNV-1a over bytes 8..11 and 16..127 */
	uint64_t size;           /* of the region */
	uint32_t slot_offset;
	uint32_t slot_stride;    /* multiple of 64 */
	uint32_t slots;
	uint32_t channels;       /* control blocks per slot */
	uint32_t deeds;          /* per slot, multiple of 8 */
	uint32_t grain;          /* bytes, a power of two */
	uint64_t land_offset;
	uint64_t land_size;      /* multiple of grain */

	uint64_t death_ns;       /* a heart that stood still this long is dead */
	uint64_t beat_ns;        /* time between two beats */
	uint64_t format_id;      /* random; names this act of formatting */
	uint32_t default_ring;
	uint32_t endpoints;      /* per slot: 8 */
	uint64_t reserved[4];

	uint64_t format_claim;   /* many writers, by claim: token of who formats, 0 if nobody */
	uint64_t reserved_claim[7];
	uint64_t format_beat;    /* who formats: counts, to show that it is alive */
	uint64_t reserved_beat[7];
	uint8_t reserved_end[768];
};
_Static_assert(offsetof(struct wire_header, death_ns) == 64, "line 1");
_Static_assert(offsetof(struct wire_header, format_claim) == 128, "a line of its own");
_Static_assert(offsetof(struct wire_header, format_beat) == 192, "a line of its own");
_Static_assert(sizeof(struct wire_header) == 1024, "header");

/* The claim of a slot: epoch << 32 | nonce << 2 | state. The whole word names a life. */
enum claim_state {
	CLAIM_FREE = 0, /* nobody since the region was formatted (the word is 0) */
	CLAIM_HELD = 1,
	CLAIM_DEAD = 2, /* somebody found the holder's heart still */
	CLAIM_LEFT = 3, /* the holder left */
};
#define CLAIM_STATE(word) ((unsigned)((word) & 3))
#define CLAIM_EPOCH(word) ((uint32_t)((word) >> 32))
#define CLAIM_WITH(word, state) (((word) & ~3ull) | (state))

/* An endpoint: one line of its slot's holder. */
struct wire_endpoint {
	uint32_t state;          /* generation << 2 | enum endpoint_state */
	uint32_t kind;           /* enum wire_kind of the channels it takes */
	uint64_t refusal;        /* the last connect refused: generation << 32 | slot << 16 |
	                          * channel << 4 | enum wire_reason */
	char name[WIRE_NAME];    /* NUL-padded */
};
_Static_assert(sizeof(struct wire_endpoint) == WIRE_LINE, "endpoint");

enum endpoint_state {
	ENDPOINT_FREE = 0,
	ENDPOINT_TENTATIVE = 1,  /* claimed, not yet compared with the others' */
	ENDPOINT_FIRM = 2,
};

/* What a channel carries; further patterns take further numbers. */
enum wire_kind {
	KIND_MESSAGES = 0,
	KIND_CALLS = 1,          /* msg/patterns/call.h */
	KIND_QUEUE = 2,          /* msg/patterns/queue.h */
	KIND_TOPIC = 3,          /* msg/topic.h */
	KIND_GROUP = 4,          /* msg/patterns/group.c: nobody connects to these */
	KIND_LINK = 5,           /* msg/patterns/link.h */
};

/* Why a connect was refused or a channel reset; never an errno value. */
enum wire_reason {
	REASON_NONE = 0,
	REASON_NO_CHANNEL = 1,   /* the listener has no control block left */
	REASON_NO_LAND = 2,      /* no memory for its ring */
	REASON_BAD_VALUE = 3,    /* an impossible value was seen */
	REASON_BAD_KIND = 4,
};

/* What the holder of a slot does in a group. */
struct wire_group {
	uint64_t name;           /* FNV-1a (64 bits) of the group's name; 0: in none */
	uint64_t generation;     /* random: of the group; of a candidate: its ticket */
	uint32_t phase;          /* enum group_phase; by release */
	uint32_t size;
	uint64_t step;           /* the call it is in: number << 16 | enum group_call; by release */
	uint64_t done;           /* the last call with its verdict: number << 8 | failures; by release */
	uint64_t offset, length; /* founder: of the table; root: of the bytes */
	uint64_t source;         /* the life whose bytes it may still read; founder: FNV-1a of the table */
};
_Static_assert(sizeof(struct wire_group) == WIRE_LINE, "group");

/* The state table is in msg/patterns/gather.c. */
enum group_phase {
	GROUP_NONE = 0,
	GROUP_CANDIDATE = 1,
	GROUP_FOUNDER = 2,
	GROUP_FOUNDED = 3,
	GROUP_MEMBER = 4,
};

enum group_call {
	CALL_BARRIER = 0,
	CALL_BROADCAST = 1,      /* and more: 1 + rank of the root */
};

/* Does that `done` say that the call failed? Nobody is more than one call ahead of another. */
#define DONE_FAILED(done, call) ((done) >> 8 == (call) ? (done) & 1 : \
	(done) >> 8 == (call) + 1 ? (done) >> 1 & 1 : 0)

/* One slot. The holder of the claim writes all of it but the claim itself. */
struct wire_slot {
	/* Line 0, read by all, changes rarely. */
	uint64_t claim;          /* many writers, by claim; see msg/presence.c */
	uint32_t changes;        /* counts whenever an endpoint or a channel of the slot changed */
	uint32_t reserved0;
	uint64_t reserved_claim[6];
	/* Line 1. */
	uint64_t beat;           /* changes every beat_ns */
	uint64_t reserved_beat[7];
	/* Line 2. */
	uint32_t asleep;         /* odd: asleep; every sleep is a new value */
	uint32_t reserved_asleep[15];
	/* Line 3: who holds it. */
	uint64_t life;           /* the claim, once all of the slot is initialised */
	uint32_t peer_id;        /* IVPosition, 0xffffffff: none */
	uint32_t vectors;
	uint32_t abilities;      /* enum wire_ability */
	uint32_t reserved3[11];
	/* Line 4. */
	char name[WIRE_NAME];
	uint8_t reserved4[16];
	/* Line 5: figures. */
	uint64_t sleeps;
	uint64_t rescues;
	uint64_t resets;
	uint64_t storms;
	uint64_t reserved5[4];
	/* Line 6: only for processes of one host on a bare file, whose atomics are atomic and whose
	 * doorbell is a futex on this word. Many writers, each adds 1; the value means nothing. */
	uint32_t poke;
	uint32_t reserved6[15];
	/* Line 7. */
	struct wire_group group;
	struct wire_endpoint endpoint[WIRE_ENDPOINTS];
	/* Then: uint64_t deed[deeds], struct wire_channel channel[channels]. */
};
_Static_assert(offsetof(struct wire_slot, beat) == 64, "line 1");
_Static_assert(offsetof(struct wire_slot, asleep) == 128, "line 2");
_Static_assert(offsetof(struct wire_slot, life) == 192, "line 3");
_Static_assert(offsetof(struct wire_slot, name) == 256, "line 4");
_Static_assert(offsetof(struct wire_slot, sleeps) == 320, "line 5");
_Static_assert(offsetof(struct wire_slot, poke) == 384, "line 6");
_Static_assert(offsetof(struct wire_slot, group) == 448, "line 7");
_Static_assert(offsetof(struct wire_slot, endpoint) == 512, "line 8");
_Static_assert(sizeof(struct wire_slot) == 1024, "slot");

enum wire_ability {
	ABILITY_RING = 1,  /* can ring doorbells */
	ABILITY_FUTEX = 2, /* sleeps on, and wakes, the words `poke` */
};

/* A deed: state << 56 | grains << 28 | first grain; one word, so that it is never seen torn. */
enum deed_state {
	DEED_NONE = 0,
	DEED_TENTATIVE = 1,
	DEED_FIRM = 2,
};
#define DEED_BITS  28
#define DEED_MASK  ((1u << DEED_BITS) - 1)
#define DEED_STATE(word) ((unsigned)((word) >> 56))
#define DEED_COUNT(word) ((uint32_t)((word) >> DEED_BITS) & DEED_MASK)
#define DEED_FIRST(word) ((uint32_t)(word) & DEED_MASK)
#define DEED(state, first, count) \
	((uint64_t)(state) << 56 | (uint64_t)(count) << DEED_BITS | (first))

/* One side's control block of a channel; the slot's holder writes all of it. */
struct wire_channel {
	/* Line 0: who, where, in which state. */
	uint64_t status;         /* generation << 32 | enum channel_state; last, by release */
	uint64_t peer_life;      /* the other side: its slot's claim */
	uint32_t peer_slot;
	uint32_t peer_index;     /* its control block (accepting side; connecting side once open) */
	uint32_t peer_generation;
	uint32_t endpoint;       /* connecting side: endpoint's generation << 8 | index */
	uint64_t ring_offset;    /* my sending ring */
	uint32_t ring_size;
	uint32_t ring_start;
	uint32_t kind;           /* enum wire_kind */
	uint32_t want;           /* 1: I wait for space; look at my `asleep` after releasing */
	uint32_t reason;         /* enum wire_reason, in state RESET */
	uint32_t options;        /* connecting side: enum wire_option */
	/* Line 1: my progress as a receiver; polled by the sender while its ring is full. */
	uint32_t released;
	uint32_t reserved1;
	uint64_t topic_start;    /* publisher: position and number of the first message that */
	uint64_t topic_number;   /* this subscriber shall get */
	uint64_t reserved_line1[5];
	/* Line 2: my figures as a sender. */
	uint64_t sent;
	uint64_t sent_bytes;
	uint64_t doorbells;
	uint64_t suppressed;
	uint64_t full_waits;
	uint64_t figure[3];      /* of the kind: see the pattern */
	/* Line 3: my figures as a receiver. */
	uint64_t received;
	uint64_t received_bytes;
	uint64_t wakeups;
	uint64_t empty_waits;
	uint64_t lost;           /* subscriber: messages of the topic that it didn't get */
	uint64_t figure_more[3]; /* of the kind */
};
_Static_assert(offsetof(struct wire_channel, ring_offset) == 32, "line 0");
_Static_assert(offsetof(struct wire_channel, released) == 64, "line 1");
_Static_assert(offsetof(struct wire_channel, topic_start) == 72, "line 1");
_Static_assert(offsetof(struct wire_channel, sent) == 128, "line 2");
_Static_assert(offsetof(struct wire_channel, received) == 192, "line 3");
_Static_assert(sizeof(struct wire_channel) == 256, "channel");

/* What the connecting side of a channel asks for, or is. */
enum wire_option {
	OPTION_RETAINED = 1,     /* subscriber: begin with the newest message that is there */
	OPTION_PRODUCER = 2,     /* of a queue; for those who look on: */
	OPTION_WORKER = 4,       /* ... its dispatcher goes by the first letter */
};

/* In front of a topic's ring; its publisher writes all of it. Positions are those of the ring, in 64
 * bits. */
struct wire_topic {
	/* Line 0: as long as the topic lives. */
	uint32_t policy;         /* enum msg_topic_policy */
	uint32_t ring_size;
	uint64_t start;          /* position of the first message */
	uint64_t reserved0[6];
	/* Line 1: with each message. */
	uint64_t tail;           /* of the oldest message that is whole: moved on before anything of one
				  * is overwritten */
	uint64_t newest;         /* of the newest one; after it, by release */
	uint64_t published;      /* its number; 0: none yet */
	uint64_t bytes;
	uint64_t reserved1[4];
	/* Line 2: figures. */
	uint64_t full_waits;
	uint64_t doorbells;
	uint64_t subscribers;
	uint64_t reserved2[5];
	uint64_t reserved3[8];
};
_Static_assert(offsetof(struct wire_topic, tail) == 64, "line 1");
_Static_assert(offsetof(struct wire_topic, full_waits) == 128, "line 2");
_Static_assert(sizeof(struct wire_topic) == 256, "topic");

/* The state table is in msg/channel.c. */
enum channel_state {
	CHANNEL_FREE = 0,
	CHANNEL_CONNECT = 1,
	CHANNEL_OPEN = 2,
	CHANNEL_CLOSED = 3,
	CHANNEL_RESET = 4,
};
#define STATUS(generation, state) ((uint64_t)(generation) << 32 | (state))
#define STATUS_STATE(status) ((uint32_t)(status))
#define STATUS_GENERATION(status) ((uint32_t)((status) >> 32))

/* A checked private copy of the header. */
struct geometry {
	uint64_t size;
	uint64_t land_offset, land_size;
	uint64_t death_ns, beat_ns, format_id;
	uint32_t slot_offset, slot_stride, slots, channels, deeds, grain, default_ring;
};

/* The documented rule: what a region of size bytes (at least WIRE_MIN_SIZE) becomes under these
 * wishes (NULL: none). 0, or -EINVAL where the wishes leave no room for land. */
int geometry_choose(struct geometry *geometry, uint64_t size, const struct msg_options *options);

/* Is this a geometry that code may walk by, in a region of size bytes? */
bool geometry_valid(const struct geometry *geometry, uint64_t size);

#endif

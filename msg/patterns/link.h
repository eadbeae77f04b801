/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What travels on a channel of KIND_LINK. Each record begins with two words, in
 * docs/wire-format.md, "Links":
 *
 *   word 0  bits 0..7 enum link_record; the rest 0
 *   word 1  DATA, END: the record's number; else 0
 */
#ifndef MSG_LINK_H
#define MSG_LINK_H

#include <isthmus/msg_link.h>
#include "msg/channel.h"
#include "msg/pattern.h"

enum link_record {
	LINK_HELLO = 1,   /* connecting end: struct link_hello follows */
	LINK_ANSWER = 2,  /* listening end: the same */
	LINK_GO = 3,      /* connecting end: the answer fits, let us go on */
	LINK_RESET = 4,   /* either: the two memories don't fit each other */
	LINK_DATA = 5,    /* the message follows */
	LINK_END = 6,     /* the last record: nothing more will be sent */
};

struct link_head {
	uint64_t type;
	uint64_t number;
};

/* What an end remembers of the conversation. */
struct link_hello {
	struct link_head head;
	uint64_t conversation; /* chosen by the connecting end; never 0 */
	uint64_t session;      /* of this channel; chosen by the connecting end; never 0 */
	uint64_t last_session; /* the last one that this end completed; 0: none */
	uint64_t expected;     /* number of the record that it wants next */
	uint64_t oldest;       /* number of the oldest record that it keeps */
	uint64_t next;         /* number that its next record will have */
};

/* The records on their way, oldest first, in one ring of memory. */
struct link_kept {
	uint32_t size; /* of what travels; LINK_SKIP: the ring's end, go on at its begin */
	uint32_t end;  /* position behind it in the channel's ring, once it was sent there */
	struct link_head head;
};

#define LINK_SKIP UINT32_MAX

struct link_store {
	uint8_t *base;
	uint32_t capacity;              /* bytes, a multiple of 8 */
	/* Free-running: the oldest record, the first unsent one, the end. */
	uint64_t first, cursor, next;
	uint64_t first_number, cursor_number, next_number;
};

void link_store_init(struct link_store *s, void *memory, size_t size);
/* Longest payload that is taken. */
uint32_t link_store_limit(const struct link_store *s);
/* Whether a payload of that length has room now. */
bool link_store_fits(const struct link_store *s, uint32_t len);
void link_store_add(struct link_store *s, enum link_record type, const void *data, uint32_t len);
/* The first unsent record; NULL: all are sent. And past it, which ends at that position. */
struct link_kept *link_store_unsent(struct link_store *s);
void link_store_sent(struct link_store *s, uint32_t end);
/* Drops what was sent in this channel and ends at or before that position of its ring. */
void link_store_released(struct link_store *s, uint32_t position);
/* Drops all before that number, and has the rest sent again. */
void link_store_rewind(struct link_store *s, uint64_t number);
/* The i-th of those that are kept; NULL: no such. */
struct link_kept *link_store_at(const struct link_store *s, unsigned i);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* The dispatcher's books: items and members. Private memory; nothing of it lies in the region. */
#ifndef MSG_QUEUE_DISPATCH_H
#define MSG_QUEUE_DISPATCH_H

#include "msg/patterns/queue.h"

/* A list with an end; an empty one is linked to itself. */
struct node {
	struct node *next, *prev;
};

REGION_INLINE void list_begin(struct node *list)
{
	list->next = list->prev = list;
}

REGION_INLINE bool list_empty(const struct node *list)
{
	return list->next == list;
}

REGION_INLINE void list_remove(struct node *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_begin(node);
}

REGION_INLINE void list_insert(struct node *before, struct node *node)
{
	node->prev = before->prev;
	node->next = before;
	node->prev->next = before->prev = node;
}

/* Takes it out of its list and puts it at the end of another. */
REGION_INLINE void list_move(struct node *list, struct node *node)
{
	list_remove(node);
	list_insert(list, node);
}

enum role {
	ROLE_NONE = 0, /* hasn't said it yet */
	ROLE_PRODUCER,
	ROLE_WORKER,
};

struct member {
	struct member *next;
	struct msg_channel *channel;
	enum role role;
	uint32_t window;
	bool reported;             /* no more about former dispatchers */
	bool full;                 /* ... and there was none in this step */
	bool starved;              /* no memory of the region for what it should get */
	uint32_t count;            /* producer: its items; worker: given, not done */
	uint32_t unsafe;           /* worker: done, not yet told that it is safe */
	uint32_t reports;          /* worker: told of before REPORTED */
	uint32_t strays;           /* worker: what it holds and we don't wait for */
	uint64_t instance;         /* producer */
	uint64_t done, redelivered, failed, shown[QUEUE_FIGURES]; /* figures; and those in the control block */
	struct node items;         /* producer: all of its items, by `owned` */
	struct node finished;      /* producer: results to be sent, by `place` */
	struct node held;          /* worker: what it holds, by `place` */
	struct node safe;          /* worker: results that are safe, to be told, by `place` */
	struct letter_view view;   /* its oldest letter, if that has to wait */
	bool waits;                /* ... and it does */
};

enum item_state {
	ITEM_WAITING = 0,          /* in again or waiting */
	ITEM_GIVEN,                /* in its worker's held */
	ITEM_DONE,                 /* or failed; in its producer's finished, in unknown, or in its worker's safe */
};

struct item {
	struct item_id id;
	enum item_state state;
	bool known;                /* its producer has put it here, too */
	bool before;               /* may have been given to a worker before */
	bool failed;               /* DONE, by nobody: as many had it as may */
	uint16_t deliveries;
	struct member *producer;   /* NULL: gone, or not known */
	struct member *worker;     /* GIVEN, DONE; NULL: gone */
	void *data;                /* the item; DONE: its result */
	size_t len;
	uint64_t since;            /* not known: when it was reported */
	struct item *next;         /* in its row of the table */
	struct node place, owned;
};

#define ITEM_OF(node, member) ((struct item *)(void *)((uint8_t *)(node) - offsetof(struct item, member)))

struct msg_dispatcher {
	struct pattern pattern;
	struct msg_channel_options options;
	char name[WIRE_NAME];
	struct msg_listener *listener; /* NULL: stands by */
	bool told;                     /* the app knows that it is the dispatcher */
	int error;
	uint64_t looked;               /* standing by: when everybody was looked at */
	bool foreign;                  /* ... what has the name is no dispatcher */
	uint64_t foreign_again;        /* ... which is not said before then */
	uint32_t window;
	uint32_t limit;                /* of known items */
	uint32_t deliveries;           /* of one item that comes back undone */
	uint64_t bytes, bytes_max;
	uint32_t known, unknown;
	struct item **rows;
	uint32_t row_mask;
	struct node again, waiting;    /* items for workers: with and without `before` */
	struct node unknown_done;      /* done, and no producer has asked for it here */
	uint64_t hold_again;           /* until workers had time to report: `again` waits */
	uint64_t sweep;                /* when unknown items are looked at next */
	uint64_t starved;              /* no memory of the region: tried again then; 0: not */
	struct member *members;
	struct msg_queue_stats stats;
};

#define DISPATCH_HOLD_NS    (250 * NS_PER_MS)
#define DISPATCH_SWEEP_NS   (100 * NS_PER_MS)
#define DISPATCH_FOREIGN_NS (10 * NS_PER_MS)

/* ---- queue_items.c ---- */
struct item *item_find(struct msg_dispatcher *d, struct item_id id);
/* A copy of data; NULL: no memory. In no list. */
struct item *item_create(struct msg_dispatcher *d, struct item_id id, const void *data, size_t len);
void item_free(struct msg_dispatcher *d, struct item *item);
/* Other content: what it held before is freed. False: no memory, nothing was changed. */
bool item_fill(struct msg_dispatcher *d, struct item *item, const void *data, size_t len);
/* May so much more be held? */
bool item_room(const struct msg_dispatcher *d, size_t len);
/* A producer has put it here, and wants its result. */
void item_own(struct msg_dispatcher *d, struct item *item, struct member *producer);
/* To be given to a worker; before: one that came back, which fails if that was too often. */
void item_wait(struct msg_dispatcher *d, struct item *item, bool before);
void item_give(struct item *item, struct member *worker);
/* Its result is there. */
void item_done(struct msg_dispatcher *d, struct item *item, struct member *worker);
/* Its result is with its producer, or nobody wants it. */
void item_safe(struct msg_dispatcher *d, struct item *item);
/* Items that no producer has put here, and none will. */
void items_sweep(struct msg_dispatcher *d, const struct member *reported);
void items_free(struct msg_dispatcher *d);

/* ---- queue_members.c ---- */
void members_accept(struct msg_dispatcher *d);
/* What it sent. False: it is gone. */
bool member_receive(struct msg_dispatcher *d, struct member *member);
void member_end(struct msg_dispatcher *d, struct member *member);
int member_send(struct msg_dispatcher *d, struct member *member, const struct letter *letter);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What travels on a channel of KIND_QUEUE: letters with a head of four words. docs/wire-format.md,
 * "Queues", says the same in words.
 *
 *   word 0  bits 0..7 enum queue_type; bit 8 LETTER_BODY; bit 9 QUEUE_BEFORE; bit 10 QUEUE_FAILED;
 *           bits 16..31 deliveries so far; bits 32..63 window
 *   word 1  item: its producer's life (the claim of its slot)
 *   word 2  item: its number, the producer's choice, unique in that life; never 0
 *   word 3  0
 *
 * Words 1 and 2 name an item for good, whoever dispatches it.
 */
#ifndef MSG_QUEUE_H
#define MSG_QUEUE_H

#include <isthmus/msg_queue.h>
#include "msg/channel.h"
#include "msg/patterns/letter.h"
#include "msg/pattern.h"

#define QUEUE_WORDS  4
#define QUEUE_BEFORE (1u << 9) /* another worker may have had it */
#define QUEUE_FAILED (1u << 10) /* RESULT: there is none, all workers that had it came to nothing */
#define QUEUE_BYTES  (4ull << 20)
#define QUEUE_HEAD(type, window) ((uint64_t)(window) << 32 | (type))
#define QUEUE_WINDOW(word) ((uint32_t)((word) >> 32))
#define QUEUE_DELIVERIES(word) ((unsigned)((word) >> 16 & 0xffff))

enum queue_type {
	/* To the dispatcher. */
	QUEUE_PRODUCER = 1,  /* the first letter of a producer: window asked for; word 2: what all
			      * numbers of its items have in their upper 16 bits, the rest 0 */
	QUEUE_WORKER = 2,    /* the first letter of a worker: window asked for */
	QUEUE_ITEM = 3,      /* producer: an item; BEFORE: put at a former dispatcher, too */
	QUEUE_REPORTED = 4,  /* producer: all items of former dispatchers that aren't done have been
			      * put; worker: all that it holds of them, or did, has been told */
	QUEUE_HELD = 5,      /* worker, before REPORTED: it works on that */
	QUEUE_DONE = 6,      /* worker: done, with the result as body */
	QUEUE_RETURN = 7,    /* worker: not done, for another one */
	/* From the dispatcher. */
	QUEUE_WELCOME = 8,   /* window granted */
	QUEUE_GIVE = 9,      /* worker: an item */
	QUEUE_SAFE = 10,     /* worker: that result needn't be kept any more */
	QUEUE_RESULT = 11,   /* producer: an item is done; FAILED: given up */
};

/* Figures of all three, in their control blocks. */
enum queue_figure {
	QUEUE_FIGURE_OUTSTANDING = 0,
	QUEUE_FIGURE_DONE = 1,
	QUEUE_FIGURE_REDELIVERED = 2,
	QUEUE_FIGURE_FAILED = 3,
	QUEUE_FIGURES
};

struct item_id {
	uint64_t life, number;
};

REGION_INLINE bool item_same(struct item_id a, struct item_id b)
{
	return a.life == b.life && a.number == b.number;
}

/*
 * A producer's or worker's way to the dispatcher, whoever that is.
 *
 *   state      what happens                  becomes
 *   LOOKING    channel open, HELLO sent      GREETED
 *   GREETED    WELCOME                       UP
 *   GREETED,   the channel ends (and is      LOOKING, after QUEUE_RETRY_NS if it was no orderly end
 *   UP         drained)
 */
enum link_state {
	LINK_LOOKING = 0,
	LINK_GREETED,
	LINK_UP,
};

struct queue_link {
	struct msg_region *region;
	struct msg_channel_options options;
	char name[WIRE_NAME];
	enum link_state state;
	bool searching;            /* connecting is in use */
	int error;                 /* for good */
	bool wrong;                /* something else has the name; the app wasn't told of this try */
	uint64_t retry;            /* not before */
	struct connecting connecting;
	struct msg_channel *channel; /* not LOOKING */
	uint64_t hello[3];         /* words 0..2 of the first letter */
	uint32_t granted;
	uint64_t connects;
	uint64_t shown[QUEUE_FIGURES]; /* figures in the control block */
};

int link_begin(struct queue_link *link, struct msg_region *region, const char *name,
	const struct msg_queue_options *options, uint64_t hello, uint64_t number);
/* Is there an error to tell? */
REGION_INLINE bool link_fails(const struct queue_link *link)
{
	return link->error || link->wrong;
}

/* Which; -EPROTOTYPE once for each try. 0: none. */
int link_tell(struct queue_link *link);
/* Goes on connecting. True: UP, or an error for good. */
bool link_step(struct queue_link *link);
/* The next letter from the dispatcher: true. False: none, or the link is not up (any more). */
bool link_peek(struct queue_link *link, struct letter_view *view);
/* As letter_send; a failed link is LOOKING again. */
int link_send(struct queue_link *link, const struct letter *letter);
/* The dispatcher broke the rules. */
void link_fault(struct queue_link *link, const char *what, const struct letter_view *view,
	unsigned word);
uint64_t link_due(const struct queue_link *link);
void link_end(struct queue_link *link);
void link_figures(struct queue_link *link, const struct msg_queue_stats *stats);

/* Writes QUEUE_FIGURES figures into our control block, if one of them isn't what `shown` says is there. */
void queue_figures(struct msg_channel *channel, uint64_t *shown, const uint64_t *now);

/* A copy of bytes that may lie in the region; NULL: no memory. */
void *queue_copy(struct msg_region *region, const void *data, size_t len);

#endif

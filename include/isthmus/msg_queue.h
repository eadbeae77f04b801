/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A work queue: many producers put items under a name, many workers take them, and each item is
 * taken by exactly one worker. In between stands a dispatcher, a role that any peer may have; others
 * may stand by for it.
 *
 * What is promised:
 *   - A producer keeps an item until it knows that it was done, and learns of that once. An item is
 *     not lost as long as its producer or the dispatcher lives: what a worker held that died or left is
 *     given to another one; what a dispatcher held that died is put again at the next one, by its
 *     producers, by themselves.
 *   - A worker that gets an item which another one may have had before is told so (redelivered).
 *     What was not redelivered was given to nobody else.
 *   - Items of one producer are given out in the order in which they were put, except redelivered
 *     ones, which go first.
 *   - An item that as many workers have had as the dispatcher allows (options: deliveries), and none of
 *     them did, since they died, left or gave it back, goes back to its producer as failed: it can't
 *     kill all workers there are, one after the other.
 *   - Memory is bounded everywhere: a producer's by its window and bytes, a worker's by its window,
 *     the dispatcher's by items and bytes; who is full makes those before it wait.
 *
 * A producer that was itself taken for dead (-ESTALE) is a new one after it has attached again: what
 * it put is done, if the dispatcher had it, and the results are dropped.
 *
 * Producers and workers connect by themselves, and again when the dispatcher changes; none of them
 * need be there first. All of that happens in calls with their handles, and in a msg_wait that has
 * them among its items, and nowhere else. A peer can't connect to itself: who wants to be dispatcher
 * and producer or worker in one program attaches twice (msg_attach; a guest needs two devices for
 * that), and gives both to the same msg_wait.
 *
 * Errors, time and threads are as in <isthmus/msg.h>. In the lists of msg_wait the handles are
 * items of type MSG_WAIT_PATTERN. Further error of any function here: -EPROTOTYPE, what listens
 * under the name is no dispatcher. Nothing was done then, and nothing is lost: producers and workers
 * keep what they have, ask again every 10 ms, and say so once for each time; a dispatcher that gets
 * the name finds them. Wire format: docs/wire-format.md, "Queues".
 */
#ifndef ISTHMUS_MSG_QUEUE_H
#define ISTHMUS_MSG_QUEUE_H

#include <isthmus/msg.h>

#ifdef __cplusplus
extern "C" {
#endif

struct msg_producer;
struct msg_worker;
struct msg_dispatcher;

#define MSG_QUEUE_WINDOW_MAX 4096

#define MSG_QUEUE_DELIVERIES     16
#define MSG_QUEUE_DELIVERIES_ANY UINT32_MAX

/* Zero in any field means the default. */
struct msg_queue_options {
	struct msg_channel_options channel; /* each message larger than half the ring goes through a
					     * buffer of the region */
	uint32_t window;  /* producer: items put whose results were not taken yet; default 256.
			   * worker: items given to it that it has not done yet; default 2: one that it
			   * works on, and the next. dispatcher: the most that it grants either; default: an
			   * eighth of items, so that one producer that takes no results can't
			   * hold up the others. At most MSG_QUEUE_WINDOW_MAX */
	uint32_t items;   /* dispatcher: items held at once; default 4096 */
	uint64_t bytes;   /* producer, dispatcher: of items and results held in private memory at
			   * once, not counting a single one larger than that; default 4 MiB */
	uint32_t deliveries; /* dispatcher: to so many workers it gives an item that comes back undone,
			      * then it has failed; default MSG_QUEUE_DELIVERIES,
			      * MSG_QUEUE_DELIVERIES_ANY: no bound. The next dispatcher counts anew */
	bool no_results;  /* producer: results are dropped when they come, and count as taken */
};

struct msg_queue_stats {
	uint64_t outstanding; /* producer: put, not done; worker: given, not done; dispatcher: all
			       * items that it holds */
	uint64_t done;        /* items that have been done */
	uint64_t redelivered; /* producer: items put again at another dispatcher; worker: items that
			       * were marked when they came; dispatcher: items given out marked */
	uint64_t connects;    /* producer, worker: channels opened to a dispatcher so far;
			       * dispatcher: members now */
	uint64_t failed;      /* producer, dispatcher: items given up; none of them is in done */
};

/* ---- Producing ----------------------------------------------------------------------------- */

/* Begins producing for the queue of that name. Returns at once: the connecting is done in the other
 * calls. options: may be NULL. -EINVAL: bad name or option; -ENOMEM. */
int msg_producer_open(struct msg_region *region, const char *name,
	const struct msg_queue_options *options, struct msg_producer **producer);

/* Ends: what the dispatcher has is done all the same, what it has not got yet is dropped (see
 * msg_producer_flush). Never blocks. The handle is invalid after it, as it is after msg_leave. Safe
 * with NULL. */
void msg_producer_close(struct msg_producer *producer);

/* Puts an item of len bytes (0 is fine); the memory is the caller's again. From then on it is kept
 * until it is done, whatever happens to dispatchers and workers. user comes back with its result.
 * Blocks while as many are under way as the window and bytes allow.
 * -EAGAIN, -ETIMEDOUT: they were; -ENOBUFS: and some of them are done: take their results first;
 * -EMSGSIZE: larger than the region's memory could ever take; -ENOMEM. */
int msg_producer_put(struct msg_producer *producer, const void *data, size_t len, void *user,
	uint64_t deadline);

struct msg_queue_result {
	void *user;          /* as put */
	const void *data;    /* what the worker gave to msg_worker_done; good until the next call for
			      * this producer */
	size_t len;
	unsigned deliveries; /* to how many workers the item was given, as far as is known */
	bool failed;         /* none of them did it, and no further one is asked; data is the item */
};

/* Takes the result of the next item that is done. 0 and *result; -EAGAIN, -ETIMEDOUT: none;
 * -ENOENT: none, and none under way. msg_wait: ready when an item is done. */
int msg_producer_result(struct msg_producer *producer, struct msg_queue_result *result,
	uint64_t deadline);

/* Waits until everything put is done (results wait to be taken). -EAGAIN, -ETIMEDOUT. */
int msg_producer_flush(struct msg_producer *producer, uint64_t deadline);

void msg_producer_stats(struct msg_producer *producer, struct msg_queue_stats *stats);

/* ---- Working ------------------------------------------------------------------------------- */

/* Begins working for the queue of that name; returns at once. Errors of msg_producer_open. */
int msg_worker_open(struct msg_region *region, const char *name,
	const struct msg_queue_options *options, struct msg_worker **worker);

/* Ends: what this worker holds is given to others, as redelivered. Results that the dispatcher has
 * not got yet are dropped, and their items given to others as well; see msg_worker_flush. Never
 * blocks. The handle is invalid after it, as it is after msg_leave. Safe with NULL. */
void msg_worker_close(struct msg_worker *worker);

struct msg_work {
	uint64_t token;      /* names it for msg_worker_done; never 0 */
	const void *data;    /* a private copy, good until msg_worker_done or _return */
	size_t len;
	bool redelivered;    /* another worker may have had it before */
	unsigned deliveries; /* how many had it, as far as is known: a worker that suspects an item may
			      * answer for it before it works on it */
};

/* Takes the next item. 0 and *work; -EAGAIN, -ETIMEDOUT. msg_wait: ready when this would not
 * block. */
int msg_worker_take(struct msg_worker *worker, struct msg_work *work, uint64_t deadline);

/* The item is done, with len bytes of result for its producer (0 is fine). Never blocks: the result
 * is kept, and sent again to another dispatcher if need be, until it is safe. While as many as twice
 * the window are held so, no new items come. -ENOENT: no such item; -ENOMEM; -EMSGSIZE: larger than
 * the region's memory could ever take. */
int msg_worker_done(struct msg_worker *worker, uint64_t token, const void *result, size_t len);

/* Gives an item back undone: it goes to a worker again, as redelivered. -ENOENT. */
int msg_worker_return(struct msg_worker *worker, uint64_t token);

/* Waits until all results of this worker are safe: with their producers or, where these are gone,
 * wanted by nobody. -EAGAIN, -ETIMEDOUT. */
int msg_worker_flush(struct msg_worker *worker, uint64_t deadline);

void msg_worker_stats(struct msg_worker *worker, struct msg_queue_stats *stats);

/* ---- Dispatching --------------------------------------------------------------------------- */

/* Becomes the dispatcher of the queue of that name or, while another peer is, stands by to become it
 * when that one closes, leaves or dies. Returns at once. -EINVAL: bad name or option; -ENOMEM. */
int msg_dispatcher_open(struct msg_region *region, const char *name,
	const struct msg_queue_options *options, struct msg_dispatcher **dispatcher);

/* Ends: producers and workers go over to who stands by, or wait for another one. Never blocks. The
 * handle is invalid after it, as it is after msg_leave. Safe with NULL. */
void msg_dispatcher_close(struct msg_dispatcher *dispatcher);

/* Dispatches, or stands by, until the deadline; with one that has passed: does what can be done at
 * once. Returns 0 when it has just become the dispatcher, once each time; else -EAGAIN or
 * -ETIMEDOUT; -ENOSPC: this peer has no endpoint left; -EPROTOTYPE at once: something else has that
 * name (it stands by for it all the same, and says so again every 10 ms).
 * A dispatcher among the items of msg_wait works (or stands by) as long as the wait lasts, and is
 * ready when this would return something else than -ETIMEDOUT. What does neither for long makes
 * everybody wait. */
int msg_dispatcher_run(struct msg_dispatcher *dispatcher, uint64_t deadline);

/* Is it the dispatcher, and not standing by? */
bool msg_dispatcher_active(struct msg_dispatcher *dispatcher);

void msg_dispatcher_stats(struct msg_dispatcher *dispatcher, struct msg_queue_stats *stats);

#ifdef __cplusplus
}
#endif
#endif

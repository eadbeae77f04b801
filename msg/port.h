/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the message layer needs of the world it runs in. Two small tables of functions, filled in
 * by port/ (a guest) and host/peer/ (a Linux process): one per region, one per CPU or thread. The
 * code in msg/ calls nothing else. Everything here runs on the thread that owns the context,
 * except where it says otherwise.
 *
 * A port implements msg_attach, msg_now_ns and msg_sleep_until of <isthmus/msg.h> (msg/ has all
 * the others):
 *
 *   msg_attach(where, options, &region)
 *     - finds or makes this thread's context: msg_context_create(&wait_ops, arg), once
 *     - opens the device or file and fills a struct msg_region_ops
 *     - msg_join(context, &region_ops, options, &region)
 *   msg_leave (in msg/) calls region_ops.close at its end.
 */
#ifndef MSG_PORT_H
#define MSG_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <isthmus/msg.h>

struct msg_context;

/*
 * The heart. While a region is joined, the port calls msg_beat_once every period_ns or oftener,
 * from the timer interrupt of a guest or from a thread of a process, whatever the owner is doing.
 * The memory of struct msg_beat is msg's; it stays valid between beat_start and the return of
 * beat_stop.
 */
struct msg_beat {
	volatile uint64_t *word;        /* in the region; written by this peer alone */
	const volatile uint64_t *claim; /* in the region; who this slot belongs to */
	uint64_t life;                  /* ... if it is still us */
	uint64_t count;                 /* private: the word is never read back */
	uint64_t period_ns;
};

/* One beat: a compare and a store, general registers only, safe in an interrupt handler. A peer
 * that was stopped for so long that its slot has another owner beats no more. */
static inline void msg_beat_once(struct msg_beat *beat)
{
	if (*beat->claim == beat->life)
		*beat->word = ++beat->count;
}

/* One region. All fields are set before msg_join and stay as they are; msg keeps a copy. */
struct msg_region_ops {
	void *base;           /* mapped write-back, aligned to 64 at least */
	uint64_t size;        /* bytes; at least 64 KiB */
	uint32_t peer_id;     /* IVPosition (0 is an id), or MSG_NO_ID: plain device, bare file */
	uint32_t vectors;     /* that others can ring at this peer; 0: none, wait by timer */
	bool shared_words;    /* wake_word works: a process that can wake processes by futex */
	void *arg;            /* given to each function */

	/* Rings vector 0 of a peer. Never blocks; a peer that isn't there is ignored. NULL iff
	 * vectors is 0. Full barrier not needed. */
	void (*notify)(void *arg, uint32_t peer_id, uint32_t vector);

	/* Adds 1 to a 32-bit word of the region, atomically, and wakes whoever sleeps on it: a
	 * futex. NULL iff !shared_words. */
	void (*wake_word)(void *arg, volatile uint32_t *word);

	/* Begins and ends the beating, see struct msg_beat. beat_stop returns when no beat is under
	 * way and none will come. beat_start: 0 or -E. */
	int (*beat_start)(void *arg, struct msg_beat *beat);
	void (*beat_stop)(void *arg, struct msg_beat *beat);

	/* The end: unmap, unbind vectors, free arg. After it msg touches neither base nor arg. May
	 * be NULL. */
	void (*close)(void *arg);
};

enum msg_sleep_result {
	MSG_SLEEP_TIMER = 0,    /* the deadline ended it */
	MSG_SLEEP_NOTIFIED = 1, /* a doorbell or another event of a region (or it can't be told) */
};

/*
 * One CPU or thread. A sleep goes:
 *
 *   prepare()              from here on a doorbell ends the next sleep_until at once
 *                          (guest: interrupts off; process: eventfds are armed anyway)
 *   ... msg marks itself asleep in each region, full fence, looks at all channels again ...
 *   sleep_until(deadline)  in one step that can't miss what came in between (sti; hlt / poll)
 *   or cancel()            there was something: undo prepare
 *
 * After sleep_until everything is as before prepare, but a doorbell that comes between a sleep which
 * its deadline ended and the next prepare() ends the next sleep: msg asks so whether one was on
 * its way, and counts a rescue if none was. It may return early for no reason.
 */
struct msg_wait_ops {
	uint64_t (*now)(void *arg);            /* monotonic ns */
	void (*relax)(void *arg);              /* in polling loops: `pause` in a guest (a barrier
						* even where TCG drops fences), little or nothing in
						* a process */
	void (*prepare)(void *arg);
	/* word: NULL, or a futex word of the only region that sleeps this way, with the value that
	 * it had before msg marked itself asleep: return at once if it differs (shared_words). */
	enum msg_sleep_result (*sleep_until)(void *arg, uint64_t deadline, volatile uint32_t *word,
		uint32_t value);
	void (*cancel)(void *arg);
	/* on: doorbells come in such numbers, and for nothing, that until mute(false) they must end
	 * no sleep and cost as little as may be; nothing is lost by that. NULL: not possible here. */
	void (*mute)(void *arg, bool on);

	/* The fastest copies known for this CPU between private memory and the region, for 64 bytes
	 * and more; smaller ones msg does itself. Never overlapping, any alignment. */
	void (*copy_in)(void *region, const void *data, size_t len);
	void (*copy_out)(void *data, const void *region, size_t len);

	void *(*alloc)(void *arg, size_t size); /* zeroed, aligned to 64; NULL: none left */
	void (*free)(void *arg, void *memory);  /* NULL is fine */
	uint64_t (*random)(void *arg);          /* for tokens: different in every life */
	/* A line for the log, without a newline: warnings (level 1) and news (level 2). */
	void (*report)(void *arg, int level, const char *line);

	uint64_t backing_ns; /* longest sleep at first; a lost doorbell costs so much, and up
			      * to five times as much after a long idle time. 0: 20 ms */
	uint64_t poll_ns;    /* longest sleep at first while a peer can't ring this one, growing to
			      * twice backing_ns. 0: 1 ms */
	uint64_t wake_ns;    /* what ending a sleep by a doorbell costs without our clock showing it
			      * as time awake: a hypervisor's work for it, say. 0: next to nothing */
	void *arg;
};

/* A context holds what one thread's regions have in common. The port keeps ops valid as long.
 * NULL: no memory. Destroy it after its last region was left. */
struct msg_context *msg_context_create(const struct msg_wait_ops *ops);
void msg_context_destroy(struct msg_context *context);

/* Number of regions joined in the context. */
unsigned msg_context_regions(const struct msg_context *context);

/* Joins: formats the region if needed, claims a slot, starts the beating. Takes a copy of *ops.
 * On failure ops->close was not called. Errors of msg_attach. */
int msg_join(struct msg_context *context, const struct msg_region_ops *ops,
	const struct msg_options *options, struct msg_region **region);

/*
 * Upcalls into msg; on the owner's thread, never from an interrupt: from now, sleep_until or relax, or
 * whenever the port notices. They only note the fact; the app hears of it through msg_next_event.
 */
void msg_region_leaving(struct msg_region *region);     /* unplug was asked for */
/* After that: until when (by wait_ops.now) the app has for msg_leave; it may change. Once that has
 * passed, the port calls msg_region_depart, which leaves as msg_leave does but keeps the handles
 * valid, and is msg_region_gone as well. */
uint64_t msg_region_leave_by(const struct msg_region *region);
void msg_region_depart(struct msg_region *region);
void msg_region_gone(struct msg_region *region);        /* from its return on, neither msg nor the
							 * heart (beat_stop was called) touches
							 * base */
void msg_region_server_lost(struct msg_region *region);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages between peers that share a region: guests with an ivshmem device and processes of the
 * host. The same source builds for both.
 *
 * Errors: every function that can fail returns 0 or a count on success and a negative errno value
 * (-EAGAIN, -ETIMEDOUT, ...) otherwise; nothing is done in part unless the comment says so.
 * Any function on a region or channel may further return
 *   -ENODEV      the region is gone (unplugged, or its backing file was cut short)
 *   -ESTALE      this peer was declared dead while it was stopped, and its place is no longer its
 *                own: msg_leave, then msg_attach again
 *
 * Time: a deadline is an absolute time in ns of msg_now_ns(); MSG_FOREVER waits for ever, and a
 * time that has passed (0, say) means "try once". Only functions with a deadline can block.
 *
 * Threads: a region and all that came out of it belong to the thread (in a guest: the CPU) that
 * attached it, and only that thread may use them. Several threads attach several times, each as a
 * peer of its own. Not for interrupt or signal handlers. The child of a fork is no peer: it
 * attaches for itself, and does not use what its parent opened.
 *
 * Wire format: docs/wire-format.md. What is promised: docs/reliability.md.
 */
#ifndef ISTHMUS_MSG_H
#define ISTHMUS_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MSG_FOREVER   UINT64_MAX
#define MSG_NAME_MAX  47 /* bytes in the name of a peer or an endpoint, without the final NUL */
#define MSG_NO_ID     UINT32_MAX
#define MSG_BATCH_MAX 64 /* messages in one batch; longer batches are cut to this */

struct msg_region;   /* one attachment to one region: a peer */
struct msg_listener; /* a named place that takes channels */
struct msg_channel;  /* two rings between two peers */
struct msg_buffer;   /* memory of the region for messages larger than a ring takes */

/* ---- Joining ------------------------------------------------------------------------------- */

/* What a peer wishes; zero in any field means the default. `slots`, `channels` and `death_ns` are
 * properties of the region: only the peer that formats it decides them, the others take what is
 * there. */
struct msg_options {
	const char *name;      /* this peer's name, up to MSG_NAME_MAX bytes of any kind but NUL;
				* default: isthmus.name= or $ISTHMUS_NAME, else "peer" */
	uint64_t death_ns;     /* a peer whose heart stood still this long is dead; default 1 s */
	uint32_t slots;        /* most peers at once; default by the region's size */
	uint32_t channels;     /* most channels of one peer; default by the region's size */
	uint64_t spin_ns;      /* how long to poll before sleeping: 0 adapts itself to what pays,
				* MSG_SPIN_NEVER sleeps at once, MSG_FOREVER never sleeps */
	uint64_t deadline;     /* for the attach itself; 0: 10 s from now. A process that gives one waits
				* until then for a server that isn't there, too */
	bool format;           /* format anew if nobody alive is there, even if a format is found */
};
#define MSG_SPIN_NEVER 1

/* Joins a region and returns once this peer is visible to the others.
 * where: which region. NULL or "": the only or first one. In a guest: the index of the ivshmem
 * device
 *   ("0", "1", ...). In a process: "socket=PATH" (an ivshmem-server) or a path (a shared file);
 *   NULL takes it from $ISTHMUS_REGION.
 * options: may be NULL.
 * The region is formatted if it is not; any number of peers may arrive at once.
 * Returns 0 and *region, to be given back with msg_leave;
 *   -ENODEV      no such device, file or server (with a deadline of options: until then)
 *   -EINVAL      region smaller than 64 KiB, bad name or bad option
 *   -EPROTO      live peers of another version of the format are there
 *   -ENOSPC      every slot is taken by a live peer
 *   -EBUSY       in a guest: it has attached that device already; to be two peers of a region it
 *                needs two devices, where a process just attaches twice
 *   -ETIMEDOUT, -ENOMEM; in a process also what opening the file or socket may fail with */
int msg_attach(const char *where, const struct msg_options *options, struct msg_region **region);

/* Leaves: closes all channels and listeners of the region and frees them, tells the peers. They can
 * still receive what was sent before. The handle and all that came out of it are invalid after it,
 * whatever it returns. Never blocks. Safe with NULL. */
int msg_leave(struct msg_region *region);

/* Waits until there is something at `where` (as for msg_attach) to attach to: for a device that was
 * unplugged and shall come back. 0; -EAGAIN: not there, and the deadline had passed at the call;
 * -ETIMEDOUT; -EINVAL: no such kind of place. */
int msg_await(const char *where, uint64_t deadline);

/* The device shall leave (MSG_EVENT_REGION_LEAVING), and this app needs until deadline for its last
 * words; 2 s without it, 60 s at most. Then msg leaves by itself, and MSG_EVENT_REGION_GONE follows.
 * -EINVAL: it shall not leave; -ENODEV: it is gone. */
int msg_delay_leaving(struct msg_region *region, uint64_t deadline);

/* Monotonic time in ns; unrelated to the clocks of other peers. */
uint64_t msg_now_ns(void);

/* Does not return before deadline, or returns at once if it has passed; sleeps. */
void msg_sleep_until(uint64_t deadline);

/* ---- Who is there -------------------------------------------------------------------------- */

struct msg_peer {
	uint32_t slot;      /* place in the region's table */
	uint32_t epoch;     /* number of this life; a peer that restarts gets a greater one */
	uint32_t id;        /* IVPosition, or MSG_NO_ID */
	uint32_t vectors;   /* doorbell vectors; 0: it polls by timer */
	bool self;          /* this very peer */
	char name[MSG_NAME_MAX + 1];
};

/* Fills at most max entries with the live peers, this one among them; returns how many there are
 * (which may be more than max). */
int msg_peers(struct msg_region *region, struct msg_peer *peers, unsigned max);

enum msg_event_type {
	MSG_EVENT_JOINED = 1,   /* peer; restarted: a peer of that name or id was here before */
	MSG_EVENT_LEFT,         /* peer left in an orderly way */
	MSG_EVENT_DIED,         /* peer's heart stopped; its channels end with -EPIPE */
	MSG_EVENT_FAULT,        /* peer (or who wrote into its memory) broke the format: fault. With
				 * peer.self: this peer's place or the header was overwritten, and it is
				 * evicted. Told for closed channels, too, for 8 at once; of more than
				 * that only the number is known (resets of msg_wait_stats) */
	MSG_EVENT_SERVER_LOST,  /* the ivshmem server is gone: messages go on, no new peers */
	MSG_EVENT_REGION_LEAVING, /* the device is about to be unplugged: finish, then msg_leave */
	MSG_EVENT_REGION_GONE,  /* the region can't be used any more: msg_leave */
	MSG_EVENT_EVICTED,      /* the others took this peer for dead: msg_leave, msg_attach */
};

/* What was seen when a shared value was impossible. */
struct msg_fault {
	const char *what;  /* which rule was broken; static text */
	uint64_t offset;   /* of the value in the region */
	uint64_t seen;     /* the value */
};

struct msg_event {
	enum msg_event_type type;
	bool restarted;
	struct msg_peer peer;
	struct msg_fault fault;
};

/* Takes the next thing that happened: 1 and *event, or 0 when nothing did. A peer that came and
 * went between two calls may not show. On the first calls every peer that is there already joins.
 * */
int msg_next_event(struct msg_region *region, struct msg_event *event);

/* This peer's own entry. */
void msg_self(struct msg_region *region, struct msg_peer *self);

/* The region's own figures. */
struct msg_region_info {
	uint64_t size;
	uint32_t slots, channels; /* per region; per peer */
	uint64_t land_bytes, land_free; /* for rings and buffers; what nobody holds of it */
	uint32_t default_ring;    /* bytes of a ring where the app asked for none */
	uint64_t death_ns;
};
void msg_region_describe(struct msg_region *region, struct msg_region_info *info);

/* ---- Channels ------------------------------------------------------------------------------ */

struct msg_channel_options {
	uint32_t ring;     /* bytes of my sending ring, rounded up to a power of two between
			    * 1 KiB and 64 MiB; 0: by the region's size, smaller where memory is
			    * short. Messages up to half of it travel in the ring, larger ones
			    * through a buffer. */
	uint32_t start;    /* first position of my sending ring, rounded down to 64; to test the
			    * wrap at 2^32 */
};

/* Opens a named endpoint. One name has one listener in the whole region.
 * options: for the channels that come out of it; may be NULL.
 * -EADDRINUSE: a live peer listens there already, or one of whose death this peer can't know yet: to take
 * the place of one that died, try again for the death time and half of it; -ENOSPC: this peer has no
 * endpoint left (8); -EINVAL: empty or too long name; -ENOMEM. */
int msg_listen(struct msg_region *region, const char *name,
	const struct msg_channel_options *options, struct msg_listener **listener);

/* Stops listening; channels taken from it live on. Never blocks. Safe with NULL. */
void msg_unlisten(struct msg_listener *listener);

/* Takes the next channel that somebody opened to the listener's name; blocks until the deadline.
 * -EAGAIN: deadline had passed and nobody was there; -ETIMEDOUT; -ENOSPC: no channel or no memory
 * of the region left (the caller is told too); -ENOMEM. */
int msg_accept(struct msg_listener *listener, struct msg_channel **channel, uint64_t deadline);

/* Opens a channel to the named endpoint; waits for a listener that isn't there yet. Of two peers that talk
 * to each other one connects and the other accepts; a channel carries both directions. If both wait in
 * here for each other, nobody accepts: who may have to do both uses short deadlines, and msg_accept in
 * between. (Servers of calls and publishers of
 * topics take who comes in any wait.)
 * -ETIMEDOUT: nobody listened or accepted in time; -ECONNREFUSED: the listener had no room;
 * -EPROTOTYPE: who listens under that name takes channels of another kind (of a pattern);
 * -ENOSPC: this peer has no channel or the region no memory left; -EINVAL: bad name, or this
 * peer's own listener; -ENOMEM. */
int msg_connect(struct msg_region *region, const char *name,
	const struct msg_channel_options *options, struct msg_channel **channel, uint64_t deadline);

/* Closes: the peer receives what was sent before and then -EPIPE. Never blocks. What the peer sent
 * and nobody received is dropped. The handle is invalid after it. Safe with NULL. What it took of the
 * region (this peer's place for a channel, the ring) is free again when the other side has closed its
 * end as well, or is gone. */
void msg_close(struct msg_channel *channel);

/* The peer at the other end, as it was when the channel opened (it may have gone since). */
void msg_channel_peer(struct msg_channel *channel, struct msg_peer *peer);

/* Any pointer of the app's, kept with the channel; NULL at first. */
void msg_set_user(struct msg_channel *channel, void *user);
void *msg_user(struct msg_channel *channel);

/* Largest message that travels in the ring (half the ring): limit of msg_reserve. */
uint32_t msg_ring_limit(struct msg_channel *channel);

/* Errors common to all that sends or receives:
 *   -EPIPE       the peer closed, left or died; for receiving: and nothing is left to receive
 *   -ECONNRESET  one side found an impossible value in the region; see msg_fault_of */

/* Sends len bytes (0 is fine) and returns when they are in the region: the memory is the caller's
 * again. Blocks while the ring is full. Larger than msg_ring_limit: goes through a buffer.
 * -EAGAIN: no room and the deadline had passed; -ETIMEDOUT: no room until then; -EMSGSIZE: larger
 * than the region's memory could ever take; -ENOSPC: no memory free for a buffer. */
int msg_send(struct msg_channel *channel, const void *data, size_t len, uint64_t deadline);

/* msg_send that never blocks. */
int msg_trysend(struct msg_channel *channel, const void *data, size_t len);

/* Receives one message into data and returns its length.
 * -EMSGSIZE: it is longer than size (msg_next_length says how long) and stays where it is;
 * -EAGAIN: none there and the deadline had passed; -ETIMEDOUT. */
int64_t msg_recv(struct msg_channel *channel, void *data, size_t size, uint64_t deadline);
int64_t msg_tryrecv(struct msg_channel *channel, void *data, size_t size);

/* Length of the next message, without taking it. Errors of msg_recv. */
int64_t msg_next_length(struct msg_channel *channel, uint64_t deadline);

/* A piece of memory. */
struct msg_span {
	void *data;
	size_t len;
};

/* Sends up to MSG_BATCH_MAX messages, with one publication and one look at the sleeping receiver.
 * Blocks until the first one fits, then sends as many as fit. Returns how many (at least 1, or 0 if
 * count is 0); errors of msg_send. Every message must be within msg_ring_limit, else -EMSGSIZE. */
int msg_send_batch(struct msg_channel *channel, const struct msg_span *messages, unsigned count,
	uint64_t deadline);

/* Receives up to count messages. On entry spans[i] is the memory for message i; on return
 * spans[i].len is its length. Blocks for the first, takes what else is there. Returns how many;
 * stops before a message that doesn't fit (-EMSGSIZE if that is the first). */
int msg_recv_batch(struct msg_channel *channel, struct msg_span *spans, unsigned count,
	uint64_t deadline);

/* Many messages of one size, which lie one right behind the other in data: the fastest way for
 * small ones (one copy and one publication for all). Blocks until the first one fits, then sends
 * as many as fit; returns how many (at least 1, or 0 if count is 0); errors of msg_send.
 * -EMSGSIZE: size is over msg_ring_limit. To the receiver they are messages like any others. */
int msg_send_array(struct msg_channel *channel, const void *data, size_t size, unsigned count,
	uint64_t deadline);

/* Receives up to count messages of exactly size bytes each, one right behind the other, however
 * they were sent. Blocks for the first, takes what else is there. Returns how many; stops before a
 * message of another length (-EMSGSIZE if that is the first). */
int msg_recv_array(struct msg_channel *channel, void *data, size_t size, unsigned count,
	uint64_t deadline);

/* Without copying, sending: *data is len bytes of the ring, aligned to 8, that nobody sees before
 * msg_commit. Several reserves before one commit make a batch. What is sent otherwise on the channel
 * meanwhile goes behind them, and publishes them as they are. -EMSGSIZE: over msg_ring_limit.
 * -EAGAIN, -ETIMEDOUT: no room (what was reserved before stays reserved; commit it to make room).
 * */
int msg_reserve(struct msg_channel *channel, size_t len, void **data, uint64_t deadline);
/* Makes the newest reserved message shorter. -EINVAL: nothing reserved, or len is longer. */
int msg_trim(struct msg_channel *channel, size_t len);
/* Publishes all reserved messages, in order. Returns 0 (also with nothing reserved), -EPIPE,
 * -ECONNRESET. */
int msg_commit(struct msg_channel *channel);
/* Drops all reserved messages. */
void msg_discard(struct msg_channel *channel);

/* Without copying, receiving: up to count views of the oldest messages that were not viewed yet,
 * in order; spans[i] stays valid until released. A peer that misbehaves can change what is seen:
 * what must not change between check and use, copy first. Returns how many (at least 1); errors of
 * msg_recv. At most MSG_BATCH_MAX may be viewed at once, then -ENOBUFS. */
int msg_peek(struct msg_channel *channel, struct msg_span *spans, unsigned count,
	uint64_t deadline);
/* Gives back the count oldest viewed messages. -EINVAL: so many were not viewed. */
int msg_release(struct msg_channel *channel, unsigned count);

/* Bytes as a stream on top: message borders vanish. msg_write sends all len bytes, or returns how
 * many went (at least 1) when the deadline ends it; msg_read returns 1..size bytes, 0 at the
 * orderly end of the stream; what ends it behind some bytes is told by the next call. Use either
 * messages or the stream on a channel, not both. */
int64_t msg_write(struct msg_channel *channel, const void *data, size_t len, uint64_t deadline);
int64_t msg_read(struct msg_channel *channel, void *data, size_t size, uint64_t deadline);

/* ---- Messages larger than a ring ------------------------------------------------------------ */

/* Takes len bytes of the region's free memory for a message; the app fills msg_buffer_data and
 * hands it over with msg_buffer_send, on one channel or several. The receiver uses msg_peek or
 * msg_recv as with any message. -ENOSPC: not so much free in one piece, now; -EMSGSIZE: never;
 * -ENOMEM. */
int msg_buffer_alloc(struct msg_region *region, size_t len, struct msg_buffer **buffer);
void *msg_buffer_data(struct msg_buffer *buffer);
/* Sends the first len bytes. The memory must not be changed before the receiver released it. */
int msg_buffer_send(struct msg_channel *channel, struct msg_buffer *buffer, size_t len,
	uint64_t deadline);
/* How many receivers have not yet released it (or died). */
unsigned msg_buffer_busy(struct msg_buffer *buffer);
/* Gives up the app's hold; the memory comes back when the last receiver has let go. */
void msg_buffer_free(struct msg_buffer *buffer);

/* ---- Waiting ------------------------------------------------------------------------------- */

enum msg_wait_type {
	MSG_WAIT_RECV = 1, /* channel: msg_recv would not block (a message, or its end) */
	MSG_WAIT_SEND,     /* channel: the message that didn't fit would fit (or never will) */
	MSG_WAIT_ACCEPT,   /* listener: msg_accept would not block */
	MSG_WAIT_EVENT,    /* region: msg_next_event has something */
	MSG_WAIT_TIMER,    /* at: the time has come */
	MSG_WAIT_PATTERN,  /* pattern: the handle of a pattern; what ready means, its header says */
};

struct msg_wait_item {
	enum msg_wait_type type;
	bool ready;                     /* out */
	union {
		struct msg_channel *channel;
		struct msg_listener *listener;
		struct msg_region *region;
		uint64_t at;
		void *pattern; /* struct msg_caller *, struct msg_server *, ... */
	};
};

/* Waits until one of the items is ready, polling a while before it sleeps; sets ready in every item
 * and returns how many are. Items of several regions may be mixed. -ETIMEDOUT (-EAGAIN if the
 * deadline had passed at the call): none. -EINVAL: no items and no deadline. */
int msg_wait(struct msg_wait_item *items, unsigned count, uint64_t deadline);

/* ---- Figures ------------------------------------------------------------------------------- */

/* Of one channel, as this side keeps them in the region. */
struct msg_stats {
	uint64_t sent, sent_bytes, received, received_bytes;
	uint64_t doorbells;   /* rung, for messages and for space */
	uint64_t suppressed;  /* publications that needed none: the receiver was awake */
	uint64_t wakeups;     /* sleeps that ended with something to do on this channel */
	uint64_t full_waits;  /* times that the ring had no room */
	uint64_t empty_waits; /* times that nothing was there to receive */
	uint64_t unreleased, unreleased_bytes; /* accepted, not yet released */
};
void msg_stats(struct msg_channel *channel, struct msg_stats *stats);

/* Of this peer. */
struct msg_wait_stats {
	uint64_t sleeps;      /* times this peer slept */
	uint64_t rescues;     /* sleeps that only the backing timer ended although a doorbell should
			       * have: none on a machine whose fences work */
	uint64_t resets;      /* channels ended because of an impossible value */
	uint64_t spin_ns;     /* what the adaptive wait polls at the moment before it sleeps */
	uint64_t vain;        /* doorbells of this thread's regions that ended a sleep for nothing */
	uint64_t storms;      /* times that these came so often that doorbells were ignored for a
			       * while; see docs/reliability.md */
};
void msg_wait_stats(struct msg_region *region, struct msg_wait_stats *stats);

/* After the peer is gone: the i-th message (0 = oldest) that was accepted and that the receiver
 * never released. 0 and *message, whose memory is good until msg_close; -ENOENT: no such one;
 * -EBUSY: the channel is still alive; -ESTALE: this peer itself was taken for dead, and what it sent may
 * have been overwritten; -ENODEV. */
int msg_unreleased(struct msg_channel *channel, unsigned i, struct msg_span *message);

/* Why the channel was reset by this side: true and *fault, or false. */
bool msg_fault_of(struct msg_channel *channel, struct msg_fault *fault);

/* Text for a result of these functions (0 or negative). */
const char *msg_strerror(int64_t result);

#ifdef __cplusplus
}
#endif
#endif

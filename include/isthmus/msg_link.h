/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A link: a conversation between two apps that outlives its channels. When a device is unplugged,
 * a guest moves, a region or a peer dies, the two ends find each other again by the name of the
 * link, and go on where they were: every message comes once and in order, over all channels.
 *
 * What has been accepted by msg_link_send is kept in memory of this side until the other side has
 * received it, and sent again where that isn't so. When the conversation can't go on, because the
 * other end has begun anew and remembers nothing (its process was restarted) or has been put back
 * to an earlier state (a VM's snapshot), both ends are told: every call returns -ECONNRESET,
 * msg_link_undelivered shows what was not received, and msg_link_restart begins a new
 * conversation.
 *
 *   static char memory[1 << 16];
 *   msg_link_open(memory, sizeof(memory), "orders", false, &link);
 *   for (;;) {
 *       err = msg_await(NULL, MSG_FOREVER);               // until there is a device
 *       if (!err) err = msg_attach(NULL, NULL, &region);
 *       if (!err) err = msg_link_attach(link, region);
 *       while (!err) err = talk(link);                    // msg_link_send, msg_link_recv, ...
 *       msg_leave(region);                                // -ENODEV, -ESTALE: then again
 *   }
 *
 * Errors of all functions that take a deadline, besides those that they name:
 *   -ENODEV, -ESTALE  no region is attached, or it is gone: msg_leave, then attach to the next one
 *   -ECONNRESET       see above, until msg_link_restart
 *   -EPROTOTYPE       who listens under that name is no link
 *
 * What came through a channel that has ended is received before the next channel is taken up: an
 * app that never receives keeps its link from going on.
 *
 * A link belongs to the thread of its region. Source: docs/migration.md; the records are described
 * in docs/wire-format.md, "Links".
 */
#ifndef ISTHMUS_MSG_LINK_H
#define ISTHMUS_MSG_LINK_H

#include <isthmus/msg.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MSG_LINK_MEMORY_MIN 4096

struct msg_link;

/* Begins a link, not attached yet. memory: size bytes of the caller's, aligned to 8, in which the
 * link lives until msg_link_close; all but about 1 KiB of it keeps messages on their way, so that
 * a quarter of it is the longest one. name: of the endpoint; one end listens at it, the other one
 * doesn't. Each region takes one link of a name, and a third end that asks for it waits.
 * -EINVAL: name, alignment, or less than MSG_LINK_MEMORY_MIN. */
int msg_link_open(void *memory, size_t size, const char *name, bool listens,
	struct msg_link **link);

/* Lets the link use a region, until msg_leave or msg_link_close. Never blocks: the two ends find
 * each other in later calls on the link, and whenever msg waits for anything.
 * -EBUSY: it is attached; errors of msg_listen. Where the name was this link's once, -EADDRINUSE
 * isn't one of them: its former self may not have left in order, and later calls listen when that
 * is seen to be dead. */
int msg_link_attach(struct msg_link *link, struct msg_region *region);

/* Accepts a message: the link keeps a copy of it. Blocks while there is no room for it; while the
 * other end is away, too.
 * -EAGAIN: no room, and the deadline had passed; -ETIMEDOUT; -EMSGSIZE: longer than a quarter of
 * the memory;
 * -EPIPE: after msg_link_finish. */
int msg_link_send(struct msg_link *link, const void *data, size_t len, uint64_t deadline);

/* The next message into data: its length. Blocks until there is one, while the other end is away,
 * too. -EAGAIN, -ETIMEDOUT; -EMSGSIZE: longer than size, and it stays where it is; -EPIPE: the
 * other end finished, and all is received. */
int64_t msg_link_recv(struct msg_link *link, void *data, size_t size, uint64_t deadline);

/* Waits until the other end is known to have received all that was sent. -EAGAIN, -ETIMEDOUT: when
 * this end lost its region in the last moment, and the other one has received all meanwhile and
 * gone for good, that can't be known any more. */
int msg_link_flush(struct msg_link *link, uint64_t deadline);

/* Says that nothing more will be sent; that travels like a message. -EAGAIN: no room for it now.
 * Repeating it is harmless. */
int msg_link_finish(struct msg_link *link);

/* Ends the link, whatever its state; the memory is the caller's again. Never blocks: what was not
 * received is dropped. */
void msg_link_close(struct msg_link *link);

/* After -ECONNRESET: the i-th message (0: the oldest) that the other end may not have received, in
 * the link's memory until msg_link_restart. -ENOENT: no such; -EBUSY: the conversation goes on. */
int msg_link_undelivered(struct msg_link *link, unsigned i, struct msg_span *message);

/* Forgets the conversation and begins a new one, at the same name and in the same region. */
int msg_link_restart(struct msg_link *link);

/* For an item of msg_wait of type MSG_WAIT_PATTERN: ready when msg_link_recv would not block. NULL
 * while no region is attached. */
void *msg_link_item(struct msg_link *link);

struct msg_link_stats {
	bool connected;       /* the other end is there now */
	bool finished;        /* the other end has finished, and all of it is received */
	uint64_t sent;        /* messages accepted in this conversation */
	uint64_t delivered;   /* ... of which the other end is known to have received so many */
	uint64_t received;
	uint64_t channels;    /* that carried it so far */
	uint64_t again;       /* messages that went out a second time or more */
	uint64_t duplicates;  /* messages that came although they had been received */
};
void msg_link_stats(const struct msg_link *link, struct msg_link_stats *stats);

#ifdef __cplusplus
}
#endif
#endif

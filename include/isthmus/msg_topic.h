/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Topics: one publisher, any number of subscribers, one copy of each message in the region however
 * many they are. A topic is found by its name, as an endpoint is, and shares their names: one
 * publisher in the whole region. Errors, deadlines and threads as in <isthmus/msg.h>.
 *
 * A topic has one policy for subscribers that are slower than the publisher:
 *
 *   MSG_TOPIC_BACK_PRESSURE  the publisher waits, as it would on a channel. Every subscriber gets
 *                            every message since it subscribed. One that dies holds the publisher up
 *                            for the region's death time at most.
 *   MSG_TOPIC_DROP_OLDEST    the publisher never waits. A subscriber that falls behind by more than
 *                            the ring holds gets the oldest message that is left, and with it the
 *                            exact number of those that it lost.
 *   MSG_TOPIC_LATEST         the publisher never waits. A subscriber gets the newest message each
 *                            time, and with it the number of those that it skipped.
 *
 * In each of them messages arrive whole, in order and at most once. A publisher that closes, leaves or
 * dies ends its subscriptions with -EPIPE, behind the messages that it published before; its successor is
 * another topic under the same name, to be subscribed to anew.
 *
 * Wire format: docs/wire-format.md, "Topics".
 */
#ifndef ISTHMUS_MSG_TOPIC_H
#define ISTHMUS_MSG_TOPIC_H

#include <isthmus/msg.h>

#ifdef __cplusplus
extern "C" {
#endif

struct msg_topic;        /* the publisher's side */
struct msg_subscription; /* a subscriber's side */

enum msg_topic_policy {
	MSG_TOPIC_BACK_PRESSURE = 0,
	MSG_TOPIC_DROP_OLDEST = 1,
	MSG_TOPIC_LATEST = 2,
};

/* Zero in any field means the default. */
struct msg_topic_options {
	enum msg_topic_policy policy;
	uint32_t ring;  /* bytes for messages, rounded up to a power of two between 1 KiB and 64 MiB;
			 * 0: by the region's size, smaller where memory is short. A message takes its
			 * length and 16 bytes, rounded up to 64, and at most half of it. */
	uint64_t start; /* first position in it, rounded down to 64; to test the wrap at 2^32 */
};

/* ---- Publishing ---------------------------------------------------------------------------- */

/* Opens a topic under a name of up to MSG_NAME_MAX bytes. options: may be NULL.
 * -EADDRINUSE: a live peer has a topic or listens under that name; -ENOSPC: this peer has no endpoint
 * left, or the region no memory; -EINVAL: bad name, policy or ring; -ENOMEM. */
int msg_topic_open(struct msg_region *region, const char *name,
	const struct msg_topic_options *options, struct msg_topic **topic);

/* Ends the topic: subscribers receive what is left, then -EPIPE. Never blocks. The handle is invalid
 * after it. Safe with NULL. */
void msg_topic_close(struct msg_topic *topic);

/* Largest message, in bytes. */
uint32_t msg_topic_limit(struct msg_topic *topic);

/* Publishes a copy of len bytes (0 is fine). With MSG_TOPIC_BACK_PRESSURE blocks while a subscriber
 * keeps the ring full: -EAGAIN, -ETIMEDOUT; the other policies never block. Nobody need be there: the
 * newest message is kept for those who come later and ask for it. -EMSGSIZE: over the limit.
 * New subscriptions are taken in here, and in whatever else waits with this region. */
int msg_publish(struct msg_topic *topic, const void *data, size_t len, uint64_t deadline);

/* The same without the copy: *data is len bytes of the ring, aligned to 16, that nobody sees before
 * msg_publish_commit. Another reserve before that takes the place of the first. */
int msg_publish_reserve(struct msg_topic *topic, size_t len, void **data, uint64_t deadline);
/* Publishes the first len bytes of what is reserved. -EINVAL: nothing is, or less. */
int msg_publish_commit(struct msg_topic *topic, size_t len);

struct msg_topic_stats {
	uint64_t published, bytes;
	uint64_t full_waits;  /* times that a subscriber kept the ring full */
	uint64_t doorbells;   /* rung for subscribers that slept */
	unsigned subscribers; /* at present */
};
void msg_topic_stats(struct msg_topic *topic, struct msg_topic_stats *stats);

/* The i-th subscriber, in no lasting order, as it says itself. */
struct msg_topic_subscriber {
	struct msg_peer peer;
	uint64_t received, lost;
	uint64_t behind; /* bytes of the ring between it and the newest message, the size of the ring
			  * at most */
};
/* 0; -ENOENT: there are not so many. */
int msg_topic_subscriber(struct msg_topic *topic, unsigned i,
	struct msg_topic_subscriber *subscriber);

/* ---- Subscribing --------------------------------------------------------------------------- */

struct msg_subscribe_options {
	bool retained; /* begin with the newest message that was published before, if there is one */
};

/* Subscribes to a topic; waits for a publisher that isn't there yet. What is published after the return
 * is received. options: may be NULL.
 * -ETIMEDOUT: no publisher took it in time; -ECONNREFUSED: the publisher has no room for it;
 * -EPROTOTYPE: the name is no topic; -ENOSPC: this peer has no channel left (a subscription takes
 * one on each side); -EINVAL: bad name, or a topic of this very peer; -ECONNRESET: nonsense was found
 * where the topic should be; -ENOMEM. */
int msg_subscribe(struct msg_region *region, const char *name,
	const struct msg_subscribe_options *options, struct msg_subscription **subscription,
	uint64_t deadline);

/* Ends a subscription. Never blocks. The handle is invalid after it. Safe with NULL. */
void msg_unsubscribe(struct msg_subscription *subscription);

/* Which message it was. */
struct msg_topic_mark {
	uint64_t number; /* 1 for the first that the publisher published, and so on */
	uint64_t lost;   /* messages between the one received before, or the beginning of the subscription,
			  * and this one; never any with MSG_TOPIC_BACK_PRESSURE */
};

/* Receives one message into data and returns its length. mark: may be NULL.
 * -EAGAIN, -ETIMEDOUT: nothing new; -EMSGSIZE: it is longer than size, and stays; -EPIPE: the publisher
 * closed, left or died, and nothing is left; -ECONNRESET: an impossible value was found
 * (msg_subscription_fault). */
int64_t msg_topic_recv(struct msg_subscription *subscription, void *data, size_t size,
	struct msg_topic_mark *mark, uint64_t deadline);

struct msg_subscription_stats {
	uint64_t received, received_bytes, lost;
	uint64_t published;   /* by the publisher so far, as it says */
	uint64_t wakeups;     /* sleeps that ended with a message */
	uint64_t empty_waits; /* times that nothing was there */
	enum msg_topic_policy policy;
};
void msg_subscription_stats(struct msg_subscription *subscription,
	struct msg_subscription_stats *stats);

/* The publisher, as it was at msg_subscribe. */
void msg_subscription_peer(struct msg_subscription *subscription, struct msg_peer *peer);

/* Why this side reset it: true and *fault, or false. */
bool msg_subscription_fault(struct msg_subscription *subscription, struct msg_fault *fault);

/*
 * Waiting for several things: both handles go into msg_wait as
 *   { .type = MSG_WAIT_PATTERN, .pattern = topic }         ready: the message that didn't fit would fit
 *   { .type = MSG_WAIT_PATTERN, .pattern = subscription }  ready: msg_topic_recv would not block
 */

#ifdef __cplusplus
}
#endif
#endif

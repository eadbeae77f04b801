/* SPDX-License-Identifier: BSD-2-Clause */
/* One end of a link, as its two files see it: link.c has the app's side, link_session.c the
 * channels. */
#ifndef MSG_LINK_END_H
#define MSG_LINK_END_H

#include "msg/patterns/link.h"

#define LINK_TRIED_MAX 16
#define LINK_RETRY_NS  (20 * NS_PER_MS)

enum link_phase { LINK_SEEKING, LINK_GREETING, LINK_UP, LINK_BROKEN };

/* Belongs to the region while the link is attached. */
struct link_seat {
	struct pattern pattern;
	struct msg_link *link;
	struct msg_listener *listener;
	struct connecting connecting;
	bool asking;            /* connecting is under way */
	uint64_t retry_ns;      /* not before */
	struct msg_channel *channel;
	bool heard_hello, said_hello;
	uint64_t greet_until;   /* then this channel's other end is given up */
	struct msg_span view;   /* DATA or END that the app has not taken yet; data NULL: none */
	struct link_head head;  /* of the view, read once */
};

struct msg_link {
	struct link_store store;
	struct link_seat *seat; /* NULL: not attached */
	enum link_phase phase;
	int error;              /* while LINK_BROKEN */
	bool listens, listened, inside, finished, peer_finished;
	bool for_space;         /* the app waits for the other end to release something */
	char name[WIRE_NAME + 1];
	uint64_t conversation, session, last_session;
	uint64_t confirmed;        /* listening end: the last session that the other end said it completed */
	uint64_t tried[LINK_TRIED_MAX]; /* sessions begun since the last one that was completed */
	unsigned tries;
	uint64_t peer_expected;    /* said in the HELLO, meant with the GO */
	uint64_t expected;         /* number of the record that comes next */
	uint64_t highest;          /* records below went out at least once */
	uint64_t channels, again, duplicates;
};

REGION_INLINE struct msg_region *link_region(const struct msg_link *link)
{
	return link->seat->pattern.region;
}

/* Goes as far as it can without blocking. Not while link->inside. */
void link_advance(struct msg_link *link);
/* Sends what is on its way, as far as there is room. Only while LINK_UP. */
void link_push(struct link_seat *seat);
/* Looks what the other end has received by now. Reads the region and writes nothing there. */
void link_see_released(struct link_seat *seat);
/* Gives up the channel, or the asking for one. */
void link_drop(struct link_seat *seat);
/* The app has the message that was in view, or it was an END: the next one. */
void link_taken(struct link_seat *seat);

#endif

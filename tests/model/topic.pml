/* SPDX-License-Identifier: BSD-2-Clause */
/* check: */
/* check: -DPLAIN */
/* check: -DRECORDS=3 -DMESSAGES=5 */
/* mutant: -DNO_ROOM_FENCE */
/* mutant: -DNO_NEXT_FENCE */
/* mutant: -DNO_SECOND_LOOK */
/* mutant: -DTAIL_LATE */
/* mutant: -DHEADER_FIRST */
/* mutant: -DFAULT_EARLY */
/* mutant: -DNEWEST_FIRST */
/*
 * A topic whose publisher drops messages (msg/patterns/topic.c), and one subscriber (msg/patterns/subscribe.c): what it takes
 * is whole, each message was either received or counted as lost, and it never takes the publisher at
 * work for a broken one. Waking is sleep.pml's: the order there is the same.
 *
 * The payload is two words. Its stores are streaming ones, which pass earlier plain stores: they are in
 * memory at once, the others when the buffer drains. -DPLAIN: they go the same way as all.
 *
 *   NO_ROOM_FENCE   the fence in topic_make_room          NO_NEXT_FENCE  the fence in topic_published
 *   NO_SECOND_LOOK  sub_whole doesn't look again          TAIL_LATE      tail moved after the overwriting
 *   HEADER_FIRST    header published before the payload   FAULT_EARLY    impossible without a look at tail
 *   NEWEST_FIRST    newest stored before the header
 */
#ifndef MESSAGES
#define MESSAGES 4
#endif
#ifndef RECORDS
#define RECORDS 2
#endif
#define SB 3
#define PEERS 1
#define A 0

/* Words of the region, all of them A's. A message's place is its number. */
#define HEADER  0
#define FIRST   RECORDS
#define SECOND  (2 * RECORDS)
#define TAIL    (3 * RECORDS)
#define NEWEST  (TAIL + 1)
#define WORDS   (TAIL + 2)
#define on_bell(peer) skip

#include "tso.pml"

#ifdef PLAIN
#define PAYLOAD(w, v) STORE(A, w, v)
#else
#define PAYLOAD(w, v) word[w] = v
#endif
#define PLACE(n) ((n) % RECORDS)

inline payload() {
	PAYLOAD(FIRST + PLACE(n), n);
	PAYLOAD(SECOND + PLACE(n), n)
}

active proctype publisher()
{
	byte n = 1, tail = 1, least;

	STORE(A, TAIL, 1);
	do
	:: n <= MESSAGES ->
		least = (n > RECORDS -> n - RECORDS + 1 : 1);
#ifndef TAIL_LATE
		if
		:: tail < least ->                    /* topic_make_room: topic_drop */
			tail = least;
			STORE(A, TAIL, tail);
#ifndef NO_ROOM_FENCE
			FENCE(A)
#endif
		:: else
		fi;
#endif
#ifdef HEADER_FIRST
		STORE(A, HEADER + PLACE(n), n);
		payload();
#else
		payload();                            /* region_copy_in */
#ifdef NEWEST_FIRST
		STORE(A, NEWEST, n);
#endif
		STORE(A, HEADER + PLACE(n), n);       /* ring_publish */
#endif
#ifdef TAIL_LATE
		if
		:: tail < least -> tail = least; STORE(A, TAIL, tail)
		:: else
		fi;
#endif
		STORE(A, NEWEST, n);
		n++;
		if
		:: n > RECORDS && tail < n - RECORDS + 1 -> /* for the next one: topic_drop */
			tail = n - RECORDS + 1;
			STORE(A, TAIL, tail)
		:: skip                               /* the next one may be larger */
		fi;
#ifndef NO_NEXT_FENCE
		FENCE(A)                              /* topic_published */
#endif
	:: else -> break
	od
}

#define OVERTAKEN (word[TAIL] > at)

active proctype subscriber()
{
	byte at = 1, next = 1, received, lost, first, second, to;
	bool must_be, there;

	do
	:: at <= MESSAGES ->
		must_be = false;
		if
		:: OVERTAKEN ->                       /* sub_jump: to the oldest, or after a while the newest */
			if
			:: to = word[TAIL]
			:: to = word[NEWEST]
			fi;
			assert(to >= at);
			at = to;
			must_be = true
		:: !OVERTAKEN
		fi;
		there = (word[HEADER + PLACE(at)] == at); /* ring_poll */
		if
		:: !there && must_be ->
#ifndef FAULT_EARLY
			if
			:: OVERTAKEN -> goto again
			:: !OVERTAKEN
			fi;
#endif
			assert(false)                 /* "no message where a topic has one" */
		:: !there && !must_be -> goto again   /* nothing yet */
		:: there
		fi;
		if
		:: word[NEWEST] > at && !must_be ->   /* MSG_TOPIC_LATEST */
			at = word[NEWEST];
			if
			:: word[HEADER + PLACE(at)] != at ->
#ifndef FAULT_EARLY
				if
				:: OVERTAKEN -> goto again
				:: !OVERTAKEN
				fi;
#endif
				assert(false)         /* "impossible message in a topic" */
			:: else
			fi
		:: skip
		fi;
		first = word[FIRST + PLACE(at)];      /* region_copy_out */
		second = word[SECOND + PLACE(at)];
#ifndef NO_SECOND_LOOK
		if
		:: OVERTAKEN -> goto again            /* sub_whole */
		:: !OVERTAKEN
		fi;
#endif
		assert(first == at && second == at);
		lost = lost + at - next;
		received++;
		at++;
		next = at;
again:		first = 0;
		second = 0;
		to = 0
	:: else -> break
	od;
	assert(received + lost == MESSAGES)
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* check: */
/* check: -DREFER */
/* mutant: -DNO_VERDICT_FENCE */
/* mutant: -DNO_ASLEEP_FENCE */
/* mutant: -DNO_RELOOK */
/* mutant: -DREFER -DNO_REFER_FENCE */
/* mutant: -DREFER -DNO_LOOK */
/*
 * What members of a group do together (msg/patterns/group.c).
 *
 * Three members come to a barrier and sleep until all have come. Whoever sees that it was the last wakes
 * the others; there is no timer, so that a member that nobody wakes is a deadlock, which spin reports.
 *
 *   NO_VERDICT_FENCE  the fence in verdict                NO_ASLEEP_FENCE  in mark_asleep
 *   NO_RELOOK         the second look in sleep_once
 *
 * With -DREFER: a member that enters a broadcast whose root dies, and a peer that takes the dead root's land
 * unless somebody refers to it: the member doesn't use bytes that were overwritten.
 *
 *   NO_REFER_FENCE    the fence in refer                  NO_LOOK          it doesn't look at the claim
 */
#define SB 2

#ifndef REFER

#define PEERS 3
#define DONE 0      /* of each member */
#define ASLEEP PEERS
#define WORDS (2 * PEERS)
bool rung[PEERS];
#define on_bell(peer) rung[peer] = true
#include "tso.pml"

/* A member knows its own verdict, whatever is in its buffer. */
#define CAME(i) (i == me || word[DONE + i])
#define ALL_CAME (CAME(0) && CAME(1) && CAME(2))

active [PEERS] proctype member()
{
	byte me = _pid - PEERS, other;

	STORE(me, DONE + me, 1);                  /* verdict */
#ifndef NO_VERDICT_FENCE
	FENCE(me);
#endif
	if
	:: ALL_CAME ->                            /* group_wake */
		for (other : 0 .. PEERS - 1) {
			if
			:: other != me ->
				if
				:: word[ASLEEP + other] -> RING(me, other) /* presence_wake */
				:: else
				fi
			:: else
			fi
		}
	:: else
	fi;
	do
	:: ALL_CAME -> break
	:: else ->
		rung[me] = false;
		STORE(me, ASLEEP + me, 1);        /* mark_asleep */
#ifndef NO_ASLEEP_FENCE
		FENCE(me);
#endif
#ifndef NO_RELOOK
		if
		:: !ALL_CAME -> rung[me]
		:: else
		fi;
#else
		rung[me];
#endif
		STORE(me, ASLEEP + me, 0)
	od
}

#else

#define PEERS 2
#define MEMBER 0
#define TAKER 1
#define SOURCE 0    /* the member refers to the root's life */
#define DEAD 1      /* the root's claim: set by compare-and-swap, so at once */
#define BYTES 2     /* in the root's land; 1: overwritten */
#define WORDS 3
#define on_bell(peer) skip
#include "tso.pml"

active proctype member()
{
	bool in_time, overwritten;

	STORE(MEMBER, SOURCE, 1);                 /* refer */
#ifndef NO_REFER_FENCE
	FENCE(MEMBER);
#endif
#ifdef NO_LOOK
	in_time = true;
#else
	in_time = !word[DEAD];
#endif
	overwritten = word[BYTES];                /* take */
	assert(!in_time || !overwritten)
}

active proctype taker()
{
	FENCE(TAKER);
	word[DEAD] = 1;                           /* hearts_check */
	if
	:: !word[SOURCE] -> STORE(TAKER, BYTES, 1) /* land_claim: land_referred says no */
	:: else
	fi
}

#endif

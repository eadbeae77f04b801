/* SPDX-License-Identifier: BSD-2-Clause */
/* check: */
/* mutant: -DNO_JOIN_FENCE */
/* mutant: -DNO_JOIN_WAKE */
/*
 * Two peers that join at the same moment and wait for each other (msg_connect and msg_accept, say):
 * neither was there when the other looked around first. Neither sleeps for ever, with no timer behind.
 *
 *   NO_JOIN_FENCE  the fence in presence_wake_all     NO_JOIN_WAKE  who joins wakes nobody
 */
#define PEERS 2
#define SB 2
#define LIFE(p) (p)
#define ASLEEP(p) (2 + p)
#define WORDS 4
bool bell[PEERS];
#define on_bell(peer) bell[peer] = true
#include "tso.pml"

proctype peer(byte me; byte other)
{
	STORE(me, LIFE(me), 1);            /* presence_claim: life, by release */
#ifndef NO_JOIN_WAKE
#ifndef NO_JOIN_FENCE
	FENCE(me);                         /* presence_wake_all */
#endif
	if
	:: word[LIFE(other)] ->            /* presence_scan sees it; wake_seen */
		FENCE(me);                 /* presence_wake */
		if
		:: word[ASLEEP(other)] -> RING(me, other)
		:: else
		fi
	:: else
	fi;
#endif
	do
	:: word[LIFE(other)] -> break      /* sleep_once: there it is */
	:: else ->
		STORE(me, ASLEEP(me), 1);
		FENCE(me);                 /* mark_asleep */
		if
		:: word[LIFE(other)] -> break
		:: else ->
			bell[me];          /* sleep_until */
			bell[me] = false
		fi;
		STORE(me, ASLEEP(me), 0)
	od
}

init { atomic { run peer(0, 1); run peer(1, 0) } }

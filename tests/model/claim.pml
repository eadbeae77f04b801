/* SPDX-License-Identifier: BSD-2-Clause */
/* check: */
/* check: -DPEERS=2 -DROUNDS=2 */
/* mutant: -DNO_FENCE */
/* mutant: -DNO_LOOK */
/* mutant: -DIGNORE_HIGHER */
/* mutant: -DBOTH_WITHDRAW */
/*
 * Claims without a lock: of peers that want the same name (msg/endpoint.c) or the same grains of land
 * (msg/land.c: claim_once and judge go the same way), one gets it and no two do. A claim that found
 * nobody and nothing in its way is never refused.
 *
 *   NO_FENCE       the fence after TENTATIVE in endpoint_listen and claim_once
 *   NO_LOOK        FIRM without a look                IGNORE_HIGHER  a higher slot's TENTATIVE isn't waited for
 *   BOTH_WITHDRAW  any TENTATIVE makes us withdraw: all may lose, and the name stays free
 */
#ifndef PEERS
#define PEERS 3
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#define SB 2
#define WORDS PEERS
#define FREE 0
#define TENTATIVE 1
#define FIRM 2
#define on_bell(peer) skip

byte owners;  /* who believes that it is theirs */
byte decided; /* how many rounds came to an end */
byte won;

#include "tso.pml"

active [PEERS] proctype claim()
{
	byte me = _pid - PEERS, other, round;
	bool wait, lost;

	do
	:: round < ROUNDS ->
		STORE(me, me, TENTATIVE);                /* publish */
#ifndef NO_FENCE
		FENCE(me);
#endif
#ifndef NO_LOOK
		do                                       /* judge, until it is sure */
		:: true ->
			wait = false;
			lost = false;
			other = 0;
			do
			:: other < PEERS && !lost ->
				if
				:: other == me
				:: other != me && word[other] == FIRM -> lost = true
#ifdef BOTH_WITHDRAW
				:: other != me && word[other] == TENTATIVE -> lost = true
#else
				:: other < me && word[other] == TENTATIVE -> lost = true
#ifdef IGNORE_HIGHER
				:: other > me && word[other] == TENTATIVE
#else
				:: other > me && word[other] == TENTATIVE -> wait = true
#endif
#endif
				:: other != me && word[other] == FREE
				fi;
				other++
			:: else -> break
			od;
			if
			:: wait && !lost
			:: else -> break
			fi
		od;
#endif
		if
		:: lost -> STORE(me, me, FREE)           /* -EADDRINUSE, or another place */
		:: else ->
			STORE(me, me, FIRM);
			atomic { owners++; won++; assert(owners == 1) };
			if
			:: round + 1 < ROUNDS ->         /* msg_unlisten, land_release */
				owners--;
				STORE(me, me, FREE)
			:: else
			fi
		fi;
		lost = false;
		round++;
		decided++
	:: else -> break
	od;
	/* The last of a single round: somebody has it. */
	assert(ROUNDS > 1 || decided < PEERS || won == 1)
}

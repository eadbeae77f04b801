/* SPDX-License-Identifier: BSD-2-Clause */
/* check: */
/* mutant: -DNO_WITHDRAW_FENCE */
/* mutant: -DNO_ACCEPT_FENCE */
/* mutant: -DNO_SECOND_LOOK */
/*
 * A connect that gives up in the very moment in which it is accepted (connect_withdraw against
 * answer in msg/open.c): never does the connecting side free its block and ring while the listener
 * takes the channel for open.
 *
 *   NO_WITHDRAW_FENCE  the fence in connect_withdraw       NO_ACCEPT_FENCE  the fence in answer
 *   NO_SECOND_LOOK     answer doesn't look again after its OPEN
 */
#define PEERS 2
#define SB 2
#define C 0 /* connecting */
#define L 1 /* listening */
#define WORDS 2
#define FREE 0
#define CONNECT 1
#define OPEN 2
#define CLOSED 3
#define on_bell(peer) skip
#include "tso.pml"

bool freed, open;

active proctype connecting()
{
	STORE(C, C, CONNECT);           /* connect_request */
	if
	:: word[L] == OPEN ->           /* answered in time: channel_take_ring, OPEN */
		STORE(C, C, OPEN)
	:: true ->                      /* the deadline: connect_withdraw */
		STORE(C, C, CLOSED);
#ifndef NO_WITHDRAW_FENCE
		FENCE(C);
#endif
		if
		:: word[L] == OPEN      /* find_answer: linger until the listener has closed */
		:: else ->
			freed = true;   /* channel_destroy */
			STORE(C, C, FREE)
		fi
	fi
}

active proctype listening()
{
end:	if
	:: word[C] == CONNECT ->        /* find_request */
		STORE(L, L, OPEN);      /* channel_opened */
#ifndef NO_ACCEPT_FENCE
		FENCE(L);
#endif
#ifndef NO_SECOND_LOOK
		if
		:: word[C] == CONNECT || word[C] == OPEN -> open = true
		:: else -> STORE(L, L, FREE)
		fi
#else
		open = true
#endif
	fi
}

/* At the end, when all is drained. An OPEN of the listener that was decided on a CONNECT which the
 * other side has withdrawn since is fine as long as the other side lingers (it saw the OPEN). */
active proctype oracle()
{
end:	open && freed -> assert(false)
}

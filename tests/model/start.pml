/* SPDX-License-Identifier: BSD-2-Clause */
/* check: ltl */
/* mutant: ltl -DRING_ONCE */
/* mutant: ltl -DSLEEP_UNHEARD */
/*
 * The start: a ring is lost while the sender's QEMU has not yet heard of the other VM, and either guest may run
 * before that. A connect still opens in the end, with no timer that backs a sleep: the connecting side
 * rings again until it is answered, and looks for the answer itself.
 *
 *   RING_ONCE       connect_request rings only once
 *   SLEEP_UNHEARD   it sleeps on a doorbell for the answer, as if that could not be lost either
 */
bool known[2];     /* QEMU of 0 has heard of 1, and the other way round */
bool bell[2];      /* pending at guest 0, 1 */
bool connect, open, answered;

/* The server tells each QEMU of the other some time. */
active proctype server() { known[0] = true }
active proctype server_too() { known[1] = true }

inline ring(me) {
	if
	:: known[me] -> bell[1 - me] = true
	:: else
	fi
}

active proctype connecting()
{
	connect = true;                    /* connect_request: CONNECT */
	ring(0);
	do
#ifdef SLEEP_UNHEARD
	:: bell[0] -> bell[0] = false; if :: open -> break :: else fi
#else
	:: open -> break                   /* connect_answered */
	:: !open -> skip;                  /* a step of 5 ms is over */
#ifndef RING_ONCE
		ring(0)
#endif
#endif
	od;
	answered = true
}

active proctype listening()
{
	do
	:: connect -> break                /* accept_ready */
	:: !connect ->
		bell[1];                   /* asleep until rung */
		bell[1] = false
	od;
	open = true;
	ring(1)
}

ltl opens { <> (answered && open) }

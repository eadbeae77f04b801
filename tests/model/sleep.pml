/* SPDX-License-Identifier: BSD-2-Clause */
/* check: -DRECORDS=1 -DMESSAGES=2 */
/* check: -DMASKS -DRECORDS=1 -DMESSAGES=1 */
/* check: -DDEATH -DRECORDS=1 -DMESSAGES=1 */
/* more: */
/* more: -DMASKS -DMESSAGES=2 */
/* more: -DDEATH -DMESSAGES=2 */
/* mutant: -DNO_PUBLISH_FENCE */
/* mutant: -DNO_ASLEEP_FENCE */
/* mutant: -DNO_SETTLE_FENCE */
/* mutant: -DNO_WAKE_FENCE */
/* mutant: -DNO_RELOOK */
/* mutant: -DNO_SETTLE */
/* mutant: -DNO_WANT */
/* mutant: -DSPLIT_HLT */
/* mutant: -DLATE_PREPARE */
/* mutant: -DEND_FIRST */
/* mutant: -DRUNG_FOREVER */
/* mutant: -DPAYLOAD_LATE */
/* mutant: -DREUSE_EARLY -DRECORDS=1 -DMESSAGES=2 */
/* mutant: -DMASKS -DNO_UNMASK_PENDING -DRECORDS=1 -DMESSAGES=1 */
/*
 * Messages through a ring of few records, with both sides asleep whenever they can be: the receiver (B)
 * for messages and for the end, the sender (A) for room. There is no timer: a wake-up that is lost is a
 * deadlock, which spin reports as an invalid end state.
 *
 * Doorbells take the device's way: a ring raises the vector's pending bit (many rings are one), the
 * bit becomes an interrupt request some time later unless the vector is masked, and the request is
 * served only while the CPU's interrupts are on.
 *
 * A step's comment names the function that does it. Mutants (-DNO_...) leave one thing out; each must fail.
 *
 *   NO_PUBLISH_FENCE  channel_published, topic_published  NO_ASLEEP_FENCE  the fence in mark_asleep
 *   NO_SETTLE_FENCE   the fence in channel_settle         NO_WAKE_FENCE    the fence in presence_wake
 *   NO_RELOOK         the second look in sleep_once       NO_SETTLE        channel_settle in channel_empty
 *   SPLIT_HLT         sti and hlt as two steps            LATE_PREPARE     interrupts off only at the hlt
 *   END_FIRST         the end believed before the ring    RUNG_FOREVER     last_rung kept over sleeps
 *   PAYLOAD_LATE      header published before payload     REUSE_EARLY      released before it was read
 *   NO_UNMASK_PENDING a masked vector forgets its ring    NO_WANT          the sender doesn't say it waits
 *
 * Environments: -DDEATH (A may be killed at any step), -DMASKS (B's vector is masked for a while).
 */
#ifndef MESSAGES
#define MESSAGES 3
#endif
#ifndef RECORDS
#define RECORDS 2
#endif
#define SB 2
#define PEERS 2
#define A 0
#define B 1

/* Words of the region. */
#define PAYLOAD  0                 /* RECORDS of them, written by A */
#define HEADER   RECORDS           /* as many, written by A; n + 1: message n stands here */
#define STATUS   (2 * RECORDS)     /* A's; 1: closed */
#define WANT     (2 * RECORDS + 1) /* A's: waits for room */
#define ASLEEP   (2 * RECORDS + 2) /* A's and B's; odd: asleep */
#define RELEASED (2 * RECORDS + 4) /* B's */
#define WORDS    (2 * RECORDS + 5)

bool pending[PEERS], masked[PEERS], request[PEERS]; /* of each VM's vector 0 */
bool iflag[PEERS] = true, halted[PEERS];
byte wakes[PEERS];
bool alive = true, dead_seen;

#ifdef NO_UNMASK_PENDING
#define on_bell(peer) if :: !masked[peer] -> pending[peer] = true :: else fi
#else
#define on_bell(peer) pending[peer] = true
#endif
#include "tso.pml"

/* QEMU's main loop and the APIC: late, merging. */
active [PEERS] proctype deliver()
{
end:	do
	:: atomic { pending[_pid - PEERS] && !masked[_pid - PEERS] ->
		pending[_pid - PEERS] = false; request[_pid - PEERS] = true }
	od
}

/* The interrupt: port_wake. It ends a hlt. */
active [PEERS] proctype interrupt()
{
end:	do
	:: atomic { request[_pid - 2 * PEERS] && iflag[_pid - 2 * PEERS] ->
		request[_pid - 2 * PEERS] = false;
		wakes[_pid - 2 * PEERS]++;
		halted[_pid - 2 * PEERS] = false }
	od
}

#ifdef MASKS
active proctype masker()
{
	masked[B] = true; /* ivshmem_mask */
	masked[B] = false /* ivshmem_unmask: what is pending is delivered */
}
#endif

#ifdef DEATH
/* Kill at any moment; what was stored drains; the survivor's timer (hearts_check) finds out, and
 * only that ends a sleep that nobody else would end. */
active proctype death()
{
	if
	:: alive = false
	:: skip
	fi;
	if
	:: !alive && empty(buffer[A]) ->
		atomic { dead_seen = true; request[B] = true }
	:: alive -> skip
	fi
}
#define UNLESS_KILLED unless { !alive }
#else
#define UNLESS_KILLED
#endif

#define ROOM (tail - released < limit)

/* sleep_once and port's wait_sleep_until; ready is looked at between mark_asleep and hlt. */
inline sleep_mark(me) {
#ifndef LATE_PREPARE
	iflag[me] = false;                    /* wait_prepare */
#endif
	before = wakes[me];
	asleep = (asleep + 1) | 1;
	STORE(me, ASLEEP + me, asleep);         /* mark_asleep */
#ifndef NO_ASLEEP_FENCE
	FENCE(me);
#endif
}

inline sleep_hlt(me) {
#ifdef LATE_PREPARE
	iflag[me] = false;
	before = wakes[me];
#endif
	do
	:: wakes[me] == before ->               /* wait_sleep_until */
#ifdef SPLIT_HLT
		iflag[me] = true;
		halted[me] = true;
#else
		atomic { iflag[me] = true; halted[me] = true }; /* cpu_sleep: sti; hlt */
#endif
		atomic { !halted[me] -> iflag[me] = false }
	:: else -> break
	od
}

inline sleep_end(me) {
	iflag[me] = true;                     /* irq_enable, also wait_cancel */
	asleep = asleep + 1;
	STORE(me, ASLEEP + me, asleep)          /* mark_awake */
}

/* ring_sleeper, after a look at the other's asleep word. */
inline ring_if_asleep(me, other) {
	seen = word[ASLEEP + other];
	if
#ifdef RUNG_FOREVER
	:: (seen & 1) && !last_rung -> last_rung = 1; RING(me, other)
#else
	:: (seen & 1) && seen != last_rung -> last_rung = seen; RING(me, other)
#endif
	:: else
	fi;
	seen = 0
}

/* channel_make_room, and a sender that waits until all it sent was released. */
inline make_room() {
	if
	:: !ROOM -> released = word[RELEASED]     /* channel_make_room */
	:: else
	fi;
	if
	:: !ROOM ->
#ifndef NO_WANT
		STORE(A, WANT, 1);
#endif
		do
		:: !ROOM ->                       /* wait_for: sleep_phase */
			sleep_mark(A);
#ifndef NO_RELOOK
			released = word[RELEASED]; /* channel_writable */
#endif
			if
			:: !ROOM -> sleep_hlt(A)
			:: else
			fi;
			sleep_end(A);
			before = 0;
			released = word[RELEASED]
		:: else -> break
		od;
		STORE(A, WANT, 0)
	:: else
	fi;
}

active proctype sender()
{
	/* Some are set back to 0 after use: fewer states. */
	byte tail, released, asleep, before, seen, last_rung, limit = RECORDS;

	{ do
	:: tail < MESSAGES ->
		make_room();
#ifdef PAYLOAD_LATE
		STORE(A, HEADER + tail % RECORDS, tail + 1);
		STORE(A, PAYLOAD + tail % RECORDS, tail + 1);
#else
		STORE(A, PAYLOAD + tail % RECORDS, tail + 1); /* region_copy_in */
		STORE(A, HEADER + tail % RECORDS, tail + 1);  /* ring_publish */
#endif
		tail++;
#ifndef NO_PUBLISH_FENCE
		FENCE(A);                                 /* channel_published */
#endif
		ring_if_asleep(A, B)
	:: else -> break
	od;
	if
	:: limit = 1; make_room()                         /* it sees all released before it closes */
	:: skip
	fi;
	STORE(A, STATUS, 1);                              /* msg_close: channel_set_state */
#ifndef NO_WAKE_FENCE
	FENCE(A);                                         /* presence_wake */
#endif
	ring_if_asleep(A, B)
	} UNLESS_KILLED
}

#define THERE (word[HEADER + head % RECORDS] == head + 1)
#define ENDED (word[STATUS] == 1 || dead_seen)

/* What channel_settle makes up for: releases whose sender nobody has looked for. */
inline settle() {
	if
	:: fenced != head ->
#ifndef NO_SETTLE_FENCE
		FENCE(B);
#endif
		fenced = head;
		if
		:: word[WANT] -> ring_if_asleep(B, A)
		:: else
		fi
	:: else
	fi
}

active proctype receiver()
{
	byte head, fenced, asleep, before, seen, last_rung;
	bool over;

	do
	:: THERE ->                                       /* ring_poll */
#ifdef REUSE_EARLY
		STORE(B, RELEASED, head + 1);
#endif
		assert(word[PAYLOAD + head % RECORDS] == head + 1); /* region_copy_out: in order, whole */
		head++;
#ifndef REUSE_EARLY
		STORE(B, RELEASED, head);                 /* ring_give_back */
#endif
		if
		:: skip                                   /* the fence is put off */
		:: settle()                               /* much was given back */
		fi
	:: !THERE ->
#ifndef NO_SETTLE
		settle();                                 /* channel_empty */
#endif
#ifdef END_FIRST
		if
		:: ENDED -> break
		:: else
		fi;
#else
		over = ENDED;                             /* the end counts only when the ring ... */
		if
		:: over && !THERE -> break                /* ... looked at after it, is empty */
		:: else -> over = false
		fi;
#endif
		sleep_mark(B);
		if
#ifdef NO_RELOOK
		:: true -> sleep_hlt(B)
#else
		:: !THERE && !ENDED -> sleep_hlt(B)       /* readable_condition */
		:: else
#endif
		fi;
		sleep_end(B);
		before = 0
	od;
	/* Nothing that was published is left behind. */
	assert(!THERE);
#ifdef DEATH
	assert(head == MESSAGES || dead_seen)
#else
	assert(head == MESSAGES)
#endif
}

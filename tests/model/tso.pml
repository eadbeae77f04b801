/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * x86-TSO for the models: each peer's stores go through a first-in-first-out buffer of SB entries that
 * drains when it likes; a fence waits until it is empty. No peer reads a word that it writes itself
 * (msg/ keeps private copies), so a load goes to memory. A doorbell is a store like others (an MMIO
 * write is ordered behind earlier stores and nothing more): the weakest that hardware may do.
 *
 * Source: Sewell et al., "x86-TSO", CACM 53(7), 2010.
 *
 * Before it is included: SB (at least 2), WORDS, PEERS; on_bell(peer) says what a ring does.
 */
#define BELL 255

chan buffer[PEERS] = [SB] of { byte, byte };
byte word[WORDS];

#define STORE(me, w, v) buffer[me]!w, v
#define RING(me, peer)  buffer[me]!BELL, peer
#define FENCE(me)       empty(buffer[me])

active [PEERS] proctype drain()
{
	byte w, v;
end:	do
	:: atomic {
		buffer[_pid]?w, v ->
		if
		:: w == BELL -> on_bell(v)
		:: else -> word[w] = v
		fi;
		w = 0;
		v = 0
	   }
	od
}

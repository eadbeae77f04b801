/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What travels on a channel of KIND_CALLS: letters with a head of three words. docs/wire-format.md,
 * "Calls", says the same in words.
 *
 *   word 0  bits 0..7 enum call_type; bit 8 LETTER_BODY; the rest 0
 *   word 1  the call's id, the caller's choice; never 0
 *   word 2  request: how long the caller waits, in ns from now on, all ones: for ever. Else 0.
 */
#ifndef MSG_CALL_H
#define MSG_CALL_H

#include <isthmus/msg_call.h>
#include "msg/channel.h"
#include "msg/patterns/letter.h"
#include "msg/pattern.h"

#define CALL_WORDS 3

enum call_type {
	CALL_REQUEST = 1, /* to the server */
	CALL_REPLY = 2,   /* to the caller */
	CALL_CANCEL = 3,  /* to the server: nobody waits for that reply any more */
	CALL_REFUSAL = 4, /* to the caller: no reply will come */
};

/* Figures of either side, in its control block. */
enum call_figure {
	CALL_FIGURE_OUTSTANDING = 0,
	CALL_FIGURE_ANSWERED = 1,
	CALL_FIGURE_CANCELLED = 2,
	CALL_FIGURE_LATE = 3,
};

#endif

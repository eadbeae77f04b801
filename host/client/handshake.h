/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's side of the protocol as a state machine: what each message means after those
 * before it, and whether it keeps the rules. No socket, no clock, no descriptors: a fuzzer
 * can feed it.
 *
 *	state		value		fd	next		meaning
 *	VERSION		0		no	ID
 *	VERSION		-2, -3		no	BROKEN		the server refuses (Isthmus's)
 *	ID		0..65535	no	REGION		our id
 *	REGION		-1		yes	RUNNING		the region
 *	RUNNING		our id		yes	RUNNING		one more vector of ours
 *	RUNNING		0..65535	yes	RUNNING		one more vector of that peer
 *	RUNNING		a known peer	no	RUNNING		it has left
 *	any		anything else		BROKEN
 */
#ifndef HOST_CLIENT_HANDSHAKE_H
#define HOST_CLIENT_HANDSHAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "ivshmem_protocol.h"

enum handshake_state {
	HANDSHAKE_VERSION,
	HANDSHAKE_ID,
	HANDSHAKE_REGION,
	HANDSHAKE_RUNNING,
	HANDSHAKE_BROKEN,
};

enum handshake_meaning {
	HANDSHAKE_GOT_VERSION,
	HANDSHAKE_GOT_ID,
	HANDSHAKE_GOT_REGION,
	HANDSHAKE_GOT_VECTOR, /* peer (perhaps ourselves) and vector are set */
	HANDSHAKE_GOT_LEAVE,  /* peer is set; vector is how many it had */
};

struct handshake_message {
	enum handshake_meaning meaning;
	unsigned int peer, vector;
};

struct handshake {
	enum handshake_state state;
	unsigned int own_id;                    /* from REGION on */
	uint16_t vectors[IVSHMEM_PROTOCOL_IDS]; /* arrived so far, by id; 0: not known */
};

void handshake_init(struct handshake *handshake);

/*
 * Takes the next message. Returns 0 and *@message; or, when it breaks a rule, -EPROTO (or -EUSERS:
 * the server refuses us) with the rule in @error, and the state is BROKEN for good.
 */
int handshake_step(struct handshake *handshake, int64_t value, bool has_fd,
	struct handshake_message *message, char error[256]);

/* What the server owes next, for a message about its silence: "its version", say. */
const char *handshake_expects(const struct handshake *handshake);

#endif

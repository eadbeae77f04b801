/* SPDX-License-Identifier: BSD-2-Clause */
/* What must hold: the promises of the message layer, looked at from outside the peers. */
#ifndef TESTS_SIM_ORACLE_H
#define TESTS_SIM_ORACLE_H

#include "tests/sim/sim.h"

#define SIM_MESSAGES 64 /* per direction and channel */

/* One side of a channel, with all that it sent: messages, or bytes where it is a stream. */
struct sim_end {
	struct sim_seat *seat;
	uint64_t life, their_life;
	uint32_t index, generation, their_index, their_generation;
	struct sim_end *partner;   /* once it is known */
	const struct msg_channel *channel; /* until it is closed */
	bool stream;
	uint16_t length[SIM_MESSAGES];
	uint32_t tag[SIM_MESSAGES]; /* what is in them: oracle_byte */
	unsigned target;           /* that it means to send */
	unsigned attempted, accepted; /* sent; attempted: a call is under way */
	unsigned delivered, released;
	unsigned taking;           /* at most so many more by a call that is under way */
	unsigned faults;           /* told by events */
	struct msg_fault untold;   /* found, and not yet told when it was closed */
	bool over;                 /* closed, left or died: no more comes of it */
	bool cut;                  /* ... because it was evicted */
	unsigned number;
};

/* ---- oracle.c: presence, land, names, memory ---- */
void oracle_reset(void);
void oracle_claimed(struct sim_seat *seat, uint32_t slot, uint64_t life);
void oracle_stored(struct sim_peer *peer, uint32_t at, uint64_t value);
void oracle_died(struct sim_seat *seat);
/* A liar's channel now says this of its state. True: its partner must notice that in time. */
bool oracle_owed(const struct sim_seat *seat, const struct msg_channel *channel, uint64_t status);
/* After each event of the machine. */
void oracle_step(void);
void oracle_end(void);
/* Is its slot another's, or nobody's, by now? */
bool oracle_evicted(const struct sim_seat *seat);
bool oracle_honest(void); /* nobody lies about what isn't its own */

/* ---- oracle_channel.c ---- */
void oracle_ends_reset(void);
/* NULL: too many. */
struct sim_end *oracle_opened(struct sim_seat *seat, struct msg_channel *channel);
struct sim_end *oracle_partner(struct sim_end *end);
/* A new tag for a message's content, and byte i of it. */
uint32_t oracle_tag(void);
uint8_t oracle_byte(uint32_t tag, unsigned i);
/* The running peer's next message is about to be sent; then so many were. */
void oracle_attempt(struct sim_end *end, unsigned len, uint32_t tag);
void oracle_sent(struct sim_end *end, int64_t count);
/* The running peer received this. */
void oracle_delivered(struct sim_end *end, const uint8_t *data, uint64_t len);
/* msg_recv said so: nothing more comes. */
void oracle_channel_ended(struct sim_end *end, struct msg_channel *channel, int64_t err);
/* msg_close has returned: who sleeps there must have been woken. */
void oracle_closed(struct sim_end *end);
/* It sleeps now: all that wait for what it gave back have been looked for. */
void oracle_sleeps(const struct sim_peer *p);
/* May this channel fail in any way? */
bool oracle_may_fail(const struct sim_end *end);
/* What a peer believes of a channel makes sense, whatever it read. */
void oracle_private(const struct sim_end *end, const struct msg_channel *channel);
bool oracle_same_fault(const struct msg_fault *a, const struct msg_fault *b);
/* The end was told this fault; or one that was closed and had found the same. */
void oracle_fault(struct sim_end *end, const struct msg_fault *fault);
/* The peer left the region, or found out that it was evicted. */
void oracle_left(struct sim_seat *seat, bool evicted);
/* It is gone, by death or unplugging. */
void oracle_ends_died(struct sim_seat *seat);
/* The other end of a channel that a peer has; NULL. */
struct sim_end *oracle_other_end(const struct sim_seat *seat, const struct msg_channel *channel);
/* A live peer's end in that slot; NULL. */
struct sim_end *oracle_end_in(unsigned where, uint32_t slot, const struct sim_peer *but);

#endif

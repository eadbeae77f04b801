/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The simulator: a machine of several peers in one process, over one region in plain memory, under
 * virtual time. docs/simulator.md says what is simulated and how to read a failure.
 *
 *   config.c   a seed becomes a scenario
 *   machine.c  coroutines, the scheduler, events in virtual time, faults
 *   memory.c   the region as a peer sees it: store buffers, ownership
 *   port.c     the port of msg/: waiting, doorbells, heart, private memory
 *   app.c      what the peers do
 *   oracle.c   what must hold
 *   name.c     words of the region by name, for traces
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdarg.h>
#include "msg/internal.h"

#define SIM_PEERS  4
#define SIM_SIZE   65536u
#define SIM_STACK  65536u
#define SIM_ARENA  (256u << 10)
#define SIM_BUFFER 32u  /* deepest store buffer */
#define SIM_NEVER  UINT64_MAX
#define US         1000ull
#define MS         1000000ull

enum sim_ground { GROUND_DOORBELL, GROUND_FUTEX, GROUND_PLAIN };
enum sim_lies { LIES_NONE, LIES_OWN, LIES_WILD };

struct sim_config {
	uint64_t seed;
	unsigned peers;
	enum sim_ground ground;
	bool fences, atomic;     /* false: a guest under TCG with -smp 1 */
	unsigned buffer;         /* depth of the store buffers */
	unsigned drain;          /* of 256 steps, how many drain a store */
	unsigned quantum;        /* mean steps before another peer may run; 0: by priorities */
	unsigned tick;           /* ns of a step */
	unsigned bell_delay;     /* ns at most */
	bool bells_stick;        /* eventfd; else an interrupt, which is over when it was taken */
	unsigned bells_lost;     /* us after a join in which rings at the newcomer are lost */
	unsigned kills, stalls;
	enum sim_lies lies;
	unsigned messages;       /* per direction, at most */
	struct msg_options options;
	uint64_t backing_ns;
	uint64_t spin_ns;
};

struct sim_entry {
	uint32_t offset, size;
	uint64_t value;
};

enum sim_state { PEER_OFF, PEER_READY, PEER_ASLEEP, PEER_STALLED, PEER_DONE };
enum sim_fault { FAULT_NONE, FAULT_KILL, FAULT_STALL };

struct sim_peer {
	unsigned index;
	enum sim_state state;
	void *sp;                /* saved stack pointer */
	bool fresh;              /* a new life whose coroutine has not run yet */
	uint64_t steps;          /* accesses to the region, in all lives */
	unsigned priority;
	unsigned lives;
	/* times of what comes next; SIM_NEVER: nothing */
	uint64_t wake_at, beat_at, bell_at, resume_at, restart_at;
	uint64_t joined_at;
	bool bell, prepared, woken;
	volatile uint32_t *word; /* futex that it sleeps on */
	uint64_t fault_step;     /* its next fault, by steps */
	enum sim_fault fault;
	uint64_t stalled_ns;     /* in all */
	uint64_t stalled_last;   /* when the last stall ended */
	unsigned evictions;
	/* memory */
	struct sim_entry buffer[SIM_BUFFER];
	unsigned first, count;
	int slot;                /* that it believes its own; -1 */
	uint64_t life;
	bool formats;            /* had the right to format in this life */
	uint64_t land_from, land_to; /* last found to be its own */
	unsigned stale;          /* stores into a slot that is another's by now */
	/* port */
	struct msg_beat *beat;
	struct msg_wait_ops wait_ops;
	struct msg_context *context;
	struct msg_region *region;
	uint32_t peer_id;
	uint64_t arena_used;
	unsigned allocated;
	void *freed[24];
	/* app */
	bool finished, liar, lied;
	unsigned rescues;
};

struct sim {
	struct sim_config config;
	struct geometry geo;
	uint64_t rng;
	uint64_t now, next_event;
	int64_t fuel;            /* steps before the scheduler is asked */
	int64_t granted;
	uint64_t steps;
	unsigned kills_done, stalls_done, bells_rung, bells_dropped, bells_missed;
	struct sim_peer *running;
	struct sim_peer peer[SIM_PEERS];
	uint32_t max_epoch[SIM_PEERS + 4]; /* by slot */
	struct { uint64_t at, life; uint32_t slot; } death[16];
	unsigned deaths;
	/* A peer that stood still for long wrote one word into its successor's slot, or may, as a
	 * formatter, wipe one claim of anybody's (msg/format.c). */
	bool spoiled;
	bool trace;
};

extern struct sim sim;
extern uint8_t *sim_base;

/* config.c */
void sim_configure(uint64_t seed);
void sim_print_config(void);

/* machine.c */
uint64_t sim_random(void);
/* 0..n-1 */
uint32_t sim_pick(uint32_t n);
bool sim_chance(uint32_t of_256);
/* Runs the configured seed to its end; returns if it passes. */
void sim_run(void);
/* The running peer did a step. */
void sim_step(void);
/* The running peer sleeps until wake_at or a bell. */
void sim_sleep(void);
/* Something will happen at that time. */
void sim_event_at(uint64_t when);
/* Is there a peer that is not done (or will be back), other than p? */
bool sim_others_busy(const struct sim_peer *p);

/* memory.c */
void memory_init(void);
void memory_reset(void);
void memory_drain(struct sim_peer *peer, unsigned n);
uint64_t memory_read(const void *p, unsigned size); /* what lies there, for the oracle */
void memory_beat(struct sim_peer *peer);
/* One lie of a peer. */
void memory_lie(struct sim_peer *peer);

/* port.c */
void port_start(struct sim_peer *peer);
void port_died(struct sim_peer *peer);

/* app.c */
void app_main(struct sim_peer *peer);

/* oracle.c */
#define SIM_MESSAGES 64 /* per direction and channel */

/* One side of a channel, with all that it sent. */
struct sim_end {
	struct sim_peer *peer;
	uint64_t life, their_life;
	uint32_t index, generation, their_index, their_generation;
	struct sim_end *partner;   /* once it is known */
	uint16_t length[SIM_MESSAGES];
	unsigned target;           /* messages that it means to send */
	unsigned attempted, accepted; /* sent; attempted: a call is under way */
	unsigned delivered, released;
	unsigned taking;           /* at most so many more by a call that is under way */
	bool over;                 /* closed, left or died: no more comes of it */
	bool cut;                  /* ... and it was evicted, or let go before it had read all */
	unsigned number;
};
struct sim_end *oracle_opened(struct sim_peer *peer, struct msg_channel *channel);
struct sim_end *oracle_partner(struct sim_end *end);
/* The running peer's messages first..first+count-1 are about to be sent; then so many were. */
void oracle_attempt(struct sim_end *end, unsigned len);
void oracle_sent(struct sim_end *end, int count);
/* Byte i of message k of an end. */
uint8_t oracle_byte(const struct sim_end *end, unsigned k, unsigned i);
/* The running peer received this. */
void oracle_delivered(struct sim_end *end, const uint8_t *data, uint64_t len);
/* msg_recv said so: nothing more comes. */
void oracle_channel_ended(struct sim_end *end, struct msg_channel *channel, int64_t err);
/* May the running peer's channel fail that way? */
bool oracle_may_fail(const struct sim_end *end);
/* The peer left, or found out that it was evicted. */
void oracle_left(struct sim_peer *peer, bool evicted);
void oracle_reset(void);
void oracle_claimed(struct sim_peer *peer, uint32_t slot, uint64_t life);
void oracle_stored(struct sim_peer *peer, uint32_t offset, uint32_t size, uint64_t value);
void oracle_died(struct sim_peer *peer);
void oracle_step(void);
void oracle_end(void);
bool oracle_honest(void); /* nobody lies about what isn't its own */

/* name.c */
const char *name_word(uint64_t offset);

/* main.c */
void sim_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void sim_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

uint64_t sim_load(const void *p, unsigned size);
void sim_store(void *p, uint64_t value, unsigned size);
void sim_fence(void);
bool sim_cas(uint64_t *p, uint64_t expected, uint64_t desired);
void sim_copy_in(void *region, const void *data, size_t len);
void sim_copy_out(void *data, const void *region, size_t len);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The simulator: a machine of several peers in one process, over one or two regions in plain
 * memory, under virtual time. docs/simulator.md says what is simulated and how to read a failure.
 *
 *   config.c   a seed becomes a scenario
 *   scenario.c parts of it that are fixed from outside
 *   machine.c  coroutines, the scheduler, events in virtual time
 *   fault.c    kills, standstills, unplugging
 *   memory.c   the regions as a peer sees them: store buffers, ownership
 *   lie.c      what a hostile peer writes
 *   port.c     the port of msg/: waiting, doorbells, heart, private memory
 *   attach.c   ... and its regions: joining, unplugging
 *   app*.c     what the peers do (app.h)
 *   oracle*.c  what must hold (oracle.h)
 *   name.c     words of the region by name, for traces
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdarg.h>
#include "msg/internal.h"

#define SIM_PEERS   4
#define SIM_REGIONS 2
#define SIM_SIZE    65536u
#define SIM_SPAN    (SIM_SIZE + 4096u) /* from one region to the next */
#define SIM_STACK   65536u
#define SIM_ARENA   (512u << 10)
#define SIM_BUFFER  32u  /* deepest store buffer */
#define SIM_DEEDS   4u
#define SIM_NEVER   UINT64_MAX
#define US          1000ull
#define MS          1000000ull

enum sim_ground { GROUND_DOORBELL, GROUND_FUTEX, GROUND_PLAIN };
/* About what is its own at random; anywhere; or aimed at what others read of it. */
enum sim_lies { LIES_NONE, LIES_OWN, LIES_WILD, LIES_POINTED };
enum sim_lengths { LENGTHS_MIXED, LENGTHS_LONG };
/* What a whole seed lives for (config.c says more). */
enum sim_meeting { MEETING_NONE, MEETING_ONE_WAY, MEETING_CONTEST, MEETING_NAPS, MEETING_PICKY,
	MEETING_STILL, MEETING_PULLED, MEETINGS };
/* Words that a scenario can aim at. */
enum sim_word { WORD_NONE, WORD_CLAIM, WORD_ENDPOINT, WORD_DEED, WORD_STATUS, WORD_GENERATION,
	WORD_RELEASED, WORD_PHASE, WORD_STEP, WORD_VERDICT, WORD_LAND, WORDS_AIMED };
#define WORD_WORDS "none claim endpoint deed status generation released phase step verdict land"
#define MEETING_WORDS "none one-way contest naps picky still pulled"

struct sim_config {
	uint64_t seed;
	unsigned peers, regions;
	enum sim_ground ground;
	bool fences, atomic;     /* false: a guest under TCG with -smp 1 */
	unsigned buffer;         /* depth of the store buffers */
	unsigned drain;          /* of 256 steps, how many drain a store */
	unsigned quantum;        /* mean steps before another peer may run; 0: by priorities */
	unsigned tick;           /* ns of a step */
	unsigned bell_delay;     /* ns at most */
	bool bells_stick;        /* eventfd; else an interrupt, which is over when it was taken */
	unsigned bells_lost;     /* us after a join in which rings at the newcomer are lost */
	unsigned kills, stalls, unplugs;
	enum sim_lies lies;
	enum sim_meeting meeting;
	enum sim_word aim;       /* where these are accessed, faults and other peers' turns come */
	struct msg_options options;
	uint64_t backing_ns;
	uint64_t spin_ns;
	/* habits of the peers' apps */
	unsigned messages;       /* per direction, at most */
	enum sim_lengths lengths;
	unsigned patience;       /* ms: longest deadline of a send or receive */
	unsigned idle;           /* ms: longest wait for anything */
	bool one_way;            /* who accepted sends nothing */
	bool loyal;              /* nobody closes, or gives a name up, before all is done */
	bool waits;              /* looks at a channel only when msg_wait says so */
	unsigned quits;          /* of 256 calls in a group that are under way, how many are given up */
	unsigned items;          /* that a dispatcher holds; 0: any number */
	bool picky;              /* waits for some of its channels only */
	bool delicate;           /* faults come oftener where they hurt */
	bool sudden;             /* devices that go tell nobody before */
	bool pulled_still;       /* devices go while their peers stand still */
	bool still;              /* ... and only where something is being read */
	unsigned naps;           /* of 256 rounds, how many begin with a sleep without a look */
	unsigned contests;       /* times that all want one name */
	unsigned churn;          /* of 256 channels that are done, how many are opened once more */
	bool starts;             /* listeners' rings begin at any position, too */
	unsigned streams;        /* of 256 channels, how many carry a stream */
	unsigned buffers;        /* of 256 sends, how many take a buffer */
	bool small_rings;        /* a liar's are smaller than its land for them */
	bool topics, calls, queues, groups, links;
	unsigned group_size;
	unsigned pairs;          /* of peers that have a link, at most */
	unsigned replugs;        /* times that a peer has its device unplugged, at most */
	unsigned put_backs;      /* of 256 of them, how many put its links back */
	unsigned dispatchers;    /* peers that dispatch, or stand by; the others work */
	unsigned policy;         /* enum msg_topic_policy */
};

struct sim_entry {
	uint32_t at, size;
	uint64_t value;
};

enum sim_state { PEER_OFF, PEER_READY, PEER_ASLEEP, PEER_STALLED, PEER_DONE };
enum sim_fault { FAULT_NONE, FAULT_KILL, FAULT_STALL, FAULT_UNPLUG };

struct sim_peer;

/* A peer in one region. */
struct sim_seat {
	struct sim_peer *peer;
	unsigned where;          /* number of the region */
	uint8_t *base;
	int slot;                /* that it believes its own; -1 */
	uint64_t life;
	bool formats;            /* had the right to format in this life */
	uint64_t land_from, land_to; /* last found to be its own */
	unsigned stale;          /* stores into a slot that is another's by now */
	struct msg_beat *beat;
	uint64_t beat_at, joined_at;
	struct msg_region *region;
	uint32_t peer_id;
	bool unplug, asked;      /* its device shall leave; was told so */
	bool gone;               /* nothing may be touched any more */
	bool dispatches;         /* has a dispatcher's handle */
};

struct sim_peer {
	unsigned index;
	enum sim_state state;
	void *sp;                /* saved stack pointer */
	bool fresh;              /* a new life whose coroutine has not run yet */
	uint64_t steps;          /* accesses to the region, in all lives */
	unsigned priority;
	unsigned lives;
	/* times of what comes next; SIM_NEVER: nothing */
	uint64_t wake_at, bell_at, resume_at, restart_at;
	bool bell, prepared, timed_out, woken, telling;
	volatile uint32_t *word; /* futex that it sleeps on */
	uint64_t fault_step;     /* its next fault, by steps */
	enum sim_fault fault;
	bool armed;              /* its next fault may come at what the scenario aims at */
	uint64_t stalled_ns;     /* in all */
	uint64_t ready_at;       /* when it last ran, or could run again */
	uint64_t away_ns;        /* in all: stalled, or ready and not run for longer than a millisecond */
	uint64_t stalled_last;   /* when the last stall ended */
	unsigned evictions;
	uint64_t attached_at;    /* when msg_attach last returned; SIM_NEVER: it hasn't */
	/* memory */
	struct sim_entry buffer[SIM_BUFFER];
	unsigned first, count;
	struct sim_seat seat[SIM_REGIONS];
	const struct msg_channel *reading; /* whose ring it may read now */
	uint64_t deed[SIM_DEEDS]; /* that it saw meanwhile, of whomever */
	unsigned deeds;
	bool blind;              /* read a payload when its slot was another's already */
	const uint8_t *blind_from; /* ... the first one of a call, into there */
	/* port */
	struct msg_wait_ops wait_ops;
	struct msg_context *context;
	uint64_t arena_used;
	unsigned allocated;
	void *freed[24];
	/* app */
	bool finished, liar, lied;
	uint64_t mute_until;
	unsigned rescues;
};

struct sim {
	struct sim_config config;
	struct geometry geo;     /* of each region */
	uint64_t rng;
	uint64_t now, next_event;
	int64_t fuel;            /* steps before the scheduler is asked */
	int64_t granted;
	uint64_t steps;
	unsigned kills_done, stalls_done, unplugs_done, lies_told;
	unsigned bells_rung, bells_dropped;
	uint64_t messages_received;
	struct sim_peer *running;
	struct sim_peer peer[SIM_PEERS];
	/* A peer that stood still for long wrote one word into its successor's slot, or may, as a
	 * formatter, wipe one claim of anybody's (msg/format.c). */
	bool spoiled;
	bool trace;
};

/* What all seeds of a run did together. */
struct sim_totals {
	uint64_t steps, longest, virtual_us, messages, kills, stalls, unplugs, lies, bells;
};

extern struct sim sim;
extern uint64_t sim_step_limit; /* more accesses in one seed are a hang */
extern uint8_t *sim_base;

/* config.c */
void sim_configure(uint64_t seed);
void sim_print_config(void);

/* scenario.c */
/* --with: false, and says so, if it isn't a list of parts. */
bool scenario_parse(const char *list);
void scenario_help(void);
/* NULL: nothing is fixed. */
const char *scenario_given(void);
void scenario_begin(uint64_t seed);
/* 0..n-1: the seed's next, or, where parts of the scenario are fixed, by its name alone. */
uint32_t scenario_draw(const char *what, uint32_t n);
void scenario_fix(void);
bool scenario_fixed(const char *part);
/* As scenario_draw, but always by seed and name: moves nothing else. */
uint32_t scenario_aside(const char *what, uint32_t n);

/* machine.c */
uint64_t sim_random(void);
/* 0..n-1 */
uint32_t sim_pick(uint32_t n);
bool sim_chance(uint32_t of_256);
/* The running peer's turn is over. */
void sim_yield(void);
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
/* The running peer's steps up to now are in p->steps; then what is left before its next fault. */
void sim_account(struct sim_peer *p);

/* fault.c */
void fault_plan(struct sim_peer *p);
void fault_happens(struct sim_peer *p);
/* The running peer begins something delicate: its next fault may come now. */
void fault_moment(struct sim_peer *p);
/* The same for who is about to read a reply or an item. */
void fault_reading(struct sim_peer *p);

/* The running peer gets to a word that the scenario may aim at; at: from sim_base. */
void fault_aim(struct sim_peer *p, uint64_t at, bool stores);

/* memory.c */
void memory_init(void);
void memory_reset(void);
void memory_drain(struct sim_peer *peer, unsigned n);
uint64_t memory_read(const void *p, unsigned size); /* what lies there, for the oracle */
void memory_beat(struct sim_seat *seat);
/* The peer is about to read from that channel. */
void memory_note_deeds(struct sim_peer *p, const struct msg_channel *reading);
/* A payload is read while p->reading says of which ring: it must not run out of it. */
void memory_check_reading(const struct sim_peer *p, const void *from, size_t len);
/* Is this in land that the peer has a firm deed for? */
bool memory_in_own_land(struct sim_seat *seat, uint32_t offset, uint32_t size);

/* lie.c */
void lie_reset(void);
/* One lie of a peer. */
void lie_once(struct sim_peer *peer);

/* port.c */
void port_start(struct sim_peer *peer);
void port_died(struct sim_peer *peer);
/* Was that piece of private memory allocated behind a look at what was another's by then? */
bool port_was_blind(const void *memory);

/* attach.c */
/* Tells msg about devices that leave. */
void attach_upcalls(struct sim_peer *peer);
/* Is there something to tell, so that no sleep may begin? */
bool attach_waiting(const struct sim_peer *peer);
/* No sleep beyond this. */
uint64_t attach_wake_by(const struct sim_peer *peer);
void attach_seat_reset(struct sim_seat *seat);

/* app.c */
void app_main(struct sim_peer *peer);
/* Is this private memory of the peer's app? */
bool app_owns(const struct sim_peer *peer, const void *from, size_t len);

/* name.c; at: from sim_base */
const char *name_word(uint64_t at);
enum sim_word name_kind(uint64_t at);

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

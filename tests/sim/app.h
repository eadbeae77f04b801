/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the peers do. Each joins its regions, listens under its name, connects to others, sends and
 * receives in every way there is until all that it means to send is sent, closes, looks whether
 * everything came back, and leaves. Who was evicted or unplugged joins again.
 *
 *   app.c          the life of a peer
 *   app_meet.c     names, connecting, accepting, events
 *   app_send.c     ways of sending
 *   app_receive.c  ways of receiving
 *   app_buffer.c   buffers that are shared and outlive channels
 *   app_topic.c    topics
 *   app_call.c     calls
 *   app_queue.c    work queues
 *   app_group.c    groups
 *   app_link.c     links
 */
#ifndef TESTS_SIM_APP_H
#define TESTS_SIM_APP_H

#include "tests/sim/oracle_pattern.h"

#define CONNS    8
#define LONGEST  3000
#define HELD     3
#define GIVE_UP  ((6000 + 40ull * (sim.config.patience + sim.config.idle)) * MS)
#define SLACK    (8 * MS) /* by which a call may outlast its deadline */

struct conn {
	struct msg_channel *channel;
	struct sim_end *end;
	bool ready;                /* the last wait said so */
	bool blocked;              /* the last try to send found no room */
	unsigned viewed;
};

struct held {
	struct msg_buffer *buffer;
	uint32_t tag;
	unsigned len, sends;
};

struct subscriber {
	struct msg_subscription *handle;
	struct sim_subscriber oracle;
};

struct topics {
	struct msg_topic *topic;
	struct sim_topic *mine;
	struct subscriber sub[SIM_PEERS];
	bool wanted[SIM_PEERS];
	unsigned tries[SIM_PEERS];
};

#define HELD_CALLS 6

struct held_call {
	uint64_t token; /* 0: none */
	struct sim_call *call;
};

struct calls {
	struct msg_server *server;
	struct held_call held[HELD_CALLS];
	struct msg_caller *caller[SIM_PEERS];
	bool wanted[SIM_PEERS], broken[SIM_PEERS];
	unsigned tries[SIM_PEERS], under_way[SIM_PEERS];
	unsigned left; /* calls still to be made */
};

#define HELD_WORK 3

struct held_work {
	uint64_t token; /* 0: none */
	struct sim_delivery *delivery; /* NULL: not judged */
};

struct queues {
	struct msg_dispatcher *dispatcher;
	struct msg_producer *producer;
	struct msg_worker *worker;
	struct sim_maker *maker;
	struct sim_hand *hand;
	unsigned worker_window, producer_window;
	unsigned left; /* items still to be put */
	struct held_work held[HELD_WORK];
};

struct crew {
	struct msg_group *group;
	struct sim_crew *oracle;
	unsigned rank, call;       /* call: the newest that was begun */
	bool under_way;            /* ... and hasn't ended */
	unsigned tries, groups;    /* to gather since the last group; groups so far */
	uint8_t bytes[CREW_BYTES];
};

/* A peer in one region. */
struct place {
	struct app *app;
	struct sim_peer *peer;
	struct sim_seat *seat;
	struct msg_region *region; /* NULL: not there (any more) */
	struct msg_listener *listener, *contended;
	struct conn conn[CONNS];
	struct held held[HELD];
	struct topics topics;
	struct calls calls;
	struct queues queues;
	struct crew crew;
	unsigned tries[SIM_PEERS]; /* to connect to each */
	bool wanted[SIM_PEERS];
	unsigned contests;         /* still to come */
	unsigned reopened;
	unsigned joins;
	bool lost;                 /* evicted or gone: leave it */
	bool evicted;
	bool waiting;              /* for a free slot */
	bool kept;                 /* handles that msg_leave shall close */
	uint64_t since;
};

#define LIAR_TIME  (700 * MS) /* so long a liar's channels are waited for */
#define LINK_BYTES 8192

/* An end of a link: outlives places. */
struct post {
	unsigned pair;
	bool listens;
	struct msg_link *link;     /* NULL: not open */
	struct sim_link *oracle;
	struct place *place;       /* attached there; NULL */
	bool ready;                /* msg_wait said so */
	bool listened;
	unsigned opened, retries;
	size_t size;
	struct sim_link *saved_end; /* a state of it, to which it may be put back */
	uint8_t memory[LINK_BYTES] __attribute__((aligned(8)));
	struct sim_link saved;
	uint8_t saved_memory[LINK_BYTES];
};

struct app {
	struct sim_peer *peer;
	unsigned naps;
	unsigned replugs;          /* still to come */
	uint64_t began;
	struct post post[2];       /* it listens for one link, and seeks another one's listener */
	struct place place[SIM_REGIONS];
	uint8_t bytes[8 * LONGEST];
};

/* ---- app.c ---- */
/* A call with a deadline returned. */
void app_check_deadline(struct place *place, uint64_t deadline, uint64_t away, const char *what);
/* Did the call fail because this peer lost its place in the region? */
bool app_lost(struct place *place, int64_t err);
/* Is its slot another's, or nobody's, by now? Then what it sees in the region may be anything, and the
 * next call says so. */
bool app_evicted(const struct place *place);
/* A call that reads is about to be made; it has returned this. What it read when its place was another's
 * already it may not give out. */
void app_reads(struct place *place);
void app_has_read(struct place *place, int64_t result);
/* Lies excuse what is otherwise a failure. */
bool app_excused(void);

/* ---- app_meet.c ---- */
const char *meet_name(unsigned peer);
void meet_listen(struct place *place);
void meet_contest(struct place *place);
void meet_connect(struct place *place);
void meet_accept(struct place *place);
void meet_events(struct place *place);
/* Is there anybody it wants to connect to and may? */
bool meet_wanted(const struct place *place);
void conn_close(struct place *place, struct conn *conn);
void conn_failed(struct place *place, struct conn *conn, int64_t err);
bool conn_complete(struct conn *conn);

/* ---- app_send.c, app_receive.c: false: the channel is gone ---- */
bool conn_send(struct place *place, struct conn *conn);
bool conn_receive(struct place *place, struct conn *conn);

/* ---- app_buffer.c ---- */
/* Sends a buffer, a new one or one that is under way elsewhere; as msg_buffer_send, or 1. */
int held_send(struct place *place, struct conn *conn, uint64_t deadline);
void held_look(struct place *place);
/* At the end: gives them back, or leaves it to msg_leave. */
void held_drop(struct place *place);

#endif

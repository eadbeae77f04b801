/* SPDX-License-Identifier: BSD-2-Clause */
/* What must hold of topics, calls, queues, groups and links. */
#ifndef TESTS_SIM_ORACLE_PATTERN_H
#define TESTS_SIM_ORACLE_PATTERN_H

#include <isthmus/msg_call.h>
#include <isthmus/msg_group.h>
#include <isthmus/msg_link.h>
#include <isthmus/msg_queue.h>
#include <isthmus/msg_topic.h>
#include "tests/sim/oracle.h"

#define SIM_TOPICS 40
#define SIM_CALLS  400

/* ---- oracle_topic.c ---- */

/* A topic in one life of its publisher. */
struct sim_topic {
	struct sim_seat *seat;
	uint64_t life;
	uint32_t slot, tag;
	unsigned target;
	uint64_t published, attempted; /* attempted: a call is under way */
	bool over, cut;
};

struct sim_subscriber {
	struct sim_seat *seat;
	struct sim_topic *topic;
	uint64_t before[SIM_TOPICS];  /* published when it asked */
	uint64_t first, first_most;   /* where it may have begun */
	uint64_t last;
	bool got;
};

void oracle_topics_reset(void);
struct sim_topic *oracle_topic_opened(struct sim_seat *seat);
unsigned oracle_topic_length(const struct sim_topic *topic, uint64_t number);
void oracle_topic_fill(const struct sim_topic *topic, uint64_t number, uint8_t *data);
void oracle_topics_over(struct sim_seat *seat, bool cut);
/* msg_subscribe is about to be called; it has returned. */
void oracle_subscribing(struct sim_subscriber *sub);
void oracle_subscribed(struct sim_subscriber *sub, struct sim_seat *seat,
	const struct msg_peer *peer, bool retained);
bool oracle_topic_may_fail(const struct sim_subscriber *sub);
/* published_then: when the receive began. */
void oracle_topic_got(struct sim_subscriber *sub, const uint8_t *data, uint64_t len,
	const struct msg_topic_mark *mark, uint64_t published_then);
void oracle_topic_ended(struct sim_subscriber *sub, int64_t err);

/* ---- oracle_call.c ---- */

struct sim_call {
	struct sim_seat *caller;
	uint64_t life;             /* the caller's */
	uint32_t server_slot, server_epoch;
	uint32_t tag;
	unsigned len;
	uint64_t deadline;
	unsigned served;           /* times that the server got it */
	unsigned ended;            /* times that it ended at its caller */
	bool replied, refused;     /* the server did, or tries to */
	bool cancelled;
};

void oracle_calls_reset(void);
/* A call is about to be started. NULL: too many. */
struct sim_call *oracle_call_new(struct sim_seat *seat, const struct msg_peer *server,
	uint64_t deadline);
/* A request and a reply begin with the call's number. */
unsigned oracle_call_fill(const struct sim_call *call, bool reply, uint8_t *data);
/* The server got this of that peer; NULL: nonsense (of a liar). */
struct sim_call *oracle_call_served(struct sim_seat *seat, const struct msg_peer *from,
	const uint8_t *data, uint64_t len);
/* How a call ended; data: the reply, if there is one. */
void oracle_call_ended(struct sim_call *call, int64_t result, const uint8_t *data);
bool oracle_call_may_fail(const struct sim_call *call);
/* The seat's servers and calls are over. */
void oracle_servers_over(struct sim_seat *seat);

/* ---- oracle_queue.c ---- */

#define SIM_MAKERS 48

/* A producer. */
struct sim_maker {
	struct sim_seat *seat;
	uint64_t life, put, results;
	bool over;
};

/* A worker. */
struct sim_hand {
	struct sim_seat *seat;
	uint64_t life;
	uint64_t last[SIM_MAKERS]; /* the last item of each producer that was new */
	bool over;
};

struct sim_item {
	struct sim_maker *maker;   /* NULL: was not put after all */
	uint64_t number;           /* of that producer's */
	uint32_t tag;
	unsigned taken, results;
};

/* An item at a worker. */
struct sim_delivery {
	struct sim_item *item;
	struct sim_hand *hand;
	bool marked, done, returned;
	unsigned moves;            /* of dispatchers until then */
	uint32_t tag;              /* of its result */
};

void oracle_queues_reset(void);
/* NULL: too many. */
struct sim_maker *oracle_maker_new(struct sim_seat *seat);
struct sim_hand *oracle_hand_new(struct sim_seat *seat);
/* The seat's dispatcher closes. */
void oracle_dispatcher_moved(const struct sim_seat *seat);
/* All that the seat had to do with queues is over. */
void oracle_queues_over(struct sim_seat *seat);
/* An item is about to be put; it could not be put. NULL: too many. */
struct sim_item *oracle_item_new(struct sim_maker *maker);
void oracle_item_refused(struct sim_item *item);
/* Items and results begin with their number. */
unsigned oracle_item_fill(const struct sim_item *item, uint8_t *data);
unsigned oracle_work_fill(const struct sim_delivery *delivery, uint8_t *data);
/* A worker took this; NULL: it isn't judged. */
struct sim_delivery *oracle_item_taken(struct sim_hand *hand, const struct msg_work *work);
void oracle_item_result(struct sim_maker *maker, const struct msg_queue_result *result);

/* ---- oracle_group.c ---- */

#define CREW_CALLS 12
#define CREW_BYTES 500

enum sim_outcome { OUTCOME_NONE, OUTCOME_GOOD, OUTCOME_FAILED };

struct sim_member {
	uint64_t life;
	struct sim_seat *seat;     /* NULL: it doesn't know (yet) that it is one */
	bool over;
	unsigned entered;          /* the newest call that it has begun */
	enum sim_outcome outcome[CREW_CALLS]; /* of the broadcasts that it has passed */
};

/* A group. */
struct sim_crew {
	unsigned where, size;
	bool spoiled;              /* by a liar */
	uint64_t generation;
	struct sim_member member[SIM_PEERS];
};

void oracle_crews_reset(void);
/* All that the seat had to do with groups is over. */
void oracle_crews_over(struct sim_seat *seat);
/* msg_group_join has returned that. NULL: too many. */
struct sim_crew *oracle_crew_joined(struct sim_seat *seat, struct msg_group *group);
/* Liars can spoil what they are in, or have founded; of the others' groups all is asked. */
bool oracle_crew_judged(const struct sim_crew *crew);
/* What its members do in that call: a number that is the same for all. */
uint32_t oracle_crew_call(const struct sim_crew *crew, unsigned call);
unsigned oracle_crew_fill(const struct sim_crew *crew, unsigned call, uint8_t *data);
void oracle_barrier_passed(struct sim_crew *crew, unsigned rank, unsigned call, int missing);
void oracle_broadcast_passed(struct sim_crew *crew, unsigned rank, unsigned call, int64_t result,
	const uint8_t *data);

/* ---- oracle_link.c ---- */

#define LINK_LETTERS 40

struct sim_letter {
	uint32_t tag;
	uint16_t len;
};

/* One end of a link, from the moment on at which it begins a conversation. */
struct sim_link {
	struct sim_peer *peer;
	unsigned number, until;    /* until: the number of the next one when it was over */
	unsigned pair, side;       /* which link; 0: the listening end */
	bool over;
	struct sim_link *with;     /* whose messages it receives, once there was one */
	unsigned target;           /* that it means to send */
	unsigned accepted, attempted; /* attempted: a call is under way */
	unsigned received, most;   /* most: before it was put back, too */
	unsigned delivered;        /* the newest that it was told */
	bool taking;               /* a call that receives is under way */
	bool finishing, finished;  /* msg_link_finish is called; has returned 0 */
	bool ended, flushed;       /* was told so */
	bool reset;
	/* Put back: */
	bool put_back;
	bool forgot;               /* ... and knows less of what it received */
	bool forked;               /* ... and of what it sent then, the other end got something */
	unsigned kept;             /* messages that it remembered */
	unsigned former_count;
	struct sim_letter letter[LINK_LETTERS], former[LINK_LETTERS]; /* former: before */
};

void oracle_links_reset(void);
/* again: by msg_link_restart. NULL: too many. */
struct sim_link *oracle_link_opened(struct sim_peer *peer, unsigned pair, unsigned side,
	bool again);
/* The newest end of that side is over. */
void oracle_link_over(unsigned pair, unsigned side, bool for_good);
bool oracle_link_gone(unsigned pair, unsigned side);
/* The region in which the two ends shall meet. */
unsigned *oracle_link_home(unsigned pair);
bool oracle_link_may_fail(const struct sim_link *end);
/* A message is about to be sent: its length; then it was, or not. */
unsigned oracle_letter_fill(struct sim_link *end, uint8_t *data, unsigned len);
void oracle_letter_sent(struct sim_link *end, int64_t err);
void oracle_letter_got(struct sim_link *end, const uint8_t *data, uint64_t len);
bool oracle_link_may_put_back(const struct sim_link *end);
void oracle_link_put_back(struct sim_link *end, const struct sim_link *saved);
void oracle_link_flushed(const struct sim_link *end);
void oracle_link_stats(struct sim_link *end, const struct msg_link_stats *stats);
/* It is told that the other end has finished; that the two memories differ. */
void oracle_link_ended(struct sim_link *end);
void oracle_link_reset(struct sim_link *end);
/* The i-th of those from `first` on that may not have been received. */
void oracle_link_undelivered(const struct sim_link *end, unsigned first, unsigned i,
	const struct msg_span *letter);
void oracle_link_undelivered_from(const struct sim_link *end, unsigned first);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fault points: a scene is a fresh region with a hub (a survivor) and a victim, a child that kills
 * itself at one store. points.c runs a role's scene once for each store; roles.c has the roles.
 */
#ifndef TESTS_ADVERSITY_POINTS_H
#define TESTS_ADVERSITY_POINTS_H

#include "tests/msg/harness.h"

#define STAGE_RING 1024
#define STAGE_SIZE (256u << 10)
#define STAGE_EVICTED 3 /* exit status: taken for dead on a busy machine; nothing was shown */

/* What the victim tells, in memory that outlives it and isn't the region. A count and what may or may not
 * have been added to it when it died. */
struct ledger {
	volatile uint64_t points;             /* passed */
	volatile uint64_t accepted, trying;   /* of what it sent */
	volatile uint64_t released, releasing; /* of what it received */
	volatile uint32_t stage;              /* how far it has come; its own meaning */
	volatile bool finished;
};

struct stage {
	const char *path;
	struct ledger *ledger;
	struct msg_options wishes;
	struct msg_region *hub;
	struct msg_listener *listener; /* of the hub, "hub" */
	pid_t victim;                  /* 0: reaped */
	bool faulty;                   /* may die: whoever talks to it must be ready for it */
	uint64_t at;                   /* 0: lives */
};

struct role {
	const char *name;
	bool alone;                         /* the hub joins only after the victim's end */
	void (*victim)(struct stage *stage);
	void (*survivor)(struct stage *stage);
};

/* roles.c: bare channels. roles_patterns.c: calls, topics, queues, groups. */
extern const struct role roles[], pattern_roles[];
extern const unsigned role_count, pattern_role_count;

/* Called by points.inc: one more point; the last one does not return. */
void point_step(void);

/* Victim: from here on the points count. */
void point_arm(struct stage *stage);

/* Hub: is the victim over, as the region says? Takes the hub's events. */
bool stage_over(struct stage *stage);

/* Hub: starts a further process of this scene. */
pid_t stage_spawn(struct stage *stage, void (*run)(struct stage *stage));

/* Fails unless result is 0, more, or -EPIPE; ends the scene as undecided at -ESTALE. The result. */
int64_t stage_result(const char *what, int line, int64_t result);
#define HUB(expression) stage_result(#expression, __LINE__, (expression))

#endif

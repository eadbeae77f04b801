/* SPDX-License-Identifier: BSD-2-Clause */
/* A child with what the launcher keeps about it: its two streams on the screen, its logs, its end. */
#ifndef ISTHMUS_LAUNCH_PART_H
#define ISTHMUS_LAUNCH_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/launch/child.h"
#include "host/launch/firmware.h"
#include "host/launch/outcome.h"
#include "host/launch/screen.h"

enum part_role {
	PART_MAKER,		/* makes a guest's boot medium, and ends */
	PART_SERVER,
	PART_GUEST,
};

struct part {
	char *name;
	size_t index;			/* into the plan's regions or guests */
	enum part_role role;
	bool started;
	bool ended;			/* and reaped */
	bool ended_by_us;
	uint64_t ended_ns;
	struct outcome outcome;		/* guests only */
	struct child child;
	bool firmware_talks;		/* its output begins with that of a firmware */
	bool firmware_failed;		/* and that is what ended it */
	struct firmware firmware;
	struct stream out, err;
	int log_out, log_err;		/* -1: no log */
};

/*
 * `log` is a directory or NULL; a maker keeps none. False, after a line on the screen, where a log can't be opened.
 */
bool part_init(struct part *p, struct screen *s, const char *name, enum part_role role,
	       size_t index, unsigned int colour, const char *log);

/* Take what there is on either pipe, up to a bound per call; closes a pipe at its end. */
void part_read(struct part *p, struct screen *s, uint64_t now_ns);

/* Whether nothing more can come from it: ended, and both pipes at their end. */
bool part_done(const struct part *p);

/* Close what is left open (a grandchild may hold a pipe) and show the rest of its output. */
void part_close(struct part *p);

void part_free(struct part *p);

#endif

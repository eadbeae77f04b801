/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long ago each peer's heart beat. The region holds no time: only who looks again and again can
 * tell, and only since it began to look.
 */
#ifndef HOST_INSPECT_HEARTS_H
#define HOST_INSPECT_HEARTS_H

#include "msg/look.h"

struct heart {
	uint64_t claim, beat;
	uint64_t since_ns; /* when it was first looked at, or was last seen to change */
	bool beats;        /* it was seen to change */
};

/* Milliseconds are enough. */
uint64_t hearts_now(void);

/* Looks at all slots once. hearts: [look->geo.slots], zeroes at first. True: every heart of a held slot
 * has been seen to beat. */
bool hearts_look(const struct look *look, struct heart *hearts);

/* Looks until the time (hearts_now), or until every heart has been seen to beat if that is sooner and
 * asked for. Sleeps in between. Ends early, too, where the region is gone (source_cut). */
void hearts_watch(const struct look *look, struct heart *hearts, uint64_t until_ns, bool until_all);

#endif

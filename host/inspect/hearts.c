// SPDX-License-Identifier: BSD-2-Clause
#include "host/inspect/hearts.h"

#include <time.h>

#include "host/inspect/source.h"

#define NS_PER_S    1000000000ull
#define STEP_MIN_NS 1000000ull
#define STEP_MAX_NS 50000000ull

uint64_t hearts_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

bool hearts_look(const struct look *look, struct heart *hearts)
{
	uint64_t now = hearts_now();
	bool all = true;

	for (uint32_t i = 0; i < look->geo.slots; i++) {
		struct heart *h = &hearts[i];
		uint64_t claim = look_claim(look, i);
		uint64_t beat = look_beat(look, i);

		if (claim != h->claim)
			*h = (struct heart){.claim = claim, .beat = beat, .since_ns = now};
		else if (beat != h->beat)
			*h = (struct heart){claim, beat, now, true};
		if (CLAIM_STATE(claim) == CLAIM_HELD && !h->beats)
			all = false;
	}
	return all;
}

void hearts_watch(const struct look *look, struct heart *hearts, uint64_t until_ns, bool until_all)
{
	uint64_t step = look->geo.beat_ns / 8, now;

	step = step < STEP_MIN_NS ? STEP_MIN_NS : step > STEP_MAX_NS ? STEP_MAX_NS : step;
	for (;;) {
		bool all = hearts_look(look, hearts);

		now = hearts_now();
		if (now >= until_ns || source_cut() || (all && until_all))
			return;
		if (step > until_ns - now)
			step = until_ns - now;
		nanosleep(&(struct timespec){.tv_nsec = (long)step}, NULL);
	}
}

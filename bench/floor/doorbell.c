// SPDX-License-Identifier: BSD-2-Clause
// The doorbell round trip of two guests that sleep in hlt: ring, interrupt, ring back, interrupt.

#include "bench/floor/floor.h"

#define BALL_END UINT64_MAX
#define WARM_UP 100 /* round trips */
#define QUIET_TICKS 10
#define QUIET_TICK_US 2000
#define BACKUP_TICK_US 1000000
#define BACKUP_TICKS 10

static uint32_t heard; /* rings accounted for */

/* Rings left over from the meeting come in now, and not in the middle of a round trip. */
static void rings_drain(struct floor_pair *pair)
{
	uint32_t until = floor_ticks + QUIET_TICKS;

	floor_pair_barrier(pair);
	floor_timer_every_us(QUIET_TICK_US);
	while (until - floor_ticks < UINT32_MAX / 2 && until != floor_ticks)
		floor_sleep();
	heard = floor_doorbells;
	floor_pair_barrier(pair);
}

/* Asleep until one more ring has come, and the ball with it. */
static void ball_await(volatile uint64_t *ball, uint64_t want)
{
	uint32_t limit = floor_ticks + BACKUP_TICKS;

	while (floor_doorbells == heard || (*ball != want && *ball != BALL_END)) {
		if (floor_ticks - limit < UINT32_MAX / 2)
			floor_die("round trip %lu: no ring came back within 10 s", want / 2);
		floor_sleep();
	}
	heard = floor_doorbells;
}

static void run(struct floor_pair *pair)
{
	volatile uint64_t *ball = (volatile uint64_t *)(pair->device.region + FLOOR_OFFSET_BALL);
	uint64_t count = floor_arg_number("count", 10000);
	uint64_t i, start;

	if (!count || count > FLOOR_MAX_SAMPLES)
		floor_die("count=%lu: 1 to %u round trips", count, FLOOR_MAX_SAMPLES);
	rings_drain(pair);
	floor_timer_every_us(BACKUP_TICK_US);
	if (pair->rank) {
		for (i = 0; *ball != BALL_END; i++) {
			ball_await(ball, 2 * i + 1);
			if (*ball == BALL_END)
				break;
			*ball = 2 * i + 2;
			floor_pair_ring(pair);
		}
		return;
	}
	for (i = 0; i < count + WARM_UP; i++) {
		start = floor_rdtsc();
		*ball = 2 * i + 1;
		floor_pair_ring(pair);
		ball_await(ball, 2 * i + 2);
		if (i >= WARM_UP)
			floor_samples[i - WARM_UP] = floor_rdtsc() - start;
	}
	*ball = BALL_END;
	floor_pair_ring(pair);
	floor_report("doorbell", "us", floor_samples, count, 1);
}

const struct floor_bench floor_bench_doorbell = { "doorbell", true, true, run };

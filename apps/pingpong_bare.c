// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ping-pong on the bare device: no message layer, the region's scratch area alone.
 *
 * The area is cut into lines of 64 bytes. The first half are announcements, the second half mailboxes;
 * who owns announcement n owns mailbox n, and nobody else writes to either. A peer claims an announcement
 * (an empty one, else one that is left over from a run that died), shows a number drawn for this run (the
 * nonce) there, and looks for another announcement that is alive, which is: its beat moves. Two that name
 * each other as partner have met. They ring each other until each has heard the other, since a ring goes
 * astray while the ringer's QEMU hasn't been told of the target. Then the smaller nonce serves.
 *
 *	stage	   means				goes on when the partner
 *	LOOKING	   wants a partner			names me
 *	MET	   has one, rings it			is MET, and has rung me (if there are doorbells)
 *	HEARD	   was rung				is HEARD: doorbell round trips
 *	SLEPT	   doorbell round trips are over	is SLEPT: polled round trips
 *	DONE	   all is over				is DONE, or has left
 *	FAILED	   gave up				-
 */
#include "apps/pingpong.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <isthmus/clock.h>
#include <isthmus/ivshmem.h>
#include <isthmus/scratch.h>

#define LINE_BYTES 64
#define MAX_SLOTS 32u
#define SCRATCH_MIN_REGION 4096
#define NO_ID 0xffffffffu
#define VECTOR 0
#define STEP_NS 2000000ull	   /* between two looks at the other announcements */
#define STALE_NS 300000000ull	   /* a beat that rests so long may be overwritten, where all are taken */
#define PAYLOAD_WORDS 7
#define SPINS 20000		   /* looks at a mailbox between two looks at the clock */
#define SPIN_NS 2000000ull	   /* spun in vain so long: the partner has no CPU; let go of this one */
#define NAP_NS 200000ull

enum stage { LOOKING = 1, MET, HEARD, SLEPT, DONE, FAILED };

/* One writer: its owner. */
struct announcement {
	_Atomic uint64_t nonce; /* 0: nobody */
	_Atomic uint64_t check; /* of what doesn't change in a run */
	_Atomic uint64_t partner; /* nonce of the one I chose */
	_Atomic uint32_t id;	/* peer id for doorbells, or NO_ID */
	_Atomic uint32_t doorbell, polled; /* round trips I want */
	_Atomic uint32_t beat;
	_Atomic uint32_t stage;
	uint32_t unused[5];
};

/* One writer: its owner. The payload first, the number last. */
struct mailbox {
	_Atomic uint64_t payload[PAYLOAD_WORDS];
	_Atomic uint64_t number;
};

_Static_assert(sizeof(struct announcement) == LINE_BYTES, "an announcement is a line");
_Static_assert(sizeof(struct mailbox) == LINE_BYTES, "a mailbox is a line");

struct game {
	const struct pingpong_options *options;
	struct ivshmem *device;
	struct announcement *announcement; /* [slots] */
	struct mailbox *mailbox;	   /* [slots] */
	unsigned int slots, mine, theirs;
	uint64_t nonce, partner;
	uint32_t partner_id;
	enum stage stage;
	bool rings;			   /* both have doorbells */
	uint64_t heard;			   /* interrupts accounted for */
	uint64_t number;		   /* of the last ball */
	/* What I saw of the others' beats. */
	uint64_t seen_nonce[MAX_SLOTS];
	uint32_t seen_beat[MAX_SLOTS];
	bool alive[MAX_SLOTS];
};

#define load(word) atomic_load_explicit(&(word), memory_order_acquire)
#define store(word, value) atomic_store_explicit(&(word), (value), memory_order_release)

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static uint64_t check_of(uint64_t nonce, uint32_t id, uint32_t doorbell, uint32_t polled)
{
	return mix(nonce ^ mix((uint64_t)id << 32 ^ mix((uint64_t)doorbell << 32 | polled)));
}

static uint32_t own_id(const struct game *g)
{
	return ivshmem_has_doorbell(g->device) ? ivshmem_id(g->device) : NO_ID;
}

static const char *partner_name(const struct game *g)
{
	static char name[32];

	if (g->partner_id == NO_ID)
		return "the partner";
	snprintf(name, sizeof(name), "partner %u", (unsigned int)g->partner_id);
	return name;
}

/* Writes all of my announcement: another who took the same line in the same moment may have torn it. */
static void announce(struct game *g)
{
	struct announcement *a = &g->announcement[g->mine];

	store(a->id, own_id(g));
	store(a->doorbell, g->options->doorbell);
	store(a->polled, g->options->polled);
	store(a->check, check_of(g->nonce, own_id(g), g->options->doorbell, g->options->polled));
	store(a->partner, g->partner);
	store(a->stage, g->stage);
	store(a->nonce, g->nonce);
	store(a->beat, load(a->beat) + 1);
}

/* Notes whose beat has moved. */
static void watch(struct game *g)
{
	for (unsigned int i = 0; i < g->slots; i++) {
		uint64_t nonce = load(g->announcement[i].nonce);
		uint32_t beat = load(g->announcement[i].beat);

		g->alive[i] = nonce && nonce == g->seen_nonce[i] &&
			      (g->alive[i] || beat != g->seen_beat[i]);
		g->seen_nonce[i] = nonce;
		g->seen_beat[i] = beat;
	}
}

/* Takes an empty line, else one where nobody has stirred for a while. */
static void claim(struct game *g)
{
	unsigned int start = (unsigned int)(g->nonce >> 16) % g->slots;

	for (;;) {
		for (unsigned int stale = 0; stale < 2; stale++) {
			for (unsigned int i = 0; i < g->slots; i++) {
				unsigned int n = (start + i) % g->slots;

				if (stale ? g->alive[n] : load(g->announcement[n].nonce) != 0)
					continue;
				g->mine = n;
				store(g->mailbox[n].number, 0);
				announce(g);
				return;
			}
			if (!stale) {
				watch(g);
				clock_sleep_until(clock_now_ns() + STALE_NS);
				watch(g);
			}
		}
	}
}

/* Whether line @n shows somebody whole: not me, and not half written. */
static bool is_somebody(const struct game *g, unsigned int n)
{
	struct announcement *a = &g->announcement[n];
	uint64_t nonce = load(a->nonce);

	return n != g->mine && nonce && nonce != g->nonce &&
	       load(a->check) == check_of(nonce, load(a->id), load(a->doorbell), load(a->polled));
}

/* The best partner there is: who chose me, else who is alive and has chosen nobody else. */
static void choose(struct game *g)
{
	g->partner = 0;
	for (unsigned int n = 0; n < g->slots; n++) {
		struct announcement *a = &g->announcement[n];
		uint64_t theirs = load(a->partner);

		if (!is_somebody(g, n))
			continue;
		if (theirs != g->nonce &&
		    (!g->alive[n] || theirs || g->partner || load(a->stage) != LOOKING))
			continue;
		g->theirs = n;
		g->partner = load(a->nonce);
		g->partner_id = load(a->id);
		if (theirs == g->nonce)
			return;
	}
}

/* A pause in which a ring ends it. */
static void pause_until(struct game *g, uint64_t deadline_ns)
{
	if (ivshmem_has_doorbell(g->device))
		ivshmem_wait(g->device, VECTOR, &g->heard, deadline_ns);
	else
		clock_sleep_until(deadline_ns);
}

static int fail(struct game *g)
{
	g->stage = FAILED;
	if (g->announcement)
		announce(g);
	return 1;
}

static int meet(struct game *g)
{
	uint64_t limit = clock_now_ns() + g->options->timeout_ns;
	struct announcement *a;

	claim(g);
	for (;;) {
		uint64_t now = clock_now_ns();

		if (now >= limit) {
			printf("pingpong: no partner within %llu s: start another guest with pingpong on the "
			       "same region\n", (unsigned long long)(g->options->timeout_ns / 1000000000));
			return fail(g);
		}
		if (load(g->announcement[g->mine].nonce) != g->nonce)
			claim(g);
		watch(g);
		choose(g);
		announce(g);
		a = &g->announcement[g->theirs];
		if (g->partner && load(a->nonce) == g->partner && load(a->partner) == g->nonce)
			break;
		pause_until(g, now + STEP_NS);
	}
	if (load(a->doorbell) != g->options->doorbell || load(a->polled) != g->options->polled) {
		printf("pingpong: %s wants %u doorbell and %u polled round trips, this guest %u and %u: give "
		       "both the same options\n", partner_name(g), (unsigned int)load(a->doorbell),
		       (unsigned int)load(a->polled), (unsigned int)g->options->doorbell,
		       (unsigned int)g->options->polled);
		return fail(g);
	}
	g->rings = own_id(g) != NO_ID && g->partner_id != NO_ID;
	printf("pingpong: met %s; this guest %s\n", partner_name(g),
	       g->nonce < g->partner ? "serves" : "returns");
	return 0;
}

/* Whether the partner is still the one I met; false after one line. */
static bool partner_is_there(struct game *g, const char *when)
{
	struct announcement *a = &g->announcement[g->theirs];

	if (load(a->nonce) != g->partner) {
		printf("pingpong: %s left or was started anew %s\n", partner_name(g), when);
		return false;
	}
	if (load(a->stage) == FAILED) {
		printf("pingpong: %s gave up %s\n", partner_name(g), when);
		return false;
	}
	return true;
}

/* Goes to @stage, and on when the partner is there too. @ring: and rings it until then. */
static int step(struct game *g, enum stage stage, const char *when, bool ring)
{
	uint64_t limit = clock_now_ns() + g->options->timeout_ns;
	struct announcement *a = &g->announcement[g->theirs];

	g->stage = stage;
	for (;;) {
		uint64_t now = clock_now_ns();

		announce(g);
		if (ring)
			ivshmem_notify(g->device, (uint16_t)g->partner_id, VECTOR);
		if (stage == DONE && load(a->nonce) != g->partner)
			return 0;
		if (!partner_is_there(g, when))
			return fail(g);
		if (load(a->stage) >= stage)
			return 0;
		if (now >= limit) {
			printf("pingpong: %s has been silent %s for %llu s\n", partner_name(g), when,
			       (unsigned long long)(g->options->timeout_ns / 1000000000));
			return fail(g);
		}
		pause_until(g, now + STEP_NS);
	}
}

/* Until a ring from the partner has come through here; it does the same. */
static int hear(struct game *g)
{
	uint64_t limit = clock_now_ns() + g->options->timeout_ns;
	uint64_t before = ivshmem_interrupts(g->device, VECTOR);

	if (step(g, MET, "at the start", true))
		return 1;
	while (ivshmem_interrupts(g->device, VECTOR) == before) {
		ivshmem_notify(g->device, (uint16_t)g->partner_id, VECTOR);
		pause_until(g, clock_now_ns() + STEP_NS);
		if (!partner_is_there(g, "before it rang"))
			return fail(g);
		if (clock_now_ns() >= limit) {
			printf("pingpong: no ring of %s came within %llu s\n", partner_name(g),
			       (unsigned long long)(g->options->timeout_ns / 1000000000));
			return fail(g);
		}
	}
	return step(g, HEARD, "after the first ring", true);
}

static uint64_t payload_word(uint64_t nonce, uint64_t number, unsigned int word)
{
	return (nonce ^ number) * 0x9e3779b97f4a7c15u + word;
}

static void ball_throw(struct game *g, bool ring)
{
	struct mailbox *m = &g->mailbox[g->mine];

	for (unsigned int i = 0; i < PAYLOAD_WORDS; i++)
		atomic_store_explicit(&m->payload[i], payload_word(g->nonce, g->number, i),
				      memory_order_relaxed);
	store(m->number, g->number); /* pairs with the load in ball_is_there() */
	if (ring)
		ivshmem_notify(g->device, (uint16_t)g->partner_id, VECTOR);
}

static bool ball_is_there(struct game *g)
{
	return load(g->mailbox[g->theirs].number) == g->number;
}

static int ball_check(struct game *g)
{
	struct mailbox *m = &g->mailbox[g->theirs];

	for (unsigned int i = 0; i < PAYLOAD_WORDS; i++) {
		uint64_t want = payload_word(g->partner, g->number, i);
		uint64_t got = atomic_load_explicit(&m->payload[i], memory_order_relaxed);

		if (got != want) {
			printf("pingpong: round trip %llu: word %u of the payload is 0x%llx, not 0x%llx\n",
			       (unsigned long long)g->number, i, (unsigned long long)got,
			       (unsigned long long)want);
			return fail(g);
		}
	}
	return 0;
}

/* Why a ball that should have come hasn't. */
static int ball_missed(struct game *g, const char *how)
{
	uint64_t number = load(g->mailbox[g->theirs].number);
	char when[64];

	snprintf(when, sizeof(when), "in round trip %llu (%s)", (unsigned long long)g->number, how);
	if (!partner_is_there(g, when))
		return fail(g);
	if (number == g->number)
		printf("pingpong: %s: the ball is there, but no doorbell rang for %llu s\n", when,
		       (unsigned long long)(g->options->timeout_ns / 1000000000));
	else if (number != g->number - 1)
		printf("pingpong: %s: %s is at round trip %llu: a ball was lost\n", when, partner_name(g),
		       (unsigned long long)number);
	else
		printf("pingpong: %s has been silent %s for %llu s: it is gone, or hangs\n",
		       partner_name(g), when,
		       (unsigned long long)(g->options->timeout_ns / 1000000000));
	return fail(g);
}

/*
 * Asleep until a ring brings the ball; a ring that was left over from the start brings none. Only the
 * first ball may be there already, its ring taken for one of the start.
 */
static int catch_asleep(struct game *g, bool first)
{
	uint64_t limit = clock_now_ns() + g->options->timeout_ns;

	if (first && ball_is_there(g))
		return 0;
	do {
		if (ivshmem_wait(g->device, VECTOR, &g->heard, limit))
			return ball_missed(g, "doorbell");
	} while (!ball_is_there(g));
	return 0;
}

/* The partner may be without a CPU (two guests on one core): spinning on would keep it so. */
static int catch_patiently(struct game *g)
{
	uint64_t start = clock_now_ns(), now = start;

	while (!ball_is_there(g)) {
		for (unsigned int i = 0; i < SPINS && !ball_is_there(g); i++)
			continue;
		now = clock_now_ns();
		if (now - start >= g->options->timeout_ns)
			return ball_missed(g, "polled");
		if (now - start >= SPIN_NS)
			clock_sleep_until(now + NAP_NS);
	}
	return 0;
}

static int catch_polling(struct game *g)
{
	for (unsigned int i = 0; i < SPINS; i++) {
		if (ball_is_there(g))
			return 0;
	}
	return catch_patiently(g);
}

/* @count round trips; the one that serves fills @samples with clock ticks. */
static int play(struct game *g, uint32_t count, bool asleep, uint64_t *samples)
{
	bool serves = g->nonce < g->partner;
	uint64_t last = clock_ticks();

	for (uint32_t i = 0; i < count; i++) {
		g->number++;
		if (serves)
			ball_throw(g, asleep);
		if (asleep ? catch_asleep(g, !i) : catch_polling(g))
			return 1;
		if (ball_check(g))
			return 1;
		if (serves) {
			uint64_t now = clock_ticks();

			samples[i] = now - last;
			last = now;
		} else {
			ball_throw(g, asleep);
		}
	}
	for (uint32_t i = 0; serves && i < count; i++)
		samples[i] = clock_ticks_to_ns(samples[i]);
	if (serves)
		pingpong_report(asleep ? "doorbell" : "polled", samples, count);
	else
		printf("pingpong: %s: returned and checked %u balls\n", asleep ? "doorbell" : "polled",
		       (unsigned int)count);
	return 0;
}

static int game_run(struct game *g, uint64_t *samples)
{
	const struct pingpong_options *o = g->options;
	int error = meet(g);

	if (error)
		return error;
	if (o->doorbell && !g->rings) {
		printf("pingpong: doorbell round trips are left out: %s ivshmem-plain, which can't ring\n",
		       own_id(g) == NO_ID ? "this guest has" : "the partner has");
		if (o->doorbell_forced)
			return fail(g);
	} else if (o->doorbell) {
		if (hear(g) || play(g, o->doorbell, true, samples))
			return 1;
	}
	if (step(g, SLEPT, "before polling", false))
		return 1;
	if (o->polled && play(g, o->polled, false, samples))
		return 1;
	if (step(g, DONE, "at the end", false))
		return 1;
	store(g->announcement[g->mine].nonce, 0);
	return 0;
}

static int game_set_up(struct game *g)
{
	uint64_t size = ivshmem_size(g->device);
	uint8_t *scratch;
	uint64_t lines;

	if (size < SCRATCH_MIN_REGION) {
		printf("pingpong: the region has %llu bytes; at least %u are needed\n",
		       (unsigned long long)size, SCRATCH_MIN_REGION);
		return 1;
	}
	scratch = (uint8_t *)ivshmem_region(g->device) + scratch_offset(size);
	lines = scratch_size(size) / LINE_BYTES;
	g->slots = lines / 2 < MAX_SLOTS ? (unsigned int)(lines / 2) : MAX_SLOTS;
	g->announcement = (struct announcement *)scratch;
	g->mailbox = (struct mailbox *)(scratch + g->slots * LINE_BYTES);
	g->partner_id = NO_ID;
	g->stage = LOOKING;
	/* The low bits tell two doorbell peers apart for certain; the rest tells runs apart. */
	g->nonce = mix(clock_ticks() ^ mix(clock_now_ns())) << 16 | (own_id(g) & 0xffff);
	if (!(g->nonce >> 16))
		g->nonce |= 1ull << 16;
	if (!ivshmem_has_doorbell(g->device))
		return 0;
	if (ivshmem_set_handler(g->device, VECTOR, NULL, NULL, 0)) {
		printf("pingpong: this CPU has no interrupt vector left\n");
		return 1;
	}
	return 0;
}

int pingpong_bare(const struct pingpong_options *options)
{
	static struct game game;
	uint32_t most = options->doorbell > options->polled ? options->doorbell : options->polled;
	uint64_t *samples;
	int status;

	if (!most)
		return 0;
	samples = malloc(most * sizeof(*samples));
	if (!samples) {
		printf("pingpong: no memory for the times of %u round trips: ask for fewer, or give the "
		       "guest more with -m\n", (unsigned int)most);
		return 1;
	}
	game.options = options;
	if (ivshmem_open(options->device, &game.device) < 0)
		return 1;
	status = game_set_up(&game);
	if (!status)
		status = game_run(&game, samples);
	free(samples);
	return status;
}

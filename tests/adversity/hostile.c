// SPDX-License-Identifier: BSD-2-Clause
/*
 * Processes that overwrite the region at random and on purpose, as fast as they can, while others
 * talk: nobody crashes, hangs, reads or writes outside (bounds.inc, ASan, UBSan), and who has nothing
 * to do with the liar loses nothing.
 *
 * hostile [CASE]...       HOSTILE_WRITES=N: of each case
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "msg/layout.h"
#include "msg/ring.h"
#include "tests/adversity/bounds.h"
#include "tests/adversity/victim.h"
#include "tests/msg/harness.h"

#define REGION   (512u << 10)
#define VICTIMS  3
#define LIARS    2
#define PATIENCE 20000 /* ms without a call that returns: hangs */
#define BURST    4096

struct arena {
	struct victim victim[VICTIMS];
	volatile uint64_t writes;
	volatile uint64_t exchanged[2]; /* by those who must lose nothing */
	volatile uint64_t faults, resets;
	volatile bool stop;
	volatile bool quiet[2], satisfied[2]; /* sends no more; has received all */
};

static struct arena *arena;
static const char *path;

static uint64_t writes_wanted(uint64_t usual)
{
	const char *text = getenv("HOSTILE_WRITES");

	return text ? strtoull(text, NULL, 10) : usual;
}

static void set_up(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	path = test_region(REGION);
	arena = mmap(NULL, sizeof(*arena), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		0);
	CHECK(arena != MAP_FAILED);
}

/* ---- liars ---- */

static inline uint64_t fast_random(uint64_t *state)
{
	return *state = *state * 6364136223846793005u + 1442695040888963407u;
}

// What a liar would write who knows the format.
static uint64_t lie(uint64_t r, uint64_t old)
{
	switch (r >> 60) {
	case 0: return 0;
	case 1: return r >> 30 & 0xff;
	case 2: return old + 64;
	case 3: return old - 16;
	case 4: return UINT64_MAX;
	case 5: return ring_header((uint32_t)(r >> 30), (uint32_t)(r >> 40) & 4095,
			1 + (r >> 20) % 4, r >> 24 & 1);
	case 6: return STATUS(r >> 30 & 7, r >> 40 & 7);
	case 7: return DEED(1 + (r >> 50 & 1), r >> 20 & 511, r >> 30 & 511);
	case 8: return (r >> 30 & 0xffff) << 4;
	case 9: return CLAIM_WITH(old, r >> 20 & 3);
	case 10: return (old & ~0xffffffffull) | (r >> 30 & 0xffff);
	case 11: return 0x4141414141414141;
	case 12: return old ^ 1ull << (r >> 20 & 63);
	}
	return r << 4 | r >> 60;
}

static void burst(uint64_t *words, uint64_t count, uint64_t *random)
{
	unsigned i;

	for (i = 0; i < BURST; i++) {
		uint64_t r = fast_random(random);
		volatile uint64_t *at = words + (r >> 12) % count;

		*at = (r & 7) < 5 ? lie(fast_random(random), *at) : r;
	}
	__atomic_fetch_add(&arena->writes, BURST, __ATOMIC_RELAXED);
}

// All of the region, or one table of it, for a while; then peace for a moment, so that there is
// something to destroy.
static void liar(void *arg)
{
	uint8_t *base = test_map(path, REGION);
	uint64_t random = (uintptr_t)arg * 77 + 1;
	struct geometry geo;
	struct msg_options wishes = { .slots = 8, .channels = 8 };

	EQUAL(geometry_choose(&geo, REGION, &wishes), 0);
	while (!arena->stop) {
		uint64_t r = fast_random(&random) >> 20, length = 1 + (r & 15), from, size;
		uint64_t slot = geo.slot_offset + (r >> 4) % geo.slots * geo.slot_stride;

		switch (r >> 30 & 63) {
		case 0: from = 0; size = REGION; break;
		case 1: from = 0; size = sizeof(struct wire_header); break;
		case 2: case 3: from = slot; size = sizeof(struct wire_slot); break;
		case 4 ... 15: from = slot + 8; size = sizeof(struct wire_slot) - 8; break;
		case 16 ... 23:
			from = slot + sizeof(struct wire_slot);
			size = geo.deeds * 8;
			break;
		case 24 ... 31:
			from = slot + sizeof(struct wire_slot) + geo.deeds * 8;
			size = geo.channels * sizeof(struct wire_channel);
			break;
		case 32 ... 47: from = geo.land_offset; size = geo.land_size; break;
		default: from = geo.land_offset; size = 8 * geo.grain; break;
		}
		while (length-- && !arena->stop)
			burst((uint64_t *)(base + from), size / 8, &random);
		msg_sleep_until(in_ms(4 + (r >> 42 & 15)));
	}
}

static void victim_process(void *arg)
{
	// Thousands of reports of the same kind are no news.
	if (!getenv("HOSTILE_SAYS") && !freopen("/dev/null", "w", stdout))
		_exit(1);
	victim_run(arg);
}

// Every victim goes on, whatever happens: each call returns.
static void watch(const pid_t *pids, uint64_t writes, unsigned seconds_at_most)
{
	uint64_t last[VICTIMS] = { 0 }, since[VICTIMS], end = in_ms(seconds_at_most * 1000);
	unsigned i;

	for (i = 0; i < VICTIMS; i++)
		since[i] = msg_now_ns();
	while (arena->writes < writes && msg_now_ns() < end) {
		msg_sleep_until(in_ms(20));
		for (i = 0; i < VICTIMS; i++) {
			int status;

			CHECK(!waitpid(pids[i], &status, WNOHANG));
			if (arena->victim[i].steps != last[i]) {
				last[i] = arena->victim[i].steps;
				since[i] = msg_now_ns();
			}
			CHECK(msg_now_ns() - since[i] < PATIENCE * MS);
		}
	}
}

static void count_victims(const char *what)
{
	uint64_t steps = 0, joined = 0, messages = 0, faults = 0;
	unsigned i;

	for (i = 0; i < VICTIMS; i++) {
		steps += arena->victim[i].steps;
		joined += arena->victim[i].joined;
		messages += arena->victim[i].messages;
		faults += arena->victim[i].faults;
	}
	printf("%s: %llu hostile writes; %llu calls returned, %llu joins, %llu messages received, %llu "
		"faults told\n", what, (unsigned long long)arena->writes,
		(unsigned long long)steps, (unsigned long long)joined,
		(unsigned long long)messages, (unsigned long long)faults);
	CHECK(joined);
}

static void everywhere(void)
{
	pid_t liars[LIARS], victims[VICTIMS];
	uint64_t writes = writes_wanted(60000000);
	struct msg_region *region;
	struct msg_options wishes = { .name = "last", .format = true };
	unsigned i;

	set_up();
	for (i = 0; i < VICTIMS; i++) {
		arena->victim[i] = (struct victim){ .path = path, .number = i, .others = VICTIMS,
			.seed = i + 1, .death_ns = 100 * MS };
		victims[i] = test_spawn(victim_process, &arena->victim[i]);
	}
	for (i = 0; i < LIARS; i++)
		liars[i] = test_spawn(liar, (void *)(uintptr_t)(i + 1));
	watch(victims, writes, 100);
	arena->stop = true;
	for (i = 0; i < LIARS; i++)
		test_join(liars[i]);
	for (i = 0; i < VICTIMS; i++)
		arena->victim[i].stop = true;
	for (i = 0; i < VICTIMS; i++)
		test_join(victims[i]);
	count_victims("everywhere");
	CHECK(arena->writes >= writes);
	// The region is as good as new to whoever comes next.
	wishes.deadline = in_ms(20000);
	OK(msg_attach(path, &wishes, &region));
	EQUAL(msg_peers(region, NULL, 0), 1);
	OK(msg_leave(region));
}

// No liar in memory, but in between: one load in so many sees something else, each time anew.
static void two_looks(void)
{
	pid_t victims[VICTIMS];
	unsigned i, lies[VICTIMS] = { 5000, 500, 50 };

	set_up();
	for (i = 0; i < VICTIMS; i++) {
		arena->victim[i] = (struct victim){ .path = path, .number = i, .others = VICTIMS,
			.seed = i + 100, .death_ns = 100 * MS };
		bounds_lies = lies[i];
		bounds_random = i + 1;
		victims[i] = test_spawn(victim_process, &arena->victim[i]);
	}
	bounds_lies = 0;
	watch(victims, 1, (unsigned)writes_wanted(3000000) / 1000000);
	for (i = 0; i < VICTIMS; i++)
		arena->victim[i].stop = true;
	for (i = 0; i < VICTIMS; i++)
		test_join(victims[i]);
	count_victims("two looks");
}

/* ---- a liar about its own ---- */

#define PAIR_MESSAGE 1500

struct pair_message {
	uint64_t number;
	uint8_t data[PAIR_MESSAGE];
};

static unsigned count_fault(const struct msg_event *event)
{
	if (event->type != MSG_EVENT_FAULT)
		return 0;
	__atomic_fetch_add(&arena->faults, 1, __ATOMIC_RELAXED);
	return 1;
}

// Sends numbered messages to the other one and receives its: all of them, whole, in order. Talks to
// the liar as well, whatever comes of that.
static void honest(void *arg)
{
	bool first = (uintptr_t)arg == 0;
	struct msg_options wishes = { .name = first ? "first" : "second", .death_ns = 2000 * MS,
		.slots = 8, .channels = 8 };
	static struct pair_message out, in;
	static uint8_t junk[8192];
	struct msg_channel *channel, *bad = NULL;
	struct msg_listener *listener, *open_house;
	struct msg_wait_stats stats;
	struct msg_region *region;
	struct msg_event event;
	uint64_t sent = 0, received = 0, faults = 0, random = 3;

	OK(msg_attach(path, &wishes, &region));
	if (first) {
		OK(msg_listen(region, "pair", NULL, &listener));
		OK(msg_accept(listener, &channel, in_ms(20000)));
	} else {
		OK(msg_connect(region, "pair", NULL, &channel, in_ms(20000)));
	}
	OK(msg_listen(region, first ? "open first" : "open second", NULL, &open_house));
	while (!arena->quiet[0] || !arena->quiet[1] || received < arena->exchanged[first]) {
		int64_t len = (int64_t)(test_random(&random) % PAIR_MESSAGE);

		if (arena->stop) {
			arena->quiet[first] = true;
		} else {
			out.number = sent;
			test_fill(out.data, (size_t)len, sent);
			if (!OK(msg_send(channel, &out, 8 + (size_t)len, in_ms(20000))))
				arena->exchanged[!first] = ++sent;
		}
		while ((len = msg_tryrecv(channel, &in, sizeof(in))) >= 0) {
			EQUAL(in.number, received);
			CHECK(test_filled(in.data, (size_t)len - 8, received));
			received++;
		}
		EQUAL(len, -EAGAIN);
		if (!bad && msg_accept(open_house, &bad, 0))
			bad = NULL;
		if (bad) {
			int64_t got = msg_tryrecv(bad, junk, sizeof(junk));
			int err = msg_trysend(bad, junk, test_random(&random) % 300);

			if ((got < 0 && got != -EAGAIN && got != -EMSGSIZE) ||
				(err && err != -EAGAIN) || !(test_random(&random) % 1000)) {
				while (msg_next_event(region, &event) > 0)
					faults += count_fault(&event);
				msg_close(bad);
				bad = NULL;
			}
		}
		while (msg_next_event(region, &event) > 0) {
			CHECK(event.type != MSG_EVENT_EVICTED);
			faults += count_fault(&event);
		}
	}
	EQUAL(received, arena->exchanged[first]);
	arena->satisfied[first] = true;
	while (!arena->satisfied[!first])
		msg_sleep_until(in_ms(1));
	msg_wait_stats(region, &stats);
	// Each of them once, all of them told.
	EQUAL(faults, stats.resets);
	msg_close(channel);
	OK(msg_leave(region));
}

// The slot that is its own at the moment; UINT32_MAX: none.
static volatile uint32_t rogue_slot = UINT32_MAX;
static volatile unsigned rogue_life;

static void spoil_own(uint8_t *base, const struct geometry *geo, uint64_t *random)
{
	uint64_t *slot = (uint64_t *)(base + geo->slot_offset + rogue_slot * geo->slot_stride);
	uint64_t *deed = slot + sizeof(struct wire_slot) / 8, *block = deed + geo->deeds;
	uint64_t r = fast_random(random) >> 20;
	unsigned k;

	switch (r & 7) {
	case 0:
		burst(slot + 1, sizeof(struct wire_slot) / 8 - 1, random);
		return;
	case 1:
		burst(block, geo->channels * sizeof(struct wire_channel) / 8, random);
		return;
	}
	// In every other life its deeds, which then say nothing of what is its own: it may take all of
	// the land, but not the rings that others have in it.
	if (rogue_life & 1) {
		burst(deed, geo->deeds, random);
		return;
	}
	for (k = 0; k < 8; k++) {
		uint64_t own = deed[k], size = DEED_COUNT(own) * (uint64_t)geo->grain;

		if (DEED_STATE(own) == DEED_FIRM && size)
			burst((uint64_t *)(base + geo->land_offset +
				DEED_FIRST(own) * (uint64_t)geo->grain), size / 8, random);
	}
}

static void *liar_hand(void *arg)
{
	uint8_t *base = test_map(path, REGION);
	struct msg_options wishes = { .slots = 8, .channels = 8 };
	struct geometry geo;
	uint64_t random = 99;

	EQUAL(geometry_choose(&geo, REGION, &wishes), 0);
	while (!arena->stop) {
		if (rogue_slot == UINT32_MAX)
			msg_sleep_until(in_ms(1));
		else
			spoil_own(base, &geo, &random);
		if (!(fast_random(&random) >> 62))
			msg_sleep_until(in_ms(1));
	}
	return arg;
}

// Joins, opens channels to both, and then writes over all that is its own: slot, control blocks, rings.
static void rogue(void *arg)
{
	struct msg_options wishes = { .name = "rogue" };
	struct msg_channel_options options = { .ring = 4096 };
	pthread_t hand;

	(void)arg;
	CHECK(!pthread_create(&hand, NULL, liar_hand, NULL));
	while (!arena->stop) {
		struct msg_region *region;
		struct msg_channel *channel;
		struct msg_peer self;
		unsigned i;

		wishes.deadline = in_ms(20000);
		if (msg_attach(path, &wishes, &region))
			continue;
		msg_self(region, &self);
		for (i = 0; i < 4; i++)
			msg_connect(region, i & 1 ? "open first" : "open second", &options, &channel,
				in_ms(50));
		rogue_slot = self.slot;
		msg_sleep_until(in_ms(30));
		rogue_slot = UINT32_MAX;
		msg_sleep_until(in_ms(5));
		rogue_life++;
		msg_leave(region);
	}
	pthread_join(hand, NULL);
}

static void own_only(void)
{
	uint64_t writes = writes_wanted(45000000), end = in_ms(100000);
	pid_t pair[2], liars;
	unsigned i;

	set_up();
	for (i = 0; i < 2; i++)
		pair[i] = test_spawn(honest, (void *)(uintptr_t)i);
	while (!arena->exchanged[0])
		msg_sleep_until(in_ms(5));
	liars = test_spawn(rogue, NULL);
	while ((arena->writes < writes || !arena->faults) && msg_now_ns() < end) {
		int status;

		msg_sleep_until(in_ms(20));
		for (i = 0; i < 2; i++)
			CHECK(!waitpid(pair[i], &status, WNOHANG));
	}
	arena->stop = true;
	for (i = 0; i < 2; i++)
		test_join(pair[i]);
	test_kill(liars);
	printf("own only: %llu hostile writes; %llu messages of others, none lost or changed; %llu faults "
		"told once\n", (unsigned long long)arena->writes,
		(unsigned long long)(arena->exchanged[0] + arena->exchanged[1]),
		(unsigned long long)arena->faults);
	CHECK(arena->writes >= writes && arena->faults);
}

static void connecting_peer(void *arg)
{
	struct msg_region *region = test_attach(path, "connects");
	struct msg_channel *channel;

	(void)arg;
	msg_connect(region, "accepts", NULL, &channel, in_ms(20000));
	pause();
}

// Accepted, sent a buffer, closed, while the other side still connects; it gives up, and the first to look
// is who asks for the buffer. (It looked at the channel once more after that had been freed.)
static void given_up(void)
{
	struct msg_options wishes = { .name = "accepts", .death_ns = 20 * S };
	struct msg_wait_item item = { .type = MSG_WAIT_ACCEPT };
	struct wire_channel *block;
	struct msg_channel *channel;
	struct msg_buffer *buffer;
	struct msg_region *region;
	struct geometry geo;
	struct msg_peer peer;
	uint8_t *base;
	pid_t pid;

	set_up();
	base = test_map(path, REGION);
	EQUAL(geometry_choose(&geo, REGION, &wishes), 0);
	OK(msg_attach(path, &wishes, &region));
	OK(msg_listen(region, "accepts", NULL, &item.listener));
	pid = test_spawn(connecting_peer, NULL);
	EQUAL(msg_wait(&item, 1, in_ms(20000)), 1);
	CHECK(!kill(pid, SIGSTOP));
	OK(msg_accept(item.listener, &channel, in_ms(20000)));
	msg_channel_peer(channel, &peer);
	OK(msg_buffer_alloc(region, 1000, &buffer));
	OK(msg_buffer_send(channel, buffer, 1000, 0));
	msg_close(channel);
	block = (struct wire_channel *)(base + geo.slot_offset + peer.slot * geo.slot_stride +
		sizeof(struct wire_slot) + geo.deeds * 8);
	EQUAL(STATUS_STATE(block->status), CHANNEL_CONNECT);
	block->status = STATUS(STATUS_GENERATION(block->status), CHANNEL_FREE);
	msg_buffer_busy(buffer);
	((struct wire_slot *)(base + geo.slot_offset + peer.slot * geo.slot_stride))->changes += 100;
	msg_peers(region, NULL, 0);
	EQUAL(msg_buffer_busy(buffer), 0);
	msg_buffer_free(buffer);
	test_kill(pid);
	OK(msg_leave(region));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "everywhere", everywhere, 200 },
		{ "two_looks", two_looks, 200 },
		{ "own_only", own_only, 200 },
		{ "given_up", given_up, 0 },
	};

	test_at_once = 1; /* each keeps the machine busy */
	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

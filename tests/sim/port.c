// SPDX-License-Identifier: BSD-2-Clause
// The simulated port of a peer: clock, sleep, private memory.
#include <string.h>
#include "tests/sim/oracle.h"

static uint8_t arenas[SIM_PEERS][SIM_ARENA] __attribute__((aligned(64)));

// As in a guest, where msg/ asks for the time is where it hears of devices that leave.
static uint64_t port_now(void *arg)
{
	attach_upcalls(arg);
	sim.now += 20;
	return sim.now;
}

static void port_relax(void *arg)
{
	struct sim_peer *p = arg;

	sim.now += 500;
	// A pause is a full barrier even where a fence is none (docs: TCG with -smp 1).
	if (!sim.config.fences)
		memory_drain(p, SIM_BUFFER);
	sim_step();
}

static void port_prepare(void *arg)
{
	struct sim_peer *p = arg;

	p->prepared = true;
	p->timed_out = false;
}

static void port_cancel(void *arg)
{
	struct sim_peer *p = arg;

	p->prepared = false;
	if (!sim.config.bells_stick)
		p->bell = false;
}

static enum msg_sleep_result port_sleep_until(void *arg, uint64_t deadline,
	volatile uint32_t *word, uint32_t value)
{
	struct sim_peer *p = arg;
	bool notified = p->bell;

	oracle_sleeps(p);
	memory_drain(p, SIM_BUFFER);
	if (attach_waiting(p))
		notified = true;
	if (attach_wake_by(p) < deadline)
		deadline = attach_wake_by(p);
	if (word && sim.config.ground == GROUND_FUTEX &&
		(uint32_t)memory_read((const void *)(uintptr_t)word, 4) != value)
		notified = true;
	if (!notified && deadline > sim.now) {
		sim_trace("sleeps for %llu us",
			(unsigned long long)((deadline - sim.now) / US));
		p->word = sim.config.ground == GROUND_FUTEX ? word : NULL;
		p->wake_at = deadline;
		// For no reason, now and then.
		if (sim_chance(8) && deadline - sim.now < MS * 100)
			p->wake_at = sim.now + sim_random() % (deadline - sim.now);
		p->woken = false;
		sim_sleep();
		// One that came too early isn't the deadline's work.
		notified = p->woken || p->bell || sim.now < deadline;
		sim_trace("wakes%s", notified ? "" : " by the timer");
	}
	p->bell = p->prepared = false;
	p->timed_out = !notified;
	return notified ? MSG_SLEEP_NOTIFIED : MSG_SLEEP_TIMER;
}

static void port_copy(void *to, const void *from, size_t len)
{
	(void)to;
	(void)from;
	(void)len;
	sim_fail("a copy went around the interposition");
}

static unsigned size_class(size_t size)
{
	unsigned c = 6;

	while ((1ull << c) < size)
		c++;
	return c;
}

static void *port_alloc(void *arg, size_t size)
{
	struct sim_peer *p = arg;
	unsigned c = size_class(size + 64);
	uint8_t *block = p->freed[c];

	if (block) {
		memcpy(&p->freed[c], block + 64, sizeof(void *));
	} else {
		if (p->arena_used + (1ull << c) > SIM_ARENA)
			return NULL;
		block = arenas[p->index] + p->arena_used;
		p->arena_used += 1ull << c;
	}
	((uint64_t *)(void *)block)[0] = c;
	((uint64_t *)(void *)block)[1] = p->blind;
	memset(block + 64, 0, size);
	p->allocated++;
	return block + 64;
}

bool port_was_blind(const void *memory)
{
	return ((const uint64_t *)memory)[-7];
}

static void port_free(void *arg, void *memory)
{
	struct sim_peer *p = arg;
	uint8_t *block;
	uint64_t c;

	if (!memory)
		return;
	block = (uint8_t *)memory - 64;
	c = *(uint64_t *)(void *)block;
	if (c < 6 || c >= 24)
		sim_fail("peer %u frees what isn't allocated", p->index);
	// Poison: whoever uses it after this finds nonsense. The mark makes a second free fail.
	memset(block, 0xdd, 1ull << c);
	memcpy(block + 64, &p->freed[c], sizeof(void *));
	p->freed[c] = block;
	p->allocated--;
}

static uint64_t port_random(void *arg)
{
	(void)arg;
	return sim_random();
}

static void port_report(void *arg, int level, const char *line)
{
	(void)arg;
	sim_trace("reports (%d): %s", level, line);
}

uint64_t msg_now_ns(void)
{
	return port_now(sim.running);
}

void msg_sleep_until(uint64_t deadline)
{
	while (msg_now_ns() < deadline)
		port_sleep_until(sim.running, deadline, NULL, 0);
}

void port_start(struct sim_peer *p)
{
	unsigned i;

	p->wait_ops = (struct msg_wait_ops){
		.now = port_now,
		.relax = port_relax,
		.prepare = port_prepare,
		.sleep_until = port_sleep_until,
		.cancel = port_cancel,
		.copy_in = port_copy,
		.copy_out = port_copy,
		.alloc = port_alloc,
		.free = port_free,
		.random = port_random,
		.report = port_report,
		.backing_ns = sim.config.backing_ns,
		.arg = p,
	};
	p->context = NULL;
	p->reading = NULL;
	p->arena_used = 0;
	p->allocated = 0;
	memset(p->freed, 0, sizeof(p->freed));
	p->bell = p->prepared = p->timed_out = p->woken = p->telling = false;
	for (i = 0; i < SIM_REGIONS; i++) {
		attach_seat_reset(&p->seat[i]);
		// A VM that is reset keeps its id; one that is started anew gets another.
		if (p->lives > 1 && sim_chance(128))
			p->seat[i].peer_id += SIM_PEERS;
	}
}

void port_died(struct sim_peer *p)
{
	unsigned i;

	for (i = 0; i < SIM_REGIONS; i++) {
		p->seat[i].beat = NULL;
		p->seat[i].beat_at = SIM_NEVER;
		p->seat[i].region = NULL;
	}
	p->word = NULL;
}

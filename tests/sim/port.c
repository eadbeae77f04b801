// SPDX-License-Identifier: BSD-2-Clause
// The simulated port: clock, sleep, doorbells, futex, heart and private memory of a peer.
#include <string.h>
#include "tests/sim/sim.h"

static uint8_t arenas[SIM_PEERS][SIM_ARENA] __attribute__((aligned(64)));

static uint64_t port_now(void *arg)
{
	(void)arg;
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
	((struct sim_peer *)arg)->prepared = true;
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

	memory_drain(p, SIM_BUFFER);
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
	*(uint64_t *)(void *)block = c;
	memset(block + 64, 0, size);
	p->allocated++;
	return block + 64;
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

/* ---- the region ---- */

static void ring_bell(struct sim_peer *target)
{
	uint64_t at;

	if (target->state == PEER_OFF || target->state == PEER_DONE || !target->region)
		return;
	if (sim.now < target->joined_at + sim.config.bells_lost * US) {
		sim.bells_dropped++;
		sim_trace("the ring at peer %u is lost", target->index);
		return;
	}
	// Rings that came before the first is delivered are one.
	if (target->bell_at != SIM_NEVER)
		return;
	at = sim.now + (sim.config.bell_delay ? sim_pick(sim.config.bell_delay) : 0);
	target->bell_at = at;
	sim_event_at(at);
	sim.bells_rung++;
}

static void port_notify(void *arg, uint32_t peer_id, uint32_t vector)
{
	struct sim_peer *p = arg;
	unsigned i;

	(void)vector;
	sim_trace("rings id %u", peer_id);
	// A port write: a barrier on every ground.
	memory_drain(p, SIM_BUFFER);
	for (i = 0; i < sim.config.peers; i++)
		if (sim.peer[i].peer_id == peer_id)
			ring_bell(&sim.peer[i]);
	sim_step();
}

static void port_wake_word(void *arg, volatile uint32_t *word)
{
	struct sim_peer *p = arg;
	uint32_t *plain = (uint32_t *)(uintptr_t)word;
	unsigned i;

	sim_trace("pokes %s", name_word((uint64_t)((uint8_t *)plain - sim_base)));
	memory_drain(p, SIM_BUFFER);
	++*plain;
	for (i = 0; i < sim.config.peers; i++) {
		struct sim_peer *target = &sim.peer[i];

		if (target->state == PEER_ASLEEP && target->word == word) {
			target->bell_at = sim.now;
			sim_event_at(sim.now);
		}
	}
	sim_step();
}

static int port_beat_start(void *arg, struct msg_beat *beat)
{
	struct sim_peer *p = arg;

	p->beat = beat;
	p->beat_at = sim.now + sim_pick((uint32_t)beat->period_ns);
	sim_event_at(p->beat_at);
	return 0;
}

static void port_beat_stop(void *arg, struct msg_beat *beat)
{
	struct sim_peer *p = arg;

	(void)beat;
	p->beat = NULL;
	p->beat_at = SIM_NEVER;
}

static void port_close(void *arg)
{
	struct sim_peer *p = arg;

	p->region = NULL;
	p->slot = -1;
	p->formats = false;
	p->stale = 0;
	p->land_from = p->land_to = 0;
}

int msg_attach(const char *where, const struct msg_options *options, struct msg_region **region)
{
	struct sim_peer *p = sim.running;
	bool bells = sim.config.ground == GROUND_DOORBELL;
	struct msg_region_ops ops = {
		.base = sim_base,
		.size = SIM_SIZE,
		.peer_id = bells ? p->peer_id : MSG_NO_ID,
		.vectors = bells ? 1 : 0,
		.shared_words = sim.config.ground == GROUND_FUTEX,
		.arg = p,
		.notify = bells ? port_notify : NULL,
		.wake_word = sim.config.ground == GROUND_FUTEX ? port_wake_word : NULL,
		.beat_start = port_beat_start,
		.beat_stop = port_beat_stop,
		.close = port_close,
	};
	int err;

	(void)where;
	p->joined_at = sim.now;
	if (!p->context)
		p->context = msg_context_create(&p->wait_ops);
	if (!p->context)
		return -ENOMEM;
	// Rings at it can arrive from the moment on at which its device is there.
	p->region = (struct msg_region *)p;
	err = msg_join(p->context, &ops, options, region);
	p->region = err ? NULL : *region;
	if (err)
		port_close(p);
	return err;
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
	p->arena_used = 0;
	p->allocated = 0;
	memset(p->freed, 0, sizeof(p->freed));
	p->bell = p->prepared = p->woken = false;
	p->formats = false;
	p->stale = 0;
	p->land_from = p->land_to = 0;
	// A VM that is reset keeps its id; one that is started anew gets another.
	if (p->lives == 1)
		p->peer_id = p->index;
	else if (sim_chance(128))
		p->peer_id += SIM_PEERS;
}

void port_died(struct sim_peer *p)
{
	p->beat = NULL;
	p->region = NULL;
	p->word = NULL;
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * The machine: peers as coroutines, one running at a time. At each access to the region the
 * running one may be stopped for another; the seed says when. When all sleep, time leaps to the
 * next event.
 */
#include <string.h>
#include "tests/sim/oracle.h"

#define TIME_LIMIT  (60000 * MS)
#define STARVE      1500 /* steps by priority before the others get a turn */

struct sim sim;
uint64_t sim_step_limit = 8000000;
static uint8_t stacks[SIM_PEERS][SIM_STACK] __attribute__((aligned(64)));
static void *main_sp;

uint64_t sim_random(void)
{
	uint64_t z = sim.rng += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint32_t sim_pick(uint32_t n)
{
	return (uint32_t)((sim_random() >> 32) * n >> 32);
}

bool sim_chance(uint32_t of_256)
{
	return (sim_random() >> 40 & 255) < of_256;
}

void switch_stack(void **save, void *load);

// swapcontext without its system call.
__asm__(".text\n.globl switch_stack\n.type switch_stack, @function\nswitch_stack:\n"
	"push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
	"mov %rsp, (%rdi)\nmov %rsi, %rsp\n"
	"pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n"
	".size switch_stack, . - switch_stack\n");

static void schedule(void);

static void coroutine(void)
{
	struct sim_peer *p = sim.running;

	app_main(p);
	memory_drain(p, SIM_BUFFER);
	p->state = PEER_DONE;
	schedule();
	sim_fail("a peer that was done ran on");
}

static void peer_start(struct sim_peer *p)
{
	void **top = (void **)(stacks[p->index] + SIM_STACK - 64);

	*--top = NULL;                       // where coroutine would return to
	*--top = (void *)(uintptr_t)coroutine;
	top -= 6;
	memset(top, 0, 6 * sizeof(*top));
	p->sp = top;
	p->fresh = true;
	p->state = PEER_READY;
	p->ready_at = sim.now;
	p->lives++;
	p->restart_at = SIM_NEVER;
	p->priority = sim_pick(1000);
	port_start(p);
}

void sim_event_at(uint64_t when)
{
	if (when < sim.next_event)
		sim.next_event = when;
}

bool sim_others_busy(const struct sim_peer *p)
{
	unsigned i;

	for (i = 0; i < sim.config.peers; i++) {
		const struct sim_peer *o = &sim.peer[i];

		if (o == p || o->state == PEER_DONE ||
			(o->state == PEER_OFF && o->restart_at == SIM_NEVER))
			continue;
		if (!o->finished)
			return true;
	}
	return false;
}

static uint64_t min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void wake(struct sim_peer *p, bool notified)
{
	p->state = PEER_READY;
	p->ready_at = sim.now;
	p->woken = notified;
	p->wake_at = SIM_NEVER;
	p->word = NULL;
}

static void bell_arrives(struct sim_peer *p)
{
	p->bell_at = SIM_NEVER;
	if (p->state == PEER_ASLEEP)
		wake(p, true);
	else if (p->prepared || p->timed_out || sim.config.bells_stick || p->state == PEER_STALLED)
		p->bell = true;
	// Else it is over when it was taken, as an interrupt is.
}

// What is due for one peer.
static void peer_events(struct sim_peer *p)
{
	uint64_t now = sim.now;
	unsigned i;

	if (p->restart_at <= now)
		peer_start(p);
	if (p->resume_at <= now) {
		p->resume_at = SIM_NEVER;
		p->stalled_last = p->ready_at = now;
		p->state = PEER_READY;
		for (i = 0; i < sim.config.regions; i++)
			if (p->seat[i].beat)
				p->seat[i].beat_at =
					now + sim_pick((uint32_t)p->seat[i].beat->period_ns + 1);
		sim_trace("peer %u goes on", p->index);
	}
	if (p->state == PEER_OFF || p->state == PEER_STALLED)
		return;
	if (p->bell_at <= now)
		bell_arrives(p);
	for (i = 0; i < sim.config.regions; i++)
		if (p->seat[i].beat_at <= now) {
			memory_beat(&p->seat[i]);
			p->seat[i].beat_at = now + p->seat[i].beat->period_ns;
		}
	if (p->state == PEER_ASLEEP && p->wake_at <= now)
		wake(p, false);
}

// When the peer's next event comes.
static uint64_t peer_next(const struct sim_peer *p)
{
	uint64_t next = min64(p->restart_at, p->resume_at);
	unsigned i;

	if (p->state == PEER_OFF || p->state == PEER_STALLED)
		return next;
	next = min64(next, p->bell_at);
	for (i = 0; i < sim.config.regions; i++)
		next = min64(next, p->seat[i].beat_at);
	return p->state == PEER_ASLEEP ? min64(next, p->wake_at) : next;
}

static void events(void)
{
	uint64_t next = SIM_NEVER;
	unsigned i;

	for (i = 0; i < sim.config.peers; i++) {
		peer_events(&sim.peer[i]);
		next = min64(next, peer_next(&sim.peer[i]));
	}
	oracle_step();
	sim.next_event = next;
}

static struct sim_peer *by_priority(void)
{
	struct sim_peer *best = NULL;
	unsigned i;

	for (i = 0; i < sim.config.peers; i++) {
		struct sim_peer *p = &sim.peer[i];

		if (p->state != PEER_READY)
			continue;
		// Nobody starves for ever.
		p->priority += 25;
		if (!best || p->priority > best->priority)
			best = p;
	}
	return best;
}

static struct sim_peer *by_lot(void)
{
	struct sim_peer *ready[SIM_PEERS];
	unsigned n = 0, i;

	for (i = 0; i < sim.config.peers; i++)
		if (sim.peer[i].state == PEER_READY)
			ready[n++] = &sim.peer[i];
	return n ? ready[sim_pick(n)] : NULL;
}

static bool all_done(void)
{
	unsigned i;

	for (i = 0; i < sim.config.peers; i++)
		if (sim.peer[i].state != PEER_DONE &&
			(sim.peer[i].state != PEER_OFF || sim.peer[i].restart_at != SIM_NEVER))
			return false;
	return true;
}

// Who runs next; NULL: the run is over.
static struct sim_peer *choose(void)
{
	struct sim_peer *p;
	unsigned i;

	for (;;) {
		if (sim.now >= sim.next_event)
			events();
		p = sim.config.quantum ? by_lot() : by_priority();
		if (p)
			return p;
		if (all_done())
			return NULL;
		if (sim.next_event == SIM_NEVER)
			sim_fail("all peers sleep and nothing will ever happen");
		for (i = 0; i < sim.config.peers; i++)
			memory_drain(&sim.peer[i], SIM_BUFFER);
		if (sim.next_event > sim.now)
			sim.now = sim.next_event;
		if (sim.now > TIME_LIMIT)
			sim_fail("hang: %llu ms of virtual time", TIME_LIMIT / MS);
	}
}

static void grant(struct sim_peer *p)
{
	uint64_t n;

	if (!sim.config.quantum) {
		n = STARVE;
		if (sim_chance(100))
			n = 1 + sim_pick(200);
	} else {
		n = 1 + sim_pick(2 * sim.config.quantum);
	}
	if (p->fault && p->fault_step - p->steps < n)
		n = p->fault_step - p->steps;
	sim.fuel = sim.granted = (int64_t)(n ? n : 1);
}

static void schedule(void)
{
	struct sim_peer *self = sim.running, *next = choose();
	void *nowhere, **save;

	if (!next) {
		sim.running = NULL;
		switch_stack(&nowhere, main_sp);
		return;
	}
	self->ready_at = sim.now;
	// No call keeps its deadline while others are preferred. A spinner's turns are no excuse.
	if (sim.now - next->ready_at > MS)
		next->away_ns += sim.now - next->ready_at;
	grant(next);
	sim.running = next;
	if (next == self && !self->fresh)
		return;
	// Who was killed, or killed and started anew on this very stack, never comes back here.
	save = self->fresh || self->state == PEER_OFF ? &nowhere : &self->sp;
	next->fresh = false;
	switch_stack(save, next->sp);
}

void sim_account(struct sim_peer *p)
{
	uint64_t spent = (uint64_t)(sim.granted - sim.fuel);

	p->steps += spent;
	sim.steps += spent;
	sim.granted = sim.fuel;
	if (sim.steps > sim_step_limit)
		sim_fail("hang: %llu accesses to the region", (unsigned long long)sim_step_limit);
	if (p->fault && p->fault_step < p->steps + (uint64_t)sim.granted)
		sim.fuel = sim.granted =
			p->fault_step > p->steps ? (int64_t)(p->fault_step - p->steps) : 1;
}

void sim_yield(void)
{
	sim_account(sim.running);
	sim.fuel = sim.granted = 1;
}

static void __attribute__((noinline)) out_of_fuel(void)
{
	struct sim_peer *p = sim.running;
	unsigned i;

	sim_account(p);
	if (p->fault && p->steps >= p->fault_step)
		fault_happens(p);
	if (p->liar && p->state == PEER_READY && sim_chance(20))
		lie_once(p);
	for (i = 0; i < sim.config.peers; i++)
		if (sim.peer[i].count && sim_chance(sim.config.drain))
			memory_drain(&sim.peer[i], 1 + sim_pick(sim.peer[i].count));
	if (!sim.config.quantum)
		p->priority = sim_pick(1000);
	schedule();
}

void sim_step(void)
{
	sim.now += sim.config.tick;
	if (--sim.fuel <= 0)
		out_of_fuel();
}

void sim_sleep(void)
{
	struct sim_peer *p = sim.running;

	sim_account(p);
	memory_drain(p, SIM_BUFFER);
	p->state = PEER_ASLEEP;
	sim_event_at(p->wake_at);
	schedule();
}

void sim_run(void)
{
	struct sim_peer *first;
	unsigned i, k;

	memory_reset();
	lie_reset();
	oracle_reset();
	sim.next_event = SIM_NEVER;
	for (i = 0; i < sim.config.peers; i++) {
		struct sim_peer *p = &sim.peer[i];

		p->index = i;
		p->state = PEER_OFF;
		p->wake_at = p->bell_at = p->resume_at = SIM_NEVER;
		for (k = 0; k < SIM_REGIONS; k++) {
			p->seat[k] = (struct sim_seat){ .peer = p, .where = k,
				.base = sim_base + k * SIM_SPAN, .peer_id = i };
			attach_seat_reset(&p->seat[k]);
		}
		p->restart_at = sim_chance(128) ? 0 : sim_pick(4 * MS);
		sim_event_at(p->restart_at);
		fault_plan(p);
	}
	if (sim.config.lies)
		sim.peer[sim_pick(sim.config.peers)].liar = true;
	first = choose();
	grant(first);
	sim.running = first;
	first->fresh = false;
	switch_stack(&main_sp, first->sp);
	oracle_end();
}

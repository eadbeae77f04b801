// SPDX-License-Identifier: BSD-2-Clause
// The simulated port's regions: joining, doorbells to others, heart, and devices that leave.
#include "tests/sim/oracle.h"

static void ring_bell(struct sim_seat *seat)
{
	struct sim_peer *target = seat->peer;
	uint64_t at;

	if (target->state == PEER_OFF || target->state == PEER_DONE || !seat->region)
		return;
	if (sim.now < seat->joined_at + sim.config.bells_lost * US) {
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

static void region_notify(void *arg, uint32_t peer_id, uint32_t vector)
{
	struct sim_seat *seat = arg;
	unsigned i;

	(void)vector;
	sim_trace("rings id %u", peer_id);
	// A port write: a barrier on every ground.
	memory_drain(seat->peer, SIM_BUFFER);
	for (i = 0; i < sim.config.peers; i++)
		if (sim.peer[i].seat[seat->where].peer_id == peer_id)
			ring_bell(&sim.peer[i].seat[seat->where]);
	sim_step();
}

static void region_wake_word(void *arg, volatile uint32_t *word)
{
	struct sim_seat *seat = arg;
	uint32_t *plain = (uint32_t *)(uintptr_t)word;
	unsigned i;

	sim_trace("pokes %s", name_word((uint64_t)((uint8_t *)plain - sim_base)));
	memory_drain(seat->peer, SIM_BUFFER);
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

static int region_beat_start(void *arg, struct msg_beat *beat)
{
	struct sim_seat *seat = arg;

	seat->beat = beat;
	seat->beat_at = sim.now + sim_pick((uint32_t)beat->period_ns);
	sim_event_at(seat->beat_at);
	return 0;
}

static void region_beat_stop(void *arg, struct msg_beat *beat)
{
	struct sim_seat *seat = arg;

	(void)beat;
	seat->beat = NULL;
	seat->beat_at = SIM_NEVER;
}

static void region_close(void *arg)
{
	attach_seat_reset(arg);
}

void attach_seat_reset(struct sim_seat *seat)
{
	seat->region = NULL;
	seat->slot = -1;
	seat->life = 0;
	seat->formats = false;
	seat->stale = 0;
	seat->land_from = seat->land_to = 0;
	seat->beat = NULL;
	seat->beat_at = SIM_NEVER;
	seat->unplug = seat->asked = seat->gone = seat->dispatches = false;
}

int msg_attach(const char *where, const struct msg_options *options, struct msg_region **region)
{
	struct sim_peer *p = sim.running;
	struct sim_seat *seat = &p->seat[where && where[0] == '1'];
	bool bells = sim.config.ground == GROUND_DOORBELL;
	struct msg_region_ops ops = {
		.base = seat->base,
		.size = SIM_SIZE,
		.peer_id = bells ? seat->peer_id : MSG_NO_ID,
		.vectors = bells ? 1 : 0,
		.shared_words = sim.config.ground == GROUND_FUTEX,
		.arg = seat,
		.notify = bells ? region_notify : NULL,
		.wake_word = sim.config.ground == GROUND_FUTEX ? region_wake_word : NULL,
		.beat_start = region_beat_start,
		.beat_stop = region_beat_stop,
		.close = region_close,
	};
	int err;

	seat->joined_at = sim.now;
	p->attached_at = SIM_NEVER;
	if (!p->context)
		p->context = msg_context_create(&p->wait_ops);
	if (!p->context)
		return -ENOMEM;
	// Rings at it can arrive from the moment on at which its device is there.
	seat->region = (struct msg_region *)p;
	err = msg_join(p->context, &ops, options, region);
	seat->region = err ? NULL : *region;
	p->attached_at = sim.now;
	if (err)
		attach_seat_reset(seat);
	return err;
}

/* ---- unplugging ---- */

static void gone(struct sim_seat *seat, bool orderly)
{
	sim_trace("region %u is gone%s", seat->where, orderly ? " in good order" : "");
	if (orderly) {
		oracle_left(seat, false);
		msg_region_depart(seat->region);
	} else {
		msg_region_gone(seat->region);
		oracle_died(seat);
	}
	memory_drain(seat->peer, SIM_BUFFER);
	seat->gone = true;
	seat->slot = -1;
	// A device that is plugged in again has another id.
	seat->peer_id += SIM_PEERS;
}

// Not before msg_attach has returned: until then the port knows no region to tell.
static bool leaves(const struct sim_seat *seat)
{
	return seat->unplug && !seat->gone && seat->region &&
	       seat->region != (struct msg_region *)seat->peer;
}

bool attach_waiting(const struct sim_peer *p)
{
	unsigned i;

	for (i = 0; i < sim.config.regions; i++)
		if (leaves(&p->seat[i]) && !p->seat[i].asked)
			return true;
	return false;
}

void attach_upcalls(struct sim_peer *p)
{
	unsigned i;

	for (i = 0; i < sim.config.regions; i++) {
		struct sim_seat *seat = &p->seat[i];

		// What is called below asks for the time again.
		if (!leaves(seat) || p->telling)
			continue;
		p->telling = true;
		if (!seat->asked && sim_chance(sim.config.sudden ? 220 : 64)) {
			gone(seat, false);
		} else {
			if (!seat->asked)
				msg_region_leaving(seat->region);
			seat->asked = true;
			if (sim.now >= msg_region_leave_by(seat->region))
				gone(seat, true);
		}
		p->telling = false;
	}
}

uint64_t attach_wake_by(const struct sim_peer *p)
{
	uint64_t when = SIM_NEVER;
	unsigned i;

	for (i = 0; i < sim.config.regions; i++) {
		const struct sim_seat *seat = &p->seat[i];

		if (seat->asked && !seat->gone && msg_region_leave_by(seat->region) < when)
			when = msg_region_leave_by(seat->region);
	}
	return when;
}

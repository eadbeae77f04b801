// SPDX-License-Identifier: BSD-2-Clause
// Calls: each is served once at most and ends once, with its own reply or for a reason.
#include <string.h>
#include "tests/sim/oracle_pattern.h"

#define LIVES 64

static struct sim_call calls[SIM_CALLS];
static unsigned call_count;
/* Lives of servers that are over. */
static struct {
	unsigned where;
	int slot;
	uint64_t life;
} over[LIVES];
static unsigned over_count;

void oracle_calls_reset(void)
{
	call_count = over_count = 0;
}

void oracle_servers_over(struct sim_seat *seat)
{
	if (over_count < LIVES && seat->life) {
		over[over_count].where = seat->where;
		over[over_count].slot = seat->slot;
		over[over_count++].life = seat->life;
	}
}

static bool server_over(const struct sim_call *call)
{
	unsigned i;

	for (i = 0; i < over_count; i++)
		if (over[i].where == call->caller->where &&
			over[i].slot == (int)call->server_slot &&
			CLAIM_EPOCH(over[i].life) == call->server_epoch)
			return true;
	return over_count == LIVES;
}

// The peer that lives in that slot under that epoch, or did.
static const struct sim_seat *server_seat(const struct sim_call *call)
{
	unsigned i;

	for (i = 0; i < sim.config.peers; i++) {
		const struct sim_seat *seat = &sim.peer[i].seat[call->caller->where];

		if (CLAIM_EPOCH(seat->life) == call->server_epoch &&
			seat->slot == (int)call->server_slot)
			return seat;
	}
	return NULL;
}

struct sim_call *oracle_call_new(struct sim_seat *seat, const struct msg_peer *server,
	uint64_t deadline)
{
	struct sim_call *call;

	if (call_count == SIM_CALLS)
		return NULL;
	call = &calls[call_count++];
	*call = (struct sim_call){ .caller = seat, .life = seat->life, .deadline = deadline,
		.server_slot = server->slot, .server_epoch = server->epoch, .tag = oracle_tag() };
	return call;
}

static uint32_t reply_tag(const struct sim_call *call)
{
	return call->tag ^ 0x55aa55aa;
}

static unsigned length_of(uint32_t tag)
{
	return 4 + (tag >> 11) % ((tag & 7) ? 90 : 900);
}

unsigned oracle_call_fill(const struct sim_call *call, bool reply, uint8_t *data)
{
	uint32_t number = (uint32_t)(call - calls), tag = reply ? reply_tag(call) : call->tag;
	unsigned len = length_of(tag), i;

	memcpy(data, &number, 4);
	for (i = 4; i < len; i++)
		data[i] = oracle_byte(tag, i);
	return len;
}

bool oracle_call_may_fail(const struct sim_call *call)
{
	const struct sim_seat *seat = server_seat(call);

	return sim.config.lies == LIES_WILD || call->caller->peer->liar || sim.spoiled ||
	       (sim.config.lies && (!seat || seat->peer->liar));
}

static bool is_whole(const struct sim_call *call, uint32_t tag, const uint8_t *data, uint64_t len)
{
	uint32_t number;
	unsigned i;

	if (len != length_of(tag))
		return false;
	memcpy(&number, data, 4);
	if (number != (uint32_t)(call - calls))
		return false;
	for (i = 4; i < len; i++)
		if (data[i] != oracle_byte(tag, i))
			return false;
	return true;
}

struct sim_call *oracle_call_served(struct sim_seat *seat, const struct msg_peer *from,
	const uint8_t *data, uint64_t len)
{
	struct sim_call *call = NULL;
	uint32_t number = SIM_CALLS;

	if (sim.config.lies == LIES_WILD)
		return NULL;
	if (len >= 4)
		memcpy(&number, data, 4);
	if (number < call_count)
		call = &calls[number];
	if (sim.config.lies && (!call || call->caller->peer->liar || seat->peer->liar ||
		!is_whole(call, call->tag, data, len) || CLAIM_EPOCH(call->life) != from->epoch))
		return NULL;
	if (sim.spoiled)
		return call;
	if (!call || !is_whole(call, call->tag, data, len))
		sim_fail("peer %u: a request of %llu bytes isn't what anybody asked (call %u)",
			seat->peer->index, (unsigned long long)len, number);
	if (CLAIM_EPOCH(call->life) != from->epoch)
		sim_fail("peer %u got call %u from slot %u", seat->peer->index, number, from->slot);
	if (call->server_epoch != CLAIM_EPOCH(seat->life))
		sim_fail("peer %u got call %u, which is another's", seat->peer->index, number);
	if (call->served++)
		sim_fail("peer %u got call %u twice", seat->peer->index, number);
	return call;
}

void oracle_call_ended(struct sim_call *call, int64_t result, const uint8_t *data)
{
	unsigned number = (unsigned)(call - calls);

	sim_trace("call %u ends: %lld", number, (long long)result);
	sim.messages_received++;
	if (call->ended++)
		sim_fail("call %u ended twice", number);
	if (oracle_call_may_fail(call) || result == -ESTALE || result == -ENODEV)
		return;
	if (call->cancelled)
		sim_fail("call %u ended (%lld) although it was cancelled", number,
			(long long)result);
	if (result >= 0) {
		if (!call->replied)
			sim_fail("call %u has a reply, and nobody replied", number);
		if (!is_whole(call, reply_tag(call), data, (uint64_t)result))
			sim_fail("call %u has another's reply, or half a one", number);
	} else if (result == -ETIMEDOUT) {
		if (sim.now < call->deadline)
			sim_fail("call %u ended %llu us before its deadline", number,
				(unsigned long long)((call->deadline - sim.now) / US));
	} else if (result == -ECANCELED) {
		if (!call->refused)
			sim_fail("call %u was refused, and nobody refused it", number);
	} else if (result == -EPIPE) {
		const struct sim_seat *seat = server_seat(call);

		if (!server_over(call) && sim.config.atomic && seat && !seat->peer->stalled_ns &&
			!call->caller->peer->stalled_ns)
			sim_fail("call %u ended, and its server lives", number);
	} else {
		sim_fail("call %u: %s", number, msg_strerror(result));
	}
}

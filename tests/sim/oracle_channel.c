// SPDX-License-Identifier: BSD-2-Clause
// Channels: what was sent, what must arrive of it, and what the sender is told when it can't.
#include <string.h>
#include "tests/sim/oracle_pattern.h"

#define ENDS 160

static struct sim_end ends[ENDS];
static unsigned end_count;
static uint32_t tags;

void oracle_ends_reset(void)
{
	end_count = 0;
	tags = 0;
	oracle_topics_reset();
	oracle_calls_reset();
	oracle_queues_reset();
	oracle_crews_reset();
	oracle_links_reset();
}

static uint32_t hash(uint64_t a)
{
	a *= 0x9e3779b97f4a7c15u;
	return (uint32_t)(a >> 32 ^ a);
}

// Both sides must come to the same answer, whoever opens first.
static bool draws_stream(const struct sim_end *end)
{
	uint32_t mine = hash(end->life + end->index * 77 + ((uint64_t)end->generation << 32));
	uint32_t theirs = hash(end->their_life + end->their_index * 77 +
		((uint64_t)end->their_generation << 32));

	return (hash((uint64_t)mine + theirs) & 255) < sim.config.streams;
}

struct sim_end *oracle_opened(struct sim_seat *seat, struct msg_channel *channel)
{
	struct sim_end *end;

	if (end_count == ENDS)
		return NULL;
	end = &ends[end_count];
	memset(end, 0, sizeof(*end));
	end->number = end_count++;
	end->seat = seat;
	end->channel = channel;
	end->life = seat->life;
	end->their_life = channel->peer_life;
	end->index = channel->index;
	end->generation = channel->generation;
	end->their_index = channel->their_index;
	end->their_generation = channel->their_generation;
	end->stream = draws_stream(end);
	end->tag[0] = oracle_tag();
	end->target = sim_pick(sim.config.messages + 1);
	if (end->stream)
		end->target *= 1 + sim_pick(300);
	sim_trace("opens end %u: slot %d block %u to slot %u block %u%s", end->number, seat->slot,
		end->index, channel->peer_slot, end->their_index,
		end->stream ? ", a stream" : "");
	return end;
}

struct sim_end *oracle_partner(struct sim_end *end)
{
	unsigned i;

	for (i = 0; i < end_count && !end->partner; i++)
		if (ends[i].life == end->their_life && ends[i].index == end->their_index &&
			ends[i].generation == end->their_generation &&
			ends[i].their_life == end->life && ends[i].their_index == end->index &&
			ends[i].their_generation == end->generation &&
			ends[i].seat->where == end->seat->where)
			end->partner = &ends[i];
	return end->partner;
}

struct sim_end *oracle_end_in(unsigned where, uint32_t slot, const struct sim_peer *but)
{
	unsigned i;

	for (i = 0; i < end_count; i++)
		if (!ends[i].over && ends[i].seat->where == where &&
			ends[i].seat->slot == (int)slot && ends[i].seat->peer != but)
			return &ends[i];
	return NULL;
}

struct sim_end *oracle_other_end(const struct sim_seat *seat, const struct msg_channel *channel)
{
	unsigned i;

	for (i = 0; i < end_count; i++)
		if (ends[i].seat == seat && ends[i].life == seat->life &&
			ends[i].index == channel->index &&
			ends[i].generation == channel->generation)
			return oracle_partner(&ends[i]);
	return NULL;
}

bool oracle_may_fail(const struct sim_end *end)
{
	struct sim_end *partner = oracle_partner((struct sim_end *)(uintptr_t)end);

	return sim.config.lies == LIES_WILD || end->seat->peer->liar || sim.spoiled ||
	       (sim.config.lies && (!partner || partner->seat->peer->liar));
}

/* ---- content ---- */

uint32_t oracle_tag(void)
{
	return ++tags * 0x9e3779b1u;
}

uint8_t oracle_byte(uint32_t tag, unsigned i)
{
	uint32_t word = tag + (i / 4) * 0xc2b2ae35u;

	word ^= word >> 15;
	return (uint8_t)(word >> (i % 4 * 8));
}

static void check_bytes(const struct sim_end *end, const uint8_t *data, uint64_t len,
	uint32_t tag, unsigned from, const char *what, unsigned k)
{
	uint64_t i;

	for (i = 0; i < len; i++)
		if (data[i] != oracle_byte(tag, from + (unsigned)i))
			sim_fail("end %u: %s %u (%llu bytes) is wrong at byte %llu", end->number,
				what, k, (unsigned long long)len, (unsigned long long)i);
}

/* ---- sending ---- */

void oracle_attempt(struct sim_end *end, unsigned len, uint32_t tag)
{
	if (end->stream) {
		end->attempted += len;
		return;
	}
	end->tag[end->attempted] = tag;
	end->length[end->attempted++] = (uint16_t)len;
}

void oracle_sent(struct sim_end *end, int64_t count)
{
	if (count > 0)
		end->accepted += (unsigned)count;
	if (end->accepted > end->attempted)
		sim_fail("peer %u sent more than it had", end->seat->peer->index);
	if (end->partner && end->partner->delivered > end->accepted && !oracle_may_fail(end))
		sim_fail("end %u: message %u was received and yet not accepted", end->number,
			end->accepted);
	end->attempted = end->accepted;
}

/* ---- receiving ---- */

void oracle_delivered(struct sim_end *end, const uint8_t *data, uint64_t len)
{
	struct sim_end *partner = oracle_partner(end);
	unsigned k = end->delivered;

	end->delivered += end->stream ? (unsigned)len : 1;
	sim.messages_received++;
	if (oracle_may_fail(end))
		return;
	if (!partner)
		sim_fail("end %u received a message from nobody", end->number);
	if (end->delivered > partner->attempted)
		sim_fail("end %u received message %u of %u that end %u sent", end->number, k,
			partner->attempted, partner->number);
	if (end->stream) {
		check_bytes(end, data, len, partner->tag[0], k, "stream from", k);
		return;
	}
	if (len != partner->length[k])
		sim_fail("end %u: message %u has %llu bytes, not %u", end->number, k,
			(unsigned long long)len, partner->length[k]);
	check_bytes(end, data, len, partner->tag[k], 0, "message", k);
}

// How many of a sender's messages (bytes) the layer calls unreleased.
static unsigned count_unreleased(const struct sim_end *end, struct msg_channel *channel)
{
	struct msg_span span;
	unsigned n = 0, bytes = 0;

	while (n <= SIM_MESSAGES && !msg_unreleased(channel, n, &span)) {
		n++;
		bytes += (unsigned)span.len;
	}
	if (end->stream)
		n = bytes;
	if (n > end->accepted && !oracle_evicted(end->seat))
		sim_fail("end %u: %u messages unreleased of %u", end->number, n, end->accepted);
	return n;
}

// What the sender is told about messages that the receiver never released.
static void check_unreleased(struct sim_end *end, struct msg_channel *channel)
{
	const struct sim_end *partner = end->partner;
	unsigned n = count_unreleased(end, channel), first = end->accepted - n, i, at = first;
	struct msg_span span;

	if (oracle_evicted(end->seat))
		return;

	// It sees its own stores, wherever they are.
	memory_drain(end->seat->peer, SIM_BUFFER);
	// (What an evicted one gave back last may be on its way.)
	if (first > partner->delivered + partner->taking ||
		(!end->stream && !partner->cut && first < partner->released))
		sim_fail("end %u: messages from %u on count as unreleased; end %u has taken %u and "
			 "released %u", end->number, first, partner->number, partner->delivered,
			partner->released);
	for (i = 0; !msg_unreleased(channel, i, &span) && !oracle_evicted(end->seat); i++) {
		if (end->stream) {
			check_bytes(end, span.data, span.len, end->tag[0], at,
				"unreleased stream from", at);
			at += (unsigned)span.len;
			continue;
		}
		if (span.len != end->length[first + i])
			sim_fail("end %u: unreleased message %u has another length", end->number,
				first + i);
		check_bytes(end, span.data, span.len, end->tag[first + i], 0,
			"unreleased message", first + i);
	}
}

/* ---- ends ---- */

void oracle_channel_ended(struct sim_end *end, struct msg_channel *channel, int64_t err)
{
	struct sim_end *partner = oracle_partner(end);

	sim_trace("end %u is over: %s", end->number, msg_strerror(err));
	if (oracle_may_fail(end) || err == -ESTALE || err == -ENODEV)
		return;
	if (err != -EPIPE)
		sim_fail("end %u: %s", end->number, msg_strerror(err));
	if (!partner)
		return;
	if (partner->cut) {
		if (partner->over && sim.config.atomic)
			check_unreleased(end, channel);
		return;
	}
	// Evicted, but it has not found out.
	if (!partner->over && (partner->seat->peer->stalled_ns || sim.spoiled))
		return;
	if (!partner->over && sim.config.atomic)
		sim_fail("end %u: %s, but end %u lives", end->number, msg_strerror(err),
			partner->number);
	if (end->delivered < partner->accepted && partner->over)
		sim_fail("end %u: got %u messages of the %u that end %u sent", end->number,
			end->delivered, partner->accepted, partner->number);
	if (partner->over)
		check_unreleased(end, channel);
}

void oracle_closed(struct sim_end *end)
{
	const struct sim_end *other = oracle_partner(end);
	const struct sim_config *c = &sim.config;
	const struct sim_peer *p;
	uint32_t asleep;

	if (!other || !other->channel || c->ground == GROUND_PLAIN || !c->fences || c->bells_lost ||
		c->lies || c->stalls || sim.spoiled ||
		(c->ground == GROUND_FUTEX && c->regions > 1))
		return;
	p = other->seat->peer;
	if (p->state != PEER_ASLEEP || p->bell_at != SIM_NEVER || p->wake_at <= sim.now ||
		!other->seat->region || other->seat->region->error)
		return;
	asleep = (uint32_t)memory_read(&other->seat->region->slot->asleep, 4);
	if ((asleep & 1) && !other->channel->peer_ended && !other->channel->error)
		sim_fail("end %u was closed, and nobody woke peer %u, which hasn't seen it",
			end->number, p->index);
}

// NULL: it isn't there, or only pauses.
static const struct msg_region *sleeps_in(const struct sim_peer *p, unsigned where)
{
	const struct msg_region *region = p->seat[where].region;

	return region && region != (const struct msg_region *)(const void *)p && !region->error &&
	       (region->asleep & 1) ? region : NULL;
}

void oracle_sleeps(const struct sim_peer *p)
{
	const struct msg_channel *channel;
	const struct msg_region *region;
	uint32_t i, k;

	for (i = 0; i < sim.config.regions; i++) {
		region = sleeps_in(p, i);
		for (k = 0; region && k < region->geo.channels; k++) {
			channel = region->channel[k];
			if (channel && channel->opened && !channel->error && !channel->lingering &&
				channel->fenced != channel->rx.released)
				sim_fail("peer %u sleeps, and has not looked who waits for what "
					"it gave back in block %u", p->index, k);
		}
	}
}

void oracle_ends_died(struct sim_seat *seat)
{
	unsigned i;

	for (i = 0; i < end_count; i++)
		if (ends[i].seat == seat) {
			ends[i].over = true;
			ends[i].channel = NULL;
		}
	oracle_topics_over(seat, false);
	oracle_servers_over(seat);
	oracle_queues_over(seat);
	oracle_crews_over(seat);
}

void oracle_left(struct sim_seat *seat, bool evicted)
{
	unsigned i;

	for (i = 0; i < end_count; i++)
		if (ends[i].seat == seat && !ends[i].over) {
			ends[i].over = true;
			ends[i].channel = NULL;
			ends[i].cut = ends[i].cut || evicted;
		}
	oracle_topics_over(seat, evicted);
	oracle_servers_over(seat);
	oracle_queues_over(seat);
	oracle_crews_over(seat);
}

/* ---- what no lie may bring about ---- */

void oracle_private(const struct sim_end *end, const struct msg_channel *channel)
{
	const struct ring_tx *tx = &channel->tx;
	const struct ring_rx *rx = &channel->rx;
	uint32_t size = tx->mask + 1;

	if (tx->published - tx->released > size || tx->tail - tx->released > size ||
		tx->tail - tx->published > size)
		sim_fail("end %u believes that its ring of %u bytes is released up to 0x%x and "
			 "published up to 0x%x, and ends at 0x%x", end->number, size,
			tx->released, tx->published, tx->tail);
	if (rx->head - rx->released > rx->mask + 1)
		sim_fail("end %u reads at 0x%x, but has released up to 0x%x of %u bytes",
			end->number, rx->head, rx->released, rx->mask + 1);
}

bool oracle_same_fault(const struct msg_fault *a, const struct msg_fault *b)
{
	return a->what == b->what && a->offset == b->offset && a->seen == b->seen;
}

// Who was closed before its fault was told, where that was the same as end's; else end.
static struct sim_end *closed_untold(struct sim_end *end, const struct msg_fault *fault)
{
	unsigned i;

	for (i = 0; i < end_count; i++)
		if (ends[i].seat == end->seat && ends[i].life == end->life && !ends[i].faults &&
			oracle_same_fault(&ends[i].untold, fault))
			return &ends[i];
	return end;
}

void oracle_fault(struct sim_end *end, const struct msg_fault *fault)
{
	// An event doesn't name the channel, and two may have read the same block of a liar.
	if (end->faults)
		end = closed_untold(end, fault);
	if (!sim.config.lies && !sim.spoiled)
		sim_fail("fault: %s: 0x%llx at %s", fault->what, (unsigned long long)fault->seen,
			name_word(fault->offset + end->seat->where * SIM_SPAN));
	if (!oracle_may_fail(end))
		sim_fail("end %u is told a fault (%s), and nobody lied to it", end->number,
			fault->what);
	// A link has channels of its own, which may have read the same block, and aren't among these.
	if (++end->faults > 1 && !sim.config.links)
		sim_fail("end %u is told %u faults", end->number, end->faults);
}

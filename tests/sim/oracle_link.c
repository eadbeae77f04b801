// SPDX-License-Identifier: BSD-2-Clause
// Links: one conversation over all channels. Each message comes once and in order; an end that
// knows less than the other one had from it is found out; no other conversation is broken.
#include <string.h>
#include "tests/sim/oracle_pattern.h"

#define ENDS        96
#define MOST_RESETS 4 /* for each end that began anew or was put back */

static struct sim_link links[ENDS];
static unsigned link_count;
static struct {
	struct sim_link *latest[2];
	bool gone[2];            /* for good */
	unsigned home;
	unsigned changes, resets;
} pairs[SIM_PEERS];

void oracle_links_reset(void)
{
	unsigned i;

	link_count = 0;
	memset(pairs, 0, sizeof(pairs));
	for (i = 0; i < SIM_PEERS; i++)
		pairs[i].home = i % (sim.config.regions ? sim.config.regions : 1);
}

/* ---- ends ---- */

struct sim_link *oracle_link_opened(struct sim_peer *peer, unsigned pair, unsigned side,
	bool again)
{
	struct sim_link *end;

	oracle_link_over(pair, side, link_count == ENDS);
	if (link_count == ENDS)
		return NULL;
	end = &links[link_count];
	memset(end, 0, sizeof(*end));
	end->peer = peer;
	end->pair = pair;
	end->side = side;
	end->number = link_count++;
	pairs[pair].latest[side] = end;
	pairs[pair].changes += !again;
	return end;
}

void oracle_link_over(unsigned pair, unsigned side, bool for_good)
{
	struct sim_link *end = pairs[pair].latest[side];

	if (end && !end->over) {
		end->over = true;
		end->until = link_count;
	}
	pairs[pair].gone[side] |= for_good;
}

bool oracle_link_gone(unsigned pair, unsigned side)
{
	return pairs[pair].gone[side];
}

unsigned *oracle_link_home(unsigned pair)
{
	return &pairs[pair].home;
}

bool oracle_link_may_fail(const struct sim_link *end)
{
	const struct sim_link *other = pairs[end->pair].latest[!end->side];

	return sim.config.lies == LIES_WILD || sim.spoiled ||
	       (sim.config.lies && (end->peer->liar || !other || other->peer->liar));
}

/* ---- content ---- */

unsigned oracle_letter_fill(struct sim_link *end, uint8_t *data, unsigned len)
{
	struct sim_letter *letter = &end->letter[end->accepted];
	unsigned i;

	// The first one says whose it is.
	if (!end->accepted && len < 4)
		len = 4;
	*letter = (struct sim_letter){ .tag = oracle_tag(), .len = (uint16_t)len };
	for (i = 0; i < len; i++)
		data[i] = oracle_byte(letter->tag, i);
	if (len >= 4)
		memcpy(data, &end->number, 4);
	end->attempted = end->accepted + 1;
	return len;
}

static bool is_letter(const struct sim_link *from, const struct sim_letter *letter,
	const uint8_t *data, uint64_t len)
{
	uint32_t number;
	unsigned i;

	if (len != letter->len)
		return false;
	if (len >= 4) {
		memcpy(&number, data, 4);
		if (number != from->number)
			return false;
	}
	for (i = len >= 4 ? 4 : 0; i < len; i++)
		if (data[i] != oracle_byte(letter->tag, i))
			return false;
	return true;
}

void oracle_letter_sent(struct sim_link *end, int64_t err)
{
	if (!err)
		end->accepted++;
	end->attempted = end->accepted;
}

// Whose messages they are, by the first one.
static struct sim_link *sender_of(const struct sim_link *end, const uint8_t *data, uint64_t len)
{
	struct sim_link *from;
	uint32_t number = ENDS;

	if (len >= 4)
		memcpy(&number, data, 4);
	if (number >= link_count)
		return NULL;
	from = &links[number];
	return from->pair == end->pair && from->side != end->side ? from : NULL;
}

void oracle_letter_got(struct sim_link *end, const uint8_t *data, uint64_t len)
{
	struct sim_link *from;
	unsigned k = end->received++;

	sim.messages_received++;
	if (end->received > end->most)
		end->most = end->received;
	if (oracle_link_may_fail(end))
		return;
	if (!end->with)
		end->with = sender_of(end, data, len);
	from = end->with;
	if (!from)
		sim_fail("link end %u: message %u (%llu bytes) is nobody's", end->number, k,
			(unsigned long long)len);
	if (from->with && from->with != end)
		sim_fail("link end %u talks with end %u, which talks with end %u", end->number,
			from->number, from->with->number);
	if (end->forgot)
		sim_fail("link end %u was put back and has forgotten what it received, and goes on",
			end->number);
	if (k < from->attempted && is_letter(from, &from->letter[k], data, len)) {
		if (from->put_back && k >= from->kept && (from->forked || from->forgot))
			sim_fail("link end %u goes on with end %u, which was put back", end->number,
				from->number);
		return;
	}
	// What it sent before it was put back.
	if (!from->put_back || k >= from->former_count ||
		!is_letter(from, &from->former[k], data, len))
		sim_fail("link end %u: message %u (%llu bytes) isn't what end %u sent (%u so far)",
			end->number, k, (unsigned long long)len, from->number, from->attempted);
	if (k >= from->kept)
		from->forked = true;
}

/* ---- put back ---- */

// Two ends that are put back to one moment have no memories that differ.
bool oracle_link_may_put_back(const struct sim_link *end)
{
	unsigned i;

	for (i = 0; i < link_count; i++)
		if (links[i].pair == end->pair && links[i].put_back)
			return false;
	return true;
}

void oracle_link_put_back(struct sim_link *end, const struct sim_link *saved)
{
	struct sim_link before = *end;

	*end = *saved;
	memcpy(end->former, before.letter, sizeof(end->former));
	end->former_count = before.attempted;
	end->most = before.most;
	end->kept = end->accepted;
	end->put_back = true;
	end->forgot = before.received > saved->received;
	pairs[end->pair].changes++;
}

/* ---- what an end is told ---- */

// The most that anybody took of its messages; a call that takes one more may be under way.
static unsigned taken_of(const struct sim_link *end)
{
	unsigned most = 0, i, n;

	for (i = 0; i < link_count; i++) {
		const struct sim_link *other = &links[i];

		if (other->pair != end->pair || other->side == end->side ||
			(other->with && other->with != end))
			continue;
		n = other->most + other->taking;
		if (n > most)
			most = n;
	}
	return most;
}

void oracle_link_flushed(const struct sim_link *end)
{
	if (!oracle_link_may_fail(end) && taken_of(end) < end->accepted)
		sim_fail("link end %u: all %u messages are said to be received, but %u were",
			end->number, end->accepted, taken_of(end));
}

void oracle_link_stats(struct sim_link *end, const struct msg_link_stats *stats)
{
	if (oracle_link_may_fail(end))
		return;
	if (stats->sent != end->accepted || stats->received != end->received)
		sim_fail("link end %u has sent %u and received %u messages, not %llu and %llu",
			end->number, end->accepted, end->received, (unsigned long long)stats->sent,
			(unsigned long long)stats->received);
	if (stats->delivered > taken_of(end) || stats->delivered > stats->sent)
		sim_fail("link end %u: %llu messages are said to be received, but %u were",
			end->number, (unsigned long long)stats->delivered, taken_of(end));
	if (stats->delivered < end->delivered)
		sim_fail("link end %u: %llu messages were received, and %u before", end->number,
			(unsigned long long)stats->delivered, end->delivered);
	end->delivered = (unsigned)stats->delivered;
	if (stats->finished && !end->with && end->received)
		sim_fail("link end %u: nobody finished", end->number);
}

void oracle_link_ended(struct sim_link *end)
{
	const struct sim_link *from = end->with, *other = pairs[end->pair].latest[!end->side];

	end->ended = true;
	if (oracle_link_may_fail(end))
		return;
	// Of one that sent nothing nobody knows which one it was.
	if (!from && end->received)
		sim_fail("link end %u: nobody finished", end->number);
	if (!from && !other)
		sim_fail("link end %u is told the end, and nobody was there", end->number);
	if (from && !from->finishing && !from->put_back)
		sim_fail("link end %u is told the end, but end %u hasn't finished", end->number,
			from->number);
	if (from && end->received != from->accepted && !from->put_back)
		sim_fail("link end %u is told the end behind message %u of the %u that end %u sent",
			end->number, end->received, from->accepted, from->number);
}

static bool overlap(const struct sim_link *a, const struct sim_link *b)
{
	return (!a->over || a->until > b->number) && (!b->over || b->until > a->number);
}

// Did one of the two sides begin anew, or was it put back, so that their memories differ?
static bool differs(const struct sim_link *end)
{
	unsigned others = 0, i, k;

	for (i = 0; i < link_count; i++) {
		const struct sim_link *other = &links[i];

		if (other->pair != end->pair || other->side == end->side || !overlap(end, other))
			continue;
		others++;
		if (other->put_back)
			return true;
		for (k = 0; k < link_count; k++)
			if (&links[k] != end && links[k].pair == end->pair &&
				links[k].side == end->side && overlap(&links[k], other))
				return true;
	}
	return end->put_back || others > 1;
}

void oracle_link_reset(struct sim_link *end)
{
	sim_trace("link end %u is told that the other one has begun anew", end->number);
	pairs[end->pair].resets++;
	if (oracle_link_may_fail(end))
		return;
	if (!differs(end))
		sim_fail("link end %u was reset, and neither end has begun anew", end->number);
	if (pairs[end->pair].resets > MOST_RESETS * pairs[end->pair].changes)
		sim_fail("links %u: %u resets of %u ends", end->pair, pairs[end->pair].resets,
			pairs[end->pair].changes);
}

void oracle_link_undelivered(const struct sim_link *end, unsigned first, unsigned i,
	const struct msg_span *letter)
{
	if (oracle_link_may_fail(end))
		return;
	if (first + i >= end->accepted ||
		!is_letter(end, &end->letter[first + i], letter->data, letter->len))
		sim_fail("link end %u: what is told as not received isn't message %u", end->number,
			first + i);
}

void oracle_link_undelivered_from(const struct sim_link *end, unsigned first)
{
	if (oracle_link_may_fail(end))
		return;
	if (first > taken_of(end) && !end->put_back)
		sim_fail("link end %u: messages from %u on count as not received; %u were",
			end->number, first, taken_of(end));
	if (first < end->delivered)
		sim_fail("link end %u: messages from %u on count as not received; %u were said to "
			 "be", end->number, first, end->delivered);
}

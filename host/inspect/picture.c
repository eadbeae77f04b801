// SPDX-License-Identifier: BSD-2-Clause
#include "host/inspect/picture.h"

#include <stdlib.h>
#include <string.h>

#define RATE_MAX 1e18 /* fits 64 bits; what is more is a lie */

/* ---- finding things in it ---- */

const struct peer *picture_peer(const struct picture *p, uint32_t slot)
{
	uint32_t low = 0, high = p->n_peers;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (p->peers[middle].slot == slot)
			return &p->peers[middle];
		if (p->peers[middle].slot < slot)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static struct side *find_side(const struct picture *p, uint32_t slot, uint32_t index)
{
	uint32_t low = 0, high = p->n_sides;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		struct side *s = &p->sides[middle];

		if (s->slot == slot && s->index == index)
			return s;
		if (s->slot < slot || (s->slot == slot && s->index < index))
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const char *picture_group(const struct picture *p, uint64_t hash)
{
	for (uint32_t i = 0; i < p->n_peers; i++) {
		for (unsigned int k = 0; k < WIRE_ENDPOINTS; k++) {
			const struct wire_endpoint *e = &p->peers[i].wire.endpoint[k];
			uint64_t sum = 0xcbf29ce484222325ull;

			for (const char *c = e->name; *c; c++)
				sum = (sum ^ (unsigned char)*c) * 0x100000001b3ull;
			if (e->kind == KIND_GROUP && e->name[0] && sum == hash)
				return e->name;
		}
	}
	return NULL;
}

bool picture_listens(const struct peer *peer, unsigned int endpoint)
{
	return CLAIM_STATE(peer->wire.claim) == CLAIM_HELD &&
	       (peer->wire.endpoint[endpoint].state & 3) != ENDPOINT_FREE;
}

bool picture_in_group(const struct peer *peer)
{
	return CLAIM_STATE(peer->wire.claim) == CLAIM_HELD && peer->wire.group.phase != GROUP_NONE;
}

uint64_t side_unread(const struct side *s)
{
	uint64_t sent = s->wire.sent, received = s->other ? s->other->wire.received : sent;

	/* The two were not read at the same moment. */
	return sent > received ? sent - received : 0;
}

uint64_t side_behind(const struct side *s)
{
	const struct side *publisher = s->other;
	uint64_t next;

	if (!publisher || !publisher->topic.ring_size)
		return 0;
	next = publisher->wire.topic_number + s->wire.received + s->wire.lost;
	return publisher->topic.published >= next ? publisher->topic.published + 1 - next : 0;
}

double picture_rate(const struct picture *p, uint64_t now, uint64_t before)
{
	uint64_t ns = p->taken_ns - p->former_ns;
	double rate = p->former_ns && ns && now > before ? (double)(now - before) * 1e9 / (double)ns : 0;

	return rate < RATE_MAX ? rate : RATE_MAX;
}

const char *side_role(const struct side *s)
{
	if (s->wire.kind != KIND_QUEUE || !s->connecting)
		return NULL;
	return s->wire.options == OPTION_PRODUCER ? "producer" :
	       s->wire.options == OPTION_WORKER	  ? "worker" :
						    "member";
}

bool side_figures(const struct side *s, const char *const **names, uint64_t values[KIND_FIGURES])
{
	static const char *const calls[] = {"outstanding", "answered", "cancelled", "late"};
	static const char *const queue[] = {"outstanding", "done", "redelivered", "failed"};

	if (s->wire.kind != KIND_CALLS && s->wire.kind != KIND_QUEUE)
		return false;
	*names = s->wire.kind == KIND_CALLS ? calls : queue;
	memcpy(values, s->wire.figure, sizeof(s->wire.figure));
	values[3] = s->wire.figure_more[0];
	return true;
}

/* ---- taking it ---- */

static bool same_life(uint64_t a, uint64_t b)
{
	return CLAIM_WITH(a, CLAIM_HELD) == CLAIM_WITH(b, CLAIM_HELD);
}

static bool take_peers(struct picture *p, const struct heart *hearts)
{
	p->peers = calloc(p->look.geo.slots, sizeof(*p->peers));
	if (!p->peers)
		return false;
	for (uint32_t i = 0; i < p->look.geo.slots; i++) {
		struct peer *peer = &p->peers[p->n_peers];

		/* Pages that nobody ever wrote are left alone. */
		if (!look_claim(&p->look, i))
			continue;
		peer->slot = i;
		peer->torn = !look_slot(&p->look, i, &peer->wire);
		peer->beat_age_ns = p->taken_ns - hearts[i].since_ns;
		peer->beats = hearts[i].beats && hearts[i].claim == peer->wire.claim;
		if (peer->wire.claim)
			p->n_peers++;
	}
	return true;
}

static bool take_sides(struct picture *p)
{
	uint32_t room = 0;

	for (uint32_t i = 0; i < p->n_peers; i++) {
		for (uint32_t k = 0; k < p->look.geo.channels; k++) {
			struct wire_channel wire;
			struct side *s;

			if (!look_channel(&p->look, p->peers[i].slot, k, &wire))
				continue;
			if (p->n_sides == room) {
				room = room ? 2 * room : 64;
				s = realloc(p->sides, room * sizeof(*s));
				if (!s)
					return false;
				p->sides = s;
			}
			s = &p->sides[p->n_sides++];
			*s = (struct side){.slot = p->peers[i].slot, .index = k, .wire = wire};
			if (!look_topic(&p->look, &wire, &s->topic))
				s->topic = (struct wire_topic){0};
		}
	}
	return true;
}

/* Of all blocks that name one topic, the first. */
static void find_topics(struct picture *p)
{
	uint32_t first = 0;

	for (uint32_t i = 0; i < p->n_sides; i++) {
		struct side *s = &p->sides[i];
		uint32_t k = first = p->sides[first].slot == s->slot ? first : i;

		while (k < i && !(p->sides[k].topic_first &&
					p->sides[k].wire.ring_offset == s->wire.ring_offset))
			k++;
		s->topic_first = s->topic.ring_size && k == i;
	}
}

/* The endpoint by which a side was opened: of the other side's slot, if it is of that generation. */
static const char *endpoint_name(const struct picture *p, const struct side *s)
{
	const struct peer *peer = picture_peer(p, s->wire.peer_slot);
	uint32_t index = s->wire.endpoint & 0xff, generation = s->wire.endpoint >> 8;

	if (!peer || index >= WIRE_ENDPOINTS || !same_life(peer->wire.claim, s->wire.peer_life))
		return NULL;
	return (peer->wire.endpoint[index].state >> 2 & 0xffffff) == generation ?
		peer->wire.endpoint[index].name : NULL;
}

static void join_sides(struct picture *p, const struct picture *former)
{
	for (uint32_t i = 0; i < p->n_sides; i++) {
		struct side *s = &p->sides[i];
		struct side *other = find_side(p, s->wire.peer_slot, s->wire.peer_index);
		const struct side *before = former ? find_side(former, s->slot, s->index) : NULL;

		s->connecting = s->wire.endpoint >> 8;
		if (s->connecting)
			s->name = endpoint_name(p, s);
		if (other && other != s && other->wire.peer_slot == s->slot &&
			other->wire.peer_index == s->index &&
			STATUS_GENERATION(other->wire.status) == s->wire.peer_generation &&
			STATUS_GENERATION(s->wire.status) == other->wire.peer_generation)
			s->other = other;
		if (before && STATUS_GENERATION(before->wire.status) ==
				STATUS_GENERATION(s->wire.status) &&
			same_life(picture_peer(former, s->slot)->wire.claim,
				picture_peer(p, s->slot)->wire.claim))
			s->before = before;
	}
	for (uint32_t i = 0; i < p->n_sides; i++) {
		struct side *s = &p->sides[i];

		if (!s->connecting && s->other && s->other->connecting)
			s->name = s->other->name;
	}
}

/* The lives that are over, and whose land a live peer still needs. */
static void mark_kept(struct picture *p)
{
	for (uint32_t i = 0; i < p->n_sides; i++) {
		const struct side *s = &p->sides[i];
		/* This picture's own; the const is for others. */
		struct peer *gone = (struct peer *)picture_peer(p, s->wire.peer_slot);

		if (gone && CLAIM_STATE(picture_peer(p, s->slot)->wire.claim) == CLAIM_HELD &&
			same_life(s->wire.peer_life, gone->wire.claim))
			gone->kept = true;
	}
	for (uint32_t i = 0; i < p->n_peers; i++) {
		const struct wire_slot *reader = &p->peers[i].wire;

		if (CLAIM_STATE(reader->claim) != CLAIM_HELD || !reader->group.source)
			continue;
		for (uint32_t k = 0; k < p->n_peers; k++)
			if (same_life(reader->group.source, p->peers[k].wire.claim))
				p->peers[k].kept = true;
	}
	for (uint32_t i = 0; i < p->n_peers; i++)
		if (CLAIM_STATE(p->peers[i].wire.claim) == CLAIM_HELD)
			p->peers[i].kept = false;
}

static int by_offset(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Is one of the sorted offsets in that piece of land? */
static bool holds_ring(const uint64_t *rings, uint32_t n, uint64_t offset, uint64_t len)
{
	uint32_t low = 0, high = n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (rings[middle] < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && rings[low] - offset < len;
}

static bool count_land(struct picture *p)
{
	uint64_t *rings = calloc(p->look.geo.channels, sizeof(*rings));
	uint32_t side = 0;

	if (!rings)
		return false;
	for (uint32_t i = 0; i < p->n_peers; i++) {
		struct peer *peer = &p->peers[i];
		bool held = CLAIM_STATE(peer->wire.claim) == CLAIM_HELD;
		uint32_t n = 0;

		for (; side < p->n_sides && p->sides[side].slot == peer->slot; side++)
			if (p->sides[side].wire.ring_size)
				rings[n++] = p->sides[side].wire.ring_offset;
		if (!held && !peer->kept)
			continue;
		qsort(rings, n, sizeof(*rings), by_offset);
		for (uint32_t k = 0; k < p->look.geo.deeds; k++) {
			uint64_t offset, len = look_deed(&p->look, peer->slot, k, &offset);

			if (len && holds_ring(rings, n, offset, len))
				peer->rings += len;
			else
				peer->buffers += len;
		}
		*(held ? &p->land_live : &p->land_kept) += peer->rings + peer->buffers;
	}
	free(rings);
	return true;
}

bool picture_take(struct picture *p, const struct look *look, const struct heart *hearts,
	const struct picture *former)
{
	*p = (struct picture){.look = *look, .taken_ns = hearts_now()};
	p->former_ns = former ? former->taken_ns : 0;
	p->formatting = look_formatting(look);
	if (!take_peers(p, hearts) || !take_sides(p))
		return false;
	join_sides(p, former);
	find_topics(p);
	mark_kept(p);
	return count_land(p);
}

void picture_free(struct picture *p)
{
	free(p->peers);
	free(p->sides);
	*p = (struct picture){0};
}

/* ---- words ---- */

#define WORD(words, i) ((i) < sizeof(words) / sizeof((words)[0]) ? (words)[i] : "?")

const char *claim_word(const struct peer *peer)
{
	static const char *const words[] = {"free", "held", "dead", "left"};
	unsigned int state = CLAIM_STATE(peer->wire.claim);

	/* What stands in the slot is its former holder's until then. */
	return state == CLAIM_HELD && peer->wire.life != peer->wire.claim ? "joining" : words[state];
}

const char *endpoint_word(uint32_t state)
{
	static const char *const words[] = {"free", "tentative", "firm", "?"};

	return words[state & 3];
}

const char *kind_word(uint32_t kind)
{
	static const char *const words[] = {"messages", "calls", "queue", "topic", "group", "link"};

	return WORD(words, kind);
}

const char *channel_word(uint32_t state)
{
	static const char *const words[] = {"free", "connect", "open", "closed", "reset"};

	return WORD(words, state);
}

const char *reason_word(uint32_t reason)
{
	static const char *const words[] = {"none", "no control block left", "no land",
		"impossible value", "another kind"};

	return WORD(words, reason);
}

const char *policy_word(uint32_t policy)
{
	static const char *const words[] = {"back-pressure", "drop oldest", "latest"};

	return WORD(words, policy);
}

const char *phase_word(uint32_t phase)
{
	static const char *const words[] = {"none", "candidate", "founder", "founded", "member"};

	return WORD(words, phase);
}

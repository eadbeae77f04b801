// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "host/inspect/print.h"

static void text(const char *key, const char *value)
{
	printf(", \"%s\": ", key);
	if (!value) {
		printf("null");
		return;
	}
	putchar('"');
	/* Bytes that anybody may have written: what isn't ASCII stands for itself alone. */
	for (; *value; value++) {
		unsigned char c = (unsigned char)*value;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void number(const char *key, uint64_t value)
{
	printf(", \"%s\": %" PRIu64, key, value);
}

/* 64 random bits: more than many a reader's numbers hold. */
static void word(const char *key, uint64_t value)
{
	printf(", \"%s\": \"%016" PRIx64 "\"", key, value);
}

static void truth(const char *key, bool value)
{
	printf(", \"%s\": %s", key, value ? "true" : "false");
}

static void peer_name(const struct picture *p, const char *key, uint32_t slot)
{
	const struct peer *peer = picture_peer(p, slot);

	text(key, peer ? peer->wire.name : NULL);
}

static void region(const struct picture *p)
{
	const struct geometry *g = &p->look.geo;
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	printf("{\"type\": \"region\", \"time\": %lld.%03ld", (long long)t.tv_sec, t.tv_nsec / 1000000);
	printf(", \"format\": \"%u.%u\"", p->look.version >> 16, p->look.version & 0xffff);
	word("format_id", g->format_id);
	truth("formatting", p->formatting);
	number("size", g->size);
	number("slots", g->slots);
	number("channels_per_slot", g->channels);
	number("deeds_per_slot", g->deeds);
	number("grain", g->grain);
	number("default_ring", g->default_ring);
	number("beat_ns", g->beat_ns);
	number("death_ns", g->death_ns);
	number("land", g->land_size);
	number("land_held", p->land_live);
	number("land_kept", p->land_kept);
	puts("}");
}

static void peer(const struct peer *peer)
{
	const struct wire_slot *w = &peer->wire;

	printf("{\"type\": \"peer\", \"slot\": %u", peer->slot);
	text("name", w->name);
	number("epoch", CLAIM_EPOCH(w->claim));
	text("state", claim_word(peer));
	truth("torn", peer->torn);
	truth("beats", peer->beats);
	number("beat_age_ns", peer->beat_age_ns);
	if (w->peer_id == MSG_NO_ID)
		printf(", \"id\": null");
	else
		number("id", w->peer_id);
	number("vectors", w->vectors);
	truth("rings", w->abilities & ABILITY_RING);
	truth("futex", w->abilities & ABILITY_FUTEX);
	truth("asleep", w->asleep & 1);
	number("sleeps", w->sleeps);
	number("rescues", w->rescues);
	number("resets", w->resets);
	number("storms", w->storms);
	number("land_rings", peer->rings);
	number("land_buffers", peer->buffers);
	truth("land_kept", peer->kept);
	puts("}");
}

static void endpoint(const struct peer *peer, unsigned int i)
{
	const struct wire_endpoint *e = &peer->wire.endpoint[i];

	printf("{\"type\": \"name\", \"slot\": %u, \"index\": %u", peer->slot, i);
	text("peer", peer->wire.name);
	text("name", e->name);
	text("kind", kind_word(e->kind));
	text("state", endpoint_word(e->state));
	number("generation", e->state >> 2);
	if (e->refusal)
		text("refused", reason_word(e->refusal & 15));
	puts("}");
}

static void rates(const struct picture *p, const struct side *s)
{
	const struct {
		const char *name;
		uint64_t now, before;
	} figures[] = {
#define FIGURE(f) {#f, s->wire.f, s->before->wire.f}
		FIGURE(sent), FIGURE(sent_bytes), FIGURE(doorbells), FIGURE(suppressed),
		FIGURE(full_waits), FIGURE(received), FIGURE(received_bytes), FIGURE(wakeups),
		FIGURE(empty_waits),
#undef FIGURE
	};

	printf(", \"per_second\": {");
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		printf("%s\"%s\": %.1f", i ? ", " : "", figures[i].name,
			picture_rate(p, figures[i].now, figures[i].before));
	printf("}");
}

static void channel(const struct picture *p, const struct side *s)
{
	const struct wire_channel *w = &s->wire;
	uint64_t values[KIND_FIGURES];
	const char *const *names;

	printf("{\"type\": \"channel\", \"slot\": %u, \"index\": %u", s->slot, s->index);
	peer_name(p, "peer", s->slot);
	text("name", s->name);
	text("kind", kind_word(w->kind));
	text("state", channel_word(STATUS_STATE(w->status)));
	number("generation", STATUS_GENERATION(w->status));
	if (w->reason)
		text("reason", reason_word(w->reason));
	truth("connecting", s->connecting);
	number("other_slot", w->peer_slot);
	number("other_index", w->peer_index);
	peer_name(p, "other_peer", w->peer_slot);
	truth("other_found", s->other);
	number("ring", w->ring_size);
	number("sent", w->sent);
	number("sent_bytes", w->sent_bytes);
	number("doorbells", w->doorbells);
	number("suppressed", w->suppressed);
	number("full_waits", w->full_waits);
	truth("waits_for_space", w->want);
	number("received", w->received);
	number("received_bytes", w->received_bytes);
	number("wakeups", w->wakeups);
	number("empty_waits", w->empty_waits);
	number("unread", side_unread(s));
	if (side_role(s))
		text("role", side_role(s));
	if (w->kind == KIND_TOPIC && s->connecting) {
		number("lost", w->lost);
		number("behind", side_behind(s));
	}
	if (side_figures(s, &names, values))
		for (unsigned int i = 0; i < KIND_FIGURES; i++)
			number(names[i], values[i]);
	if (s->before)
		rates(p, s);
	puts("}");
}

static void topic(const struct picture *p, const struct side *s)
{
	printf("{\"type\": \"topic\", \"slot\": %u", s->slot);
	peer_name(p, "peer", s->slot);
	text("name", s->name);
	text("policy", policy_word(s->topic.policy));
	number("ring", s->topic.ring_size);
	number("published", s->topic.published);
	number("bytes", s->topic.bytes);
	number("full_waits", s->topic.full_waits);
	number("doorbells", s->topic.doorbells);
	number("subscribers", s->topic.subscribers);
	if (s->before && s->before->topic.ring_size)
		printf(", \"per_second\": {\"published\": %.1f, \"bytes\": %.1f}",
			picture_rate(p, s->topic.published, s->before->topic.published),
			picture_rate(p, s->topic.bytes, s->before->topic.bytes));
	puts("}");
}

static void group(const struct picture *p, const struct peer *peer)
{
	const struct wire_group *g = &peer->wire.group;

	printf("{\"type\": \"group\", \"slot\": %u", peer->slot);
	text("peer", peer->wire.name);
	text("name", picture_group(p, g->name));
	word("hash", g->name);
	word("generation", g->generation);
	text("phase", phase_word(g->phase));
	number("size", g->size);
	number("call", g->step >> 16);
	text("of", g->step & 0xffff ? "broadcast" : "barrier");
	if (g->step & 0xffff)
		number("root", (g->step & 0xffff) - CALL_BROADCAST);
	number("done", g->done >> 8);
	number("failures", g->done & 0xff);
	puts("}");
}

void print_json(const struct picture *p)
{
	region(p);
	for (uint32_t i = 0; i < p->n_peers; i++)
		peer(&p->peers[i]);
	for (uint32_t i = 0; i < p->n_peers; i++)
		for (unsigned int k = 0; k < WIRE_ENDPOINTS; k++)
			if (picture_listens(&p->peers[i], k))
				endpoint(&p->peers[i], k);
	for (uint32_t i = 0; i < p->n_sides; i++)
		channel(p, &p->sides[i]);
	for (uint32_t i = 0; i < p->n_sides; i++)
		if (p->sides[i].topic_first)
			topic(p, &p->sides[i]);
	for (uint32_t i = 0; i < p->n_peers; i++)
		if (picture_in_group(&p->peers[i]))
			group(p, &p->peers[i]);
}

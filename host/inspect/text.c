// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host/inspect/print.h"

#define PLACES 64 /* more than one line needs */

static char *place(void)
{
	static char places[PLACES][4 * WIRE_NAME];
	static unsigned int next;

	return places[next++ % PLACES];
}

/* A name of the region's with everything harmless: it goes to a terminal. */
static const char *shown(const char *name)
{
	char *to = place();
	size_t n = 0;

	if (!name)
		return "?";
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		n += (size_t)sprintf(to + n, c < 0x20 || c >= 0x7f ? "\\x%02x" : "%c", c);
	}
	to[n] = 0;
	return n ? to : "''";
}

static const char *amount(double value, double unit, const char *const units[5])
{
	char *to = place();
	unsigned int i = 0;

	while (i < 4 && value >= unit * (i ? 1 : 10)) {
		value /= unit;
		i++;
	}
	snprintf(to, 4 * WIRE_NAME, i ? "%.1f%s" : "%.0f%s", value, units[i]);
	return to;
}

static const char *count(uint64_t value)
{
	static const char *const units[] = {"", "", "M", "G", "T"};
	char *to = place();

	if (value >= 10000000)
		return amount((double)value / 1000, 1000, units);
	snprintf(to, 4 * WIRE_NAME, "%" PRIu64, value);
	return to;
}

static const char *bytes(double value)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};

	return amount(value, 1024, units);
}

static const char *span(uint64_t ns)
{
	char *to = place();
	double s = (double)ns / 1e9;

	if (s < 1)
		snprintf(to, 4 * WIRE_NAME, "%.0fms", s * 1000);
	else
		snprintf(to, 4 * WIRE_NAME, s < 10 ? "%.1fs" : "%.0fs", s);
	return to;
}

static int wider(int width, const char *text)
{
	int n = (int)strlen(text);

	return n > width ? n : width;
}

static const char *peer_name(const struct picture *p, uint32_t slot)
{
	const struct peer *peer = picture_peer(p, slot);

	return peer ? shown(peer->wire.name) : "?";
}

/* Widths of the columns that hold names. */
static int peer_width(const struct picture *p)
{
	int width = 4;

	for (uint32_t i = 0; i < p->n_peers; i++)
		width = wider(width, shown(p->peers[i].wire.name));
	return width;
}

static int name_width(const struct picture *p)
{
	int width = 8;

	for (uint32_t i = 0; i < p->n_peers; i++)
		for (unsigned int k = 0; k < WIRE_ENDPOINTS; k++)
			if (picture_listens(&p->peers[i], k))
				width = wider(width, shown(p->peers[i].wire.endpoint[k].name));
	for (uint32_t i = 0; i < p->n_sides; i++)
		width = wider(width, shown(p->sides[i].name));
	return width;
}

static void region(const struct picture *p)
{
	const struct geometry *g = &p->look.geo;

	printf("region  %s, format %u.%u, %u slots of %u channels, beat every %s, dead after %s%s\n",
		bytes((double)g->size), p->look.version >> 16, p->look.version & 0xffff, g->slots,
		g->channels, span(g->beat_ns), span(g->death_ns),
		p->formatting ? "; somebody is formatting it anew" : "");
	printf("memory  %s of %s in use", bytes((double)(p->land_live + p->land_kept)),
		bytes((double)g->land_size));
	if (p->land_kept)
		printf(", %s of it by who is gone, for those that still read there",
			bytes((double)p->land_kept));
	putchar('\n');
}

/* "12ms" since its last beat; ">980ms": it was watched so long and stood still; "?": not for long. */
static const char *beat(const struct picture *p, const struct peer *peer)
{
	char *to = place();

	if (CLAIM_STATE(peer->wire.claim) != CLAIM_HELD)
		return "-";
	if (!peer->beats && peer->beat_age_ns < p->look.geo.beat_ns)
		return "?";
	snprintf(to, 4 * WIRE_NAME, "%s%s", peer->beats ? "" : ">", span(peer->beat_age_ns));
	return to;
}

static const char *state_word(const struct picture *p, const struct peer *peer)
{
	if (CLAIM_STATE(peer->wire.claim) != CLAIM_HELD || peer->wire.life != peer->wire.claim)
		return claim_word(peer);
	if (peer->beat_age_ns >= p->look.geo.death_ns)
		return "silent";
	return peer->beats ? "alive" : claim_word(peer);
}

static void peers(const struct picture *p, int w)
{
	printf("\n%-*s  slot  epoch  state    beat     id  vectors  asleep  sleeps  rescues  resets  "
	       "storms     rings   buffers\n", w, "peer");
	for (uint32_t i = 0; i < p->n_peers; i++) {
		const struct peer *peer = &p->peers[i];
		const struct wire_slot *s = &peer->wire;
		char id[16] = "-";

		if (s->peer_id != MSG_NO_ID)
			snprintf(id, sizeof(id), "%u", s->peer_id);
		printf("%-*s  %4u  %5u  %-7s  %-7s  %2s  %7u  %-6s  %6s  %7s  %6s  %6s  %8s  %8s%s%s\n",
			w, shown(s->name), peer->slot, CLAIM_EPOCH(s->claim), state_word(p, peer),
			beat(p, peer), id, s->vectors, s->asleep & 1 ? "yes" : "no", count(s->sleeps),
			count(s->rescues), count(s->resets), count(s->storms),
			bytes((double)peer->rings), bytes((double)peer->buffers),
			peer->kept ? "  kept" : "", peer->torn ? "  changing hands" : "");
	}
}

static void names(const struct picture *p, int w, int wp)
{
	bool any = false;

	for (uint32_t i = 0; i < p->n_peers; i++) {
		for (unsigned int k = 0; k < WIRE_ENDPOINTS; k++) {
			const struct wire_endpoint *e = &p->peers[i].wire.endpoint[k];

			if (!picture_listens(&p->peers[i], k))
				continue;
			if (!any)
				printf("\n%-*s  %-*s  kind      state\n", w, "name", wp, "peer");
			any = true;
			printf("%-*s  %-*s  %-8s  %s%s%s\n", w, shown(e->name), wp,
				shown(p->peers[i].wire.name), kind_word(e->kind),
				endpoint_word(e->state), e->refusal ? "; refused one: " : "",
				e->refusal ? reason_word(e->refusal & 15) : "");
		}
	}
}

static void side(const struct picture *p, const struct side *s, int w, int wp, bool second)
{
	const struct wire_channel *c = &s->wire, *b = s->before ? &s->before->wire : c;
	uint32_t state = STATUS_STATE(c->status);

	printf("%-*s  %-8s  %-*s  %-*s  %-7s  %9s  %9s  %7s  %7s  %6s  %9s  %9s  %7s  %6s  %6s",
		w, second ? "" : s->name ? shown(s->name) : "?", second ? "" : kind_word(c->kind), wp,
		peer_name(p, s->slot), wp, peer_name(p, c->peer_slot), channel_word(state),
		count(c->sent), bytes((double)c->sent_bytes), count(c->doorbells),
		count(c->suppressed), count(c->full_waits), count(c->received),
		bytes((double)c->received_bytes), count(c->wakeups), count(c->empty_waits),
		c->kind == KIND_TOPIC ? "-" : count(side_unread(s)));
	if (p->former_ns)
		printf("  %9s  %9s  %9s  %9s  %7s  %7s",
			count((uint64_t)picture_rate(p, c->sent, b->sent)),
			bytes(picture_rate(p, c->sent_bytes, b->sent_bytes)),
			count((uint64_t)picture_rate(p, c->received, b->received)),
			bytes(picture_rate(p, c->received_bytes, b->received_bytes)),
			count((uint64_t)picture_rate(p, c->doorbells, b->doorbells)),
			count((uint64_t)picture_rate(p, c->wakeups, b->wakeups)));
	printf("%s%s%s\n", c->want ? "  waits for space" : "", state == CHANNEL_RESET ? "  reset: " : "",
		state == CHANNEL_RESET ? reason_word(c->reason) : "");
}

/* The two sides of a channel under each other, first the one that asked. */
static void channels(const struct picture *p, int w, int wp)
{
	if (!p->n_sides)
		return;
	printf("\n%-*s  kind      %-*s  %-*s  state         sent      bytes    bells    spared    full"
	       "   received      bytes  woken  waited  unread",
		w, "channel", wp, "side", wp, "with");
	if (p->former_ns)
		printf("     sent/s    bytes/s     recv/s    bytes/s  bells/s  woken/s");
	putchar('\n');
	for (uint32_t i = 0; i < p->n_sides; i++) {
		const struct side *s = &p->sides[i], *o = s->other;

		if (o && o->connecting != s->connecting ? !s->connecting : o && o < s)
			continue;
		side(p, s, w, wp, false);
		if (o)
			side(p, o, w, wp, true);
	}
}

static void topics(const struct picture *p, int w, int wp)
{
	bool any = false;

	for (uint32_t i = 0; i < p->n_sides; i++) {
		const struct side *s = &p->sides[i];
		uint32_t k = i;

		if (!s->topic_first)
			continue;
		if (!any)
			printf("\ntopics\n");
		any = true;
		printf("%-*s  of %-*s  %s: %s messages", w, shown(s->name), wp, peer_name(p, s->slot),
			policy_word(s->topic.policy), count(s->topic.published));
		printf(", %s, %s waits for room, %s doorbells, %s subscribers",
			bytes((double)s->topic.bytes), count(s->topic.full_waits),
			count(s->topic.doorbells), count(s->topic.subscribers));
		if (s->before && s->before->topic.ring_size)
			printf("; %s/s", count((uint64_t)picture_rate(p, s->topic.published,
						 s->before->topic.published)));
		putchar('\n');
		for (; k < p->n_sides && p->sides[k].slot == s->slot; k++) {
			const struct side *reader = p->sides[k].other;

			if (!p->sides[k].topic.ring_size || !reader ||
				p->sides[k].wire.ring_offset != s->wire.ring_offset)
				continue;
			printf("%*s  to %-*s  %s received, %s lost, %s behind\n", w, "", wp,
				peer_name(p, reader->slot), count(reader->wire.received),
				count(reader->wire.lost), count(side_behind(reader)));
		}
	}
}

/* Calls and queues: what their kinds count. */
static void figures(const struct picture *p, uint32_t kind, const char *title, int w, int wp)
{
	bool any = false;

	for (uint32_t i = 0; i < p->n_sides; i++) {
		const struct side *s = &p->sides[i];
		const char *role = side_role(s);
		uint64_t values[KIND_FIGURES];
		const char *const *words;

		if (s->wire.kind != kind || !side_figures(s, &words, values))
			continue;
		if (!any)
			printf("\n%s\n", title);
		any = true;
		if (!role)
			role = kind == KIND_QUEUE ? "dispatcher" : s->connecting ? "caller" : "server";
		printf("%-*s  %-10s  %-*s  with %-*s ", w, s->name ? shown(s->name) : "?", role, wp,
			peer_name(p, s->slot), wp, peer_name(p, s->wire.peer_slot));
		for (unsigned int k = 0; k < KIND_FIGURES; k++)
			printf("%s %s %s", k ? "," : "", count(values[k]), words[k]);
		putchar('\n');
	}
}

static void groups(const struct picture *p, int w, int wp)
{
	bool any = false;

	for (uint32_t i = 0; i < p->n_peers; i++) {
		const struct wire_group *g = &p->peers[i].wire.group;
		uint64_t call = g->step & 0xffff;
		const char *name;
		char hash[24];

		if (!picture_in_group(&p->peers[i]))
			continue;
		if (!any)
			printf("\ngroups\n");
		any = true;
		name = picture_group(p, g->name);
		snprintf(hash, sizeof(hash), "#%016" PRIx64, g->name);
		printf("%-*s  %-*s  %s of %u", w, name ? shown(name) : hash, wp,
			shown(p->peers[i].wire.name), phase_word(g->phase), g->size);
		if (g->step >> 16) {
			printf(", call %" PRIu64 ": ", g->step >> 16);
			if (call)
				printf("broadcast of rank %" PRIu64, call - CALL_BROADCAST);
			else
				printf("barrier");
			printf("%s", g->done >> 8 == g->step >> 16 ? ", done" : ", under way");
			if (g->done & 0xff)
				printf(", one of the last eight failed");
		}
		printf(" [%08" PRIx64 "]\n", g->generation & 0xffffffff);
	}
}

void print_text(const struct picture *p)
{
	int w = name_width(p), wp = peer_width(p);

	region(p);
	if (!p->n_peers)
		puts("nobody has joined yet");
	else
		peers(p, wp);
	names(p, w, wp);
	channels(p, w, wp);
	figures(p, KIND_CALLS, "calls", w, wp);
	figures(p, KIND_QUEUE, "queues", w, wp);
	topics(p, w, wp);
	groups(p, w, wp);
}

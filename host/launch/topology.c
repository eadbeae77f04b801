// SPDX-License-Identifier: BSD-2-Clause
#include "host/launch/topology.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parser {
	struct topology *t;
	const char *file;
	struct text *error;
	unsigned int line;
	struct words *on;	/* per guest: the region names, resolved when all lines are read */
};

/* Always false, so that a rule can `return complain(...)`. */
__attribute__((format(printf, 3, 4)))
static bool complain(struct parser *p, unsigned int line, const char *fmt, ...)
{
	char what[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	/* The message quotes the file: nothing in it may reach a terminal as more than text. */
	for (char *c = what; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	if (line)
		text_addf(p->error, "%s:%u: %s", p->file, line, what);
	else
		text_addf(p->error, "%s: %s", p->file, what);
	return false;
}

bool topology_name_ok(const char *s)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t n = strlen(s);

	if (n == 0 || n > TOPOLOGY_NAME_MAX || !strchr(first, s[0]))
		return false;
	for (size_t i = 1; i < n; i++) {
		if (!strchr(first, s[i]) && s[i] != '-' && s[i] != '_')
			return false;
	}
	return true;
}

const char *topology_check_size(unsigned long long size)
{
	if (size < TOPOLOGY_SIZE_MIN)
		return "the smallest region is 4K";
	if (size & (size - 1))
		return "QEMU takes only powers of two, such as 4M";
	return NULL;
}

bool topology_parse_mem(const char *s, unsigned int *mem_mib)
{
	unsigned long long v;

	if (parse_number(s, 1, 1u << 24, &v)) {
		*mem_mib = (unsigned int)v;
		return true;
	}
	if (!parse_size(s, &v) || v % (1u << 20) || v == 0 || v >> 20 > 1u << 24)
		return false;
	*mem_mib = (unsigned int)(v >> 20);
	return true;
}

/* The value of a word KEY=VALUE with this key, else NULL. */
static const char *value_of(const char *word, const char *key)
{
	size_t n = strlen(key);

	return strncmp(word, key, n) == 0 && word[n] == '=' ? word + n + 1 : NULL;
}

static bool check_name(struct parser *p, const char *kind, const char *name)
{
	if (topology_name_ok(name))
		return true;
	return complain(p, p->line, "'%.60s' can't name a %s; use letters, digits, - and _, at most %d",
			name, kind, TOPOLOGY_NAME_MAX);
}

static bool parse_region(struct parser *p, const struct words *w)
{
	struct topology *t = p->t;
	struct topology_region *r;

	if (w->n < 2)
		return complain(p, p->line, "a region needs a name: region NAME [doorbell|plain] "
				"[size=SIZE] [vectors=N]");
	if (!check_name(p, "region", w->v[1]))
		return false;
	for (size_t i = 0; i < t->n_regions; i++) {
		if (strcmp(t->regions[i].name, w->v[1]) == 0)
			return complain(p, p->line, "region '%s' is already on line %u; each needs a "
					"name of its own", w->v[1], t->regions[i].line);
	}
	if (t->n_regions == TOPOLOGY_REGIONS_MAX)
		return complain(p, p->line, "more than %d regions", TOPOLOGY_REGIONS_MAX);
	t->regions = text_grow(t->regions, t->n_regions + 1, sizeof(*t->regions));
	r = &t->regions[t->n_regions++];
	*r = (struct topology_region){ .size = TOPOLOGY_SIZE_DEFAULT,
				       .vectors = TOPOLOGY_VECTORS_DEFAULT, .line = p->line };
	memcpy(r->name, w->v[1], strlen(w->v[1]) + 1);

	for (size_t i = 2; i < w->n; i++) {
		const char *word = w->v[i], *v;
		unsigned long long n;

		if (strcmp(word, "doorbell") == 0) {
			r->plain = false;
		} else if (strcmp(word, "plain") == 0) {
			r->plain = true;
		} else if ((v = value_of(word, "size"))) {
			const char *why;

			if (!parse_size(v, &n))
				return complain(p, p->line, "size=%.40s is no size; write bytes or "
						"a number with K, M, G or T", v);
			why = topology_check_size(n);
			if (why)
				return complain(p, p->line, "size=%.40s can't be: %s", v, why);
			r->size = n;
		} else if ((v = value_of(word, "vectors"))) {
			if (!parse_number(v, 1, TOPOLOGY_VECTORS_MAX, &n))
				return complain(p, p->line, "vectors=%.40s is out of range; "
						"write 1 to %d", v, TOPOLOGY_VECTORS_MAX);
			r->vectors = (unsigned int)n;
		} else {
			return complain(p, p->line, "'%.60s' means nothing on a region line; "
					"doorbell, plain, size=SIZE and vectors=N do", word);
		}
	}
	return true;
}

static bool parse_on(struct parser *p, const char *list, struct words *on)
{
	for (;;) {
		size_t n = strcspn(list, ",");

		if (n == 0)
			return complain(p, p->line, "on= wants region names parted by commas");
		if (on->n == TOPOLOGY_ON_MAX)
			return complain(p, p->line, "a guest can be on at most %d regions",
					TOPOLOGY_ON_MAX);
		words_add_n(on, list, n);
		if (!list[n])
			return true;
		list += n + 1;
	}
}

static bool parse_guest(struct parser *p, const struct words *w)
{
	struct topology *t = p->t;
	struct topology_guest *g;
	struct words *on;
	size_t i;

	if (w->n < 3)
		return complain(p, p->line, "a guest needs a name and an app: guest NAME APP "
				"[on=REGION,...] [mem=MIB] [machine=M] [boot=B] [bios=B] [count=N] [-- ARG...]");
	if (!check_name(p, "guest", w->v[1]))
		return false;
	for (i = 0; i < t->n_guests; i++) {
		if (strcmp(t->guests[i].name, w->v[1]) == 0)
			return complain(p, p->line, "guest '%s' is already on line %u; each needs a "
					"name of its own", w->v[1], t->guests[i].line);
	}
	if (!w->v[2][0] || strcmp(w->v[2], "--") == 0 || strchr(w->v[2], '='))
		return complain(p, p->line, "guest '%s' needs an app after its name, not '%.60s'",
				w->v[1], w->v[2]);
	if (t->n_guests == TOPOLOGY_GUESTS_MAX)
		return complain(p, p->line, "more than %d guests", TOPOLOGY_GUESTS_MAX);
	t->guests = text_grow(t->guests, t->n_guests + 1, sizeof(*t->guests));
	p->on = text_grow(p->on, t->n_guests + 1, sizeof(*p->on));
	on = &p->on[t->n_guests];
	*on = (struct words){ 0 };
	g = &t->guests[t->n_guests++];
	*g = (struct topology_guest){ .app = text_copy(w->v[2]), .line = p->line };
	memcpy(g->name, w->v[1], strlen(w->v[1]) + 1);

	for (i = 3; i < w->n && strcmp(w->v[i], "--") != 0; i++) {
		const char *word = w->v[i], *v;
		unsigned long long n;

		if ((v = value_of(word, "on"))) {
			if (!parse_on(p, v, on))
				return false;
		} else if ((v = value_of(word, "mem"))) {
			if (!topology_parse_mem(v, &g->mem_mib))
				return complain(p, p->line, "mem=%.40s is no memory size; write MiB, "
						"such as mem=64", v);
		} else if ((v = value_of(word, "machine"))) {
			if (!*v)
				return complain(p, p->line, "machine= wants pc, q35 or microvm");
			free(g->machine);
			g->machine = text_copy(v);
		} else if ((v = value_of(word, "boot"))) {
			free(g->boot);
			g->boot = text_copy(v);
		} else if ((v = value_of(word, "bios"))) {
			free(g->bios);
			g->bios = text_copy(v);
		} else if ((v = value_of(word, "count"))) {
			if (!parse_number(v, 1, TOPOLOGY_GUESTS_MAX, &n))
				return complain(p, p->line, "count=%.40s is out of range; write 1 "
						"to %d", v, TOPOLOGY_GUESTS_MAX);
			g->count = (unsigned int)n;
		} else {
			return complain(p, p->line, "'%.60s' means nothing on a guest line; on=, mem=, "
					"machine=, boot=, bios= and count= do, and arguments go after --", word);
		}
	}
	for (i++; i < w->n; i++)
		words_add(&g->args, w->v[i]);
	return true;
}

static bool parse_single(struct parser *p, const struct words *w)
{
	struct topology *t = p->t;
	const char *key = w->v[0], *v = w->n == 2 ? w->v[1] : "";
	unsigned long long n;

	if (w->n != 2)
		return complain(p, p->line, "'%s' wants one value: %s %s", key, key,
				key[0] == 't' ? "SECONDS" : key[1] == 'a' ? "pc|q35|microvm" : "MIB");
	if (strcmp(key, "machine") == 0) {
		free(t->machine);
		t->machine = text_copy(v);
	} else if (strcmp(key, "mem") == 0) {
		if (!topology_parse_mem(v, &t->mem_mib))
			return complain(p, p->line, "'%.40s' is no memory size; write MiB, such as 64", v);
	} else {
		if (!parse_number(v, 1, 1000000, &n))
			return complain(p, p->line, "'%.40s' is no time; write whole seconds from 1", v);
		t->timeout_s = (unsigned int)n;
	}
	return true;
}

static bool parse_line(struct parser *p, const char *line, size_t n)
{
	static const char about[] = "about";
	struct words w = { 0 };
	const char *why;
	bool ok = true;
	size_t i = 0;

	/* `about` is prose: an apostrophe in it opens no quote. */
	while (i < n && (line[i] == ' ' || line[i] == '\t'))
		i++;
	if (n - i >= sizeof(about) && memcmp(line + i, about, sizeof(about) - 1) == 0 &&
	    (line[i + 5] == ' ' || line[i + 5] == '\t')) {
		struct text t = { 0 };

		for (i += sizeof(about); i < n && (line[i] == ' ' || line[i] == '\t'); i++)
			;
		while (n > i && (line[n - 1] == '\r' || line[n - 1] == ' ' || line[n - 1] == '\t'))
			n--;
		text_add(&t, line + i, n - i);
		for (char *c = t.s; *c; c++) {
			if ((unsigned char)*c < ' ' || *c == 0x7f)
				*c = '?';
		}
		free(p->t->about);
		p->t->about = t.s;
		return true;
	}

	why = split_words(line, n, &w);
	if (why)
		ok = complain(p, p->line, "%s", why);
	else if (w.n == 0)
		;
	else if (strcmp(w.v[0], "region") == 0)
		ok = parse_region(p, &w);
	else if (strcmp(w.v[0], "guest") == 0)
		ok = parse_guest(p, &w);
	else if (strcmp(w.v[0], "machine") == 0 || strcmp(w.v[0], "mem") == 0 ||
		 strcmp(w.v[0], "timeout") == 0)
		ok = parse_single(p, &w);
	else
		ok = complain(p, p->line, "'%.60s' begins no line; about, machine, mem, timeout, region "
			      "and guest do", w.v[0]);
	words_free(&w);
	return ok;
}

static bool resolve_guest(struct parser *p, size_t index)
{
	struct topology *t = p->t;
	struct topology_guest *g = &t->guests[index];
	const struct words *on = &p->on[index];

	for (size_t i = 0; i < on->n; i++) {
		unsigned int r = 0;

		while (r < t->n_regions && strcmp(t->regions[r].name, on->v[i]) != 0)
			r++;
		if (r == t->n_regions) {
			struct text names = { 0 };

			for (r = 0; r < t->n_regions; r++)
				text_addf(&names, "%s %s", r ? "," : "", t->regions[r].name);
			complain(p, g->line, "there is no region '%.60s'; the regions are:%.200s", on->v[i],
				 names.n ? names.s : " none (add a line: region NAME)");
			text_free(&names);
			return false;
		}
		for (unsigned int k = 0; k < g->n_on; k++) {
			if (g->on[k] == r)
				return complain(p, g->line, "guest '%s' is on region '%s' twice",
						g->name, on->v[i]);
		}
		g->on[g->n_on++] = r;
	}
	return true;
}

bool topology_parse(const char *buf, size_t n, const char *file, struct topology *t,
		    struct text *error)
{
	struct parser p = { .t = t, .file = file, .error = error };
	bool ok = true;

	*t = (struct topology){ 0 };
	for (size_t at = 0; ok && at < n;) {
		const char *line = buf + at, *end = memchr(line, '\n', n - at);
		size_t len = end ? (size_t)(end - line) : n - at;

		p.line++;
		if (memchr(line, '\0', len))
			ok = complain(&p, p.line, "a NUL byte; a topology is a text file");
		else
			ok = parse_line(&p, line, len);
		at += len + 1;
	}
	if (ok && t->n_guests == 0)
		ok = complain(&p, 0, "no guest in it; add a line: guest NAME APP");
	for (size_t i = 0; ok && i < t->n_guests; i++)
		ok = resolve_guest(&p, i);
	for (size_t i = 0; i < t->n_guests; i++)
		words_free(&p.on[i]);
	free(p.on);
	if (!ok)
		topology_free(t);
	return ok;
}

void topology_free(struct topology *t)
{
	for (size_t i = 0; i < t->n_guests; i++) {
		free(t->guests[i].app);
		free(t->guests[i].machine);
		free(t->guests[i].boot);
		free(t->guests[i].bios);
		words_free(&t->guests[i].args);
	}
	free(t->guests);
	free(t->regions);
	free(t->about);
	free(t->machine);
	*t = (struct topology){ 0 };
}

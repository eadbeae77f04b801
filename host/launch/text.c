// SPDX-License-Identifier: BSD-2-Clause
#include "host/launch/text.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *text_grow(void *p, size_t n, size_t size)
{
	void *q = NULL;

	if (size == 0 || n <= SIZE_MAX / size)
		q = realloc(p, n * size);
	if (!q) {
		fprintf(stderr, "isthmus: out of memory\n");
		exit(125);
	}
	return q;
}

char *text_copy(const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(text_grow(NULL, n, 1), s, n);
}

void text_add(struct text *t, const char *s, size_t n)
{
	if (t->cap - t->n < n + 1) {
		t->cap = (t->n + n + 1) * 2;
		t->s = text_grow(t->s, t->cap, 1);
	}
	if (n)
		memcpy(t->s + t->n, s, n);
	t->n += n;
	t->s[t->n] = '\0';
}

void text_add_str(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

__attribute__((format(printf, 2, 0))) static void add_va(
	struct text *t, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	if (n > 0) {
		char *s = text_grow(NULL, (size_t)n + 1, 1);

		vsnprintf(s, (size_t)n + 1, fmt, again);
		text_add(t, s, (size_t)n);
		free(s);
	} else {
		text_add(t, "", 0);
	}
	va_end(again);
}

void text_addf(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_va(t, fmt, ap);
	va_end(ap);
}

char *text_format(const char *fmt, ...)
{
	struct text t = {0};
	va_list ap;

	va_start(ap, fmt);
	add_va(&t, fmt, ap);
	va_end(ap);
	return t.s;
}

void text_free(struct text *t)
{
	free(t->s);
	*t = (struct text){0};
}

static void words_take(struct words *w, char *s)
{
	if (w->cap < w->n + 2) {
		w->cap = (w->n + 2) * 2;
		w->v = text_grow(w->v, w->cap, sizeof(*w->v));
	}
	w->v[w->n++] = s;
	w->v[w->n] = NULL;
}

void words_add_n(struct words *w, const char *s, size_t n)
{
	struct text t = {0};

	text_add(&t, s, n);
	words_take(w, t.s);
}

void words_add(struct words *w, const char *s)
{
	words_take(w, text_copy(s));
}

void words_addf(struct words *w, const char *fmt, ...)
{
	struct text t = {0};
	va_list ap;

	va_start(ap, fmt);
	add_va(&t, fmt, ap);
	va_end(ap);
	words_take(w, t.s);
}

void words_free(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->v[i]);
	free(w->v);
	*w = (struct words){0};
}

void quote_shell(struct text *t, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_-./:=,+@%";

	if (word[0] && word[strspn(word, plain)] == '\0') {
		text_add_str(t, word);
		return;
	}
	text_add(t, "'", 1);
	for (const char *p = word; *p; p++) {
		if (*p == '\'')
			text_add_str(t, "'\\''");
		else
			text_add(t, p, 1);
	}
	text_add(t, "'", 1);
}

void quote_qemu(struct text *t, const char *value)
{
	text_add(t, "", 0);
	for (const char *p = value; *p; p++) {
		text_add(t, p, 1);
		if (*p == ',')
			text_add(t, p, 1);
	}
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

const char *split_words(const char *line, size_t n, struct words *out)
{
	size_t i = 0;

	for (;;) {
		struct text word = {0};
		char quote = '\0';

		while (i < n && is_blank(line[i]))
			i++;
		if (i == n || line[i] == '#')
			return NULL;
		text_add(&word, "", 0);
		for (; i < n && (quote || !is_blank(line[i])); i++) {
			char c = line[i];

			if (quote && c == quote) {
				quote = '\0';
			} else if (!quote && (c == '\'' || c == '"')) {
				quote = c;
			} else if (c == '\\' && quote != '\'') {
				/* Inside "..." only \" and \\ lose their backslash, as in sh. */
				if (i + 1 == n) {
					text_free(&word);
					return "a backslash ends the line; write \\\\ for one "
					       "backslash";
				}
				if (quote && line[i + 1] != '"' && line[i + 1] != '\\')
					text_add(&word, &c, 1);
				else
					text_add(&word, &line[++i], 1);
			} else {
				text_add(&word, &c, 1);
			}
		}
		if (quote) {
			text_free(&word);
			return quote == '"' ? "a \" is never closed" : "a ' is never closed";
		}
		words_take(out, word.s);
	}
}

bool parse_number(
	const char *s, unsigned long long min, unsigned long long max, unsigned long long *value)
{
	unsigned long long v;
	char *end;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno || *end || v < min || v > max)
		return false;
	*value = v;
	return true;
}

bool parse_size(const char *s, unsigned long long *bytes)
{
	static const char units[] = "KMGT";
	unsigned long long v;
	unsigned int shift = 0;
	char *end;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno)
		return false;
	if (*end) {
		char up = (char)(*end >= 'a' ? *end - 'a' + 'A' : *end);
		const char *unit = strchr(units, up);

		if (!unit || end[1])
			return false;
		shift = 10 * (unsigned int)(unit - units + 1);
	}
	if (v > ULLONG_MAX >> shift)
		return false;
	*bytes = v << shift;
	return true;
}

void format_size(char *buf, size_t n, unsigned long long bytes)
{
	static const char units[] = " KMGT";
	unsigned int u = 0;

	while (bytes && bytes % 1024 == 0 && u < 4) {
		bytes /= 1024;
		u++;
	}
	if (u)
		snprintf(buf, n, "%llu%c", bytes, units[u]);
	else
		snprintf(buf, n, "%llu", bytes);
}

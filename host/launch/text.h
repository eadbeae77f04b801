/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Growing strings and word lists, and the quoting that each reader of them wants.
 *
 * Out of memory ends the program with one line: the tool holds nothing that is worth saving, and
 * the guardian (guardian.h) cleans up behind it.
 */
#ifndef ISTHMUS_LAUNCH_TEXT_H
#define ISTHMUS_LAUNCH_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* A growing string; always ends in NUL once something was added. Zero-initialised is empty. */
struct text {
	char *s;
	size_t n;
	size_t cap;
};

void text_add(struct text *t, const char *s, size_t n);
void text_add_str(struct text *t, const char *s);
void text_addf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_free(struct text *t);

/* A growing list of strings that it owns; v[n] is NULL, so that it serves as an argv. */
struct words {
	char **v;
	size_t n;
	size_t cap;
};

void words_add(struct words *w, const char *s);
void words_add_n(struct words *w, const char *s, size_t n);
void words_addf(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void words_free(struct words *w);

/* realloc, strdup and asprintf that don't return NULL. */
void *text_grow(void *p, size_t n, size_t size);
char *text_copy(const char *s);
char *text_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Append `word` so that a POSIX shell reads it back as one word. The guest's command line parser
 * follows the same rules for quotes and backslashes, so this serves for `-append` too.
 */
void quote_shell(struct text *t, const char *word);

/* Append `value` for use inside one of QEMU's key=value lists, where a comma is written twice. */
void quote_qemu(struct text *t, const char *value);

/*
 * Split one line of `n` bytes into words as a shell would, without expanding anything: blanks
 * part words, '...' and "..." group, \ takes the next byte as it is, # at the start of a word
 * begins a comment. Returns NULL, or what is wrong with the line as a constant string.
 */
const char *split_words(const char *line, size_t n, struct words *out);

/* A decimal number in [min, max] and nothing else. */
bool parse_number(
	const char *s, unsigned long long min, unsigned long long max, unsigned long long *value);

/* A size in bytes: a decimal number with an optional K, M, G or T (either case, powers of 1024). */
bool parse_size(const char *s, unsigned long long *bytes);

/* Bytes as the shortest of 4096 -> "4K", 1 MiB -> "1M"; whole units only. */
void format_size(char *buf, size_t n, unsigned long long bytes);

#endif

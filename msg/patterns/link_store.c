// SPDX-License-Identifier: BSD-2-Clause
// The records of a link that the other end is not known to have received. See link.h.
#include "msg/patterns/link.h"

void link_store_init(struct link_store *s, void *memory, size_t size)
{
	uint64_t capacity = size > (1u << 30) ? 1u << 30 : size & ~(size_t)7;

	*s = (struct link_store){ .base = memory, .capacity = (uint32_t)capacity };
}

static uint32_t footprint(uint32_t len)
{
	return (uint32_t)sizeof(struct link_kept) + ((len + 7) & ~7u);
}

uint32_t link_store_limit(const struct link_store *s)
{
	// So that some fit at once, wherever the ring's end is.
	return (s->capacity / 4 & ~7u) - (uint32_t)sizeof(struct link_kept);
}

static uint32_t to_end(const struct link_store *s, uint64_t position)
{
	return s->capacity - (uint32_t)(position % s->capacity);
}

bool link_store_fits(const struct link_store *s, uint32_t len)
{
	uint64_t need = footprint(len);
	uint32_t rest = to_end(s, s->next);

	if (need > rest)
		need += rest;
	return s->next - s->first + need <= s->capacity;
}

// The record at *position, which moves past the ring's end where the record does.
static struct link_kept *kept(const struct link_store *s, uint64_t *position)
{
	struct link_kept *k;

	if (*position == s->next)
		return NULL;
	k = (struct link_kept *)(s->base + *position % s->capacity);
	if (k->size == LINK_SKIP) {
		*position += to_end(s, *position);
		k = (struct link_kept *)s->base;
	}
	return k;
}

static uint64_t behind(uint64_t position, const struct link_kept *k)
{
	return position + footprint(k->size - (uint32_t)sizeof(struct link_head));
}

void link_store_add(struct link_store *s, enum link_record type, const void *data, uint32_t len)
{
	uint32_t rest = to_end(s, s->next), i;
	const uint8_t *from = data;
	struct link_kept *k;
	uint8_t *to;

	k = (struct link_kept *)(s->base + s->next % s->capacity);
	if (footprint(len) > rest) {
		k->size = LINK_SKIP;
		s->next += rest;
		k = (struct link_kept *)s->base;
	}
	k->size = (uint32_t)sizeof(struct link_head) + len;
	k->end = 0;
	k->head = (struct link_head){ type, s->next_number };
	to = (uint8_t *)(k + 1);
	if (len >= 16)
		__builtin_memcpy(to, from, len);
	else
		for (i = 0; i < len; i++)
			to[i] = from[i];
	s->next = behind(s->next, k);
	s->next_number++;
}

struct link_kept *link_store_unsent(struct link_store *s)
{
	return kept(s, &s->cursor);
}

void link_store_sent(struct link_store *s, uint32_t end)
{
	struct link_kept *k = kept(s, &s->cursor);

	k->end = end;
	s->cursor = behind(s->cursor, k);
	s->cursor_number++;
}

static void drop_first(struct link_store *s, const struct link_kept *k)
{
	s->first = behind(s->first, k);
	s->first_number++;
}

void link_store_released(struct link_store *s, uint32_t position)
{
	struct link_kept *k;

	while (s->first_number != s->cursor_number && (k = kept(s, &s->first)) &&
		(int32_t)(position - k->end) >= 0)
		drop_first(s, k);
}

void link_store_rewind(struct link_store *s, uint64_t number)
{
	struct link_kept *k;

	while (s->first_number < number && (k = kept(s, &s->first)))
		drop_first(s, k);
	s->cursor = s->first;
	s->cursor_number = s->first_number;
}

struct link_kept *link_store_at(const struct link_store *s, unsigned i)
{
	uint64_t position = s->first;
	struct link_kept *k = kept(s, &position);

	for (; k && i; i--) {
		position = behind(position, k);
		k = kept(s, &position);
	}
	return k;
}

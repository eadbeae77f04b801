/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring: one sender, one receiver, records in order. Wire format: docs/wire-format.md, "Ring".
 *
 * A record is an 8-byte header and the payload right behind it, so that a receiver that polls the
 * header has the first 56 bytes of the payload in the same cache line. Positions count bytes from
 * the ring's start position, run freely through 2^32 and are compared only by unsigned difference.
 * Positions of records are multiples of 16; a record begins at (position mod size) and runs on
 * past the end of the ring where it must, into the overhang (half the ring and a line), so that
 * every payload lies in one piece and no byte is spent on padding at the wrap.
 *
 * The last record of a publication has the flag RING_LAST: the next one begins at a multiple of
 * 64. So a sender never writes a line that the receiver is reading from: a message published alone
 * costs one cache line transfer and no more, and a batch of small ones is packed.
 *
 * Header: bits 0..31 payload length, 32..35 type (never 0), 36..39 flags, 40..63 (position / 16)
 * mod 2^24. The position in it makes a header of an earlier lap invalid. An old payload may look
 * like anything: so before the sender publishes a record, it looks at the word where the next one
 * will begin, which nobody else writes, and clears it if it would pass for that record's header.
 *
 * Who writes what: the sender all of the ring; the receiver one word, `released`, in its own
 * control block, which the sender reads only when its copy says that the ring is full.
 *
 *   sender                                        receiver
 *   ring_reserve   room by private copies         ring_poll     header valid for my position?
 *   ...            payload                        ...           payload (acquire before it)
 *   ring_publish   next word can't mislead,       ring_advance  private position
 *                  header, release                ring_give_back released, release
 */
#ifndef MSG_RING_H
#define MSG_RING_H

#include "msg/region_access.h"

#define RING_HEADER     8u
#define RING_ALIGN      16u
#define RING_LINE       64u
#define RING_AHEAD      40u /* lines */
#define RING_MIN        1024u
#define RING_MAX        (64u << 20)

enum ring_type {
	RING_NONE = 0,
	RING_MESSAGE = 1, /* payload: the message */
	RING_BUFFER = 2,  /* payload: u64 offset in the region, u64 length */
	RING_RUN = 3,     /* payload: u32 size, u32 count, then count messages of size bytes, one
			   * right behind the other, from ring_run_offset */
	RING_NUMBERED = 4, /* payload: u64 number, then a message of a topic */
	RING_TYPES         /* 5..15: later versions */
};

enum ring_flag {
	RING_LAST = 1, /* last of its publication: the next record begins at the next line */
};

/* Largest payload that a ring of size bytes takes. */
REGION_INLINE uint32_t ring_limit(uint32_t size)
{
	return size / 2;
}

/* Bytes of memory for a ring of size bytes: with the overhang of the largest record. */
REGION_INLINE uint64_t ring_footprint(uint32_t size)
{
	return (uint64_t)size + size / 2 + 64;
}

/* Bytes that a payload of len takes in the ring. */
REGION_INLINE uint32_t ring_record(uint32_t len)
{
	return (len + RING_HEADER + RING_ALIGN - 1) & ~(RING_ALIGN - 1);
}

REGION_INLINE uint64_t ring_header(uint32_t position, uint32_t len, unsigned type, unsigned flags)
{
	return (uint64_t)((position >> 4) & 0xffffff) << 40 |
	       (uint64_t)(flags << 4 | type) << 32 | len;
}

/*
 * Where in a run's payload its messages begin, by their bytes in all: large ones at the next line,
 * since a copy between lines that are not aligned to each other is slower by a third.
 */
REGION_INLINE uint32_t ring_run_offset(uint64_t bytes)
{
	return bytes >= 512 ? RING_LINE - RING_HEADER : 8;
}

/* Would the receiver take this word for a header at position? */
REGION_INLINE bool ring_header_valid(uint64_t word, uint32_t position)
{
	return (uint32_t)(word >> 40) == ((position >> 4) & 0xffffff) && (word >> 32 & 0xf);
}

REGION_INLINE uint32_t ring_header_length(uint64_t word)
{
	return (uint32_t)word;
}

REGION_INLINE unsigned ring_header_type(uint64_t word)
{
	return word >> 32 & 0xf;
}

struct ring_tx {
	uint8_t *data;
	uint32_t mask;
	uint32_t tail;      /* end of what is reserved */
	uint32_t published; /* end of what is published */
	uint32_t released;  /* copy of the receiver's word */
	uint32_t newest;    /* position of the newest reserved record */
	uint64_t header;    /* its header; written when the next one begins or all is published */
	uint64_t first;     /* header of the first record that is not published */
	uint32_t ready;     /* so many bytes are free, and the word behind them passes for no header */
	uint64_t *next;     /* if so many: where the next header goes */
	uint64_t next_mark; /* ... and its upper half */
};

struct ring_rx {
	const uint8_t *data;
	uint32_t mask;
	uint32_t head;     /* next record to look at */
	uint32_t released; /* what we gave back */
	bool two_lines;    /* the last message, taken alone, lay in more than one */
};

REGION_INLINE void ring_tx_init(struct ring_tx *tx, void *data, uint32_t size, uint32_t start)
{
	tx->data = data;
	tx->mask = size - 1;
	tx->tail = tx->published = tx->released = tx->newest = start;
	tx->first = 0;
	tx->ready = 0;
	/* The memory's former life must not pass for the first record. */
	region_store64((uint64_t *)(tx->data + (start & tx->mask)), 0);
}

REGION_INLINE void ring_rx_init(struct ring_rx *rx, const void *data, uint32_t size, uint32_t start)
{
	rx->data = data;
	rx->mask = size - 1;
	rx->head = rx->released = start;
	rx->two_lines = false;
}

/*
 * Is there room for a payload of len, as far as is known without looking? The end is rounded to a
 * line because it may become the end of a publication: then the word where the next record will
 * begin is either free or the header of the oldest record that the receiver holds, and ring_publish
 * can't damage anything that isn't the sender's.
 */
REGION_INLINE bool ring_fits(const struct ring_tx *tx, uint32_t len)
{
	uint32_t end = (tx->tail + ring_record(len) + RING_LINE - 1) & ~(RING_LINE - 1);

	return end - tx->released <= tx->mask + 1;
}

/*
 * Takes note of the receiver's word. False: it is impossible (it must lie between what it was and
 * what was published), nothing was changed.
 */
REGION_INLINE bool ring_update_released(struct ring_tx *tx, uint32_t seen)
{
	if (seen - tx->released > tx->published - tx->released || seen % RING_ALIGN)
		return false;
	tx->released = seen;
	return true;
}

/* Puts the newest reserved header in its place: the first one of a batch stays private until
 * ring_publish, those behind it can't be reached before. */
REGION_INLINE void ring_place_header(struct ring_tx *tx, uint64_t header)
{
	if (tx->newest == tx->published)
		tx->first = header;
	else
		region_store64((uint64_t *)(tx->data + (tx->newest & tx->mask)), header);
}

/* Appends an unpublished record; room was checked. Returns its payload. */
REGION_INLINE uint8_t *ring_reserve(struct ring_tx *tx, uint32_t len, unsigned type)
{
	if (tx->tail != tx->published)
		ring_place_header(tx, tx->header);
	tx->header = ring_header(tx->tail, len, type, 0);
	tx->newest = tx->tail;
	tx->tail += ring_record(len);
	tx->ready = 0; /* the payload may go there, even if it is discarded then */
	return tx->data + (tx->newest & tx->mask) + RING_HEADER;
}

/* Gives the newest reserved record another, smaller length. */
REGION_INLINE void ring_trim(struct ring_tx *tx, uint32_t len)
{
	tx->header = ring_header(tx->newest, len, RING_MESSAGE, 0);
	tx->tail = tx->newest + ring_record(len);
}

/* Fetches the lines behind what is reserved, which the next run will take, if they are free: the
 * receiver has them, and they come while the fence waits for those of this one. */
REGION_INLINE void ring_fetch_ahead(const struct ring_tx *tx)
{
	uint32_t at = (tx->tail + RING_LINE - 1) & ~(RING_LINE - 1);
	unsigned i;

	if (at + RING_AHEAD * RING_LINE - tx->released > tx->mask)
		return;
	for (i = 0; i < RING_AHEAD; i++, at += RING_LINE)
		region_fetch(tx->data + (at & tx->mask));
}

/* Drops everything reserved. */
REGION_INLINE void ring_discard(struct ring_tx *tx)
{
	tx->tail = tx->published;
}

/* Clears the word at position, which is free, if it would pass for a header there. */
REGION_INLINE void ring_clean(struct ring_tx *tx, uint32_t position)
{
	uint64_t *word = (uint64_t *)(tx->data + (position & tx->mask));

	if (__builtin_expect(ring_header_valid(region_load64(word), position), 0))
		region_store64(word, 0);
}

/* Makes everything reserved visible; something is reserved. */
REGION_INLINE void ring_publish(struct ring_tx *tx)
{
	uint32_t tail = (tx->tail + RING_LINE - 1) & ~(RING_LINE - 1);

	ring_place_header(tx, tx->header | (uint64_t)RING_LAST << 36);
	ring_clean(tx, tail);
	/* Pairs with the acquire in ring_poll. */
	region_store_release64((uint64_t *)(tx->data + (tx->published & tx->mask)), tx->first);
	tx->published = tx->tail = tail;
}

/* Where the record behind a message alone in its publication begins. */
REGION_INLINE uint32_t ring_alone_after(uint32_t position, uint32_t len)
{
	return (position + len + RING_HEADER + RING_LINE - 1) & ~(RING_LINE - 1);
}

/*
 * A single message in a publication of its own, with nothing reserved before it: the same as
 * ring_fits, ring_reserve and ring_publish, in fewer steps. ring_alone_end: where it would end.
 * Then, if ring_alone_fits, ring_alone_publish does it. While that travels, ring_alone_ahead
 * prepares for another one of as many lines.
 */

/* The upper half of its header: position / 16 mod 2^24, LAST, message. */
REGION_INLINE uint32_t ring_alone_mark(uint32_t position)
{
	return position << 4 | RING_LAST << 4 | RING_MESSAGE;
}

/* Is it a header for that place, though not of a message alone? */
REGION_INLINE bool ring_alone_other(uint64_t header, uint32_t mark)
{
	uint32_t half = (uint32_t)(header >> 32);

	return (half ^ mark) < 0x100 && half & 0xf;
}

REGION_INLINE uint32_t ring_alone_end(const struct ring_tx *tx, uint32_t len)
{
	return ring_alone_after(tx->published, len);
}

REGION_INLINE bool ring_alone_fits(const struct ring_tx *tx, uint32_t end)
{
	return tx->tail == tx->published && end - tx->released <= tx->mask + 1;
}

/* Bytes of a publication of one message that begins at a line. */
REGION_INLINE uint32_t ring_alone_span(uint32_t len)
{
	return (len + RING_HEADER + RING_LINE - 1) & ~(RING_LINE - 1);
}

/* 0: all of it was prepared by ring_alone_ahead, and ring_alone_put at `next` is enough. */
REGION_INLINE uint32_t ring_alone_unready(const struct ring_tx *tx, uint32_t span)
{
	return span ^ tx->ready;
}

/*
 * Payload and header; copy: for len from REGION_COPY_SMALL on. Then ring_alone_done. The header's line is
 * written last, and small copies begin at the end: a receiver that polls it takes the line away at its
 * first store, and would once more before the header if another line had to come in between.
 */
REGION_INLINE void ring_alone_put(uint64_t *header, uint64_t mark,
	void (*copy)(void *, const void *, size_t), const void *data, size_t len)
{
	const size_t first = RING_LINE - RING_HEADER;

	if (len >= REGION_COPY_SMALL) {
		region_copy_in(copy, (uint8_t *)header + RING_LINE, (const uint8_t *)data + first,
			len - first);
		region_copy_in(copy, header + 1, data, first);
	} else {
		region_copy_in(copy, header + 1, data, len);
	}
	/* Pairs with the acquire in ring_poll. */
	region_store_release64(header, mark | len);
}

REGION_INLINE void ring_alone_done(struct ring_tx *tx, uint32_t end)
{
	tx->ready = 0;
	tx->tail = end;
	tx->published = end;
}

REGION_INLINE void ring_alone_publish(struct ring_tx *tx,
	void (*copy)(void *, const void *, size_t), const void *data, size_t len, uint32_t end)
{
	if (ring_alone_unready(tx, end - tx->published))
		ring_clean(tx, end);
	ring_alone_put((uint64_t *)(tx->data + (tx->published & tx->mask)),
		(uint64_t)ring_alone_mark(tx->published) << 32, copy, data, len);
	ring_alone_done(tx, end);
}

/*
 * span: what the last one took, a multiple of a line. Clears the word where the next one would end,
 * so that it won't have to be looked at, and so gets the lines that it will take from the
 * receiver's cache, all but the first, which the receiver may be polling.
 */
REGION_INLINE void ring_alone_ahead(struct ring_tx *tx, uint32_t span)
{
	uint32_t end = tx->published + span;
	uint8_t *next = tx->data + (tx->published & tx->mask);

	/* A whole ring behind `released` lies the header of the record that the receiver holds. */
	if (end - tx->released > tx->mask)
		return;
	region_store64((uint64_t *)(tx->data + (end & tx->mask)), 0);
	if (span == 2 * RING_LINE)
		region_store64((uint64_t *)(next + RING_LINE), 0);
	tx->next = (uint64_t *)next;
	tx->next_mark = (uint64_t)ring_alone_mark(tx->published) << 32;
	tx->ready = span;
}

/* The word where the next record's header will be. */
REGION_INLINE const uint64_t *ring_head(const struct ring_rx *rx)
{
	return (const uint64_t *)(rx->data + (rx->head & rx->mask));
}

/* The header of the next record, or 0 while there is none. */
REGION_INLINE uint64_t ring_poll(const struct ring_rx *rx)
{
	/* Pairs with the release in ring_publish. */
	uint64_t word = region_load_acquire64(ring_head(rx));

	return ring_header_valid(word, rx->head) ? word : 0;
}

REGION_INLINE const uint8_t *ring_payload(const struct ring_rx *rx)
{
	return rx->data + (rx->head & rx->mask) + RING_HEADER;
}

/* Where the record after this one begins. */
REGION_INLINE uint32_t ring_after(uint32_t position, uint64_t header)
{
	uint32_t next = position + ring_record(ring_header_length(header));

	return header >> 36 & RING_LAST ? (next + RING_LINE - 1) & ~(RING_LINE - 1) : next;
}

/* Can a record of this header stand at the receiver's position? */
REGION_INLINE bool ring_header_possible(const struct ring_rx *rx, uint64_t header)
{
	return ring_header_length(header) <= ring_limit(rx->mask + 1) &&
	       ring_after(rx->head, header) - rx->released <= rx->mask + 1;
}

/* Steps over a record whose header was found possible. */
REGION_INLINE void ring_advance(struct ring_rx *rx, uint64_t header)
{
	rx->head = ring_after(rx->head, header);
}

/* Gives everything before position back to the sender: word is the receiver's own. */
REGION_INLINE void ring_give_back(struct ring_rx *rx, uint32_t *word, uint32_t position)
{
	rx->released = position;
	/* Pairs with the acquire that feeds ring_update_released: our reads come before. */
	region_store_release32(word, position);
}

#endif

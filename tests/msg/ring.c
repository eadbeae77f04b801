// SPDX-License-Identifier: BSD-2-Clause
// The ring by itself, sender and receiver in turn, against a plain queue as the model.
#include <stdlib.h>
#include <string.h>
#include "msg/ring.h"
#include "tests/msg/harness.h"

#define MODEL 4096

struct pair {
	struct ring_tx tx;
	struct ring_rx rx;
	uint8_t *memory;
	uint32_t size, released;
	struct {
		uint32_t len;
		uint64_t seed;
	} model[MODEL];
	unsigned first, next, published;
};

static void pair_init(struct pair *p, uint32_t size, uint32_t start)
{
	memset(p, 0, sizeof(*p));
	p->size = size;
	p->memory = aligned_alloc(64, ring_footprint(size));
	memset(p->memory, 0xa5, ring_footprint(size));
	ring_tx_init(&p->tx, p->memory, size, start);
	ring_rx_init(&p->rx, p->memory, size, start);
	p->released = start;
}

static bool pair_reserve(struct pair *p, uint32_t len, uint64_t seed)
{
	uint8_t *payload;

	if (!ring_fits(&p->tx, len)) {
		CHECK(ring_update_released(&p->tx, p->released));
		if (!ring_fits(&p->tx, len))
			return false;
	}
	payload = ring_reserve(&p->tx, len, RING_MESSAGE);
	CHECK(payload >= p->memory && payload + len <= p->memory + ring_footprint(p->size));
	test_fill(payload, len, seed);
	p->model[p->next % MODEL].len = len;
	p->model[p->next++ % MODEL].seed = seed;
	return true;
}

static void pair_publish(struct pair *p)
{
	if (p->tx.tail != p->tx.published)
		ring_publish(&p->tx);
	p->published = p->next;
}

static void copy(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
}

// The short way: a publication of one.
static bool pair_alone(struct pair *p, uint32_t len, uint64_t seed, bool ahead)
{
	static uint8_t data[65536];
	uint32_t at = p->tx.published, end = ring_alone_end(&p->tx, len);

	CHECK(len <= sizeof(data));
	if (!ring_alone_fits(&p->tx, end))
		return false;
	test_fill(data, len, seed);
	ring_alone_publish(&p->tx, copy, data, len, end);
	if (ahead)
		ring_alone_ahead(&p->tx, end - at);
	p->model[p->next % MODEL].len = len;
	p->model[p->next++ % MODEL].seed = seed;
	p->published = p->next;
	return true;
}

// Takes one; it must be what the model says.
static bool pair_take(struct pair *p)
{
	uint64_t header = ring_poll(&p->rx);

	if (!header) {
		EQUAL(p->first, p->published);
		return false;
	}
	CHECK(p->first != p->published);
	CHECK(ring_header_possible(&p->rx, header));
	EQUAL(ring_header_length(header), p->model[p->first % MODEL].len);
	CHECK(test_filled(ring_payload(&p->rx), ring_header_length(header),
		p->model[p->first % MODEL].seed));
	ring_advance(&p->rx, header);
	p->first++;
	return true;
}

static void pair_give_back(struct pair *p)
{
	ring_give_back(&p->rx, &p->released, p->rx.head);
}

static const uint32_t sizes[] = { 0, 1, 7, 8, 9, 23, 24, 40, 48, 55, 56, 57, 63, 64, 65, 120, 128,
	255,
	256, 257, 511, 512 };
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

// Every size from every place of a ring, singly, at positions around 2^32 too.
static void every_offset(void)
{
	uint32_t starts[] = { 0, 64, 1024 - 64, 0u - 64, 0u - 1024, 0u - 2048 + 64 }, offset;
	static struct pair p;
	unsigned s, i, k;

	for (s = 0; s < sizeof(starts) / sizeof(starts[0]); s++)
		for (offset = 0; offset < 1024; offset += 64)
			for (i = 0; i < SIZES; i++) {
				pair_init(&p, 1024, starts[s] + offset);
				for (k = 0; k < 40; k++) {
					CHECK(pair_reserve(&p, sizes[(i + k) % SIZES], k));
					pair_publish(&p);
					CHECK(pair_take(&p));
					CHECK(!pair_take(&p));
					pair_give_back(&p);
				}
				free(p.memory);
			}
}

// Half the ring fits from every place whenever the ring is empty.
static void half_always_fits(void)
{
	static struct pair p;
	uint32_t step;

	for (step = 0; step < 600; step += 8) {
		pair_init(&p, 1024, 0u - 512);
		for (unsigned k = 0; k < 50; k++) {
			CHECK(pair_reserve(&p, step % 512, k));
			pair_publish(&p);
			CHECK(pair_take(&p));
			pair_give_back(&p);
			CHECK(pair_reserve(&p, ring_limit(1024), k));
			pair_publish(&p);
			CHECK(pair_take(&p));
			pair_give_back(&p);
		}
		free(p.memory);
	}
}

// Filled to the last byte, at every rotation, so that the end lies at every line, the wrap
// included.
static void full_at_every_line(void)
{
	static struct pair p;
	uint32_t rotate, len;
	unsigned n, round;

	for (len = 0; len <= 56; len += 8)
		for (rotate = 0; rotate < 16; rotate++) {
			pair_init(&p, 1024, 0u - 1024 + rotate * 64);
			for (round = 0; round < 20; round++) {
				for (n = 0; pair_reserve(&p, len, round * 100 + n); n++)
					pair_publish(&p);
				EQUAL(n, 16);
				CHECK(!pair_reserve(&p, 0, 0));
				while (pair_take(&p))
					;
				pair_give_back(&p);
			}
			free(p.memory);
		}
}

// Batches packed to the last byte; the receiver gives back one at a time.
static void full_batches(void)
{
	static struct pair p;
	unsigned n, round;

	pair_init(&p, 1024, 0u - 4096);
	for (round = 0; round < 100; round++) {
		for (n = 0; pair_reserve(&p, 8, round * 100 + n); n++)
			;
		EQUAL(n, 64);
		pair_publish(&p);
		while (pair_take(&p)) {
			pair_give_back(&p);
			if (round % 3 == 0 && n && n-- && pair_reserve(&p, 0, 7))
				pair_publish(&p);
		}
		pair_give_back(&p);
	}
	free(p.memory);
}

// The payload is made of words that pass for headers of every later position: none may be believed.
static void payload_that_looks_like_headers(void)
{
	static struct pair p;
	uint64_t random = 1;
	uint32_t at = 0;
	unsigned i;

	pair_init(&p, 1024, 0);
	for (i = 0; i < 20000; i++) {
		uint32_t len = (uint32_t)(test_random(&random) % 60) * 8, k;
		uint64_t *payload;

		if (!ring_fits(&p.tx, len))
			CHECK(ring_update_released(&p.tx, p.released));
		CHECK(ring_fits(&p.tx, len));
		payload = (uint64_t *)ring_reserve(&p.tx, len, RING_MESSAGE);
		at = p.tx.tail;
		// What would stand here one lap later, when a record ended right before it.
		for (k = 0; k < len / 8; k++)
			payload[k] = ring_header(at - ring_record(len) + 8 + k * 8 + 1024, 8,
			RING_MESSAGE,
				0);
		ring_publish(&p.tx);
		CHECK(ring_poll(&p.rx));
		ring_advance(&p.rx, ring_poll(&p.rx));
		// Nothing was published behind it.
		EQUAL(ring_poll(&p.rx), 0);
		pair_give_back(&p);
	}
	free(p.memory);
}

// What the short way found harmless may be written over before it is reached.
static void clean_word_spoiled(void)
{
	static struct pair p;
	unsigned i, k;

	pair_init(&p, 1024, 0u - 512);
	for (i = 0; i < 100; i++) {
		uint64_t *payload;
		uint32_t at;

		CHECK(ring_update_released(&p.tx, p.released));
		CHECK(pair_alone(&p, 8, i, true));
		at = p.tx.published;
		EQUAL(p.tx.ready, 64);
		payload = (uint64_t *)ring_reserve(&p.tx, 400, RING_MESSAGE);
		for (k = 0; k < 400 / 8; k++)
			payload[k] = ring_header(at + 8 + k * 8, 8, RING_MESSAGE, 0);
		ring_discard(&p.tx);
		CHECK(pair_alone(&p, 48, i, i & 1));
		CHECK(pair_take(&p));
		CHECK(pair_take(&p));
		CHECK(!pair_take(&p));
		pair_give_back(&p);
	}
	free(p.memory);
}

static void trim_and_discard(void)
{
	static struct pair p;
	unsigned i;

	pair_init(&p, 1024, 0u - 128);
	for (i = 0; i < 100; i++) {
		CHECK(ring_fits(&p.tx, 400) || ring_update_released(&p.tx, p.released));
		memset(ring_reserve(&p.tx, 400, RING_MESSAGE), 1, 400);
		ring_discard(&p.tx);
		ring_reserve(&p.tx, 300, RING_MESSAGE);
		ring_trim(&p.tx, 10);
		memset(ring_reserve(&p.tx, 20, RING_MESSAGE), 3, 20);
		ring_publish(&p.tx);
		EQUAL(ring_header_length(ring_poll(&p.rx)), 10);
		ring_advance(&p.rx, ring_poll(&p.rx));
		EQUAL(ring_header_length(ring_poll(&p.rx)), 20);
		ring_advance(&p.rx, ring_poll(&p.rx));
		EQUAL(ring_poll(&p.rx), 0);
		pair_give_back(&p);
	}
	free(p.memory);
}

// Impossible values from the other side are refused and change nothing.
static void impossible_values(void)
{
	static struct pair p;

	pair_init(&p, 1024, 0u - 64);
	CHECK(pair_reserve(&p, 8, 1));
	pair_publish(&p);
	CHECK(!ring_update_released(&p.tx, p.tx.published + 64));
	CHECK(!ring_update_released(&p.tx, p.tx.released - 16));
	CHECK(!ring_update_released(&p.tx, p.tx.released + 8));
	CHECK(ring_update_released(&p.tx, p.tx.released));
	CHECK(ring_update_released(&p.tx, p.tx.published));
	CHECK(!ring_header_possible(&p.rx, ring_header(p.rx.head, 513, RING_MESSAGE, 0)));
	CHECK(!ring_header_possible(&p.rx, ring_header(p.rx.head, UINT32_MAX, RING_MESSAGE, 0)));
	CHECK(ring_header_possible(&p.rx, ring_header(p.rx.head, 512, RING_MESSAGE, RING_LAST)));
	free(p.memory);
}

// At random, for long, with every ring size.
static void model(void)
{
	static struct pair p;
	uint64_t random = 42;
	uint32_t size;
	unsigned i;

	for (size = 1024; size <= 65536; size *= 2) {
		pair_init(&p, size, 0u - size * 3);
		for (i = 0; i < 60000; i++) {
			uint64_t r = test_random(&random);
			uint32_t len = (uint32_t)(r >> 8) % (r & 1 ? 64 : ring_limit(size) + 1);

			switch (r >> 1 & 3) {
			case 0:
				if (r & 16 && p.next - p.first < MODEL - 1) {
					pair_alone(&p, len, r, r & 32);
					break;
				}
				// fallthrough
			case 1:
				if (p.next - p.first < MODEL - 1)
					pair_reserve(&p, len, r);
				if (r & 8)
					pair_publish(&p);
				break;
			case 2:
				pair_take(&p);
				break;
			case 3:
				pair_give_back(&p);
				break;
			}
		}
		free(p.memory);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "every_offset", every_offset, 0 },
		{ "half_always_fits", half_always_fits, 0 },
		{ "full_at_every_line", full_at_every_line, 0 },
		{ "full_batches", full_batches, 0 },
		{ "payload_that_looks_like_headers", payload_that_looks_like_headers, 0 },
		{ "clean_word_spoiled", clean_word_spoiled, 0 },
		{ "trim_and_discard", trim_and_discard, 0 },
		{ "impossible_values", impossible_values, 0 },
		{ "model", model, 0 },
	};

	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

// SPDX-License-Identifier: BSD-2-Clause
// One way, 64 bytes a message, through a ring whose slots carry their own full/empty word (the
// FastForward way): no index is shared, the payload is copied in and out and checked.

#include "bench/floor/floor.h"

#define WORDS 8 /* of payload */
#define STAMP_LAST (WORDS - 1)
#define SAMPLES 101

struct ring {
	uint64_t *slots;
	uint64_t stride; /* in words: 9 is dense, 16 gives each slot two lines of its own */
	uint64_t count;
};

static void send_all(const struct ring *ring, uint64_t messages)
{
	uint64_t own[WORDS] = { 0 }, n, at = 0;
	int w;

	for (w = 0; w < WORDS; w++)
		own[w] = (uint64_t)w * 0x0101010101010101ULL;
	for (n = 1; n <= messages; n++) {
		uint64_t *slot = ring->slots + at;

		own[0] = own[STAMP_LAST] = n;
		while (__atomic_load_n(slot, __ATOMIC_ACQUIRE))
			;
		for (w = 0; w < WORDS; w++)
			slot[1 + w] = own[w];
		__atomic_store_n(slot, 1, __ATOMIC_RELEASE);
		at += ring->stride;
		if (at == ring->stride * ring->count)
			at = 0;
	}
}

static void receive_all(const struct ring *ring, uint64_t messages)
{
	uint64_t own[WORDS], n, at = 0;
	int w;

	for (n = 1; n <= messages; n++) {
		uint64_t *slot = ring->slots + at;

		while (!__atomic_load_n(slot, __ATOMIC_ACQUIRE))
			;
		for (w = 0; w < WORDS; w++)
			own[w] = slot[1 + w];
		__atomic_store_n(slot, 0, __ATOMIC_RELEASE);
		__asm__ volatile("" ::"r"(own) : "memory");
		if (own[0] != n || own[STAMP_LAST] != n)
			floor_die("message %lu came as %lu/%lu", n, own[0], own[STAMP_LAST]);
		at += ring->stride;
		if (at == ring->stride * ring->count)
			at = 0;
	}
}

static void run(struct floor_pair *pair)
{
	static const struct {
		const char *name;
		uint64_t stride;
	} layouts[] = { { "ring-dense", 9 }, { "ring-lines", 16 } };
	uint64_t messages = floor_arg_number("count", 20000);
	uint64_t bytes = floor_arg_number("ring", 512 << 10);
	size_t i;

	if (!messages || bytes < 4096 || bytes + FLOOR_OFFSET_DATA > pair->device.region_size)
		floor_die("ring=%lu: 4096 up to the region less %u", bytes, FLOOR_OFFSET_DATA);
	for (i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		struct ring ring = {
			.slots = (uint64_t *)(pair->device.region + FLOOR_OFFSET_DATA),
			.stride = layouts[i].stride,
			.count = bytes / 8 / layouts[i].stride,
		};
		uint64_t k, sample;

		if (!pair->rank)
			for (k = 0; k < bytes / 8; k++)
				ring.slots[k] = 0;
		for (sample = 0; sample < SAMPLES; sample++) {
			uint64_t start;

			floor_pair_barrier(pair);
			start = floor_rdtsc();
			if (pair->rank)
				receive_all(&ring, messages);
			else
				send_all(&ring, messages);
			floor_samples[sample] = floor_rdtsc() - start;
		}
		if (pair->rank) /* thousandths of a million per second */
			floor_report_value(layouts[i].name, "rate", "M/s", 8 * WORDS,
					   floor_muldiv(messages, 1000000000,
							floor_ticks_to_ps(floor_undisturbed(SAMPLES),
									  1)));
		floor_pair_barrier(pair);
	}
}

const struct floor_bench floor_bench_ring = { "ring", true, false, run };

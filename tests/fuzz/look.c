// SPDX-License-Identifier: BSD-2-Clause
/*
 * `isthmus show` on a region of any content: the input says which golden image it was, and what was
 * written over it (place, kind, value). Nothing outside of the region is read, and it ends. Between
 * two looks a word may change.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "host/inspect/print.h"
#include "host/inspect/source.h"
#include "msg/head.h"
#include "tests/fuzz/port.h"

#define IMAGES 4

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

unsigned fuzz_loads_left;
uint64_t fuzz_load_flip;

static uint8_t images[IMAGES][FUZZ_SIZE];
/* Where the input ends, zeroes follow. */
static const uint8_t *next;
static size_t left;

/* No file, so none that is cut short. */
bool source_cut(void)
{
	return false;
}

static uint64_t take(unsigned bytes)
{
	uint64_t value = 0;

	while (bytes--) {
		value = value << 8 | (left ? *next : 0);
		next += left > 0;
		left -= left > 0;
	}
	return value;
}

/* Lines of "offset: byte byte..."; those that begin with # are comments. */
static void image_read(uint8_t *image, const char *name)
{
	char path[4096], line[256];
	FILE *file;

	/* This file's own folder is the fuzzers'. */
	snprintf(path, sizeof(path), "%.*s/../msg/golden/%s.hex",
		(int)(strrchr(__FILE__, '/') - __FILE__), __FILE__, name);
	file = fopen(path, "r");
	if (!file) {
		perror(path);
		exit(1);
	}
	while (fgets(line, sizeof(line), file)) {
		char *at, *end;
		unsigned long offset = strtoul(line, &at, 16);

		for (at++; line[0] != '#' && offset < FUZZ_SIZE; at = end) {
			unsigned long byte = strtoul(at, &end, 16);

			if (end == at)
				break;
			image[offset++] = (uint8_t)byte;
		}
	}
	fclose(file);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char *const names[IMAGES] = { "exchange", "calls", "queue", "topics" };
	unsigned i;

	(void)argc, (void)argv;
	for (i = 0; i < IMAGES; i++)
		image_read(images[i], names[i]);
	/* What is printed is nobody's business. */
	if (!freopen("/dev/null", "w", stdout))
		exit(1);
	return 0;
}

/* Somewhere in the header, a slot, its deeds or its blocks, or in the land, as the image has them. */
static uint64_t *place(uint8_t *region)
{
	const struct wire_header *header = (const struct wire_header *)images[0];
	uint8_t what = (uint8_t)take(1), which = (uint8_t)take(1);
	uint32_t at = header->slot_offset + (what >> 4) % header->slots * header->slot_stride;

	switch (what & 3) {
	case 0: at += which % 128 * 8; break;
	case 1: at += (uint32_t)sizeof(struct wire_slot) + which % header->deeds * 8; break;
	case 2:
		at += (uint32_t)sizeof(struct wire_slot) + header->deeds * 8 +
			which % (header->channels * 32) * 8;
		break;
	default: at = (what & 4 ? 0 : (uint32_t)header->land_offset + (what >> 4) * 2048u) + which * 8; break;
	}
	return (uint64_t *)(region + at);
}

static void patch(uint8_t *region)
{
	uint64_t *word = place(region);
	uint8_t kind = (uint8_t)take(1);

	if (kind & 0x80)
		*word = take(8);
	else if (kind & 0x40)
		*word += take(1) - 128;
	else if (kind & 0x20)
		((uint32_t *)word)[kind & 1] = (uint32_t)take(4);
	else
		((uint8_t *)word)[kind & 7] = (uint8_t)take(1);
}

static void look_at(const struct look *look)
{
	struct heart *hearts = calloc(look->geo.slots, sizeof(*hearts));
	struct picture pictures[2];

	hearts_look(look, hearts);
	if (!picture_take(&pictures[0], look, hearts, NULL))
		abort();
	hearts_look(look, hearts);
	if (!picture_take(&pictures[1], look, hearts, &pictures[0]))
		abort();
	print_text(&pictures[0]);
	print_text(&pictures[1]);
	print_json(&pictures[1]);
	picture_free(&pictures[0]);
	picture_free(&pictures[1]);
	free(hearts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *region = aligned_alloc(4096, FUZZ_SIZE), how;
	struct look look;
	union head head;

	next = data;
	left = size;
	how = (uint8_t)take(1);
	memcpy(region, images[how % IMAGES], FUZZ_SIZE);
	fuzz_load_flip = 1ull << (size & 63);
	fuzz_loads_left = 0;
	if (how & 64)
		fuzz_loads_left = 1 + (unsigned)take(2) % 4000;
	while (left > 3)
		patch(region);
	if (how & 128) {
		/* A liar's header has the right check. */
		memcpy(&head, region, sizeof(head));
		((struct wire_header *)region)->check = head_check(&head);
	}
	if (look_open(&look, region, FUZZ_SIZE) == LOOK_GOOD)
		look_at(&look);
	free(region);
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// Words of the region by name, as docs/wire-format.md calls them.
#include <stdio.h>
#include "tests/sim/sim.h"

struct field {
	uint32_t offset;
	const char *name;
};

static const char *field_of(const struct field *fields, unsigned n, uint32_t offset)
{
	while (n--)
		if (fields[n].offset == offset)
			return fields[n].name;
	return NULL;
}

static const char *slot_word(unsigned slot, uint32_t in)
{
	static const struct field slot_fields[] = {
		{ 0, "claim" }, { 8, "changes" }, { 64, "beat" }, { 128, "asleep" },
		{ 192, "life" }, { 200, "peer_id" }, { 204, "vectors" }, { 208, "abilities" },
		{ 320, "sleeps" }, { 328, "rescues" }, { 336, "resets" }, { 384, "poke" },
		{ 448, "group.name" }, { 456, "group.generation" }, { 464, "group.phase" },
		{ 468, "group.size" }, { 472, "group.step" }, { 480, "group.done" },
		{ 488, "group.offset" }, { 496, "group.length" }, { 504, "group.source" },
	};
	static const struct field block_fields[] = {
		{ 0, "status" }, { 8, "peer_life" }, { 16, "peer_slot" }, { 20, "peer_index" },
		{ 24, "peer_generation" }, { 28, "endpoint" }, { 32, "ring_offset" },
		{ 40, "ring_size" }, { 44, "ring_start" }, { 48, "kind" }, { 52, "want" },
		{ 56, "reason" }, { 64, "released" }, { 128, "sent" }, { 136, "sent_bytes" },
		{ 144, "doorbells" }, { 152, "suppressed" }, { 160, "full_waits" },
		{ 192, "received" }, { 200, "received_bytes" }, { 208, "wakeups" },
		{ 216, "empty_waits" },
	};
	static char text[96];
	uint32_t blocks = 1024 + sim.geo.deeds * 8;
	const char *name;

	if (in >= blocks) {
		uint32_t index = (in - blocks) / 256, at = (in - blocks) % 256;

		name = field_of(block_fields, sizeof(block_fields) / sizeof(struct field), at);
		if (name)
			snprintf(text, sizeof(text), "slot %u block %u %s", slot, index, name);
		else
			snprintf(text, sizeof(text), "slot %u block %u +%u", slot, index, at);
	} else if (in >= 1024) {
		snprintf(text, sizeof(text), "slot %u deed %u", slot, (in - 1024) / 8);
	} else if (in >= 512) {
		snprintf(text, sizeof(text), "slot %u endpoint %u %s+%u", slot, (in - 512) / 64,
			in % 64 == 0 ? "state " : in % 64 >= 16 ? "name " : "", in % 64);
	} else {
		name = field_of(slot_fields, sizeof(slot_fields) / sizeof(struct field), in);
		if (name)
			snprintf(text, sizeof(text), "slot %u %s", slot, name);
		else
			snprintf(text, sizeof(text), "slot %u +%u", slot, in);
	}
	return text;
}

static const char *name_in_region(uint32_t offset)
{
	static const struct field fields[] = {
		{ 0, "header magic" }, { 8, "header version" }, { 80, "header format_id" },
		{ 128, "header format_claim" }, { 192, "header format_beat" },
	};
	uint64_t slots = sim.geo.slot_offset;
	static char text[64];
	const char *name;

	if (offset < slots) {
		name = field_of(fields, sizeof(fields) / sizeof(fields[0]), offset);
		if (name)
			return name;
		snprintf(text, sizeof(text), "header +%u", (unsigned)offset);
		return text;
	}
	if (offset < slots + (uint64_t)sim.geo.slots * sim.geo.slot_stride)
		return slot_word((unsigned)((offset - slots) / sim.geo.slot_stride),
			(uint32_t)((offset - slots) % sim.geo.slot_stride));
	snprintf(text, sizeof(text), "land +0x%llx",
		(unsigned long long)(offset - sim.geo.land_offset));
	return text;
}

const char *name_word(uint64_t at)
{
	static char text[128];

	if (at < SIM_SPAN)
		return name_in_region((uint32_t)at);
	snprintf(text, sizeof(text), "region 1 %s", name_in_region((uint32_t)(at % SIM_SPAN)));
	return text;
}

enum sim_word name_kind(uint64_t at)
{
	uint32_t offset = (uint32_t)(at % SIM_SPAN), slots = sim.geo.slot_offset, in;
	uint32_t blocks = sizeof(struct wire_slot) + sim.geo.deeds * 8;

	if (offset < slots)
		return WORD_NONE;
	if (offset >= slots + sim.geo.slots * sim.geo.slot_stride)
		return WORD_LAND;
	in = (offset - slots) % sim.geo.slot_stride;
	if (in >= blocks)
		in = blocks + (in - blocks) % sizeof(struct wire_channel);
	if (in == blocks + offsetof(struct wire_channel, status))
		return WORD_STATUS;
	if (in == blocks + offsetof(struct wire_channel, peer_generation))
		return WORD_GENERATION;
	if (in == blocks + offsetof(struct wire_channel, released))
		return WORD_RELEASED;
	if (in >= blocks)
		return WORD_NONE;
	if (in >= sizeof(struct wire_slot))
		return WORD_DEED;
	if (in >= offsetof(struct wire_slot, endpoint))
		return in % WIRE_LINE ? WORD_NONE : WORD_ENDPOINT;
	switch (in) {
	case offsetof(struct wire_slot, claim): return WORD_CLAIM;
	case offsetof(struct wire_slot, group.phase): return WORD_PHASE;
	case offsetof(struct wire_slot, group.step): return WORD_STEP;
	case offsetof(struct wire_slot, group.done): return WORD_VERDICT;
	default: return WORD_NONE;
	}
}

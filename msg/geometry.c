// SPDX-License-Identifier: BSD-2-Clause
// How a region is divided, from its size and the formatter's wishes.
#include <errno.h>
#include <isthmus/scratch.h>
#include "msg/layout.h"
#include "msg/ring.h"

#define NS_PER_MS 1000000ull

static uint64_t round_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

// 4 slots at 64 KiB, twice as many for each four times as much memory, at most 256.
static uint32_t default_slots(uint64_t size)
{
	uint32_t slots = 4;

	while (slots < 256 && size >= 4 * (uint64_t)WIRE_MIN_SIZE) {
		slots *= 2;
		size /= 4;
	}
	return slots;
}

// So that every slot can have two or three channels at least.
static uint32_t default_ring(uint64_t land, uint32_t slots)
{
	uint32_t ring = 1024;

	while (ring < 256 * 1024 && ring * 2 <= land / slots / 4)
		ring *= 2;
	return ring;
}

int geometry_choose(struct geometry *g, uint64_t size, const struct msg_options *options)
{
	uint64_t tables;

	g->size = size;
	g->slots = options && options->slots ? options->slots : default_slots(size);
	g->channels = options && options->channels ? options->channels :
		      g->slots < 128		   ? g->slots :
						     128;
	if (g->slots > WIRE_MAX_SLOTS || g->channels > WIRE_MAX_CHANNELS)
		return -EINVAL;
	g->deeds = (uint32_t)round_up(g->channels + 16, 8);
	g->slot_offset = sizeof(struct wire_header);
	g->slot_stride = (uint32_t)(sizeof(struct wire_slot) + g->deeds * 8 +
				    g->channels * sizeof(struct wire_channel));
	g->grain = size < 16u << 20 ? 1024 : 4096;
	tables = g->slot_offset + (uint64_t)g->slots * g->slot_stride;
	g->land_offset = round_up(tables, g->grain);
	if (g->land_offset + g->grain > scratch_offset(size))
		return -EINVAL;
	g->land_size = (scratch_offset(size) - g->land_offset) / g->grain * g->grain;
	if (g->land_size / g->grain > DEED_MASK)
		g->land_size = (uint64_t)DEED_MASK * g->grain;
	g->default_ring = default_ring(g->land_size, g->slots);
	g->death_ns = options && options->death_ns ? options->death_ns : 1000 * NS_PER_MS;
	if (g->death_ns < 10 * NS_PER_MS || g->death_ns > 3600000 * NS_PER_MS)
		return -EINVAL;
	g->beat_ns = g->death_ns / 10;
	return geometry_valid(g, size) ? 0 : -EINVAL;
}

bool geometry_valid(const struct geometry *g, uint64_t size)
{
	uint64_t tables;

	if (size < WIRE_MIN_SIZE || g->size != size)
		return false;
	if (!g->slots || g->slots > WIRE_MAX_SLOTS || !g->channels ||
		g->channels > WIRE_MAX_CHANNELS || !g->deeds || g->deeds > 65536 || g->deeds % 8)
		return false;
	if (g->slot_offset < sizeof(struct wire_header) || g->slot_offset % WIRE_LINE ||
		g->slot_stride % WIRE_LINE ||
		g->slot_stride < sizeof(struct wire_slot) + (uint64_t)g->deeds * 8 +
			(uint64_t)g->channels * sizeof(struct wire_channel))
		return false;
	tables = g->slot_offset + (uint64_t)g->slots * g->slot_stride;
	if (g->grain < 256 || (g->grain & (g->grain - 1)) || g->land_offset < tables ||
		g->land_offset % WIRE_LINE || !g->land_size || g->land_size % g->grain ||
		g->land_size / g->grain > DEED_MASK || g->land_offset > scratch_offset(size) ||
		g->land_size > scratch_offset(size) - g->land_offset)
		return false;
	return g->default_ring >= RING_MIN && g->default_ring <= RING_MAX &&
	       !(g->default_ring & (g->default_ring - 1)) && g->beat_ns &&
	       g->beat_ns < g->death_ns && g->death_ns <= 3600000 * NS_PER_MS;
}

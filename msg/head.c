// SPDX-License-Identifier: BSD-2-Clause
#include "msg/head.h"
#include "msg/region_access.h"

static uint32_t fnv1a(uint32_t hash, const uint8_t *bytes, size_t len)
{
	while (len--)
		hash = (hash ^ *bytes++) * 16777619u;
	return hash;
}

uint32_t head_check(const union head *head)
{
	return fnv1a(fnv1a(2166136261u, head->bytes + 8, 4), head->bytes + 16, 112);
}

void head_read(const struct wire_header *header, union head *head)
{
	unsigned i;

	// Pairs with the release in format_write: behind the magic all is there.
	head->word[0] = region_load_acquire64(&header->magic);
	for (i = 1; i < 16; i++)
		head->word[i] = region_load64((const uint64_t *)header + i);
}

bool head_accept(const union head *head, struct geometry *geo, uint64_t size)
{
	if (head->h.magic != WIRE_MAGIC || head->h.version >> 16 != WIRE_MAJOR ||
		head->h.check != head_check(head) || head->h.endpoints != WIRE_ENDPOINTS)
		return false;
	*geo = (struct geometry){
		.size = head->h.size,
		.slot_offset = head->h.slot_offset,
		.slot_stride = head->h.slot_stride,
		.slots = head->h.slots,
		.channels = head->h.channels,
		.deeds = head->h.deeds,
		.grain = head->h.grain,
		.land_offset = head->h.land_offset,
		.land_size = head->h.land_size,
		.death_ns = head->h.death_ns,
		.beat_ns = head->h.beat_ns,
		.format_id = head->h.format_id,
		.default_ring = head->h.default_ring,
	};
	return geometry_valid(geo, size);
}

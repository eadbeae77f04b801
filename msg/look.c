// SPDX-License-Identifier: BSD-2-Clause
#include "msg/look.h"
#include "msg/head.h"
#include "msg/region_access.h"
#include "msg/ring.h"

#define TRIES 3 // to see one life, or one use of a block, at the beginning and at the end

static void copy_words(void *to, const void *from, size_t size)
{
	size_t i;

	for (i = 0; i < size / 8; i++)
		((uint64_t *)to)[i] = region_load64((const uint64_t *)from + i);
}

static const struct wire_slot *slot_at(const struct look *look, uint32_t slot)
{
	return (const struct wire_slot *)(look->base + look->geo.slot_offset +
		(uint64_t)slot * look->geo.slot_stride);
}

static const uint64_t *deeds_of(const struct look *look, uint32_t slot)
{
	return (const uint64_t *)(slot_at(look, slot) + 1);
}

static const struct wire_channel *channels_of(const struct look *look, uint32_t slot)
{
	return (const struct wire_channel *)(deeds_of(look, slot) + look->geo.deeds);
}

static bool all_zero(const union head *head)
{
	unsigned i;

	for (i = 0; i < 16; i++)
		if (head->word[i])
			return false;
	return true;
}

enum look_result look_open(struct look *look, const void *base, uint64_t size)
{
	const struct wire_header *header = base;
	union head head;

	*look = (struct look){ .base = base };
	if (size < WIRE_MIN_SIZE)
		return LOOK_SMALL;
	head_read(header, &head);
	look->version = head.h.version;
	look->geo.size = head.h.size;
	if (head.h.magic != WIRE_MAGIC) {
		if (!head.h.magic && region_load64(&header->format_claim))
			return LOOK_FORMATTING;
		return all_zero(&head) ? LOOK_EMPTY : LOOK_STRANGE;
	}
	if (head.h.version >> 16 != WIRE_MAJOR)
		return LOOK_VERSION;
	if (head.h.check == head_check(&head) && head.h.size != size)
		return LOOK_SIZE;
	return head_accept(&head, &look->geo, size) ? LOOK_GOOD : LOOK_DAMAGED;
}

bool look_stands(const struct look *look)
{
	const struct wire_header *header = (const struct wire_header *)look->base;

	return region_load_acquire64(&header->magic) == WIRE_MAGIC &&
	       region_load64(&header->format_id) == look->geo.format_id;
}

bool look_formatting(const struct look *look)
{
	return region_load64(&((const struct wire_header *)look->base)->format_claim);
}

bool look_slot(const struct look *look, uint32_t slot, struct wire_slot *copy)
{
	const struct wire_slot *at = slot_at(look, slot);
	bool whole = false;
	unsigned i, k;

	for (i = 0; i < TRIES && !whole; i++) {
		uint64_t claim = region_load_acquire64(&at->claim);

		copy_words(copy, at, sizeof(*copy));
		region_order_loads();
		copy->claim = claim;
		whole = region_load64(&at->claim) == claim;
	}
	copy->name[WIRE_NAME - 1] = 0;
	for (k = 0; k < WIRE_ENDPOINTS; k++)
		copy->endpoint[k].name[WIRE_NAME - 1] = 0;
	return whole;
}

uint64_t look_claim(const struct look *look, uint32_t slot)
{
	return region_load_acquire64(&slot_at(look, slot)->claim);
}

uint64_t look_beat(const struct look *look, uint32_t slot)
{
	return region_load64(&slot_at(look, slot)->beat);
}

bool look_channel(const struct look *look, uint32_t slot, uint32_t index, struct wire_channel *copy)
{
	const struct wire_channel *at = channels_of(look, slot) + index;
	unsigned i;

	for (i = 0; i < TRIES; i++) {
		uint64_t status = region_load_acquire64(&at->status);

		if (STATUS_STATE(status) == CHANNEL_FREE) {
			copy->status = status;
			return false;
		}
		copy_words(copy, at, sizeof(*copy));
		region_order_loads();
		copy->status = status;
		if (region_load64(&at->status) == status)
			break;
	}
	return true;
}

uint64_t look_deed(const struct look *look, uint32_t slot, uint32_t index, uint64_t *offset)
{
	uint64_t deed = region_load_acquire64(deeds_of(look, slot) + index);
	uint64_t grains = look->geo.land_size / look->geo.grain;

	if (DEED_STATE(deed) == DEED_NONE || DEED_FIRST(deed) >= grains ||
		DEED_COUNT(deed) > grains - DEED_FIRST(deed))
		return 0;
	*offset = look->geo.land_offset + (uint64_t)DEED_FIRST(deed) * look->geo.grain;
	return (uint64_t)DEED_COUNT(deed) * look->geo.grain;
}

bool look_topic(const struct look *look, const struct wire_channel *block, struct wire_topic *copy)
{
	uint64_t land = look->geo.land_offset, end = land + look->geo.land_size;
	uint64_t ring = block->ring_offset;

	if (block->kind != KIND_TOPIC || block->ring_size < RING_MIN || block->ring_size > RING_MAX ||
		ring % WIRE_LINE || ring < land + sizeof(*copy) || ring > end ||
		block->ring_size > end - ring)
		return false;
	copy_words(copy, look->base + ring - sizeof(*copy), sizeof(*copy));
	return copy->ring_size == block->ring_size;
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * Formatting: any number of peers arrive at once on a region of any content and agree on one
 * format.
 *
 *   header seen                      what a newcomer does
 *   magic, version, check right      takes a checked copy: attached
 *   magic right, other version       watches the hearts for the death time (the places of version,
 *                                    slot table, claim and beat never change): -EPROTO if one
 *                                    beats, else as below
 *   anything else                    claims the formatting: compare-and-swap of its token into
 *                                    format_claim, once nobody holds it or its holder has shown no
 *                                    sign of life for TAKEOVER_NS; waits SETTLE_NS and looks
 *                                    whether it still holds it (an emulator may have dropped the
 *                                    lock prefix, so that two could believe they won: the last
 *                                    store counts); then writes magic 0, claims of all slots 0, the
 *                                    header, the magic
 *
 * Whoever formats looks at format_claim before every step, and stops if it was taken over. A
 * formatter that was stopped between that look and its store for so long that others took over and
 * finished can still spoil that one word: who owned it notices (presence_check_self,
 * format_unchanged) and joins again.
 */
#include "msg/head.h"
#include "msg/internal.h"

#define TAKEOVER_NS (200 * NS_PER_MS)
#define SETTLE_NS   (1 * NS_PER_MS)

// The part of a header that no version may move: where the hearts are. Bounded before use.
static bool head_find_hearts(const union head *head, struct geometry *geo, uint64_t size)
{
	if (head->h.magic != WIRE_MAGIC)
		return false;
	geo->slot_offset = head->h.slot_offset;
	geo->slot_stride = head->h.slot_stride;
	geo->slots = head->h.slots;
	return geo->slots && geo->slots <= WIRE_MAX_SLOTS && geo->slot_stride >= 128 &&
	       geo->slot_offset % 8 == 0 && geo->slot_stride % 8 == 0 &&
	       geo->slot_offset + (uint64_t)geo->slots * geo->slot_stride <= size;
}

// Is anybody alive who uses the format that region->geo describes? Watches for watch_ns.
static bool format_in_use(struct msg_region *region, uint64_t watch_ns)
{
	struct msg_context *context = region->context;
	uint64_t *beats, end = context_now(context) + watch_ns;
	bool alive = false;
	uint32_t i;

	beats = context_alloc(context, region->geo.slots * sizeof(*beats));
	if (!beats)
		return true;
	for (i = 0; i < region->geo.slots; i++)
		beats[i] = region_load64(&region_slot(region, i)->beat);
	while (!alive && context_now(context) < end) {
		wait_pause(context, 5 * NS_PER_MS);
		for (i = 0; i < region->geo.slots; i++) {
			const struct wire_slot *slot = region_slot(region, i);

			if (CLAIM_STATE(region_load64(&slot->claim)) == CLAIM_HELD &&
				region_load64(&slot->beat) != beats[i])
				alive = true;
		}
	}
	context_free(context, beats);
	return alive;
}

// True: we may format, and nobody else may.
static bool format_claim(struct msg_region *region, uint64_t seen, uint64_t token)
{
	uint64_t *claim = &region->header->format_claim;

	if (!region_cas64(claim, seen, token))
		return false;
	wait_pause(region->context, SETTLE_NS);
	return region_load64(claim) == token;
}

// One step of the formatter: still the one?
static bool format_step(struct msg_region *region, uint64_t token, uint64_t *beat)
{
	region_store64(&region->header->format_beat, ++*beat);
	return region_load64(&region->header->format_claim) == token;
}

static bool format_write(struct msg_region *region, const struct geometry *geo, uint64_t token)
{
	struct wire_header *header = region->header;
	uint64_t beat = token >> 8;
	union head head;
	unsigned i;

	if (!format_step(region, token, &beat))
		return false;
	region_store64(&header->magic, 0);
	region->geo = *geo;
	region->geo.format_id = token;
	for (i = 0; i < geo->slots; i++) {
		if (!format_step(region, token, &beat))
			return false;
		// Release: whoever sees a slot cleared sees the format gone.
		region_store_release64(&region_slot(region, i)->claim, 0);
		region_store_release64(&region_slot(region, i)->life, 0);
	}
	context_zero(&head, sizeof(head));
	head.h.version = WIRE_VERSION;
	head.h.size = geo->size;
	head.h.slot_offset = geo->slot_offset;
	head.h.slot_stride = geo->slot_stride;
	head.h.slots = geo->slots;
	head.h.channels = geo->channels;
	head.h.deeds = geo->deeds;
	head.h.grain = geo->grain;
	head.h.land_offset = geo->land_offset;
	head.h.land_size = geo->land_size;
	head.h.death_ns = geo->death_ns;
	head.h.beat_ns = geo->beat_ns;
	head.h.format_id = token;
	head.h.default_ring = geo->default_ring;
	head.h.endpoints = WIRE_ENDPOINTS;
	head.h.check = head_check(&head);
	for (i = 1; i < 16; i++) {
		if (!format_step(region, token, &beat))
			return false;
		region_store64((uint64_t *)header + i, head.word[i]);
	}
	for (i = 0; i < sizeof(header->reserved_end) / 8; i++)
		region_store64((uint64_t *)header->reserved_end + i, 0);
	if (!format_step(region, token, &beat))
		return false;
	// Pairs with the acquire in head_read.
	region_store_release64(&header->magic, WIRE_MAGIC);
	region_cas64(&header->format_claim, token, 0);
	return true;
}

// What is about to be lost may have been somebody's file, or a format that a liar has spoilt.
static void report_garbage(const struct msg_region *region, const union head *head)
{
	context_report(region->context, 1, "the region is formatted anew: what it held is no format of "
		"this kind: 0x%x at offset 0x%x", head->h.magic == WIRE_MAGIC ?
		(uint64_t)head->h.check << 32 | head->h.version : head->h.magic,
		head->h.magic == WIRE_MAGIC ? (uint64_t)8 : (uint64_t)0);
}

int format_attach(struct msg_region *region, const struct msg_options *options, uint64_t deadline)
{
	struct msg_context *context = region->context;
	uint64_t size = region->ops.size, claim, beat, claim_seen = 0, beat_seen = 0, since = 0;
	bool wish = options && options->format, watched = false, wait = false;
	uint64_t replace = 0;
	struct geometry geo;
	union head head;
	int err;

	if (size < WIRE_MIN_SIZE)
		return -EINVAL;
	err = geometry_choose(&geo, size, options);
	for (;;) {
		head_read(region->header, &head);
		if (head_accept(&head, &region->geo, size)) {
			if (!wish || (replace && head.h.format_id != replace))
				return 0;
			if (!replace && format_in_use(region, region->geo.death_ns))
				return 0;
			replace = head.h.format_id;
		} else if (!watched && head_find_hearts(&head, &region->geo, size) &&
			head.h.version >> 16 != WIRE_MAJOR) {
			if (format_in_use(region, err ? 1000 * NS_PER_MS : geo.death_ns))
				return -EPROTO;
			watched = true;
			continue;
		}

		// From here on our wishes count, so they must make sense.
		if (err)
			return err;
		claim = region_load64(&region->header->format_claim);
		beat = region_load64(&region->header->format_beat);
		if (!wait || claim != claim_seen || beat != beat_seen) {
			claim_seen = claim;
			beat_seen = beat;
			since = context_now(context);
			wait = true;
		}
		if (!claim || context_now(context) - since >= TAKEOVER_NS) {
			uint64_t token = context->ops->random(context->ops->arg) | 1;

			if (format_claim(region, claim, token)) {
				head_read(region->header, &head);
				// Unless somebody finished between our look and our claim.
				if (head_accept(&head, &region->geo, size) &&
					head.h.format_id != replace) {
					region_cas64(&region->header->format_claim, token, 0);
				} else {
					if (head.h.magic && !replace && !watched)
						report_garbage(region, &head);
					if (format_write(region, &geo, token))
						return 0;
				}
			}
			wait = false;
		}
		if (context_now(context) >= deadline)
			return -ETIMEDOUT;
		wait_pause(context, NS_PER_MS);
	}
}

bool format_unchanged(const struct msg_region *region)
{
	return region_load64(&region->header->format_id) == region->geo.format_id;
}

bool format_ours(const struct msg_region *region)
{
	return region_load32(&region->header->version) >> 16 == WIRE_MAJOR;
}

bool format_replaced(const struct msg_region *region)
{
	uint64_t claim = region_load64(&region->header->format_claim);
	struct geometry geo;
	union head head;

	head_read(region->header, &head);
	// A formatter clears the magic before anything else, and has the claim until it is there again.
	if (!head.h.magic)
		return claim;
	return head.h.format_id != region->geo.format_id &&
	       ((head.h.magic == WIRE_MAGIC && head.h.version >> 16 != WIRE_MAJOR) ||
		       head_accept(&head, &geo, region->ops.size));
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * Land: the region's memory for rings and buffers. A deed in a peer's own table says which grains
 * are its own; nobody writes another's deeds, and no lock is taken:
 *
 *   deed        meaning                                   next
 *   NONE        -                                         TENTATIVE
 *   TENTATIVE   published, then full fence, then all      FIRM: nothing overlaps
 *               other deeds are looked at                 NONE: overlaps a firm one, or a tentative
 *                                                         one of a lower slot; elsewhere, then
 *                                                         (waits a while, a millisecond at most,
 *                                                         where a higher slot's overlaps)
 *   FIRM        the grains are ours                       NONE: nobody uses them any more
 *
 * Of two that claim the same grains at least one sees the other, whose store came before its own
 * look. A deed counts while its slot is held, and after that as long as a live peer's control
 * block refers to that life: so a survivor can receive to the end what a dead peer sent. The land of the
 * dead is taken last, as their slots are: a peer that was only stopped may still have a copy under way.
 */
#include "msg/internal.h"

#define WAITS 20 /* looks, 50 us apart, at a claim that is not decided */

struct extent {
	uint64_t deed;
	uint32_t slot;
};

bool verdict_awaited(const struct msg_region *region, uint32_t slot)
{
	const struct wire_group *line = &region_slot(region, slot)->group;
	uint64_t generation = region_load64(&line->generation), done = region_load64(&line->done);
	uint32_t i;

	// Of the call it was in last, or of the one before.
	if (!(done & 3))
		return false;
	for (i = 0; i < region->geo.slots; i++) {
		const struct wire_slot *other = region_slot(region, i);
		uint64_t claim = region_load_acquire64(&other->claim), call;

		if (i == slot || CLAIM_STATE(claim) != CLAIM_HELD ||
			region_load_acquire64(&other->life) != claim ||
			region_load64(&other->group.generation) != generation)
			continue;
		call = region_load64(&other->group.step) >> 16;
		// Who enters the call from now on finds by itself that its root is gone.
		if (region_load64(&other->group.source) && DONE_FAILED(done, call))
			return true;
	}
	return false;
}

bool land_referred(const struct msg_region *region, uint32_t slot, uint64_t life)
{
	uint32_t i, k;

	if (verdict_awaited(region, slot))
		return true;
	for (i = 0; i < region->geo.slots; i++) {
		const struct wire_slot *other = region_slot(region, i);
		uint64_t claim = region_load_acquire64(&other->claim);

		if (CLAIM_STATE(claim) != CLAIM_HELD ||
			region_load_acquire64(&other->life) != claim)
			continue;
		if (region_load64(&other->group.source) == life)
			return true;
		for (k = 0; k < region->geo.channels; k++) {
			const struct wire_channel *channel = slot_channel(region, i, k);

			if (STATUS_STATE(region_load_acquire64(&channel->status)) != CHANNEL_FREE &&
				region_load32(&channel->peer_slot) == slot &&
				region_load64(&channel->peer_life) == life)
				return true;
		}
	}
	return false;
}

// Do the deeds of a slot count? dead: those of the dead do, too.
static bool slot_counts(const struct msg_region *region, uint32_t slot, bool dead)
{
	uint64_t claim = region_load_acquire64(&region_slot(region, slot)->claim);

	if (!claim)
		return false;
	return CLAIM_STATE(claim) == CLAIM_HELD || (dead && CLAIM_STATE(claim) == CLAIM_DEAD) ||
	       land_referred(region, slot, CLAIM_WITH(claim, CLAIM_HELD));
}

static bool deed_sane(const struct msg_region *region, uint64_t deed)
{
	uint64_t grains = region->geo.land_size / region->geo.grain;

	return DEED_STATE(deed) != DEED_NONE && DEED_COUNT(deed) && DEED_FIRST(deed) < grains &&
	       DEED_COUNT(deed) <= grains - DEED_FIRST(deed);
}

// All deeds that count, but the one at (our slot, skip); at most max, the number is returned.
static uint32_t collect(const struct msg_region *region, uint32_t skip, bool dead, struct extent *to,
	uint32_t max)
{
	uint32_t n = 0, i, k;

	for (i = 0; i < region->geo.slots; i++) {
		int counts = -1;

		for (k = 0; k < region->geo.deeds; k++) {
			uint64_t deed = region_load_acquire64(slot_deed(region, i, k));

			if (!deed_sane(region, deed) || (i == region->index && k == skip))
				continue;
			if (counts < 0)
				counts = slot_counts(region, i, dead);
			if (!counts)
				break;
			if (n < max)
				to[n] = (struct extent){ deed, i };
			n++;
		}
	}
	return n;
}

static struct extent *collect_all(const struct msg_region *region, uint32_t skip, bool dead,
	uint32_t *count)
{
	uint32_t max = collect(region, skip, dead, NULL, 0) + 64;
	struct extent *all = context_alloc(region->context, max * sizeof(*all));

	if (!all)
		return NULL;
	*count = collect(region, skip, dead, all, max);
	if (*count > max)
		*count = max;
	return all;
}

// By first grain; heap sort, since there may be thousands.
static void sift(struct extent *all, uint32_t at, uint32_t count)
{
	for (;;) {
		uint32_t child = 2 * at + 1;
		struct extent swap;

		if (child >= count)
			return;
		if (child + 1 < count &&
			DEED_FIRST(all[child].deed) < DEED_FIRST(all[child + 1].deed))
			child++;
		if (DEED_FIRST(all[at].deed) >= DEED_FIRST(all[child].deed))
			return;
		swap = all[at];
		all[at] = all[child];
		all[child] = swap;
		at = child;
	}
}

static void sort(struct extent *all, uint32_t count)
{
	uint32_t i;

	for (i = count / 2; i-- > 0;)
		sift(all, i, count);
	for (i = count; i-- > 1;) {
		struct extent swap = all[0];

		all[0] = all[i];
		all[i] = swap;
		sift(all, 0, i);
	}
}

// The first gap of n grains among sorted extents; false: none.
static bool find_gap(const struct msg_region *region, const struct extent *all, uint32_t count,
	uint32_t n, uint32_t *first)
{
	uint32_t grains = (uint32_t)(region->geo.land_size / region->geo.grain), at = 0, i;

	for (i = 0; i < count; i++) {
		uint32_t start = DEED_FIRST(all[i].deed), end = start + DEED_COUNT(all[i].deed);

		if (start > at && start - at >= n)
			break;
		if (end > at)
			at = end;
	}
	*first = at;
	return at <= grains && grains - at >= n;
}

enum verdict { VERDICT_OURS, VERDICT_LOST, VERDICT_WAIT, VERDICT_NO_MEMORY };

// Looks at everybody's deeds after ours was published.
static enum verdict judge(struct msg_region *region, unsigned index, uint32_t first, uint32_t n)
{
	enum verdict verdict = VERDICT_OURS;
	uint32_t count, i;
	struct extent *all = collect_all(region, index, false, &count);

	if (!all)
		return VERDICT_NO_MEMORY;
	for (i = 0; i < count && verdict != VERDICT_LOST; i++) {
		uint32_t start = DEED_FIRST(all[i].deed), end = start + DEED_COUNT(all[i].deed);

		if (end <= first || start >= first + n)
			continue;
		verdict = DEED_STATE(all[i].deed) == DEED_TENTATIVE && all[i].slot > region->index ?
			VERDICT_WAIT : VERDICT_LOST;
	}
	context_free(region->context, all);
	return verdict;
}

// A gap of n grains: 0, -ENOSPC, -ENOMEM. spare_dead: not in the land of the dead.
static int look_for(const struct msg_region *region, unsigned index, uint32_t n, bool spare_dead,
	uint32_t *first)
{
	uint32_t count;
	struct extent *all = collect_all(region, index, spare_dead, &count);
	bool found;

	if (!all)
		return -ENOMEM;
	sort(all, count);
	found = find_gap(region, all, count, n, first);
	context_free(region->context, all);
	return found ? 0 : -ENOSPC;
}

// One try; -EAGAIN: lost the place to another.
static int claim_once(struct msg_region *region, unsigned index, uint32_t n, uint32_t *first)
{
	uint64_t *deed = slot_deed(region, region->index, index);
	enum verdict verdict;
	unsigned waits = 0;
	int err;

	// The try before this one may have ended with the region.
	if (region->error)
		return region->error;
	err = look_for(region, index, n, true, first);
	if (err == -ENOSPC)
		err = look_for(region, index, n, false, first);
	if (err)
		return err;
	// Before each deed: whoever was taken for dead must not deed its successor's land away.
	if (!presence_check_self(region))
		return region->error;
	region_store_release64(deed, DEED(DEED_TENTATIVE, *first, n));
	// Ours must be visible before we look; relax is a barrier where the fence is none.
	region_fence();
	context_relax(region->context);
	while ((verdict = judge(region, index, *first, n)) == VERDICT_WAIT) {
		presence_scan(region);
		if (region->error)
			break;
		// It stands still, or means to stand in our way: another place will do.
		if (++waits == WAITS) {
			verdict = VERDICT_LOST;
			break;
		}
		wait_pause(region->context, 50 * NS_PER_US);
		if (region->error)
			break;
	}
	if (!presence_check_self(region))
		return region->error;
	if (verdict == VERDICT_OURS) {
		region_store_release64(deed, DEED(DEED_FIRM, *first, n));
		return 0;
	}
	region_store_release64(deed, DEED_NONE);
	return verdict == VERDICT_LOST ? -EAGAIN : -ENOMEM;
}

static int claim(struct msg_region *region, uint64_t grains, unsigned *index, uint64_t *offset)
{
	uint32_t first = 0;
	unsigned i, tries;
	int err = -EAGAIN;

	for (i = 0; i < region->geo.deeds && region->deed_used[i]; i++)
		;
	if (i == region->geo.deeds)
		return -ENOSPC;
	for (tries = 0; tries < 1000 && err == -EAGAIN; tries++)
		err = claim_once(region, i, (uint32_t)grains, &first);
	if (err)
		return err == -EAGAIN ? -ENOSPC : err;
	region->deed_used[i] = true;
	*index = i;
	*offset = region->geo.land_offset + (uint64_t)first * region->geo.grain;
	return 0;
}

int land_claim(struct msg_region *region, uint64_t bytes, unsigned *index, uint64_t *offset)
{
	uint64_t grains = (bytes + region->geo.grain - 1) / region->geo.grain;
	int err;

	if (!grains)
		grains = 1;
	if (grains > region->geo.land_size / region->geo.grain)
		return -EMSGSIZE;
	err = claim(region, grains, index, offset);
	// A pool kept for buffers to come must not stand in the way of a ring: for who sends no more
	// buffers that would be for ever.
	if (err == -ENOSPC && pools_spare(region))
		err = claim(region, grains, index, offset);
	return err;
}

void land_release(struct msg_region *region, unsigned index)
{
	if (!region->gone && !region->error)
		region_store_release64(slot_deed(region, region->index, index), DEED_NONE);
	region->deed_used[index] = false;
}

uint64_t land_free(struct msg_region *region)
{
	uint64_t free = region->geo.land_size / region->geo.grain, used = 0, at = 0;
	uint32_t count, i;
	struct extent *all = collect_all(region, UINT32_MAX, false, &count);

	if (!all)
		return 0;
	sort(all, count);
	for (i = 0; i < count; i++) {
		uint64_t start = DEED_FIRST(all[i].deed), end = start + DEED_COUNT(all[i].deed);

		if (start < at)
			start = at;
		if (end > start) {
			used += end - start;
			at = end;
		}
	}
	context_free(region->context, all);
	return (free - used) * region->geo.grain;
}

bool land_belongs(const struct msg_region *region, uint32_t slot, uint64_t offset, uint64_t len)
{
	uint64_t at;
	uint32_t k;

	if (offset < region->geo.land_offset ||
		offset - region->geo.land_offset > region->geo.land_size ||
		len > region->geo.land_size - (offset - region->geo.land_offset))
		return false;
	at = offset - region->geo.land_offset;
	for (k = 0; k < region->geo.deeds; k++) {
		uint64_t deed = region_load_acquire64(slot_deed(region, slot, k));
		uint64_t start = (uint64_t)DEED_FIRST(deed) * region->geo.grain;
		uint64_t size = (uint64_t)DEED_COUNT(deed) * region->geo.grain;

		if (deed_sane(region, deed) && DEED_STATE(deed) == DEED_FIRM && at >= start &&
			at - start <= size && len <= size - (at - start))
			return true;
	}
	return false;
}

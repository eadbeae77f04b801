// SPDX-License-Identifier: BSD-2-Clause
/*
 * Who is there. A slot's claim word names one life of one peer; it is the only truth about it.
 *
 *   claim          who changes it            to            when
 *   0, LEFT, DEAD  a newcomer, by CAS        HELD (new)    nobody refers to the old life
 *   HELD           its holder, by CAS        LEFT          it leaves
 *   HELD           anybody, by CAS           DEAD          the beat stood still for death_ns of the
 *                                                          observer's clock; or for 2.5 beats, and
 *                                                          a newcomer has the same IVPosition
 *
 * Where an emulator drops the lock prefix, two newcomers can both believe they won; the later
 * store stays in the word. Each waits SETTLE_NS and looks again, and goes on looking at every
 * publication: the loser ends with -ESTALE and joins again, having written nothing more than its
 * own beat and what was under way. A peer that was stopped and declared dead notices in the same
 * way. Its heart looks before it beats.
 *
 * A holder writes `life` (by release) when the rest of its slot is initialised; before, nobody
 * looks at it.
 */
#include "msg/internal.h"

#define SETTLE_NS (1 * NS_PER_MS)
/* Who waits for a channel looks at the slots that nobody held only so often. */
#define SCAN_ALL_NS (2 * NS_PER_MS)

static uint64_t new_life(struct msg_region *region)
{
	const struct msg_wait_ops *ops = region->context->ops;
	uint32_t i, epoch = 0;

	for (i = 0; i < region->geo.slots; i++) {
		uint32_t other = CLAIM_EPOCH(region_load64(&region_slot(region, i)->claim));

		// Greater in the sense of serial numbers, so that one wild value does no harm for
		// ever.
		if (!epoch || (int32_t)(other - epoch) > 0)
			epoch = other;
	}
	epoch = epoch + 1 ? epoch + 1 : 1;
	return (uint64_t)epoch << 32 | (ops->random(ops->arg) & 0xfffffffcu) | CLAIM_HELD;
}

static bool slot_reusable(struct msg_region *region, uint32_t index, uint64_t claim)
{
	if (CLAIM_STATE(claim) == CLAIM_HELD)
		return false;
	return !claim || !land_referred(region, index, CLAIM_WITH(claim, CLAIM_HELD));
}

// Does this heart stand still for the time of two beats and a half?
static bool heart_stands(struct msg_region *region, const struct wire_slot *slot)
{
	uint64_t beat = region_load64(&slot->beat);
	unsigned i;

	for (i = 0; i < 10; i++) {
		wait_pause(region->context, region->geo.beat_ns / 4);
		if (region_load64(&slot->beat) != beat)
			return false;
	}
	return true;
}

// A slot that shows our IVPosition is our former life: no need to wait for its death time. Unless
// it beats: then it came through another server, which had given out the same ids.
static void bury_former_self(struct msg_region *region)
{
	uint32_t i;

	if (region->ops.peer_id == MSG_NO_ID)
		return;
	for (i = 0; i < region->geo.slots; i++) {
		struct wire_slot *slot = region_slot(region, i);
		uint64_t claim = region_load_acquire64(&slot->claim);

		if (CLAIM_STATE(claim) == CLAIM_HELD &&
			region_load_acquire64(&slot->life) == claim &&
			region_load32(&slot->peer_id) == region->ops.peer_id &&
			heart_stands(region, slot))
			region_cas64(&slot->claim, claim, CLAIM_WITH(claim, CLAIM_DEAD));
	}
}

// One try for one slot.
static bool slot_claim(struct msg_region *region, uint32_t index, uint64_t claim)
{
	struct wire_slot *slot = region_slot(region, index);
	uint64_t life = new_life(region);

	if (!region_cas64(&slot->claim, claim, life))
		return false;
	wait_pause(region->context, SETTLE_NS);
	if (region_load64(&slot->claim) != life)
		return false;
	region->slot = slot;
	region->index = index;
	region->life = life;
	return true;
}

static bool slot_search(struct msg_region *region)
{
	const struct msg_wait_ops *ops = region->context->ops;
	uint32_t n = region->geo.slots, i, pass;
	uint32_t first = (region->ops.peer_id != MSG_NO_ID ? region->ops.peer_id :
							     (uint32_t)ops->random(ops->arg)) % n;

	// The dead's places last: a peer that was only stopped may still have a store under way.
	for (pass = 0; pass < 3; pass++) {
		for (i = 0; i < n; i++) {
			uint32_t index = (first + i) % n;
			uint64_t claim = region_load64(&region_slot(region, index)->claim);
			unsigned state = CLAIM_STATE(claim);

			if (state == CLAIM_HELD ||
				pass != (state == CLAIM_DEAD ? 2 : state == CLAIM_LEFT ? 1 : 0))
				continue;
			if (slot_reusable(region, index, claim) && slot_claim(region, index, claim))
				return true;
		}
	}
	return false;
}

// Looks before each store whether the slot is still ours: whoever was stopped in here for longer
// than the death time must not wipe what a successor has begun. False: it isn't.
static bool words_clear(struct msg_region *region, uint64_t *word, const uint64_t *end)
{
	for (; word < end; word++) {
		if (region_load64(&region->slot->claim) != region->life)
			return false;
		region_store64(word, 0);
	}
	return true;
}

// What a block is called goes on from life to life: a listener's refusal of a former use, which stays to be
// read and names no life, must not pass for one of ours. False: the slot isn't ours.
static bool block_initialise(struct msg_region *region, uint32_t index)
{
	uint64_t *word = (uint64_t *)slot_channel(region, region->index, index);
	uint64_t *end = word + sizeof(struct wire_channel) / sizeof(*word);
	// Anybody may have written there: far from the end, since 0 must be no use's.
	uint32_t generation = STATUS_GENERATION(region_load64(word)) & 0x7fffffff;

	if (region_load64(&region->slot->claim) != region->life)
		return false;
	region_store64(word, STATUS(generation, CHANNEL_FREE));
	region->generation[index] = generation;
	return words_clear(region, word + 1, end);
}

static bool slot_initialise(struct msg_region *region)
{
	struct wire_slot *slot = region->slot;
	uint32_t i;

	// Groups, endpoints and deeds lie one behind the other, and then the control blocks.
	if (!words_clear(region, &slot->group.name,
		(uint64_t *)slot_channel(region, region->index, 0)))
		return false;
	for (i = 0; i < region->geo.channels; i++)
		if (!block_initialise(region, i))
			return false;
	region_store64(&slot->sleeps, 0);
	region_store64(&slot->rescues, 0);
	region_store64(&slot->resets, 0);
	region_store32(&slot->asleep, 0);
	region_store32(&slot->changes, 0);
	region_store32(&slot->peer_id, region->ops.peer_id);
	region_store32(&slot->vectors, region->ops.vectors);
	region_store32(&slot->abilities, (region->ops.notify ? ABILITY_RING : 0) |
		(region->ops.shared_words ? ABILITY_FUTEX : 0));
	name_write(slot->name, region->name);
	return region_load64(&slot->claim) == region->life;
}

static int slot_take(struct msg_region *region, uint64_t deadline)
{
	struct msg_context *context = region->context;
	uint64_t patience = region->watched_ns + 2 * region->geo.death_ns;

	while (!slot_search(region)) {
		// All held: some of them may be dead without anybody having noticed. We know that
		// they are not when we have heard their hearts, not when time has passed: on a busy
		// machine little of it is spent listening.
		presence_scan(region);
		if (region->watched_ns >= patience)
			return -ENOSPC;
		if (context_now(context) >= deadline)
			return -ETIMEDOUT;
		wait_pause(context, 5 * NS_PER_MS);
	}
	return 0;
}

int presence_join(struct msg_region *region, uint64_t deadline)
{
	int err;

	bury_former_self(region);
	for (;;) {
		err = slot_take(region, deadline);
		if (err)
			return err;
		region->beat = (struct msg_beat){
			.word = &region->slot->beat,
			.claim = &region->slot->claim,
			.life = region->life,
			// Not where the former holder's count may have ended.
			.count = region->life >> 2,
			.period_ns = region->geo.beat_ns,
		};
		err = region->ops.beat_start(region->ops.arg, &region->beat);
		if (err) {
			region_cas64(&region->slot->claim, region->life,
				CLAIM_WITH(region->life, CLAIM_LEFT));
			region->slot = NULL;
			return err;
		}
		region->beating = true;
		if (slot_initialise(region))
			break;
		presence_stop_beating(region);
		region->slot = NULL;
	}
	// Pairs with the acquire in view_take.
	region_store_release64(&region->slot->life, region->life);
	presence_wake_all(region);
	return 0;
}

void presence_stop_beating(struct msg_region *region)
{
	if (region->beating)
		region->ops.beat_stop(region->ops.arg, &region->beat);
	region->beating = false;
}

// All that were there at the last scan.
static void wake_seen(struct msg_region *region)
{
	uint32_t i;

	for (i = 0; i < region->geo.slots; i++)
		if (i != region->index && region->view[i].life)
			presence_wake(region, i, true);
}

void presence_leave(struct msg_region *region)
{
	if (!region->slot)
		return;
	presence_stop_beating(region);
	// The last look around: after the swap the slot isn't ours, which must not pass for an
	// eviction.
	presence_scan(region);
	if (region->gone)
		return;
	region_cas64(&region->slot->claim, region->life, CLAIM_WITH(region->life, CLAIM_LEFT));
	wake_seen(region);
}

static void place_lost(struct msg_region *region)
{
	// The port may know better: what lost its file reads as anything.
	context_now(region->context);
	if (region->error)
		return;
	region->error = -ESTALE;
	region->evicted = true;
	for (uint32_t i = 0; i < region->geo.channels; i++)
		if (region->channel[i])
			channel_end(region->channel[i], -ESTALE);
	fault_explain_eviction(region);
}

bool presence_check_self(struct msg_region *region)
{
	if (region->error)
		return false;
	if (region_load64(&region->slot->claim) == region->life && format_unchanged(region))
		return true;
	place_lost(region);
	return false;
}

void presence_ring(struct msg_region *region, struct peer_view *view, uint32_t slot)
{
	if (region->ops.notify && view->peer_id != MSG_NO_ID && view->vectors)
		region->ops.notify(region->ops.arg, view->peer_id, 0);
	else if (region->ops.shared_words && (view->abilities & ABILITY_FUTEX))
		region->ops.wake_word(region->ops.arg, &region_slot(region, slot)->poke);
}

bool presence_wake(struct msg_region *region, uint32_t slot, bool force)
{
	struct peer_view *view = &region->view[slot];
	uint32_t asleep;

	// The look around before this may have found the region gone.
	if (region->error)
		return false;
	region_fence();
	asleep = region_load32(&region_slot(region, slot)->asleep);
	if (!(asleep & 1) || (asleep == view->last_rung && !force))
		return false;
	view->last_rung = asleep;
	presence_ring(region, view, slot);
	return true;
}

void presence_wake_all(struct msg_region *region)
{
	// What we changed must be visible before we look who is there: pairs with the fence in
	// mark_asleep of who joins at this moment and doesn't see it.
	region_fence();
	presence_scan(region);
	wake_seen(region);
}

void presence_changed(struct msg_region *region)
{
	region_store_release32(&region->slot->changes, ++region->changes);
}

// The life that the view showed is over.
static void view_end(struct msg_region *region, uint32_t index, uint64_t claim)
{
	struct peer_view *view = &region->view[index];

	if (view->told_life == view->life)
		view->told_end =
			claim == CLAIM_WITH(view->life, CLAIM_LEFT) ? CLAIM_LEFT : CLAIM_DEAD;
	view->life = 0;
	view->last_rung = 0;
	channels_check_slot(region, index);
}

// Something may ask our listeners there.
static void view_ask_anew(struct peer_view *view)
{
	unsigned i;

	for (i = 0; i < WIRE_ENDPOINTS; i++)
		view->asked[i] = 0;
}

// Who holds the slot now, if its holder is ready to be seen.
static bool view_take(struct msg_region *region, uint32_t index, uint64_t claim)
{
	const struct wire_slot *slot = region_slot(region, index);
	struct peer_view *view = &region->view[index];

	// Pairs with the release in presence_join.
	if (region_load_acquire64(&slot->life) != claim)
		return false;
	view->peer_id = region_load32(&slot->peer_id);
	view->vectors = region_load32(&slot->vectors);
	view->abilities = region_load32(&slot->abilities);
	view->last_rung = 0;
	view_ask_anew(view);
	name_read(view->name, slot->name);
	view->life = claim;
	return true;
}

static void view_update(struct msg_region *region, uint32_t index, uint64_t claim)
{
	struct peer_view *view = &region->view[index];

	if (view->life && claim != view->life)
		view_end(region, index, claim);
	if (region->error)
		return;
	if (CLAIM_STATE(claim) != CLAIM_HELD || view_take(region, index, claim))
		view->claim = claim;
	else
		view->claim = 0;
}

static bool can_ring_us(const struct msg_region *region, const struct peer_view *view)
{
	if (region->ops.vectors && region->ops.peer_id != MSG_NO_ID)
		return view->abilities & ABILITY_RING;
	return region->ops.shared_words && (view->abilities & ABILITY_FUTEX);
}

// Listens to every heart; elapsed since the last time, of which at most a quarter of the death
// time counts: an observer that was away can't know that the others were not.
static void hearts_check(struct msg_region *region, uint64_t elapsed)
{
	uint64_t most = region->geo.death_ns / 4;
	uint32_t i;

	if (elapsed > most)
		elapsed = most;
	region->watched_ns += elapsed;
	for (i = 0; i < region->geo.slots; i++) {
		struct wire_slot *slot = region_slot(region, i);
		struct peer_view *view = &region->view[i];
		uint64_t claim = region_load64(&slot->claim), beat;

		if (CLAIM_STATE(claim) != CLAIM_HELD || (region->slot && i == region->index)) {
			view->heart_claim = 0;
			continue;
		}
		beat = region_load64(&slot->beat);
		if (view->heart_claim != claim || view->beat != beat) {
			view->heart_claim = claim;
			view->beat = beat;
			view->still_ns = 0;
			continue;
		}
		view->still_ns += elapsed;
		if (view->still_ns >= region->geo.death_ns) {
			region_cas64(&slot->claim, claim, CLAIM_WITH(claim, CLAIM_DEAD));
			view->heart_claim = 0;
		}
	}
}

// Looks at one slot; true: a live peer holds it.
static bool slot_scan(struct msg_region *region, uint32_t i)
{
	const struct wire_slot *slot = region_slot(region, i);
	struct peer_view *view = &region->view[i];
	// Pairs with the release of whoever changed the slot.
	uint64_t claim = region_load_acquire64(&slot->claim);
	uint32_t changes;

	if (claim != view->claim)
		view_update(region, i, claim);
	// Its channels may have found that we are the one who is gone.
	if (region->error || !view->life)
		return false;
	changes = region_load_acquire32(&slot->changes);
	if (changes != view->changes) {
		view->changes = changes;
		view_ask_anew(view);
		channels_check_slot(region, i);
	}
	if ((!region->slot || i != region->index) && !can_ring_us(region, view))
		region->unheard = true;
	return true;
}

void presence_scan_live(struct msg_region *region)
{
	uint32_t i;

	if (context_now(region->context) - region->last_scan_ns >= SCAN_ALL_NS) {
		presence_scan(region);
		return;
	}
	if (region->error || (region->slot && region->life && !presence_check_self(region)))
		return;
	region->unheard = false;
	for (i = 0; i < region->live_count && !region->error; i++)
		slot_scan(region, region->live[i]);
}

void presence_scan(struct msg_region *region)
{
	uint64_t now = context_now(region->context);
	uint32_t i;

	if (region->error || (region->slot && region->life && !presence_check_self(region)))
		return;
	if (now - region->last_heart_ns >= region->geo.death_ns / 8) {
		hearts_check(region, now - region->last_heart_ns);
		faults_tend(region, now);
		region->last_heart_ns = now;
		// Nobody could join us: our hearts would be those of another version's peers.
		if (region->slot && region->life && !format_ours(region)) {
			place_lost(region);
			return;
		}
	}
	region->unheard = false;
	region->last_scan_ns = now;
	region->live_count = 0;
	for (i = 0; i < region->geo.slots && !region->error; i++)
		if (slot_scan(region, i))
			region->live[region->live_count++] = i;
}

void presence_describe(const struct msg_region *region, uint32_t index, struct msg_peer *peer)
{
	const struct peer_view *view = &region->view[index];
	unsigned i;

	peer->slot = index;
	peer->epoch = CLAIM_EPOCH(view->life);
	peer->id = view->peer_id;
	peer->vectors = view->vectors;
	peer->self = region->slot && index == region->index;
	for (i = 0; i < WIRE_NAME; i++)
		peer->name[i] = view->name[i];
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * How many lines of the log reports of damage may take. Each report is an event of its own to the
 * app; but a peer that comes back and breaks the format again, without end, must not fill a log with
 * it. So of each slot LINES_SLOT within WINDOW_NS are shown, of the region LINES_REGION, and of the
 * rest the number.
 */
#include "msg/internal.h"

#define WINDOW_NS    (10000 * NS_PER_MS)
#define LINES_SLOT   4
#define LINES_REGION 32

/* How many lives a region may have seen while a peer stood still, and how many fewer another one may
 * have counted that took the same slot at the same moment; other numbers are nonsense. */
#define EPOCHS_LATER   (1u << 24)
#define EPOCHS_EARLIER 4

// The window is over: says what it held back.
static void window_end(struct msg_region *region, struct fault_window *window, const char *whose,
	uint32_t slot)
{
	if (window->held && slot < region->geo.slots)
		context_report(region->context, 1, "%s slot %u: %u more reports of damage not shown",
			whose, (uint64_t)slot, window->held);
	else if (window->held)
		context_report(region->context, 1, "%s: %u more reports of damage not shown", whose,
			window->held);
	*window = (struct fault_window){ 0 };
}

static bool window_over(const struct fault_window *window, uint64_t now)
{
	return window->lines && now - window->since_ns >= WINDOW_NS;
}

// False: enough for now.
static bool window_line(struct fault_window *window, uint64_t now, unsigned most)
{
	if (window->lines >= most) {
		window->held++;
		return false;
	}
	if (!window->lines++)
		window->since_ns = now;
	return true;
}

// By the rules a holder loses its slot when others find its heart still, whereupon somebody else may
// take it; when another one claimed it at the same moment, where compare-and-swap isn't one; and when
// the region is formatted anew.
static bool claim_lost_by_rule(const struct msg_region *region, uint64_t claim)
{
	uint64_t epoch = CLAIM_EPOCH(claim), ours = CLAIM_EPOCH(region->life);

	return claim != region->life && CLAIM_STATE(claim) != CLAIM_FREE && epoch &&
	       epoch + EPOCHS_EARLIER > ours && epoch < ours + EPOCHS_LATER;
}

void fault_explain_eviction(struct msg_region *region)
{
	uint64_t claim = region_load64(&region->slot->claim);
	struct msg_fault fault = { "its slot was overwritten",
		region_offset(region, &region->slot->claim), claim };
	struct msg_peer self;

	if (claim == region->life) {
		fault.what = "the region's header was overwritten";
		fault.offset = region_offset(region, &region->header->format_id);
		fault.seen = region_load64(&region->header->format_id);
		if (!format_ours(region) && format_unchanged(region)) {
			fault.offset = region_offset(region, &region->header->version);
			fault.seen = region_load32(&region->header->version);
		}
	}
	if (claim_lost_by_rule(region, claim) || format_replaced(region))
		return;
	if (fault_shown(region, region->index))
		context_report(region->context, 1,
			"peer '%s' (slot %u) is evicted: %s: 0x%x at offset 0x%x", region->name,
			(uint64_t)region->index, fault.what, fault.seen, fault.offset);
	msg_self(region, &self);
	fault_keep(region, &self, &fault);
}

void fault_keep(struct msg_region *region, const struct msg_peer *peer, const struct msg_fault *fault)
{
	// The last place is for our own.
	if (region->untold_count < FAULTS_KEPT + peer->self)
		region->untold[region->untold_count++] = (struct untold){ *peer, *fault };
}

bool fault_shown(struct msg_region *region, uint32_t slot)
{
	uint64_t now = context_now(region->context);

	faults_tend(region, now);
	region->faults = true;
	return window_line(&region->view[slot].said, now, LINES_SLOT) &&
	       window_line(&region->said, now, LINES_REGION);
}

static void windows_end(struct msg_region *region, uint64_t now, bool all)
{
	uint32_t i;

	region->faults = false;
	for (i = 0; i < region->geo.slots; i++) {
		struct fault_window *window = &region->view[i].said;

		if (all || window_over(window, now))
			window_end(region, window, "peers in", i);
		region->faults = region->faults || window->lines;
	}
	if (all || window_over(&region->said, now))
		window_end(region, &region->said, "the region", UINT32_MAX);
	region->faults = region->faults || region->said.lines;
}

void faults_tend(struct msg_region *region, uint64_t now)
{
	if (region->faults)
		windows_end(region, now, false);
}

void faults_end(struct msg_region *region)
{
	if (region->faults)
		windows_end(region, 0, true);
}

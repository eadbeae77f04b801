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

// SPDX-License-Identifier: BSD-2-Clause
/*
 * Doorbells without messages. A peer rings once for each sleep of another; who rings without end, out
 * of malice or by a fault, would keep us from ever sleeping. So wake-ups for nothing are counted:
 *
 *   state    when                                               then
 *   calm     STORM_VAIN of them within WINDOW_NS, of which      muted: one line; the port takes no
 *            we slept less than half                            notice of doorbells, every sleep
 *                                                               ends by timer after POLL_NS
 *   muted    MUTED_NS have passed                               trial: doorbells count again
 *   trial    as calm                                            muted
 *   trial    WINDOW_NS passed with less than a tenth of that,   calm: one line with the figures
 *            or half asleep
 *
 * Messages lose nothing but time, POLL_NS at most for each wait, since every sleep looks at all
 * channels again. A peer that rings for each message, however fast, is no storm: its wake-ups find
 * something. Nor are wake-ups for nothing that leave us most of our sleep: what they cost is less
 * than what it would cost to hear no doorbell.
 */
#include "msg/internal.h"

#define STORM_VAIN 250
#define WINDOW_NS  (10 * NS_PER_MS)
#define MUTED_NS   (200 * NS_PER_MS)
#define POLL_NS    NS_PER_MS

static void set_mute(struct msg_context *context, bool on)
{
	context->storm.muted = on;
	context->ops->mute(context->ops->arg, on);
}

static void begin_window(struct storm *storm, uint64_t now)
{
	storm->window_ns = now;
	storm->in_window = 0;
	storm->asleep_ns = 0;
}

static void write_figures(struct msg_context *context)
{
	struct msg_region *region;

	for (region = context->regions; region; region = region->next)
		if (!region->error && region->slot)
			region_store64(&region->slot->storms, context->storm.count);
}

void storm_vain(struct msg_context *context)
{
	struct storm *storm = &context->storm;
	uint64_t now;

	context->storm.vain++;
	if (!context->ops->mute || storm->muted)
		return;
	now = context_now(context);
	if (now - storm->window_ns >= WINDOW_NS)
		begin_window(storm, now);
	if (++storm->in_window < STORM_VAIN || storm->asleep_ns >= (now - storm->window_ns) / 2)
		return;
	if (!storm->on) {
		storm->on = true;
		storm->count++;
		storm->since_ns = now;
		storm->vain_before = storm->vain - storm->in_window;
		context_report(context, 1, "doorbell storm: %u wake-ups for nothing in %u ms; looking "
			"every %u ms instead until it ends", storm->in_window,
			(now - storm->window_ns) / NS_PER_MS + 1, POLL_NS / NS_PER_MS);
		write_figures(context);
	}
	storm->muted_ns = now;
	set_mute(context, true);
}

uint64_t storm_step(struct msg_context *context, uint64_t now, uint64_t step)
{
	struct storm *storm = &context->storm;

	if (!storm->on)
		return step;
	if (storm->muted && now - storm->muted_ns >= MUTED_NS) {
		begin_window(storm, now);
		set_mute(context, false);
	} else if (!storm->muted && now - storm->window_ns >= WINDOW_NS) {
		if (storm->in_window < STORM_VAIN / 10 || storm->asleep_ns >= WINDOW_NS / 2) {
			storm->on = false;
			context_report(context, 1, "doorbell storm over after %u ms, with %u wake-ups "
				"for nothing", (now - storm->since_ns) / NS_PER_MS,
				storm->vain - storm->vain_before);
			return step;
		}
		begin_window(storm, now);
	}
	return step < POLL_NS ? step : POLL_NS;
}

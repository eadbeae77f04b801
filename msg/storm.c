// SPDX-License-Identifier: BSD-2-Clause
/*
 * Doorbells without messages. A peer rings once for each sleep of another; who rings without end, out
 * of malice or by a fault, would keep us from ever sleeping. So wake-ups for nothing are counted:
 *
 *   state    when                                               then
 *   calm     STORM_VAIN of them within WINDOW_NS                muted: one line; the port takes no
 *                                                               notice of doorbells, every sleep
 *                                                               ends by timer after POLL_NS
 *   muted    MUTED_NS have passed                               trial: doorbells count again
 *   trial    STORM_VAIN within WINDOW_NS                        muted
 *   trial    WINDOW_NS passed with less than a tenth of that    calm: one line with the figures
 *
 * Messages lose nothing but time, POLL_NS at most for each wait, since every sleep looks at all
 * channels again. A peer that rings for each message, however fast, is no storm: its wake-ups find
 * something.
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
	if (now - storm->window_ns >= WINDOW_NS) {
		storm->window_ns = now;
		storm->in_window = 0;
	}
	if (++storm->in_window < STORM_VAIN)
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
		storm->window_ns = now;
		storm->in_window = 0;
		set_mute(context, false);
	} else if (!storm->muted && now - storm->window_ns >= WINDOW_NS) {
		if (storm->in_window < STORM_VAIN / 10) {
			storm->on = false;
			context_report(context, 1, "doorbell storm over after %u ms, with %u wake-ups "
				"for nothing", (now - storm->since_ns) / NS_PER_MS,
				storm->vain - storm->vain_before);
			return step;
		}
		storm->window_ns = now;
		storm->in_window = 0;
	}
	return step < POLL_NS ? step : POLL_NS;
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * Doorbells without messages. A peer rings once for each sleep of another; who rings without end, out
 * of malice or by a fault, would keep us from ever sleeping. So wake-ups for nothing are counted:
 *
 *   state    when                                               then
 *   calm     STORM_VAIN of them within WINDOW_NS, of which      muted: one line; the port takes no
 *            we slept less than half, or as many as cost        notice of doorbells, every sleep
 *            half of it by wake_ns                              ends by timer after POLL_NS
 *   muted    MUTED_NS have passed                               trial: doorbells count again
 *   trial    as calm                                            muted
 *   trial    QUIET_WINDOWS passed, each with less than a        calm: one line with the figures
 *            tenth of that, or half asleep
 *
 * Messages lose nothing but time, POLL_NS at most for each wait, since every sleep looks at all
 * channels again. A peer that rings for each message, however fast, is no storm: its wake-ups find
 * something. Nor are wake-ups for nothing that leave us most of our sleep: what they cost is less
 * than what it would cost to hear no doorbell. A guest's clock doesn't show all that they cost: to it
 * the host's work for a doorbell is sleep. So each counts as wake_ns of the port awake.
 */
#include "msg/internal.h"

#define STORM_VAIN    250
#define WINDOW_NS     (10 * NS_PER_MS)
#define QUIET_WINDOWS 10 /* where the storm gets little of a processor it comes in gusts */
#define MUTED_NS      (200 * NS_PER_MS)
#define POLL_NS       NS_PER_MS

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

// So many in one window may be a storm.
static uint64_t least_vain(const struct msg_context *context)
{
	uint64_t wake_ns = context->ops->wake_ns;

	return wake_ns > WINDOW_NS / 2 / STORM_VAIN ? WINDOW_NS / 2 / wake_ns : STORM_VAIN;
}

// Did they leave us less than half of so much time?
static bool costly(const struct msg_context *context, uint64_t elapsed)
{
	const struct storm *storm = &context->storm;

	return storm->asleep_ns < elapsed / 2 + storm->in_window * context->ops->wake_ns;
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
	if (++storm->in_window < least_vain(context) || !costly(context, now - storm->window_ns))
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
	storm->quiet = 0;
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
		bool quiet = storm->in_window < least_vain(context) / 10 ||
			     !costly(context, WINDOW_NS);

		storm->quiet = quiet ? storm->quiet + 1 : 0;
		if (storm->quiet == QUIET_WINDOWS) {
			storm->on = false;
			storm->quiet = 0;
			context_report(context, 1, "doorbell storm over after %u ms, with %u wake-ups "
				"for nothing", (now - storm->since_ns) / NS_PER_MS,
				storm->vain - storm->vain_before);
			return step;
		}
		begin_window(storm, now);
	}
	return step < POLL_NS ? step : POLL_NS;
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the port tells us: that the region's device shall leave, that it or the server is gone.
 *
 *   asked to leave   the app hears of it (MSG_EVENT_REGION_LEAVING), and has until leave_by to leave
 *   leave_by passed  the port calls msg_region_depart: we leave by ourselves, in an orderly way
 *   gone             every call ends with -ENODEV; the handles stay valid until msg_leave
 */
#include "msg/pattern.h"
#include "msg/transfer.h"

#define LEAVE_GRACE_NS (2000 * NS_PER_MS)  /* for an app that asks for events */
#define LEAVE_MAX_NS   (60000 * NS_PER_MS) /* no delay lasts longer */

void msg_region_leaving(struct msg_region *region)
{
	if (region->leaving)
		return;
	region->leaving = true;
	region->leave_asked = context_now(region->context);
	/* An app that never asked can't be waited for. */
	region->leave_by = region->leave_asked + (region->watched ? LEAVE_GRACE_NS : 0);
}

uint64_t msg_region_leave_by(const struct msg_region *region)
{
	return region->leave_by;
}

int msg_delay_leaving(struct msg_region *region, uint64_t deadline)
{
	uint64_t last = region->leave_asked + LEAVE_MAX_NS;

	if (region->gone || !region->leaving)
		return region->gone ? -ENODEV : -EINVAL;
	region->leave_by = deadline < last ? deadline : last;
	return 0;
}

void msg_region_depart(struct msg_region *region)
{
	if (region->gone)
		return;
	patterns_part(region);
	region_withdraw(region);
	msg_region_gone(region);
}

void msg_region_gone(struct msg_region *region)
{
	struct msg_stats stats;
	uint32_t i;

	presence_stop_beating(region);
	for (i = 0; i < region->geo.channels; i++) {
		struct msg_channel *channel = region->channel[i];

		if (!channel)
			continue;
		/* Of what only this side knows: the last that was seen released. */
		region->error = -ENODEV;
		msg_stats(channel, &stats);
		channel->left_unreleased = stats.unreleased;
		channel->left_unreleased_bytes = stats.unreleased_bytes;
		channel->error = -ENODEV;
		channel_send_ends(channel, -ENODEV);
	}
	region->gone = true;
	region->told_leaving = true;
	region->error = -ENODEV;
}

void msg_region_server_lost(struct msg_region *region)
{
	region->server_lost = true;
}

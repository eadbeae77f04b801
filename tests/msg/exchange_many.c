// SPDX-License-Identifier: BSD-2-Clause
/*
 * A hub that echoes for many spokes, and tells who comes and goes and what memory is free; a
 * spoke that talks to the hubs of several regions at once.
 */
#include "tests/msg/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CHANNELS_MAX 256
#define REGIONS_MAX 8
#define BYTES 100

static void tell_event(const struct msg_event *event)
{
	const struct msg_peer *peer = &event->peer;

	switch (event->type) {
	case MSG_EVENT_JOINED:
		printf("event joined %s epoch=%u%s\n", peer->name, (unsigned int)peer->epoch,
		       event->restarted ? " restarted" : "");
		break;
	case MSG_EVENT_LEFT:
		printf("event left %s epoch=%u\n", peer->name, (unsigned int)peer->epoch);
		break;
	case MSG_EVENT_DIED:
		printf("event died %s epoch=%u\n", peer->name, (unsigned int)peer->epoch);
		break;
	default:
		printf("event %d of %s\n", (int)event->type, peer->name);
	}
}

static void tell_memory(struct msg_region *region, unsigned int channels)
{
	struct msg_region_info info;

	msg_region_describe(region, &info);
	printf("memory %llu of %llu bytes free, %u channels, %d peers\n",
	       (unsigned long long)info.land_free, (unsigned long long)info.land_bytes, channels,
	       msg_peers(region, NULL, 0));
}

/* Echoes all that is there; false when the channel has ended. */
static bool serve(struct msg_channel *channel, uint64_t *messages)
{
	for (;;) {
		int64_t length = msg_tryrecv(channel, in_bytes, BYTES_MAX);
		int error;

		if (length == -EAGAIN)
			return true;
		if (length == -EPIPE)
			return false;
		error = msg_send(channel, in_bytes, (size_t)OK(length), soon());
		if (error == -EPIPE)
			return false;
		OK(error);
		++*messages;
	}
}

/* Until `peers` channels have come and ended. */
void hub(void)
{
	static struct msg_channel *channels[CHANNELS_MAX];
	static struct msg_wait_item items[CHANNELS_MAX + 2];
	unsigned int open = 0, ended = 0;
	struct msg_listener *listener;
	struct msg_region *region;
	uint64_t messages = 0;

	OK(msg_attach(NULL, &settings.attach, &region));
	OK(msg_listen(region, "hub", &settings.channel, &listener));
	tell_memory(region, 0);
	while (ended < settings.peers) {
		struct msg_event event;
		struct msg_channel *channel;
		bool changed = false;
		unsigned int n = 0;

		while (msg_next_event(region, &event) > 0)
			tell_event(&event);
		while (open < CHANNELS_MAX && !msg_accept(listener, &channel, 0))
			channels[open++] = channel;
		for (unsigned int i = 0; i < open; ) {
			if (serve(channels[i], &messages)) {
				i++;
				continue;
			}
			msg_close(channels[i]);
			channels[i] = channels[--open];
			ended++;
			changed = true;
		}
		if (changed)
			tell_memory(region, open);
		if (ended == settings.peers)
			break;
		items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_EVENT, .region = region };
		items[n++] = (struct msg_wait_item){.type = MSG_WAIT_ACCEPT, .listener = listener};
		for (unsigned int i = 0; i < open; i++)
			items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_RECV,
							     .channel = channels[i] };
		OK(msg_wait(items, n, soon()));
	}
	printf("hub: %u peers, %llu messages\n", ended, (unsigned long long)messages);
	msg_unlisten(listener);
	leave(region);
}

/* Not a call of anything: what a guest that computes looks like to its peers. */
static void compute(unsigned int ms)
{
	uint64_t end = msg_now_ns() + ms * MS;
	volatile uint64_t x = 1;

	while (msg_now_ns() < end)
		for (unsigned int i = 0; i < 100000; i++)
			x = x * 6364136223846793005u + 1;
}

/*
 * `count` messages to the hub of each region, all of them under way at once: one wait for all
 * answers.
 */
void spoke(void)
{
	struct msg_region *regions[REGIONS_MAX];
	struct msg_channel *channels[REGIONS_MAX];
	struct msg_peer self;

	CHECK(settings.regions >= 1 && settings.regions <= REGIONS_MAX);
	for (unsigned int r = 0; r < settings.regions; r++) {
		char where[8];

		snprintf(where, sizeof(where), "%u", r);
		OK(msg_attach(settings.regions > 1 ? where : NULL, &settings.attach, &regions[r]));
		OK(msg_connect(regions[r], "hub", &settings.channel, &channels[r], soon()));
		msg_self(regions[r], &self);
		printf("spoke: %s epoch=%u\n", self.name, (unsigned int)self.epoch);
	}
	for (unsigned int i = 0; i < settings.count; i++) {
		bool answered[REGIONS_MAX] = { false };
		unsigned int left = settings.regions;

		for (unsigned int r = 0; r < settings.regions; r++) {
			fill(out_bytes, BYTES, i * REGIONS_MAX + r);
			OK(msg_send(channels[r], out_bytes, BYTES, soon()));
		}
		while (left) {
			struct msg_wait_item items[REGIONS_MAX];
			unsigned int n = 0;

			for (unsigned int r = 0; r < settings.regions; r++)
				if (!answered[r])
					items[n++] = (struct msg_wait_item){
						.type = MSG_WAIT_RECV, .channel = channels[r]};
			OK(msg_wait(items, n, soon()));
			for (unsigned int r = 0; r < settings.regions; r++) {
				if (answered[r] || msg_next_length(channels[r], 0) == -EAGAIN)
					continue;
				EQUAL(msg_recv(channels[r], in_bytes, BYTES_MAX, 0), BYTES);
				check(in_bytes, BYTES, i * REGIONS_MAX + r);
				answered[r] = true;
				left--;
			}
		}
		if (i == 0) {
			printf("spoke: talks\n");
			if (settings.compute)
				compute(settings.compute);
		}
	}
	for (unsigned int r = 0; r < settings.regions; r++) {
		msg_close(channels[r]);
		leave(regions[r]);
	}
}

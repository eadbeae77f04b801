// SPDX-License-Identifier: BSD-2-Clause
/*
 * The survivor (a process): answers all talkers (talker.c), holds what they send against what they may
 * send, and counts. Commands come as lines on stdin:
 *
 *	figures     prints them
 *	end         waits until it is alone, finds everything back, prints the figures, ends
 *
 * hub WHERE [DEATH-MS]
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <isthmus/msg.h>

#define MS       1000000ull
#define TALKS    64
#define LARGEST  40016
#define PATIENCE (60000 * MS)

struct talk {
	struct msg_channel *channel;
	uint64_t next;    /* number of the message that must come */
	uint64_t answer;  /* number that was not yet answered */
};

static struct msg_region *region;
static struct msg_listener *listener;
static struct talk talks[TALKS];
static struct {
	uint64_t messages, joined, restarted, died, left, faults, server_lost, channels;
} figures;
static bool failed;

static void fail(const char *what, int64_t value)
{
	printf("FAIL %s: %lld (%s)\n", what, (long long)value, msg_strerror(value));
	failed = true;
}

static void take_events(void)
{
	struct msg_event event;

	while (msg_next_event(region, &event) > 0) {
		switch (event.type) {
		case MSG_EVENT_JOINED:
			figures.joined++;
			figures.restarted += event.restarted;
			break;
		case MSG_EVENT_DIED: figures.died++; break;
		case MSG_EVENT_LEFT: figures.left++; break;
		case MSG_EVENT_FAULT:
			figures.faults++;
			printf("fault of '%s': %s: 0x%llx\n", event.peer.name, event.fault.what,
				(unsigned long long)event.fault.seen);
			break;
		case MSG_EVENT_SERVER_LOST:
			figures.server_lost++;
			printf("server lost\n");
			break;
		case MSG_EVENT_REGION_LEAVING: break;
		case MSG_EVENT_REGION_GONE: fail("region gone", 0); break;
		case MSG_EVENT_EVICTED: fail("taken for dead", 0); break;
		}
	}
}

static void close_talk(struct talk *talk)
{
	msg_close(talk->channel);
	talk->channel = NULL;
}

static void check(struct talk *talk, const uint8_t *data, int64_t len)
{
	uint64_t number, seed;
	int64_t i;

	if (len < 16) {
		fail("short message", len);
		return;
	}
	memcpy(&number, data, 8);
	memcpy(&seed, data + 8, 8);
	if (number != talk->next)
		fail("message out of order", (int64_t)number);
	for (i = 16; i < len; i++)
		if (data[i] != (uint8_t)(seed + (uint64_t)(i - 16) * 7)) {
			fail("message changed", i);
			break;
		}
	talk->next++;
	figures.messages++;
}

static void serve(struct talk *talk)
{
	static uint8_t data[LARGEST];
	int64_t len = 0;
	int err = 0;

	while (talk->answer < talk->next &&
		!(err = msg_trysend(talk->channel, &talk->answer, sizeof(talk->answer))))
		talk->answer++;
	while (talk->next - talk->answer < 8 &&
		(len = msg_tryrecv(talk->channel, data, sizeof(data))) >= 0)
		check(talk, data, len);
	if (len == -ECONNRESET || err == -ECONNRESET) {
		take_events();
		close_talk(talk);
	} else if (len == -EPIPE) {
		close_talk(talk);
	} else if (len < 0 && len != -EAGAIN) {
		fail("receiving", len);
		close_talk(talk);
	} else if (err && err != -EAGAIN && err != -EPIPE) {
		fail("answering", err);
		close_talk(talk);
	} else if (err == -EPIPE) {
		talk->answer = talk->next;
	}
}

static void accept_all(void)
{
	unsigned i;

	for (i = 0; i < TALKS; i++) {
		int err;

		if (talks[i].channel)
			continue;
		err = msg_accept(listener, &talks[i].channel, 0);
		if (err) {
			talks[i].channel = NULL;
			if (err != -EAGAIN && err != -ENOSPC)
				fail("accepting", err);
			return;
		}
		talks[i].next = talks[i].answer = 0;
		figures.channels++;
	}
}

static void turn(uint64_t until)
{
	struct msg_wait_item items[TALKS + 2];
	unsigned i, n = 0;

	for (i = 0; i < TALKS; i++)
		if (talks[i].channel)
			items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_RECV,
				.channel = talks[i].channel };
	items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_ACCEPT, .listener = listener };
	items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_EVENT, .region = region };
	msg_wait(items, n, until);
	take_events();
	accept_all();
	for (i = 0; i < TALKS; i++)
		if (talks[i].channel)
			serve(&talks[i]);
}

static void print_figures(void)
{
	struct msg_wait_stats stats;

	msg_wait_stats(region, &stats);
	printf("figures messages=%llu channels=%llu joined=%llu restarted=%llu died=%llu left=%llu "
		"faults=%llu sleeps=%llu rescues=%llu peers=%d\n",
		(unsigned long long)figures.messages, (unsigned long long)figures.channels,
		(unsigned long long)figures.joined, (unsigned long long)figures.restarted,
		(unsigned long long)figures.died, (unsigned long long)figures.left,
		(unsigned long long)figures.faults, (unsigned long long)stats.sleeps,
		(unsigned long long)stats.rescues, msg_peers(region, NULL, 0));
}

// Alone, and nobody's rings are left.
static void end(uint64_t land)
{
	uint64_t give_up = msg_now_ns() + PATIENCE;
	struct msg_region_info info;
	unsigned i, open = 1;

	while (open || msg_peers(region, NULL, 0) != 1) {
		if (msg_now_ns() > give_up) {
			fail("still not alone", msg_peers(region, NULL, 0));
			break;
		}
		turn(msg_now_ns() + 20 * MS);
		for (open = i = 0; i < TALKS; i++)
			open += !!talks[i].channel;
	}
	msg_peers(region, NULL, 0);
	msg_region_describe(region, &info);
	print_figures();
	if (info.land_free != land)
		fail("bytes of land that are missing", (int64_t)(land - info.land_free));
	else
		printf("all is back\n");
	msg_leave(region);
	exit(failed);
}

int main(int argc, char **argv)
{
	struct msg_options wishes = { .name = "hub",
		.death_ns = (argc > 2 ? strtoull(argv[2], NULL, 10) : 1000) * MS };
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	struct msg_region_info info;
	char line[64];
	int err;

	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	if (argc < 2 || (err = msg_attach(argv[1], &wishes, &region)) ||
		(err = msg_listen(region, "hub", NULL, &listener))) {
		printf("FAIL can't join\n");
		return 1;
	}
	msg_region_describe(region, &info);
	printf("ready\n");
	for (;;) {
		turn(msg_now_ns() + 20 * MS);
		if (poll(&input, 1, 0) <= 0)
			continue;
		if (!fgets(line, sizeof(line), stdin))
			return 1;
		if (!strcmp(line, "figures\n"))
			print_figures();
		else if (!strcmp(line, "end\n"))
			end(info.land_free);
	}
}

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
#include "talk.h"

#define MS       1000000ull
#define TALKS    64
#define PATIENCE (60000 * MS)

struct talk {
	struct msg_channel *channel;
	uint64_t who;     /* first word of its first message */
	uint64_t next;    /* number of the message that must come */
	uint64_t answer;  /* number that was not yet answered */
};

static struct msg_region *region;
static struct msg_listener *listener;
static struct talk talks[TALKS];
static struct {
	uint64_t messages, joined, restarted, died, left, faults, server_lost, channels, changed;
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

/*
 * A message with a word that isn't its own. Somebody who stood still for longer than the death time may
 * have gone on with a copy into land that is another's by then: so who wrote it is said, and whoever
 * reads this knows who stood still.
 */
static void tell_changed(const struct talk *talk, const uint64_t *words, int64_t len, int64_t at)
{
	int64_t last = at, i;
	uint64_t word = words[at];

	for (i = at; i < len / 8; i++)
		if (words[i] != talk_word(talk_seed(talk->who), talk_life(talk->who), talk->next, (uint64_t)i))
			last = i;
	printf("changed at=%llu seed=%u word=0x%llx: message %llu of %u.%u, %lld bytes: words %lld to %lld are "
		"from message %u of %u.%u, words %u to %u\n",
		(unsigned long long)(msg_now_ns() / MS), talk_seed(word), (unsigned long long)word,
		(unsigned long long)talk->next, talk_seed(talk->who), talk_life(talk->who), (long long)len,
		(long long)at, (long long)last, talk_number(word), talk_seed(word), talk_life(word),
		talk_index(word), talk_index(words[last]));
	figures.changed++;
}

static void check(struct talk *talk, const uint64_t *words, int64_t len)
{
	unsigned rest = (unsigned)len % 8;
	uint64_t expected;
	int64_t i;

	if (len < 8) {
		fail("short message", len);
		return;
	}
	if (!talk->next)
		talk->who = words[0];
	if (words[0] == talk_word(talk_seed(talk->who), talk_life(talk->who), talk_number(words[0]), 0) &&
		talk_number(words[0]) != (talk->next & 0xfffff))
		fail("message out of order", talk_number(words[0]));
	for (i = 0; i < len / 8; i++)
		if (words[i] != talk_word(talk_seed(talk->who), talk_life(talk->who), talk->next, (uint64_t)i)) {
			tell_changed(talk, words, len, i);
			break;
		}
	expected = talk_word(talk_seed(talk->who), talk_life(talk->who), talk->next, (uint64_t)len / 8);
	if (i == len / 8 && memcmp(words + i, &expected, rest))
		fail("the end of a message changed, at", len - rest);
	talk->next++;
	figures.messages++;
}

static void serve(struct talk *talk)
{
	static uint64_t data[TALK_LARGEST / 8 + 1];
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
		"faults=%llu changed=%llu sleeps=%llu rescues=%llu peers=%d\n",
		(unsigned long long)figures.messages, (unsigned long long)figures.channels,
		(unsigned long long)figures.joined, (unsigned long long)figures.restarted,
		(unsigned long long)figures.died, (unsigned long long)figures.left,
		(unsigned long long)figures.faults, (unsigned long long)figures.changed,
		(unsigned long long)stats.sleeps,
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

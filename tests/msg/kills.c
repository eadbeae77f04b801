// SPDX-License-Identifier: BSD-2-Clause
/*
 * Peers killed at random moments of joining, connecting, sending, receiving and leaving, while a
 * hub talks to all of them: it goes on, receives every message that was sent whole and in order,
 * and in the end every slot, control block and byte of land is back.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include "tests/msg/harness.h"

#define MEGA   (1u << 20)
#define PEERS  4
#define KILLS  300
#define OPENED 16

struct stage {
	const char *path;
	uint64_t seed;
};

struct message {
	uint64_t number, seed;
	uint8_t data[500];
};

// For ever: join, connect, talk, leave.
static void busy_peer(void *arg)
{
	struct stage *stage = arg;
	uint64_t random = stage->seed;
	struct msg_channel_options options = { .ring = 2048 };
	struct msg_options wishes = { .name = "busy", .deadline = 0 };
	static struct message message, echo;
	static uint8_t large[40000];

	for (;;) {
		struct msg_region *region;
		struct msg_channel *channel;
		uint64_t n, rounds = test_random(&random) % 50;
		int err;

		OK(msg_attach(stage->path, &wishes, &region));
		err = msg_connect(region, "hub", &options, &channel, in_ms(20000));
		for (n = 0; !err && n < rounds; n++) {
			size_t len = 16 + test_random(&random) % sizeof(message.data);

			message.number = n;
			message.seed = test_random(&random);
			test_fill(message.data, len - 16, message.seed);
			err = msg_send(channel, &message, len, in_ms(20000));
			if (!err && n % 8 == 3) {
				test_fill(large, sizeof(large), n);
				err = msg_send(channel, large, sizeof(large), in_ms(20000));
			}
			if (!err && msg_recv(channel, &echo, sizeof(echo), in_ms(20000)) > 0)
				EQUAL(echo.number, n);
		}
		// Taken for dead by a starved observer: comes back.
		if (err)
			CHECK(err == -ESTALE || err == -EPIPE);
		err = msg_leave(region);
		CHECK(!err || err == -ESTALE);
	}
}

struct guest {
	struct msg_channel *channel;
	uint64_t next;
};

static uint64_t messages;

// What is there from one of them. False: it has ended.
static bool hear(struct guest *guest)
{
	static uint8_t data[40000];
	struct message *message = (struct message *)data;
	int64_t len;

	while ((len = msg_tryrecv(guest->channel, data, sizeof(data))) >= 0) {
		messages++;
		if (len == sizeof(data)) {
			CHECK(test_filled(data, sizeof(data), guest->next - 1));
			continue;
		}
		EQUAL(message->number, guest->next);
		CHECK(test_filled(message->data, (size_t)len - 16, message->seed));
		guest->next++;
		len = msg_trysend(guest->channel, message, 16);
		CHECK(!len || len == -EPIPE || len == -EAGAIN);
	}
	CHECK(len == -EAGAIN || len == -EPIPE);
	return len == -EAGAIN;
}

static void serve(struct msg_region *region, struct msg_listener *listener, struct guest *guests,
	uint64_t until)
{
	struct msg_wait_item items[OPENED + 2];
	struct msg_event event;
	unsigned i, n;

	while (msg_now_ns() < until) {
		items[0] = (struct msg_wait_item){ .type = MSG_WAIT_ACCEPT, .listener = listener };
		items[1] = (struct msg_wait_item){ .type = MSG_WAIT_EVENT, .region = region };
		for (n = 2, i = 0; i < OPENED; i++)
			if (guests[i].channel)
				items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_RECV,
					.channel = guests[i].channel };
		msg_wait(items, n, until);
		while (msg_next_event(region, &event) > 0)
			CHECK(event.type != MSG_EVENT_FAULT && event.type != MSG_EVENT_EVICTED);
		for (i = 0; i < OPENED; i++) {
			if (guests[i].channel && !hear(&guests[i])) {
				msg_close(guests[i].channel);
				guests[i].channel = NULL;
			}
			if (!guests[i].channel) {
				int err = msg_accept(listener, &guests[i].channel, 0);

				CHECK(!err || err == -EAGAIN || err == -ENOSPC);
				if (err)
					guests[i].channel = NULL;
				guests[i].next = 0;
			}
		}
	}
}

static void kills(void)
{
	struct stage stage = { .path = test_region(8 * MEGA), .seed = 1 };
	struct msg_options options = { .name = "hub", .death_ns = 400 * MS, .slots = 64 };
	struct msg_region_info before, after;
	struct guest guests[OPENED] = { 0 };
	struct msg_listener *listener;
	struct msg_region *region;
	pid_t pids[PEERS];
	uint64_t random = 12345;
	unsigned i, k;

	OK(msg_attach(stage.path, &options, &region));
	OK(msg_listen(region, "hub", NULL, &listener));
	msg_region_describe(region, &before);
	for (i = 0; i < PEERS; i++, stage.seed++)
		pids[i] = test_spawn(busy_peer, &stage);
	for (k = 0; k < KILLS; k++) {
		serve(region, listener, guests, msg_now_ns() + test_random(&random) % (40 * MS));
		i = test_random(&random) % PEERS;
		test_kill(pids[i]);
		stage.seed++;
		pids[i] = test_spawn(busy_peer, &stage);
	}
	for (i = 0; i < PEERS; i++)
		test_kill(pids[i]);
	CHECK(messages > KILLS);
	serve(region, listener, guests, in_ms(1500));
	for (i = 0; i < OPENED; i++)
		CHECK(!guests[i].channel);
	EQUAL(msg_peers(region, NULL, 0), 1);
	msg_region_describe(region, &after);
	EQUAL(after.land_free, before.land_free);
	OK(msg_leave(region));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "kills", kills, 170 },
	};

	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

// SPDX-License-Identifier: BSD-2-Clause
// Processes over a server's region: eventfds as doorbells, sleeps that only a doorbell ends, the
// death of the server.
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "tests/msg/harness.h"

static char where[128], socket_path[112];

static pid_t start_server(void)
{
	snprintf(socket_path, sizeof(socket_path), "%s.socket", test_region(4096));
	snprintf(where, sizeof(where), "socket=%s", socket_path);
	return test_server(socket_path, "4M", "2", "--memfd", NULL);
}

static struct msg_region *attach(const char *name, uint64_t spin)
{
	struct msg_options options = { .name = name, .spin_ns = spin, .death_ns = PATIENT_DEATH };
	struct msg_region *region;

	OK(msg_attach(where, &options, &region));
	return region;
}

#define ROUNDS 20000

static void echo_peer(void *arg)
{
	struct msg_region *region = attach("echo", (uint64_t)(uintptr_t)arg);
	struct msg_listener *listener;
	struct msg_channel *channel;
	struct msg_wait_stats waits;
	uint8_t data[64];
	int64_t len;

	OK(msg_listen(region, "echo", NULL, &listener));
	OK(msg_accept(listener, &channel, in_ms(20000)));
	test_slow_backing(region);
	while ((len = msg_recv(channel, data, sizeof(data), in_ms(20000))) != -EPIPE)
		OK(msg_send(channel, data, (size_t)OK(len), in_ms(20000)));
	msg_wait_stats(region, &waits);
	EQUAL(waits.rescues, 0);
	OK(msg_leave(region));
}

// Both asleep: every message is announced by a doorbell, none by the backing timer, and no ring is
// in vain.
static void asleep(void)
{
	pid_t server = start_server(), pid = test_spawn(echo_peer, (void *)MSG_SPIN_NEVER);
	struct msg_region *region = attach("caller", MSG_SPIN_NEVER);
	struct msg_channel *channel;
	struct msg_wait_stats waits;
	struct msg_stats stats;
	uint8_t data[64];
	unsigned i;

	OK(msg_connect(region, "echo", NULL, &channel, in_ms(20000)));
	test_slow_backing(region);
	for (i = 0; i < ROUNDS; i++) {
		test_fill(data, sizeof(data), i);
		OK(msg_send(channel, data, sizeof(data), in_ms(20000)));
		memset(data, 0, sizeof(data));
		EQUAL(msg_recv(channel, data, sizeof(data), in_ms(20000)), sizeof(data));
		CHECK(test_filled(data, sizeof(data), i));
	}
	msg_stats(channel, &stats);
	msg_wait_stats(region, &waits);
	EQUAL(waits.rescues, 0);
	CHECK(stats.doorbells <= ROUNDS + 10);
	CHECK(waits.sleeps >= stats.wakeups);
	EQUAL(stats.doorbells + stats.suppressed, stats.sent);
	OK(msg_leave(region));
	test_join(pid);
	test_server_end(server);
}

// Does nothing now and then, until the writer waits for room.
static void slow_reader(void *arg)
{
	volatile unsigned *waits = arg;
	struct msg_region *region = attach("reader", MSG_SPIN_NEVER);
	struct msg_listener *listener;
	struct msg_channel *channel;
	struct msg_wait_stats sleeps;
	uint8_t data[300];
	unsigned i, before = 0;

	OK(msg_listen(region, "reader", NULL, &listener));
	OK(msg_accept(listener, &channel, in_ms(20000)));
	test_slow_backing(region);
	for (i = 0; i < ROUNDS; i++) {
		if (i % 100 == 0)
			UNTIL(*waits > before);
		before = *waits;
		EQUAL(msg_recv(channel, data, sizeof(data), in_ms(20000)), sizeof(data));
		CHECK(test_filled(data, sizeof(data), i));
	}
	msg_wait_stats(region, &sleeps);
	EQUAL(sleeps.rescues, 0);
	OK(msg_leave(region));
}

// The sender sleeps for space: the receiver's releases must wake it.
static void asleep_for_space(void)
{
	volatile unsigned *waits = test_shared(sizeof(*waits));
	pid_t server = start_server(), pid = test_spawn(slow_reader, (void *)(uintptr_t)waits);
	struct msg_region *region = attach("writer", MSG_SPIN_NEVER);
	struct msg_channel_options options = { .ring = 1024 };
	struct msg_channel *channel;
	struct msg_wait_stats sleeps;
	struct msg_stats stats;
	uint8_t data[300];
	unsigned i;

	OK(msg_connect(region, "reader", &options, &channel, in_ms(20000)));
	test_slow_backing(region);
	for (i = 0; i < ROUNDS; i++) {
		test_fill(data, sizeof(data), i);
		if (msg_trysend(channel, data, sizeof(data))) {
			++*waits;
			OK(msg_send(channel, data, sizeof(data), in_ms(20000)));
		}
	}
	msg_stats(channel, &stats);
	msg_wait_stats(region, &sleeps);
	CHECK(stats.full_waits > 10);
	EQUAL(sleeps.rescues, 0);
	EQUAL(msg_recv(channel, data, sizeof(data), in_ms(20000)), -EPIPE);
	OK(msg_leave(region));
	test_join(pid);
	test_server_end(server);
}

// A receiver that never sleeps is never rung.
static void awake(void)
{
	pid_t server = start_server(), pid = test_spawn(echo_peer, (void *)MSG_FOREVER);
	struct msg_region *region = attach("caller", MSG_FOREVER);
	struct msg_channel *channel;
	struct msg_stats stats;
	unsigned i, got;

	OK(msg_connect(region, "echo", NULL, &channel, in_ms(20000)));
	for (i = 0; i < 200; i++) {
		OK(msg_send(channel, &i, sizeof(i), in_ms(20000)));
		EQUAL(msg_recv(channel, &got, sizeof(got), in_ms(20000)), sizeof(got));
		EQUAL(got, i);
	}
	msg_stats(channel, &stats);
	EQUAL(stats.doorbells, 0);
	EQUAL(stats.wakeups, 0);
	OK(msg_leave(region));
	test_join(pid);
	test_server_end(server);
}

// The server dies: messages go on, the event is told, and the peers still wake each other.
static void server_dies(void)
{
	pid_t server = start_server(), pid = test_spawn(echo_peer, (void *)MSG_SPIN_NEVER);
	struct msg_region *region = attach("caller", MSG_SPIN_NEVER);
	struct msg_wait_item item = { .type = MSG_WAIT_EVENT, .region = region };
	struct msg_channel *channel;
	struct msg_event event;
	unsigned i, got, lost = 0;

	OK(msg_connect(region, "echo", NULL, &channel, in_ms(20000)));
	for (i = 0; i < 1000; i++) {
		if (i == 100)
			test_kill(server);
		OK(msg_send(channel, &i, sizeof(i), in_ms(20000)));
		EQUAL(msg_recv(channel, &got, sizeof(got), in_ms(20000)), sizeof(got));
		EQUAL(got, i);
		while (msg_next_event(region, &event) > 0)
			lost += event.type == MSG_EVENT_SERVER_LOST;
	}
	// The talk may have needed no sleep, which is when a process looks at its server.
	while (!lost) {
		OK(msg_wait(&item, 1, in_ms(20000)));
		while (msg_next_event(region, &event) > 0)
			lost += event.type == MSG_EVENT_SERVER_LOST;
	}
	EQUAL(lost, 1);
	OK(msg_leave(region));
	test_join(pid);
	unlink(socket_path);
}

static void nothing_peer(void *arg)
{
	attach("restarted", 0);
	_exit(arg != NULL);
}

// A process that is killed and comes back through the server.
static void ids(void)
{
	pid_t server = start_server();
	struct msg_options options = { .name = "watcher", .death_ns = 500 * MS };
	struct msg_region *region;
	struct msg_wait_item item = { .type = MSG_WAIT_EVENT };
	struct msg_event event;
	struct msg_peer self;
	unsigned died = 0, i;

	OK(msg_attach(where, &options, &region));
	item.region = region;
	msg_self(region, &self);
	EQUAL(self.id, 0);
	EQUAL(self.vectors >= 1, 1);
	for (i = 0; i < 3; i++)
		test_join(test_spawn(nothing_peer, NULL));
	while (died < 1) {
		OK(msg_wait(&item, 1, in_ms(20000)));
		while (msg_next_event(region, &event) > 0)
			died += event.type == MSG_EVENT_DIED;
	}
	OK(msg_leave(region));
	test_server_end(server);
}

// A server that takes connections and says nothing holds up an attach until its deadline, and not for as
// long as the protocol's client would wait by itself (5 s).
static void silent_server(void)
{
	struct msg_options options = { .name = "patient", .deadline = in_ms(200) };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct msg_region *region;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s.silent", test_region(4096));
	snprintf(where, sizeof(where), "socket=%s", address.sun_path);
	CHECK(!bind(fd, (struct sockaddr *)&address, sizeof(address)) && !listen(fd, 1));
	EQUAL(msg_attach(where, &options, &region), -ETIMEDOUT);
	CHECK(msg_now_ns() < options.deadline + 4000 * MS);
	close(fd);
	unlink(address.sun_path);
}

// Where the heart's thread can't be made there is no peer, and no slot is left taken.
static void no_thread(void)
{
	const char *path = test_region(1 << 20);
	struct msg_options options = { .name = "heartless", .slots = 1 };
	struct msg_region *region;
	pthread_attr_t huge, usual;

	CHECK(!pthread_getattr_default_np(&usual) && !pthread_attr_init(&huge) &&
		!pthread_attr_setstacksize(&huge, (size_t)1 << 46) &&
		!pthread_setattr_default_np(&huge));
	EQUAL(msg_attach(path, &options, &region), -ENOMEM);
	CHECK(!pthread_setattr_default_np(&usual));
	OK(msg_attach(path, &options, &region));
	OK(msg_leave(region));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "asleep", asleep, 120 },
		{ "asleep_for_space", asleep_for_space, 120 },
		{ "awake", awake, 120 },
		{ "server_dies", server_dies, 0 },
		{ "ids", ids, 0 },
		{ "silent_server", silent_server, 0 },
		{ "no_thread", no_thread, 0 },
	};

	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

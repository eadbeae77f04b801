// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ground itself goes: the file behind a region is cut short, the server is killed and another one
 * comes; and floods of joins, names and buffers.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "host/client/ivshmem_client.h"
#include "msg/layout.h"
#include "tests/msg/harness.h"

#define MEGA (1u << 20)

static char where[256];
static const char *path;

/* ---- truncation ---- */

static void echo_until_gone(void *arg)
{
	struct msg_region *region = test_attach(path, "echo");
	struct msg_listener *listener;
	struct msg_channel *channel;
	struct msg_event event = { 0 };
	uint8_t data[2000];
	int64_t len;

	(void)arg;
	OK(msg_listen(region, "echo", NULL, &listener));
	OK(msg_accept(listener, &channel, in_ms(20000)));
	do {
		len = msg_recv(channel, data, sizeof(data), in_ms(20000));
		if (len >= 0)
			len = msg_send(channel, data, (size_t)len, in_ms(20000));
	} while (len >= 0);
	EQUAL(len, -ENODEV);
	while (event.type != MSG_EVENT_REGION_GONE)
		EQUAL(msg_next_event(region, &event), 1);
	msg_leave(region);
}

static void expect_gone(struct msg_region *region, struct msg_channel *channel)
{
	struct msg_listener *listener;
	struct msg_event event;
	unsigned gone = 0;
	char data[8];

	EQUAL(msg_peers(region, NULL, 0), -ENODEV);
	EQUAL(msg_listen(region, "more", NULL, &listener), -ENODEV);
	if (channel) {
		EQUAL(msg_trysend(channel, "x", 1), -ENODEV);
		EQUAL(msg_tryrecv(channel, data, sizeof(data)), -ENODEV);
	}
	while (msg_next_event(region, &event) > 0) {
		CHECK(event.type != MSG_EVENT_EVICTED && event.type != MSG_EVENT_FAULT);
		gone += event.type == MSG_EVENT_REGION_GONE;
	}
	EQUAL(gone, 1);
	EQUAL(msg_leave(region), -ENODEV);
	// The program goes on, and may have other regions.
	path = test_region(MEGA);
	region = test_attach(path, "again");
	EQUAL(msg_peers(region, NULL, 0), 1);
	OK(msg_leave(region));
}

static void cut_while_talking(void)
{
	struct msg_region *region;
	struct msg_channel *channel;
	uint8_t data[1000] = { 0 };
	int64_t result = 0;
	unsigned i;
	pid_t pid;

	path = test_region(MEGA);
	region = test_attach(path, "talker");
	pid = test_spawn(echo_until_gone, NULL);
	OK(msg_connect(region, "echo", NULL, &channel, in_ms(20000)));
	for (i = 0; result >= 0; i++) {
		if (i == 1000)
			CHECK(!truncate(path, 0));
		CHECK(i < 100000);
		result = msg_send(channel, data, sizeof(data), in_ms(20000));
		if (!result)
			result = msg_recv(channel, data, sizeof(data), in_ms(20000));
	}
	CHECK(i > 1000);
	EQUAL(result, -ENODEV);
	test_join(pid);
	expect_gone(region, channel);
}

// Only the heart touches the region.
static void cut_while_computing(void)
{
	struct msg_region *region;

	path = test_region(MEGA);
	region = test_attach(path, "computes");
	CHECK(!truncate(path, 0));
	msg_sleep_until(in_ms(400));
	expect_gone(region, NULL);
}

// The tables stay, the land goes: it is the app that touches it.
static void cut_in_half(void)
{
	struct msg_region_info info;
	struct msg_region *region;
	struct msg_buffer *buffer;

	path = test_region(MEGA);
	region = test_attach(path, "half");
	msg_region_describe(region, &info);
	OK(msg_buffer_alloc(region, info.land_bytes, &buffer));
	CHECK(!truncate(path, MEGA / 2));
	memset(msg_buffer_data(buffer), 1, info.land_bytes);
	expect_gone(region, NULL);
}

static void cut_for_ever(void *arg)
{
	uint64_t random = 5;

	(void)arg;
	for (;;) {
		CHECK(!truncate(path, 0));
		msg_sleep_until(msg_now_ns() + test_random(&random) % (300 * 1000));
		CHECK(!truncate(path, MEGA));
		msg_sleep_until(msg_now_ns() + test_random(&random) % (4 * MS));
	}
}

// At any moment of joining.
static void cut_while_joining(void)
{
	struct msg_options wishes = { .name = "late" };
	struct msg_region *region;
	unsigned i, gone = 0;
	pid_t pid;

	path = test_region(MEGA);
	pid = test_spawn(cut_for_ever, NULL);
	// One line for each, otherwise.
	CHECK(freopen("/dev/null", "w", stderr));
	for (i = 0; i < 200 || (!gone && i < 5000); i++) {
		int err;

		wishes.deadline = in_ms(20);
		err = msg_attach(path, &wishes, &region);
		if (!err)
			err = msg_leave(region);
		gone += err == -ENODEV;
		if (err && err != -ENODEV && err != -ETIMEDOUT && err != -ESTALE &&
			err != -EINVAL && err != -ENOSPC) {
			printf("cut while joining: %s\n", msg_strerror(err));
			exit(1);
		}
	}
	test_kill(pid);
	printf("cut while joining: %u of %u joins met it\n", gone, i);
	if (!gone)
		exit(1);
}

static sigjmp_buf back;
static volatile int own_errors;

static void own_handler(int number, siginfo_t *info, void *context)
{
	(void)number, (void)info, (void)context;
	own_errors = own_errors + 1;
	siglongjmp(back, 1);
}

// A bus error that has nothing to do with a region is the program's own affair, as before.
static void others_bus_errors(void)
{
	struct sigaction action = { .sa_sigaction = own_handler, .sa_flags = SA_SIGINFO };
	const char *other = test_region(4096);
	volatile char *memory = test_map(other, 4096);
	struct msg_region *region;
	int status;
	pid_t pid;

	CHECK(!truncate(other, 0));
	// Nobody had asked for the signal: it kills.
	pid = fork();
	if (!pid) {
		path = test_region(MEGA);
		region = test_attach(path, "mine");
		memory[0] = 1;
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	// Somebody had: he gets it.
	CHECK(!sigaction(SIGBUS, &action, NULL));
	path = test_region(MEGA);
	region = test_attach(path, "mine");
	if (!sigsetjmp(back, 1))
		memory[0] = 1;
	EQUAL(own_errors, 1);
	EQUAL(msg_peers(region, NULL, 0), 1);
	CHECK(!truncate(path, 0));
	expect_gone(region, NULL);
	EQUAL(own_errors, 1);
}

/* ---- the server ---- */

// The server's memfd can't be cut short by a client.
static void sealed(void)
{
	char socket_path[160];
	struct ivshmem_client *client;
	pid_t server;
	int fd;

	snprintf(socket_path, sizeof(socket_path), "%s.socket", test_region(4096));
	server = test_server(socket_path, "1M", "1", "--memfd", NULL);
	OK(ivshmem_client_open(&client, socket_path, NULL, NULL));
	CHECK(ivshmem_client_region_sealed(client));
	fd = ivshmem_client_region_fd(client);
	CHECK(ftruncate(fd, 0) < 0 && errno == EPERM);
	CHECK(ftruncate(fd, MEGA / 2) < 0 && errno == EPERM);
	CHECK(ftruncate(fd, 2 * MEGA) < 0 && errno == EPERM);
	ivshmem_client_close(client);
	test_server_end(server);
}

struct note {
	uint32_t number, seed;
	uint8_t data[400];
};

static volatile uint32_t *echoed; /* shared */

static void server_echo(void *arg)
{
	struct msg_options wishes = { .name = arg, .deadline = in_ms(60000) };
	struct msg_region *region;
	struct msg_listener *listener;
	struct msg_channel *channel;
	struct note note;
	int64_t len;

	OK(msg_attach(where, &wishes, &region));
	OK(msg_listen(region, arg, NULL, &listener));
	*echoed = 1;
	for (;;) {
		OK(msg_accept(listener, &channel, in_ms(60000)));
		while ((len = msg_recv(channel, &note, sizeof(note), in_ms(60000))) != -EPIPE) {
			CHECK(len == sizeof(note));
			OK(msg_send(channel, &note, sizeof(note), in_ms(60000)));
		}
		msg_close(channel);
	}
}

static void talk(struct msg_channel *channel, uint32_t from, uint32_t count)
{
	struct note note, answer;
	uint32_t i;

	for (i = from; i < from + count; i++) {
		note.number = i;
		test_fill(note.data, sizeof(note.data), i);
		OK(msg_send(channel, &note, sizeof(note), in_ms(20000)));
		EQUAL(OK(msg_recv(channel, &answer, sizeof(answer), in_ms(20000))), sizeof(answer));
		EQUAL(answer.number, i);
		CHECK(test_filled(answer.data, sizeof(answer.data), i));
	}
}

// Messages go on without a server, new peers wait, or give up at once; and a new server on the same region gives out
// ids that old peers have, which nobody confuses.
static void server_dies(void)
{
	char socket_path[160], name[64];
	// Long enough for a busy machine.
	struct msg_options wishes = { .name = "old", .death_ns = 5 * S };
	struct msg_region *old, *new;
	struct msg_channel *channel, *second;
	struct msg_event event;
	struct msg_peer peers[4], self;
	struct msg_wait_item item = { .type = MSG_WAIT_EVENT };
	uint64_t give_up;
	unsigned lost = 0;
	pid_t server, echo, newcomer;

	echoed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	snprintf(socket_path, sizeof(socket_path), "%s.socket", test_region(4096));
	snprintf(name, sizeof(name), "isthmus-ground-%d", getpid());
	snprintf(where, sizeof(where), "socket=%s", socket_path);
	server = test_server(socket_path, "1M", "1", "-M", name);
	OK(msg_attach(where, &wishes, &old));
	item.region = old;
	echo = test_spawn(server_echo, (void *)"echo");
	OK(msg_connect(old, "echo", NULL, &channel, in_ms(20000)));
	talk(channel, 0, 500);

	test_kill(server);
	talk(channel, 500, 2000);
	// Who never sleeps hears of it at its next wait.
	for (give_up = in_ms(20000); !lost && msg_now_ns() < give_up;) {
		msg_wait(&item, 1, in_ms(20));
		while (msg_next_event(old, &event) > 0) {
			CHECK(event.type == MSG_EVENT_JOINED ||
				event.type == MSG_EVENT_SERVER_LOST);
			lost += event.type == MSG_EVENT_SERVER_LOST;
		}
	}
	EQUAL(lost, 1);
	EQUAL(msg_attach(where, &wishes, &new), -ENODEV);
	wishes.deadline = in_ms(50);
	EQUAL(msg_attach(where, &wishes, &new), -ENODEV);
	CHECK(msg_now_ns() >= wishes.deadline);
	wishes.deadline = 0;

	*echoed = 0;
	newcomer = test_spawn(server_echo, (void *)"newcomer");
	msg_sleep_until(in_ms(100));
	EQUAL(*echoed, 0);
	server = test_server(socket_path, "1M", "1", "-M", name);
	while (!*echoed)
		msg_sleep_until(in_ms(5));
	// Its id is the first peer's, too; both live, and everybody talks with everybody.
	EQUAL(msg_peers(old, peers, 4), 3);
	wishes.name = "new";
	OK(msg_attach(where, &wishes, &new));
	OK(msg_connect(old, "newcomer", NULL, &second, in_ms(20000)));
	// They don't hear each other's doorbells: by timer, which takes its time.
	talk(second, 0, 20);
	talk(channel, 2500, 200);
	msg_close(second);
	OK(msg_connect(new, "newcomer", NULL, &second, in_ms(20000)));
	talk(second, 0, 200);
	msg_self(old, &self);
	EQUAL(msg_peers(old, peers, 4), 4);
	while (msg_next_event(old, &event) > 0)
		CHECK(event.type == MSG_EVENT_JOINED);
	// An old one dies: its end is seen, and only its.
	test_kill(echo);
	while (msg_peers(old, peers, 4) == 4)
		msg_sleep_until(in_ms(10));
	EQUAL(msg_peers(old, peers, 4), 3);
	talk(second, 200, 200);
	OK(msg_leave(new));
	OK(msg_leave(old));
	test_kill(newcomer);
	test_server_end(server);
}

/* ---- floods ---- */

static volatile uint64_t *flood; /* shared: how much of it there was */

static void join_for_ever(void *arg)
{
	struct msg_options wishes = { .name = "flood" };
	struct msg_region *region[8];
	unsigned i, n;

	(void)arg;
	for (;;) {
		for (n = 0; n < 8; n++) {
			wishes.deadline = in_ms(200);
			if (msg_attach(path, &wishes, &region[n]))
				break;
			__atomic_fetch_add(&flood[0], 1, __ATOMIC_RELAXED);
		}
		if (n < 8)
			__atomic_fetch_add(&flood[1], 1, __ATOMIC_RELAXED);
		for (i = 0; i < n; i++)
			msg_leave(region[i]);
	}
}

static void name_for_ever(void *arg)
{
	struct msg_region *region = test_attach(path, "names");
	struct msg_listener *listeners[9];
	char name[MSG_NAME_MAX + 1];
	uint64_t n = (uintptr_t)arg;
	unsigned i, opened;

	for (;;) {
		for (opened = 0; opened < 9; opened++) {
			int err;

			snprintf(name, sizeof(name), "%040llu", (unsigned long long)n++);
			err = msg_listen(region, name, NULL, &listeners[opened]);
			if (err) {
				EQUAL(err, -ENOSPC);
				break;
			}
			__atomic_fetch_add(&flood[2], 1, __ATOMIC_RELAXED);
		}
		EQUAL(opened, 8);
		for (i = 0; i < opened; i++)
			msg_unlisten(listeners[i]);
	}
}

static void hoard_for_ever(void *arg)
{
	struct msg_region *region = test_attach(path, "hoards");
	struct msg_buffer *buffers[4096];
	unsigned i, n;

	(void)arg;
	for (;;) {
		int err = 0;

		for (n = 0; n < 4096; n++) {
			err = msg_buffer_alloc(region, 5000, &buffers[n]);
			if (err)
				break;
			__atomic_fetch_add(&flood[3], 1, __ATOMIC_RELAXED);
		}
		EQUAL(err, -ENOSPC);
		__atomic_fetch_add(&flood[4], 1, __ATOMIC_RELAXED);
		for (i = 0; i < n; i++)
			msg_buffer_free(buffers[i]);
	}
}

static void flood_echo(void *arg)
{
	snprintf(where, sizeof(where), "%s", path);
	server_echo(arg);
}

static bool flood_enough(uint32_t talked)
{
	return flood[0] > 100 && flood[1] && flood[2] > 100 && flood[4] > 2 && talked > 100;
}

// Whatever others take of slots, names and land, without end: who has a channel talks on; and when they
// are gone, all is there again.
static void floods(void)
{
	struct msg_options wishes = { .name = "first", .death_ns = 3000 * MS, .slots = 24 };
	struct msg_region_info before, after;
	struct msg_region *region;
	struct msg_channel *channel;
	struct msg_listener *listener;
	uint32_t talked = 0;
	uint64_t end;
	pid_t pids[7];
	unsigned i;

	path = test_region(MEGA);
	flood = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	echoed = (volatile uint32_t *)flood + 900;
	OK(msg_attach(path, &wishes, &region));
	pids[0] = test_spawn(flood_echo, (void *)"echo");
	OK(msg_connect(region, "echo", NULL, &channel, in_ms(20000)));
	msg_region_describe(region, &before);
	for (i = 1; i < 4; i++)
		pids[i] = test_spawn(join_for_ever, NULL);
	for (; i < 6; i++)
		pids[i] = test_spawn(name_for_ever, (void *)(uintptr_t)(i * 1000000000));
	pids[i] = test_spawn(hoard_for_ever, NULL);
	// On a busy machine it takes a while until all slots are taken at once.
	for (end = in_ms(2000); msg_now_ns() < end || (!flood_enough(talked) &&
		msg_now_ns() < end + 60 * S); talked += 50)
		talk(channel, talked, 50);
	for (i = 1; i < 7; i++)
		test_kill(pids[i]);
	printf("floods: %llu joins, %llu that found no slot; %llu names; %llu buffers, %llu times all "
		"land; %u messages there and back meanwhile\n", (unsigned long long)flood[0],
		(unsigned long long)flood[1], (unsigned long long)flood[2],
		(unsigned long long)flood[3], (unsigned long long)flood[4], talked);
	CHECK(flood_enough(talked));
	while (msg_peers(region, NULL, 0) != 2)
		msg_sleep_until(in_ms(10));
	msg_region_describe(region, &after);
	EQUAL(after.land_free, before.land_free);
	for (i = 0; i < 8; i++) {
		char name[64];

		snprintf(name, sizeof(name), "%040llu", 4000000000ull + i);
		OK(msg_listen(region, name, NULL, &listener));
	}
	talk(channel, talked, 50);
	OK(msg_leave(region));
	test_kill(pids[0]);
}

static void sleeper(void *arg)
{
	struct msg_region *region = test_attach(arg, "child");
	struct msg_wait_item item = { .type = MSG_WAIT_EVENT, .region = region };
	unsigned i;

	for (i = 0; i < 10; i++)
		msg_wait(&item, 1, in_ms(2));
	OK(msg_leave(region));
}

// The child of a fork is another peer: what it does is no business of its parent's slot.
static void forked(void)
{
	struct msg_options wishes = { .name = "parent", .death_ns = 5 * S };
	struct msg_region *region;
	struct wire_slot *slot;
	struct geometry geo;
	struct msg_peer self;
	uint8_t *base;
	uint32_t asleep;

	path = test_region(MEGA);
	OK(msg_attach(path, &wishes, &region));
	base = test_map(path, MEGA);
	EQUAL(geometry_choose(&geo, MEGA, &wishes), 0);
	msg_self(region, &self);
	slot = (struct wire_slot *)(base + geo.slot_offset + self.slot * geo.slot_stride);
	asleep = slot->asleep;
	test_join(test_spawn(sleeper, (void *)(uintptr_t)test_region(MEGA)));
	EQUAL(slot->asleep, asleep);
	EQUAL(msg_peers(region, NULL, 0), 1);
	OK(msg_leave(region));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "cut_while_talking", cut_while_talking, 0 },
		{ "cut_while_computing", cut_while_computing, 0 },
		{ "cut_in_half", cut_in_half, 0 },
		{ "cut_while_joining", cut_while_joining, 0 },
		{ "others_bus_errors", others_bus_errors, 0 },
		{ "sealed", sealed, 0 },
		{ "forked", forked, 0 },
		{ "server_dies", server_dies, 180 },
		{ "floods", floods, 120 },
	};

	test_at_once = 1; /* each keeps the machine busy */
	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

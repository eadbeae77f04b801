// SPDX-License-Identifier: BSD-2-Clause
// Who is there: joining, names, leaving, dying, coming back, and the limits.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/msg/harness.h"

#define MEGA (1u << 20)

static bool next_event(struct msg_region *region, struct msg_event *event, uint64_t deadline)
{
	struct msg_wait_item item = { .type = MSG_WAIT_EVENT, .region = region };

	return msg_wait(&item, 1, deadline) == 1 && msg_next_event(region, event);
}

static struct msg_region *attach_with(const char *path, const char *name, uint64_t death_ns)
{
	struct msg_options options = { .name = name, .death_ns = death_ns };
	struct msg_region *region;

	OK(msg_attach(path, &options, &region));
	return region;
}

/* Tells through a pipe that it has come so far. */
struct peer {
	const char *path, *name;
	int ready[2];
	bool compute; /* never calls msg */
	bool receives;
};

static void tell(struct peer *peer)
{
	CHECK(write(peer->ready[1], "x", 1) == 1);
}

static void wait_told(struct peer *peer)
{
	char c;

	CHECK(read(peer->ready[0], &c, 1) == 1);
}

static void staying_peer(void *arg)
{
	struct peer *peer = arg;
	struct msg_region *region = test_attach(peer->path, peer->name);
	struct msg_event event;

	tell(peer);
	for (;;)
		if (peer->compute)
			pause();
		else
			next_event(region, &event, in_ms(60000));
}

static pid_t start(struct peer *peer, const char *path, const char *name)
{
	pid_t pid;

	peer->path = path;
	peer->name = name;
	CHECK(!pipe(peer->ready));
	pid = test_spawn(staying_peer, peer);
	wait_told(peer);
	return pid;
}

static void names(void)
{
	const char *path = test_region(MEGA);
	char name[MSG_NAME_MAX + 2];
	struct msg_options options = { .name = name };
	struct msg_region *region;
	struct msg_listener *listener, *second;
	struct msg_peer self;

	memset(name, 'n', sizeof(name));
	name[MSG_NAME_MAX + 1] = 0;
	EQUAL(msg_attach(path, &options, &region), -EINVAL);
	name[MSG_NAME_MAX] = 0;
	OK(msg_attach(path, &options, &region));
	msg_self(region, &self);
	CHECK(!strcmp(self.name, name));
	EQUAL(msg_listen(region, "", NULL, &listener), -EINVAL);
	EQUAL(msg_listen(region, "0123456789012345678901234567890123456789012345678", NULL,
		&listener),
		-EINVAL);
	OK(msg_listen(region, "a name with spaces and \xff", NULL, &listener));
	EQUAL(msg_listen(region, "a name with spaces and \xff", NULL, &second), -EADDRINUSE);
	msg_unlisten(listener);
	OK(msg_listen(region, "a name with spaces and \xff", NULL, &listener));
	OK(msg_leave(region));
	CHECK(!strcmp(msg_strerror(-EADDRINUSE), "another live peer listens under that name"));
}

static void join_and_leave(void)
{
	const char *path = test_region(MEGA);
	struct msg_region *first = test_attach(path, "first"), *second;
	struct msg_peer peers[4];
	struct msg_event event;
	uint32_t epoch;

	EQUAL(msg_peers(first, peers, 4), 1);
	CHECK(peers[0].self && !strcmp(peers[0].name, "first"));
	EQUAL(msg_next_event(first, &event), 0);
	second = test_attach(path, "second");
	EQUAL(msg_peers(first, peers, 4), 2);
	EQUAL(msg_next_event(first, &event), 1);
	EQUAL(event.type, MSG_EVENT_JOINED);
	CHECK(!strcmp(event.peer.name, "second") && !event.restarted);
	epoch = event.peer.epoch;
	EQUAL(msg_next_event(first, &event), 0);
	EQUAL(msg_next_event(second, &event), 1);
	CHECK(!strcmp(event.peer.name, "first"));
	OK(msg_leave(second));
	EQUAL(msg_next_event(first, &event), 1);
	EQUAL(event.type, MSG_EVENT_LEFT);
	EQUAL(event.peer.epoch, epoch);
	second = test_attach(path, "second");
	EQUAL(msg_next_event(first, &event), 1);
	EQUAL(event.type, MSG_EVENT_JOINED);
	CHECK(event.restarted && event.peer.epoch > epoch);
	EQUAL(msg_next_event(first, &event), 0);
	// Gone and back between two looks: both are told.
	OK(msg_leave(second));
	second = test_attach(path, "second");
	EQUAL(msg_next_event(first, &event), 1);
	EQUAL(event.type, MSG_EVENT_LEFT);
	EQUAL(msg_next_event(first, &event), 1);
	EQUAL(event.type, MSG_EVENT_JOINED);
	OK(msg_leave(second));
	OK(msg_leave(first));
}

static void death_is_noticed(void)
{
	const char *path = test_region(MEGA);
	struct msg_region *region = attach_with(path, "observer", 400 * MS);
	struct peer peer = { .compute = true };
	struct msg_event event;
	uint64_t killed;
	pid_t pid = start(&peer, path, "victim");

	CHECK(next_event(region, &event, in_ms(60000)));
	EQUAL(event.type, MSG_EVENT_JOINED);
	// It computes and calls nothing: its heart beats on.
	CHECK(!next_event(region, &event, in_ms(1200)));
	killed = msg_now_ns();
	test_kill(pid);
	CHECK(next_event(region, &event, in_ms(60000)));
	EQUAL(event.type, MSG_EVENT_DIED);
	CHECK(!strcmp(event.peer.name, "victim"));
	// Its last beat may be that old already.
	CHECK(msg_now_ns() - killed >= (400 - 2 * 40) * MS);
	pid = start(&peer, path, "victim");
	CHECK(next_event(region, &event, in_ms(60000)));
	EQUAL(event.type, MSG_EVENT_JOINED);
	CHECK(event.restarted);
	test_kill(pid);
	OK(msg_leave(region));
}

// An observer that was away doesn't take the living for dead.
static void observer_away(void)
{
	const char *path = test_region(MEGA);
	struct msg_region *region = attach_with(path, "observer", 400 * MS);
	struct peer peer = { 0 };
	struct msg_event event;
	pid_t pid = start(&peer, path, "other");
	unsigned i;

	CHECK(next_event(region, &event, in_ms(60000)));
	for (i = 0; i < 2; i++) {
		msg_sleep_until(in_ms(700));
		EQUAL(msg_next_event(region, &event), 0);
	}
	test_kill(pid);
	OK(msg_leave(region));
}

// Stopped for longer than the death time: declared dead; finds it out, and comes back in another
// life.
static void stopped_peer(void *arg)
{
	struct peer *peer = arg;
	struct msg_region *region = test_attach(peer->path, "stopped");
	struct msg_channel *channel;
	struct msg_event event;
	struct msg_peer self;
	uint32_t epoch;
	int err;

	msg_self(region, &self);
	epoch = self.epoch;
	OK(msg_connect(region, "observer", NULL, &channel, in_ms(60000)));
	tell(peer);
	if (peer->receives) {
		char c;

		while ((err = (int)msg_tryrecv(channel, &c, 1)) == 1 || err == -EAGAIN)
			;
	} else {
		while (!(err = msg_send(channel, "x", 1, in_ms(60000))))
			msg_sleep_until(in_ms(1));
	}
	EQUAL(err, -ESTALE);
	EQUAL(msg_next_event(region, &event), 1);
	EQUAL(event.type, MSG_EVENT_EVICTED);
	EQUAL(msg_listen(region, "x", NULL, &(struct msg_listener *){ 0 }), -ESTALE);
	msg_close(channel);
	EQUAL(msg_leave(region), -ESTALE);
	region = test_attach(peer->path, "stopped");
	msg_self(region, &self);
	CHECK(self.epoch > epoch);
	OK(msg_connect(region, "observer", NULL, &channel, in_ms(60000)));
	OK(msg_send(channel, "back", 4, in_ms(60000)));
	OK(msg_leave(region));
}

static void stopped_in(bool receiving)
{
	struct peer peer = { .path = test_region(MEGA), .receives = receiving };
	struct msg_region *region = attach_with(peer.path, "observer", 400 * MS), *other;
	struct msg_listener *listener;
	struct msg_channel *channel;
	struct msg_event event;
	char data[8];
	int64_t len;
	pid_t pid;

	OK(msg_listen(region, "observer", NULL, &listener));
	CHECK(!pipe(peer.ready));
	pid = test_spawn(stopped_peer, &peer);
	OK(msg_accept(listener, &channel, in_ms(60000)));
	wait_told(&peer);
	CHECK(!kill(pid, SIGSTOP));
	// It finds messages when it goes on: they are nobody's any more.
	while (receiving && !msg_trysend(channel, "r", 1))
		;
	do {
		CHECK(next_event(region, &event, in_ms(60000)));
	} while (event.type != MSG_EVENT_DIED);
	while ((len = msg_recv(channel, data, sizeof(data), in_ms(60000))) == 1)
		;
	EQUAL(len, -EPIPE);
	msg_close(channel);
	// Somebody takes a place in the meantime.
	other = test_attach(peer.path, "successor");
	CHECK(!kill(pid, SIGCONT));
	OK(msg_accept(listener, &channel, in_ms(60000)));
	EQUAL(msg_recv(channel, data, sizeof(data), in_ms(60000)), 4);
	test_join(pid);
	EQUAL(msg_peers(region, NULL, 0), 2);
	OK(msg_leave(other));
	OK(msg_leave(region));
}

static void stopped(void)
{
	stopped_in(false);
}

static void stopped_receiving(void)
{
	stopped_in(true);
}

/* ---- names that two want at once ---- */

struct race {
	const char *path;
	pthread_barrier_t *barrier;
	int result;
};

static void *race_main(void *arg)
{
	struct race *race = arg;
	struct msg_region *region = test_attach(race->path, "racer");
	struct msg_listener *listener = NULL;

	pthread_barrier_wait(race->barrier);
	race->result = msg_listen(region, "the name", NULL, &listener);
	pthread_barrier_wait(race->barrier);
	OK(msg_leave(region));
	return NULL;
}

static void one_name_many_listeners(void)
{
	const char *path = test_region(MEGA);
	pthread_barrier_t barrier;
	unsigned round, i, won;

	for (round = 0; round < 100; round++) {
		struct race races[6];
		pthread_t threads[6];

		pthread_barrier_init(&barrier, NULL, 6);
		for (i = 0; i < 6; i++) {
			races[i] = (struct race){ path, &barrier, 0 };
			CHECK(!pthread_create(&threads[i], NULL, race_main, &races[i]));
		}
		for (won = i = 0; i < 6; i++) {
			pthread_join(threads[i], NULL);
			won += !races[i].result;
			CHECK(!races[i].result || races[i].result == -EADDRINUSE);
		}
		EQUAL(won, 1);
	}
}

/* ---- running out ---- */

static void slots_run_out(void)
{
	const char *path = test_region(65536);
	struct msg_region *regions[4], *extra;
	struct msg_options options = { .name = "extra" };
	struct msg_region_info info;
	unsigned i;

	for (i = 0; i < 4; i++)
		regions[i] = attach_with(path, "peer", 300 * MS);
	msg_region_describe(regions[0], &info);
	EQUAL(info.slots, 4);
	EQUAL(msg_attach(path, &options, &extra), -ENOSPC);
	OK(msg_leave(regions[2]));
	OK(msg_attach(path, &options, &extra));
	OK(msg_leave(extra));
	for (i = 0; i < 4; i++)
		if (i != 2)
			OK(msg_leave(regions[i]));
}

static void nothing_peer(void *arg)
{
	test_attach(arg, "short");
	_exit(0);
}

// Slots whose holders were killed come back, even if nobody else is there to notice.
static void killed_slots_come_back(void)
{
	const char *path = test_region(65536);
	struct msg_region *region;
	unsigned i;

	region = attach_with(path, "first", 300 * MS);
	OK(msg_leave(region));
	for (i = 0; i < 8; i++)
		test_join(test_spawn(nothing_peer, (void *)(uintptr_t)path));
	region = test_attach(path, "last");
	OK(msg_leave(region));
}

static void patient_peer(void *arg)
{
	struct msg_options options = { .name = "late", .deadline = in_ms(50000) };
	struct msg_region *region;

	OK(msg_attach(arg, &options, &region));
	_exit(0);
}

// Even where who comes has next to no processor: it must hear the hearts stand still, however long that
// takes it, before it says that all slots are taken.
static void killed_slots_come_back_late(void)
{
	const char *path = test_region(65536);
	struct msg_region *region;
	pid_t late;
	unsigned i;
	int status;

	region = attach_with(path, "first", 400 * MS);
	OK(msg_leave(region));
	for (i = 0; i < 4; i++)
		test_join(test_spawn(nothing_peer, (void *)(uintptr_t)path));
	late = test_spawn(patient_peer, (void *)(uintptr_t)path);
	while (!waitpid(late, &status, WNOHANG)) {
		msg_sleep_until(in_ms(8));
		CHECK(!kill(late, SIGSTOP));
		msg_sleep_until(in_ms(250));
		CHECK(!kill(late, SIGCONT));
	}
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
}

static void *connector_main(void *arg)
{
	struct race *race = arg;
	struct msg_region *region = test_attach(race->path, "connector");
	struct msg_channel *channels[64];
	struct msg_region_info info;
	unsigned n = 0;
	int err;

	msg_region_describe(region, &info);
	while (!(err = msg_connect(region, "all", NULL, &channels[n], in_ms(60000))))
		n++;
	race->result = (int)n;
	EQUAL(err, -ENOSPC);
	EQUAL(n, info.channels);
	// One closed makes room for one.
	msg_close(channels[0]);
	pthread_barrier_wait(race->barrier);
	pthread_barrier_wait(race->barrier);
	OK(msg_connect(region, "all", NULL, &channels[0], in_ms(60000)));
	pthread_barrier_wait(race->barrier);
	OK(msg_leave(region));
	return NULL;
}

static void channels_run_out(void)
{
	const char *path = test_region(MEGA);
	struct msg_region *region = test_attach(path, "listener");
	pthread_barrier_t barrier;
	struct race race = { path, &barrier, 0 };
	struct msg_region_info before, after;
	struct msg_listener *listener;
	struct msg_channel *channels[64];
	unsigned n = 0;
	pthread_t thread;
	char c;

	pthread_barrier_init(&barrier, NULL, 2);
	msg_region_describe(region, &before);
	OK(msg_listen(region, "all", NULL, &listener));
	CHECK(!pthread_create(&thread, NULL, connector_main, &race));
	while (n < before.channels)
		OK(msg_accept(listener, &channels[n++], in_ms(60000)));
	EQUAL(msg_recv(channels[0], &c, 1, in_ms(60000)), -EPIPE);
	pthread_barrier_wait(&barrier);
	msg_close(channels[0]);
	pthread_barrier_wait(&barrier);
	OK(msg_accept(listener, &channels[0], in_ms(60000)));
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	while (n)
		msg_close(channels[--n]);
	msg_region_describe(region, &after);
	EQUAL(after.land_free, before.land_free);
	for (n = 1; !msg_listen(region, (char[]){ 'a', (char)('0' + n), 0 }, NULL, &listener); n++)
		;
	EQUAL(n, 8);
	OK(msg_leave(region));
}

static void *asking_main(void *arg)
{
	struct race *race = arg;
	struct msg_region *region = test_attach(race->path, "connector");
	struct msg_channel *channel;
	struct msg_channel_options options = { .ring = 1024 };

	race->result = msg_connect(region, "big", &options, &channel, in_ms(60000));
	OK(msg_leave(region));
	return NULL;
}

static void land_runs_out(void)
{
	const char *path = test_region(MEGA);
	struct msg_region *region = test_attach(path, "listener");
	struct msg_channel_options options = { .ring = MEGA };
	struct race race = { path, NULL, 0 };
	struct msg_listener *listener;
	struct msg_channel *channel;
	pthread_t thread;

	TIMES_OUT(msg_connect(region, "nobody", NULL, &channel, in_ms(30)));
	EQUAL(msg_connect(region, "nobody", NULL, &channel, 0), -ETIMEDOUT);
	OK(msg_listen(region, "big", &options, &listener));
	CHECK(!pthread_create(&thread, NULL, asking_main, &race));
	EQUAL(msg_accept(listener, &channel, in_ms(60000)), -ENOSPC);
	pthread_join(thread, NULL);
	EQUAL(race.result, -ECONNREFUSED);
	EQUAL(msg_accept(listener, &channel, 0), -EAGAIN);
	OK(msg_leave(region));
}

// Land that is kept for buffers to come is given to a ring where there is no other.
static void spare_land(void)
{
	const char *path = test_region(MEGA);
	struct msg_region *region = test_attach(path, "listener");
	struct msg_channel_options options = { .ring = 1024 };
	struct race race = { path, NULL, 1 };
	struct msg_region_info before, now;
	struct msg_buffer *small, *rest;
	struct msg_listener *listener;
	struct msg_channel *channel;
	pthread_t thread;

	OK(msg_buffer_alloc(region, 1, &small));
	msg_region_describe(region, &before);
	OK(msg_listen(region, "big", &options, &listener));
	CHECK(!pthread_create(&thread, NULL, asking_main, &race));
	// The other side's ring first; then all the rest.
	while (msg_region_describe(region, &now), now.land_free == before.land_free)
		msg_sleep_until(in_ms(1));
	OK(msg_buffer_alloc(region, now.land_free, &rest));
	msg_buffer_free(small);
	OK(msg_accept(listener, &channel, in_ms(60000)));
	pthread_join(thread, NULL);
	OK(race.result);
	msg_buffer_free(rest);
	OK(msg_leave(region));
}

// Who needs no more buffers gives back what it keeps for them when land is scarce, whatever it waits for.
static void idle_land(void)
{
	const char *path = test_region(MEGA);
	struct msg_region *idle = test_attach(path, "idle"), *other = test_attach(path, "other");
	struct msg_wait_item item = { .type = MSG_WAIT_EVENT, .region = idle };
	struct msg_buffer *buffer, *rest;
	struct msg_region_info info;
	struct msg_event event;
	uint64_t end = in_ms(60000);

	while (msg_next_event(idle, &event) > 0)
		;
	OK(msg_buffer_alloc(idle, 1, &buffer));
	msg_buffer_free(buffer);
	msg_region_describe(other, &info);
	OK(msg_buffer_alloc(other, info.land_free, &rest));
	EQUAL(msg_buffer_alloc(other, 1, &buffer), -ENOSPC);
	while (msg_buffer_alloc(other, 1, &buffer) && msg_now_ns() < end)
		msg_wait(&item, 1, in_ms(50));
	CHECK(msg_now_ns() < end);
	OK(msg_leave(idle));
	OK(msg_leave(other));
}

/* ---- many ---- */

#define CROWD 64

static void crowd_peer(void *arg)
{
	struct peer *peer = arg;
	struct msg_options options = { .name = "one of many", .slots = 70, .channels = 70,
		.death_ns = PATIENT_DEATH, .deadline = in_ms(60000) };
	struct msg_region *region;
	struct msg_channel *channel;
	struct msg_peer self;
	uint32_t word;

	OK(msg_attach(peer->path, &options, &region));
	msg_self(region, &self);
	OK(msg_connect(region, "hub", NULL, &channel, in_ms(60000)));
	OK(msg_send(channel, &self.slot, 4, in_ms(60000)));
	EQUAL(msg_recv(channel, &word, 4, in_ms(60000)), 4);
	EQUAL(word, self.slot + 1000);
	// Until all have met.
	EQUAL(msg_recv(channel, &word, 4, in_ms(60000)), 4);
	EQUAL(word, CROWD + 1);
	EQUAL(msg_peers(region, NULL, 0), CROWD + 1);
	OK(msg_send(channel, &word, 4, in_ms(60000)));
	EQUAL(msg_recv(channel, &word, 4, in_ms(60000)), -EPIPE);
	OK(msg_leave(region));
}

static void crowd_on(const char *path)
{
	struct peer peer = { .path = path };
	struct msg_options options = { .name = "hub", .slots = 70, .channels = 70,
		.death_ns = PATIENT_DEATH, .deadline = in_ms(60000) };
	struct msg_channel *channels[CROWD];
	struct msg_listener *listener;
	struct msg_region *region;
	pid_t pids[CROWD];
	bool seen[70] = { false };
	uint32_t word;
	unsigned i;

	for (i = 0; i < CROWD; i++)
		pids[i] = test_spawn(crowd_peer, &peer);
	OK(msg_attach(path, &options, &region));
	OK(msg_listen(region, "hub", NULL, &listener));
	for (i = 0; i < CROWD; i++) {
		OK(msg_accept(listener, &channels[i], in_ms(60000)));
		EQUAL(msg_recv(channels[i], &word, 4, in_ms(60000)), 4);
		CHECK(word < 70 && !seen[word]);
		seen[word] = true;
		word += 1000;
		OK(msg_send(channels[i], &word, 4, in_ms(60000)));
	}
	word = (uint32_t)msg_peers(region, NULL, 0);
	EQUAL(word, CROWD + 1);
	for (i = 0; i < CROWD; i++)
		OK(msg_send(channels[i], &word, 4, in_ms(60000)));
	for (i = 0; i < CROWD; i++)
		EQUAL(msg_recv(channels[i], &word, 4, in_ms(60000)), 4);
	for (i = 0; i < CROWD; i++)
		msg_close(channels[i]);
	for (i = 0; i < CROWD; i++)
		test_join(pids[i]);
	EQUAL(msg_peers(region, NULL, 0), 1);
	OK(msg_leave(region));
}

static void crowd(void)
{
	crowd_on(test_region(16 * MEGA));
}

static void crowd_on_garbage(void)
{
	const char *path = test_region(16 * MEGA);
	uint64_t *words = test_map(path, 16 * MEGA), random = 77;
	size_t i;

	for (i = 0; i < 2 * MEGA; i++)
		words[i] = test_random(&random);
	crowd_on(path);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "names", names, 0 },
		{ "join_and_leave", join_and_leave, 0 },
		{ "death_is_noticed", death_is_noticed, 0 },
		{ "observer_away", observer_away, 0 },
		{ "stopped", stopped, 0 },
		{ "stopped_receiving", stopped_receiving, 0 },
		{ "one_name_many_listeners", one_name_many_listeners, 0 },
		{ "slots_run_out", slots_run_out, 0 },
		{ "killed_slots_come_back", killed_slots_come_back, 0 },
		{ "killed_slots_come_back_late", killed_slots_come_back_late, 0 },
		{ "channels_run_out", channels_run_out, 0 },
		{ "land_runs_out", land_runs_out, 0 },
		{ "spare_land", spare_land, 0 },
		{ "idle_land", idle_land, 0 },
		{ "crowd", crowd, 120 },
		{ "crowd_on_garbage", crowd_on_garbage, 120 },
	};

	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * Peers in every role of the patterns, killed at random moments, alone and several at once: servers and
 * callers, a publisher and its subscribers, dispatchers (one stands by), a producer, workers, members of
 * groups. A ledger outside the region knows what each has said and heard (pattern_lives.c checks it).
 * At the end all of them are left alone until each has done its work once more; then everything is
 * given back.
 *
 * pattern_kills            KILLS=N: that many
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/adversity/pattern_kills.h"

#define SIZE     (8u << 20)
#define PATIENCE (120 * S)

static const struct {
	const char *name;
	unsigned count, weight; /* weight: how often one of them is killed */
} cast[ROLES] = {
	[SERVER] = { "servers", 2, 3 },       [CALLER] = { "callers", 2, 3 },
	[PUBLISHER] = { "publishers", 1, 2 }, [SUBSCRIBER] = { "subscribers", 2, 3 },
	[DISPATCHER] = { "dispatchers", 2, 2 }, [PRODUCER] = { "producers", 1, 1 },
	[WORKER] = { "workers", 2, 4 },       [MEMBER] = { "members", 4, 3 },
};

struct world *world;
unsigned servers;

static const char *path;
static struct peer peers[PEERS_MAX];
static pid_t pids[PEERS_MAX];
static unsigned count;
static int log_fd, own_fd; /* the peers' stderr; ours */

static void live(struct peer *peer)
{
	struct msg_options wishes = { .name = peer->name, .death_ns = DEATH_NS, .slots = 128,
		.channels = 16 };
	int err;

	peer->life = __atomic_fetch_add(&world->life[peer->number], 1, __ATOMIC_RELAXED);
	CHECK(peer->life < LIVES);
	snprintf(peer->name, sizeof(peer->name), "p%u.%u", peer->number, peer->life);
	peer->until = in_ms(100 + test_random(&peer->random) % 2000);
	err = msg_attach(path, &wishes, &peer->region);
	if (err == -ENOSPC || err == -ETIMEDOUT)
		return;
	OK(err);
	lives[peer->role](peer);
	err = msg_leave(peer->region);
	CHECK(!err || err == -ESTALE);
	if (err)
		COUNT(evictions);
}

static void peer_main(void *arg)
{
	struct peer *peer = arg;

	while (!peer_stops(peer))
		live(peer);
}

static void start(unsigned i, uint64_t *random)
{
	peers[i].random = test_random(random);
	pids[i] = test_spawn(peer_main, &peers[i]);
}

static void start_all(uint64_t *random)
{
	enum role role;
	unsigned i;

	servers = cast[SERVER].count;
	for (role = 0; role < ROLES; role++)
		for (i = 0; i < cast[role].count; i++, count++)
			peers[count] = (struct peer){ .role = role, .number = count, .of_role = i };
	CHECK(count <= PEERS_MAX);
	for (i = 0; i < count; i++)
		start(i, random);
}

// By weight.
static unsigned choose(uint64_t *random)
{
	unsigned sum = 0, i, pick;

	for (i = 0; i < count; i++)
		sum += cast[peers[i].role].weight;
	pick = (unsigned)(test_random(random) % sum);
	for (i = 0; pick >= cast[peers[i].role].weight; i++)
		pick -= cast[peers[i].role].weight;
	return i;
}

// Whoever dies is no liar: nobody may have complained of one.
static bool show_complaints(void)
{
	char text[4096];
	ssize_t len = pread(log_fd, text, sizeof(text) - 1, 0);

	dup2(own_fd, STDERR_FILENO);
	text[len > 0 ? len : 0] = 0;
	fputs(text, stderr);
	return len;
}

// Nobody may have found anything wrong.
static void check_all_live(void)
{
	unsigned i;
	int status;

	for (i = 0; i < count; i++)
		if (waitpid(pids[i], &status, WNOHANG)) {
			show_complaints();
			fprintf(stderr, "the %uth of the %s ended (%x)\n", peers[i].of_role,
				cast[peers[i].role].name, (unsigned)status);
			CHECK(!"somebody ended");
		}
}

// Left alone, all of them do what they are for. A dispatcher may stand by.
static void check_all_talk(void)
{
	uint64_t before[PEERS_MAX], end = msg_now_ns() + PATIENCE;
	unsigned i;

	for (i = 0; i < count; i++)
		before[i] = world->progress[i];
	for (i = 0; i < count; i++)
		while (peers[i].role != DISPATCHER && world->progress[i] == before[i]) {
			check_all_live();
			if (msg_now_ns() > end) {
				show_complaints();
				fprintf(stderr, "the %uth of the %s does nothing any more\n",
					peers[i].of_role, cast[peers[i].role].name);
				CHECK(!"all do what they are for");
			}
			msg_sleep_until(in_ms(2));
		}
}

static void name_of(unsigned i, char text[16])
{
	static const char *const names[] = { "news", "jobs", "team" };

	if (i < 3)
		strcpy(text, names[i]);
	else
		snprintf(text, 16, "s%u.%u", (i - 3) / NAMES, (i - 3) % NAMES);
}

static void kill_some(uint64_t wanted, uint64_t killed[ROLES], uint64_t *random)
{
	uint64_t done = 0;

	while (done < wanted) {
		// Now and then several at once.
		unsigned n = test_random(random) % 8 ? 1 : 2 + (unsigned)(test_random(random) % 4);
		bool dead[PEERS_MAX] = { false };
		unsigned i;

		msg_sleep_until(msg_now_ns() + test_random(random) % (30 * MS));
		check_all_live();
		while (n--) {
			i = choose(random);
			if (dead[i])
				continue;
			dead[i] = true;
			test_kill(pids[i]);
			killed[peers[i].role]++;
			done++;
		}
		for (i = 0; i < count; i++)
			if (dead[i])
				start(i, random);
	}
}

// Has each thing been seen that a death may lead to, but need not?
static bool rare_seen(void)
{
	return __atomic_load_n(&world->lost_servers, __ATOMIC_RELAXED) &&
	       __atomic_load_n(&world->ends_heard, __ATOMIC_RELAXED) &&
	       __atomic_load_n(&world->redelivered, __ATOMIC_RELAXED);
}

static void join_all(bool asking)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		int status;

		if (peer_asks(&peers[i]) != asking)
			continue;
		CHECK(waitpid(pids[i], &status, 0) == pids[i]);
		if (status)
			show_complaints();
		CHECK(!status);
	}
}

static void pattern_kills(void)
{
	const char *text = getenv("KILLS");
	uint64_t wanted = text ? strtoull(text, NULL, 10) : 300, random = 54321, killed[ROLES] = { 0 };
	unsigned i;

	alarm((unsigned)(400 + wanted / 5));
	path = test_region(SIZE);
	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(world != MAP_FAILED);
	log_fd = memfd_create("log", 0);
	own_fd = dup(STDERR_FILENO);
	CHECK(log_fd >= 0 && own_fd >= 0 && dup2(log_fd, STDERR_FILENO) >= 0);
	start_all(&random);
	check_all_talk();
	kill_some(wanted, killed, &random);
	check_all_talk();
	for (i = 0; i < 8 && wanted >= 100 && !rare_seen(); i++) {
		kill_some(wanted / 2, killed, &random);
		check_all_talk();
	}
	world->stop_asking = true;
	join_all(true);
	world->stop = true;
	join_all(false);
	CHECK(!show_complaints());
	printf("killed:");
	for (i = 0; i < ROLES; i++)
		printf(" %llu %s%s", (unsigned long long)killed[i], cast[i].name,
			i + 1 < ROLES ? "," : "\n");
	printf("%llu calls answered, %llu ended with their server; %llu editions read to the end, %llu "
		"news dropped and counted; %llu results, %llu items redelivered; %llu barriers, %llu "
		"broadcasts, %llu lost with their root; %llu taken for dead on a busy machine\n",
		(unsigned long long)world->answered, (unsigned long long)world->lost_servers,
		(unsigned long long)world->ends_heard, (unsigned long long)world->dropped,
		(unsigned long long)world->results, (unsigned long long)world->redelivered,
		(unsigned long long)world->barriers, (unsigned long long)world->broadcasts,
		(unsigned long long)world->lost_roots, (unsigned long long)world->evictions);
	CHECK(world->answered && world->results && world->barriers && world->broadcasts);
	CHECK(wanted < 100 || rare_seen());
	test_all_returned(path, name_of, 3 + servers * NAMES);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ .name = "pattern_kills", .run = pattern_kills, .seconds = 600 },
	};

	test_at_once = 1; /* each keeps the machine busy */
	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * Kills a peer at every store into the region, once each, in every role; see points.h. After each
 * death the survivor must find everything that it owes (roles.c) and everything back: the slot,
 * land, the names; and then the same peer, restarted, plays the same scene to its end.
 *
 * points [ROLE]...            POINT=N points ROLE   one scene, to look at it
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/adversity/points.h"

#define PARALLEL 48
#define DEATH_NS (100 * MS)
#define PATIENCE 30000 /* ms until a scene hangs */
#define TRIES    12    /* of one scene whose hub was taken for dead */

static uint64_t point_count, point_at;
static struct ledger *point_ledger;

void point_step(void)
{
	if (!point_ledger)
		return;
	point_ledger->points = ++point_count;
	if (point_count == point_at) {
		kill(getpid(), SIGKILL);
		for (;;)
			pause();
	}
}

void point_arm(struct stage *stage)
{
	point_at = stage->at;
	point_ledger = stage->ledger;
}

int64_t stage_result(const char *what, int line, int64_t result)
{
	if (result == -ESTALE)
		_exit(STAGE_EVICTED);
	if (result < 0 && result != -EPIPE && result != -EAGAIN && result != -ETIMEDOUT)
		test_fail("hub", line, what, result);
	return result;
}

pid_t stage_spawn(struct stage *stage, void (*run)(struct stage *stage))
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run(stage);
		_exit(0);
	}
	return pid;
}

static void reap(struct stage *stage, bool wait)
{
	int status;

	if (!stage->victim || waitpid(stage->victim, &status, wait ? 0 : WNOHANG) <= 0)
		return;
	stage->victim = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == STAGE_EVICTED)
		_exit(STAGE_EVICTED);
	if (stage->at && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return;
	EQUAL(status, 0);
	CHECK(stage->ledger->finished);
}

/*
 * Something in a scene is not as it should be. If a heart stood still for the death time, that is why: the hub's
 * own, or that of the victim, which finds out about it by itself.
 */
static struct stage *played;
static pid_t hub_pid;

static void undecided(void)
{
	struct stage *stage = played;
	uint64_t end = in_ms(PATIENCE);
	int status = 0;

	if (getpid() != hub_pid)
		return;
	test_undecided = NULL;
	if (stage->hub && msg_peers(stage->hub, NULL, 0) == -ESTALE)
		_exit(STAGE_EVICTED);
	while (stage->victim && !waitpid(stage->victim, &status, WNOHANG) && msg_now_ns() < end)
		msg_sleep_until(in_ms(1));
	if (WIFEXITED(status) && WEXITSTATUS(status) == STAGE_EVICTED)
		_exit(STAGE_EVICTED);
}

bool stage_over(struct stage *stage)
{
	struct msg_event event;
	int peers;

	reap(stage, false);
	while (msg_next_event(stage->hub, &event) > 0) {
		if (event.type == MSG_EVENT_EVICTED)
			_exit(STAGE_EVICTED);
		CHECK(event.type != MSG_EVENT_FAULT);
	}
	peers = (int)HUB(msg_peers(stage->hub, NULL, 0));
	return !stage->victim && peers == 1;
}

static void join_hub(struct stage *stage)
{
	stage->wishes.name = "hub";
	OK(msg_attach(stage->path, &stage->wishes, &stage->hub));
	HUB(msg_listen(stage->hub, "hub", NULL, &stage->listener));
}

static void wait_over(struct stage *stage)
{
	uint64_t end = in_ms(PATIENCE);

	while (!stage_over(stage)) {
		struct msg_wait_item item = { .type = MSG_WAIT_EVENT, .region = stage->hub };

		CHECK(msg_now_ns() < end);
		msg_wait(&item, 1, in_ms(5));
	}
}

// Everything that the victim had is back, whatever it was.
static void check_returned(struct stage *stage, uint64_t land)
{
	struct msg_region_info info;
	struct msg_listener *listener;
	struct msg_buffer *buffer;
	uint64_t end = in_ms(PATIENCE);
	int err;

	// All of it in one piece: nobody's deed lies in it, and what pools of our own hold goes too.
	while ((err = msg_buffer_alloc(stage->hub, land, &buffer)) == -ENOSPC) {
		CHECK(msg_now_ns() < end);
		HUB(msg_peers(stage->hub, NULL, 0));
		msg_sleep_until(in_ms(1));
	}
	HUB(err);
	memset(msg_buffer_data(buffer), 0xa5, land);
	msg_buffer_free(buffer);
	msg_region_describe(stage->hub, &info);
	EQUAL(info.land_free, land);
	HUB(msg_listen(stage->hub, "victim", NULL, &listener));
	msg_unlisten(listener);
	if (!stage->victim)
		EQUAL(HUB(msg_peers(stage->hub, NULL, 0)), 1);
}

static void play(struct stage *stage, const struct role *role, uint64_t at)
{
	memset(stage->ledger, 0, sizeof(*stage->ledger));
	stage->at = at;
	stage->faulty = at;
	stage->wishes.name = "victim";
	stage->victim = stage_spawn(stage, role->victim);
	if (role->alone && !stage->hub) {
		reap(stage, true);
		join_hub(stage);
	}
	if (role->survivor)
		role->survivor(stage);
	wait_over(stage);
}

// One scene, in a process of its own.
static void scene(struct stage *stage, const struct role *role, uint64_t at)
{
	struct msg_region_info info;

	alarm(3 * PATIENCE / 1000);
	played = stage;
	hub_pid = getpid();
	test_undecided = undecided;
	stage->path = test_region(STAGE_SIZE);
	stage->wishes = (struct msg_options){ .death_ns = DEATH_NS, .slots = 4, .channels = 3 };
	stage->hub = NULL;
	if (!role->alone)
		join_hub(stage);
	if (role->alone) {
		play(stage, role, at);
		msg_region_describe(stage->hub, &info);
	} else {
		msg_region_describe(stage->hub, &info);
		play(stage, role, at);
	}
	if (at || role->alone) {
		uint64_t points = stage->ledger->points;

		check_returned(stage, info.land_bytes);
		// The restarted peer talks again, and all is back once more.
		play(stage, role, 0);
		check_returned(stage, info.land_bytes);
		stage->ledger->points = points;
	}
	if (msg_leave(stage->hub) == -ESTALE)
		_exit(STAGE_EVICTED);
	unlink(stage->path);
	_exit(0);
}

static struct ledger *shared_ledger(void)
{
	void *memory = mmap(NULL, sizeof(struct ledger), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED);
	return memory;
}

struct lane {
	struct stage stage;
	uint64_t at;
	pid_t pid;
	unsigned tries;
};

static struct lane lanes[PARALLEL];
static uint64_t deaths, survived, retries;

static void start(struct lane *lane, const struct role *role, uint64_t at)
{
	if (!lane->stage.ledger)
		lane->stage.ledger = shared_ledger();
	lane->at = at;
	fflush(NULL);
	lane->pid = fork();
	CHECK(lane->pid >= 0);
	if (!lane->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		scene(&lane->stage, role, at);
	}
}

// The next lane whose scene has ended well, waiting for it.
static struct lane *finish(const struct role *role)
{
	for (;;) {
		struct lane *lane = lanes;
		int status;
		pid_t pid = waitpid(-1, &status, 0);

		CHECK(pid > 0);
		while (lane->pid != pid)
			CHECK(++lane < lanes + PARALLEL);
		lane->pid = 0;
		if (!status)
			return lane;
		if (WIFEXITED(status) && WEXITSTATUS(status) == STAGE_EVICTED &&
			++lane->tries < TRIES) {
			retries++;
			start(lane, role, lane->at);
			continue;
		}
		fprintf(stderr, "to see it again: POINT=%llu points %s\n",
			(unsigned long long)lane->at, role->name);
		test_fail(role->name, (int)lane->at, "scene ended with status", status);
	}
}

static void run_role(const struct role *role)
{
	const char *only = getenv("POINT");
	const char *step_text = getenv("POINT_STEP");
	uint64_t total, at, step = step_text ? strtoull(step_text, NULL, 10) : 1;
	struct rusage usage;
	unsigned running = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	deaths = survived = retries = 0;
	start(&lanes[0], role, 0);
	finish(role);
	total = lanes[0].stage.ledger->points;
	CHECK(total);
	// How many there are depends a little on who sleeps when.
	total += total / 20;
	for (at = only ? strtoull(only, NULL, 10) : 1; at <= total || running;) {
		struct lane *lane = lanes;

		while (lane < lanes + PARALLEL && lane->pid)
			lane++;
		if (at <= total && lane < lanes + PARALLEL) {
			lane->tries = 0;
			start(lane, role, at);
			running++;
			at = only ? total + 1 : at + step;
			continue;
		}
		lane = finish(role);
		running--;
		if (lane->stage.ledger->points >= lane->at)
			deaths++;
		else
			survived++;
	}
	getrusage(RUSAGE_CHILDREN, &usage);
	printf("%s: %llu points, %llu deaths, %llu played to the end, %llu scenes again on a busy "
		"machine, %.1f s of processor\n", role->name, (unsigned long long)total,
		(unsigned long long)deaths, (unsigned long long)survived,
		(unsigned long long)retries,
		(double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

#define ROLES_MAX 16

static const struct role *all_roles[ROLES_MAX];

#define CASE(n) \
	static void role_##n(void) \
	{ \
		run_role(all_roles[n]); \
	}
CASE(0) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11)
CASE(12) CASE(13) CASE(14) CASE(15)

int main(int argc, char **argv)
{
	static void (*const runs[ROLES_MAX])(void) = { role_0, role_1, role_2, role_3, role_4, role_5,
		role_6, role_7, role_8, role_9, role_10, role_11, role_12, role_13, role_14, role_15 };
	struct test_case cases[ROLES_MAX];
	unsigned n = 0, i;

	for (i = 0; i < role_count; i++)
		all_roles[n++] = &roles[i];
	for (i = 0; i < pattern_role_count; i++)
		all_roles[n++] = &pattern_roles[i];
	for (i = 0; i < n; i++)
		cases[i] = (struct test_case){ .name = all_roles[i]->name, .run = runs[i],
			.seconds = 600 };
	// Each case plays many scenes at once, in which hearts must not stand still.
	test_at_once = 1;
	return test_main(argc, argv, cases, n);
}

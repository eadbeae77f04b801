// SPDX-License-Identifier: BSD-2-Clause
// How long a death takes to be seen by a peer that sleeps, for short and long death times: between one
// death time and one and a half. On a clock of its own, that goes on only when somebody sleeps.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "msg/port.h"

#define MS   1000000ull
#define SIZE 65536

static _Alignas(4096) uint8_t memory[SIZE];
static uint64_t clock_ns;
static struct msg_beat *beats[2];
static struct msg_context *contexts[2];
static uint64_t last_beat_ns;

static void pass(uint64_t ns)
{
	unsigned i;

	clock_ns += ns;
	if (!beats[0] || clock_ns - last_beat_ns < beats[0]->period_ns)
		return;
	last_beat_ns = clock_ns;
	for (i = 0; i < 2; i++)
		if (beats[i])
			msg_beat_once(beats[i]);
}

static uint64_t port_now(void *arg)
{
	(void)arg;
	return clock_ns;
}

static void port_relax(void *arg)
{
	(void)arg;
	pass(1000);
}

static void port_nothing(void *arg)
{
	(void)arg;
}

static enum msg_sleep_result port_sleep(void *arg, uint64_t deadline, volatile uint32_t *word,
	uint32_t value)
{
	(void)arg, (void)word, (void)value;
	if (deadline > clock_ns)
		pass(deadline - clock_ns);
	return MSG_SLEEP_TIMER;
}

static void port_copy(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
}

static void *port_alloc(void *arg, size_t size)
{
	(void)arg;
	return calloc(1, size ? size : 1);
}

static void port_free(void *arg, void *pointer)
{
	(void)arg;
	free(pointer);
}

static uint64_t port_random(void *arg)
{
	static uint64_t token;

	(void)arg;
	return token += 0x1111111111111111ull;
}

static const struct msg_wait_ops wait_ops = {
	.now = port_now,
	.relax = port_relax,
	.prepare = port_nothing,
	.sleep_until = port_sleep,
	.cancel = port_nothing,
	.copy_in = port_copy,
	.copy_out = port_copy,
	.alloc = port_alloc,
	.free = port_free,
	.random = port_random,
};

static void port_notify(void *arg, uint32_t peer, uint32_t vector)
{
	(void)arg, (void)peer, (void)vector;
}

static int beat_start(void *arg, struct msg_beat *beat)
{
	*(struct msg_beat **)arg = beat;
	return 0;
}

static void beat_stop(void *arg, struct msg_beat *beat)
{
	(void)beat;
	*(struct msg_beat **)arg = NULL;
}

uint64_t msg_now_ns(void)
{
	return clock_ns;
}

void msg_sleep_until(uint64_t deadline)
{
	port_sleep(NULL, deadline, NULL, 0);
}

static struct msg_region *join(unsigned index, uint32_t vectors, uint64_t death_ns)
{
	struct msg_region_ops ops = { .base = memory, .size = SIZE, .peer_id = index,
		.vectors = vectors, .notify = port_notify, .arg = &beats[index],
		.beat_start = beat_start, .beat_stop = beat_stop };
	struct msg_options options = { .death_ns = death_ns, .spin_ns = MSG_SPIN_NEVER,
		.deadline = clock_ns + 60000 * MS };
	struct msg_region *region;

	contexts[index] = msg_context_create(&wait_ops);
	if (!contexts[index] || msg_join(contexts[index], &ops, &options, &region)) {
		fprintf(stderr, "can't join\n");
		exit(1);
	}
	return region;
}

static bool wait_for(struct msg_region *region, enum msg_event_type type, uint64_t deadline)
{
	struct msg_wait_item item = { .type = MSG_WAIT_EVENT, .region = region };
	struct msg_event event;

	do {
		while (msg_next_event(region, &event))
			if (event.type == type)
				return true;
	} while (msg_wait(&item, 1, deadline) > 0);
	return false;
}

// vectors 0: nobody can ring the observer, which polls by timer.
static int check(uint64_t death_ns, uint32_t vectors)
{
	struct msg_region *observer, *other;
	uint64_t start;

	memset(memory, 0, SIZE);
	clock_ns = last_beat_ns = 1000 * MS;
	observer = join(0, vectors, death_ns);
	other = join(1, 1, death_ns);
	if (!wait_for(observer, MSG_EVENT_JOINED, clock_ns + 1000 * MS)) {
		fprintf(stderr, "nobody joined\n");
		return 1;
	}
	// As long as it sleeps at most, so that it sleeps long when the heart stops.
	if (wait_for(observer, MSG_EVENT_DIED, clock_ns + 2000 * MS)) {
		fprintf(stderr, "death time %llu ms: taken for dead while it lived\n",
			(unsigned long long)(death_ns / MS));
		return 1;
	}
	beats[1] = NULL;
	start = clock_ns;
	if (!wait_for(observer, MSG_EVENT_DIED, clock_ns + 10 * death_ns) ||
		clock_ns - start < death_ns - death_ns / 10 ||
		clock_ns - start > death_ns + death_ns / 2) {
		fprintf(stderr, "death time %llu ms, %u vectors: seen after %llu ms\n",
			(unsigned long long)(death_ns / MS), vectors,
			(unsigned long long)((clock_ns - start) / MS));
		return 1;
	}
	msg_leave(other);
	msg_leave(observer);
	msg_context_destroy(contexts[0]);
	msg_context_destroy(contexts[1]);
	return 0;
}

int main(void)
{
	static const uint64_t times[] = { 10, 50, 200, 1000, 30000 };
	int failed = 0;
	size_t i;

	for (i = 0; i < sizeof(times) / sizeof(*times); i++)
		failed |= check(times[i] * MS, 0) | check(times[i] * MS, 1);
	if (!failed)
		printf("PASS\n");
	return failed;
}

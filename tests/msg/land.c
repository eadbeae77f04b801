// SPDX-License-Identifier: BSD-2-Clause
/* Whose land is taken when: that of the dead last. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include "tests/msg/harness.h"

#define MEGA (1u << 20)
#define HIS  (MEGA / 2)
#define MINE (MEGA / 4)

struct writer {
	const char *path;
	volatile uint64_t *laps;
};

/* Copies without end, as one who was stopped in the middle of a copy goes on with it. */
static void writer(void *arg)
{
	struct writer *what = arg;
	struct msg_region *region = test_attach(what->path, "writer");
	struct msg_buffer *buffer;

	OK(msg_buffer_alloc(region, HIS, &buffer));
	for (;;) {
		memset(msg_buffer_data(buffer), 0xee, HIS);
		++*what->laps;
	}
}

static void the_dead_last(void)
{
	struct msg_options options = { .name = "observer", .death_ns = 300 * MS };
	struct writer what = { .path = test_region(MEGA), .laps = test_shared(sizeof(uint64_t)) };
	struct msg_buffer *buffer, *more;
	struct msg_region *region;
	struct msg_event event = { 0 };
	uint64_t laps;
	pid_t pid;

	OK(msg_attach(what.path, &options, &region));
	pid = test_spawn(writer, &what);
	UNTIL(*what.laps);
	CHECK(!kill(pid, SIGSTOP));
	while (event.type != MSG_EVENT_DIED)
		if (!OK(msg_next_event(region, &event)))
			msg_sleep_until(in_ms(5));
	// While there is other land, his is left alone.
	OK(msg_buffer_alloc(region, MINE, &buffer));
	test_fill(msg_buffer_data(buffer), MINE, 1);
	laps = *what.laps;
	CHECK(!kill(pid, SIGCONT));
	UNTIL(*what.laps > laps + 2);
	CHECK(test_filled(msg_buffer_data(buffer), MINE, 1));
	test_kill(pid);
	// When there is no other, it is taken.
	OK(msg_buffer_alloc(region, HIS - MINE / 2, &more));
	test_fill(msg_buffer_data(more), HIS - MINE / 2, 2);
	CHECK(test_filled(msg_buffer_data(buffer), MINE, 1));
	CHECK(test_filled(msg_buffer_data(more), HIS - MINE / 2, 2));
	msg_buffer_free(more);
	msg_buffer_free(buffer);
	OK(msg_leave(region));
}

static const struct test_case cases[] = {
	{ "the_dead_last", the_dead_last, 0 },
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases, sizeof(cases) / sizeof(*cases));
}

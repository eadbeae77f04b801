// SPDX-License-Identifier: BSD-2-Clause
/*
 * Peers that are threads of one process, each with its heart's thread, under TSan: they share nothing
 * but the region, whose accesses are atomics.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include "tests/adversity/threads.h"
#include "tests/msg/harness.h"

#define PEERS    4
#define MESSAGES 400
#define LIVES    30

static const char *path;

struct hello {
	uint64_t from, number;
	uint8_t data[300];
};

static struct msg_region *join(unsigned number)
{
	static const char *const names[PEERS + 1] = { "one", "two", "three", "four", "hub" };
	struct msg_options wishes = { .name = names[number], .death_ns = 5000 * MS };
	struct msg_region *region;

	OK(msg_attach(path, &wishes, &region));
	return region;
}

// Several lives each: hearts that start and stop are what there is to get wrong.
static void *talker(void *arg)
{
	uintptr_t number = (uintptr_t)arg;
	unsigned life, i;

	for (life = 0; life < LIVES; life++) {
		struct msg_region *region = join((unsigned)number);
		struct msg_channel *channel;
		struct hello hello = { .from = number }, echo;

		OK(msg_connect(region, "hub", NULL, &channel, in_ms(30000)));
		for (i = 0; i < MESSAGES; i++) {
			hello.number = i;
			test_fill(hello.data, sizeof(hello.data), i);
			OK(msg_send(channel, &hello, sizeof(hello), in_ms(30000)));
			if (i % 16)
				continue;
			EQUAL(OK(msg_recv(channel, &echo, sizeof(echo), in_ms(30000))),
				sizeof(echo));
			EQUAL(echo.number, i);
		}
		msg_close(channel);
		OK(msg_leave(region));
	}
	return NULL;
}

static void *hub(void *arg)
{
	struct msg_region *region = join(PEERS);
	struct msg_channel *channel[PEERS] = { NULL };
	struct msg_listener *listener;
	unsigned i, ended = 0;
	struct hello hello;

	OK(msg_listen(region, "hub", NULL, &listener));
	while (ended < PEERS * LIVES)
		for (i = 0; i < PEERS; i++) {
			int64_t len;

			if (!channel[i] && msg_accept(listener, &channel[i], in_ms(1)))
				channel[i] = NULL;
			if (!channel[i])
				continue;
			len = msg_recv(channel[i], &hello, sizeof(hello), in_ms(1));
			if (len == -EPIPE) {
				msg_close(channel[i]);
				channel[i] = NULL;
				ended++;
			} else if (len > 0) {
				CHECK(test_filled(hello.data, sizeof(hello.data), hello.number));
				if (hello.number % 16 == 0)
					OK(msg_send(channel[i], &hello, sizeof(hello),
						in_ms(30000)));
			}
		}
	OK(msg_leave(region));
	return arg;
}

static void threads(void)
{
	pthread_t thread[PEERS + 1];
	uintptr_t i;

	path = test_region(1 << 20);
	for (i = 0; i <= PEERS; i++)
		CHECK(!pthread_create(&thread[i], NULL, i == PEERS ? hub : talker, (void *)i));
	for (i = 0; i <= PEERS; i++)
		pthread_join(thread[i], NULL);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "threads", threads, 120 },
		{ "patterns", threads_patterns, 170 },
	};

	test_at_once = 1; /* each keeps the machine busy */
	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

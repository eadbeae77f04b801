// SPDX-License-Identifier: BSD-2-Clause
/*
 * Links, both ends in one process: cut at random places, moved, restarted, put back to an earlier
 * state, and met by strangers. What is not received must be told, once and exactly.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>
#include <isthmus/msg_link.h>
#include "msg/patterns/link_end.h"

#define MS 1000000ull
#define MEMORY 8192
#define BOTH for (int b = 0; b < 2; b++)

struct end {
	char memory[MEMORY] __attribute__((aligned(8)));
	struct msg_link *link;
	struct msg_region *region;
	const char *file;
	uint64_t sent, received;
};

static struct end ends[2]; /* 0 listens */
static char files[2][64];
static uint64_t seed;

static uint64_t draw(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

static void open_end(int e)
{
	struct end *me = &ends[e];

	memset(me->memory, 0, sizeof(me->memory));
	assert_int_equal(0, msg_link_open(me->memory, sizeof(me->memory), "test", e == 0, &me->link));
	me->sent = me->received = 0;
}

static void join(int e, int file)
{
	struct end *me = &ends[e];

	me->file = files[file];
	assert_int_equal(0, msg_attach(me->file, NULL, &me->region));
	assert_int_equal(0, msg_link_attach(me->link, me->region));
}

static void leave(int e)
{
	msg_leave(ends[e].region);
	ends[e].region = NULL;
}

static int setup(void **state)
{
	(void)state;
	seed = 88172645463325252ull;
	for (int f = 0; f < 2; f++) {
		int fd;

		strcpy(files[f], "/dev/shm/isthmus-link-test.XXXXXX");
		fd = mkstemp(files[f]);
		assert_true(fd >= 0 && !ftruncate(fd, 1 << 20));
		close(fd);
	}
	BOTH open_end(b);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	BOTH {
		msg_link_close(ends[b].link);
		leave(b);
		unlink(files[b]);
	}
	return 0;
}

static size_t fill(uint64_t *message, uint64_t number)
{
	size_t words = 1 + number % 40;

	for (size_t i = 0; i < words; i++)
		message[i] = number * 0x9e3779b97f4a7c15ull + i;
	return words * 8;
}

/* 0, or the error that isn't just "not now". */
static int send_next(int e)
{
	uint64_t message[40];
	size_t size = fill(message, ends[e].sent);
	int err = msg_link_send(ends[e].link, message, size, 0);

	ends[e].sent += !err;
	return err == -EAGAIN ? 0 : err;
}

static int receive_next(int e)
{
	uint64_t message[64], expected[40];
	int64_t got = msg_link_recv(ends[e].link, message, sizeof(message), 0);

	if (got < 0)
		return got == -EAGAIN ? 0 : (int)got;
	assert_int_equal(fill(expected, ends[e].received), got);
	assert_memory_equal(expected, message, (size_t)got);
	ends[e].received++;
	return 1;
}

static struct msg_link_stats stats_of(int e)
{
	struct msg_link_stats stats;

	msg_link_stats(ends[e].link, &stats);
	return stats;
}

static void meet(void)
{
	for (int i = 0; i < 2000 && !(stats_of(0).connected && stats_of(1).connected); i++)
		BOTH msg_link_flush(ends[b].link, msg_now_ns() + MS);
	assert_true(stats_of(0).connected && stats_of(1).connected);
}

/* Nothing is under way any more. */
static void drain(void)
{
	for (int i = 0; i < 5000; i++) {
		BOTH while (receive_next(b) > 0)
			;
		if (ends[0].sent == ends[1].received && ends[1].sent == ends[0].received)
			break;
		msg_sleep_until(msg_now_ns() + MS / 10);
	}
	BOTH assert_int_equal(ends[b].sent, ends[!b].received);
	BOTH assert_int_equal(0, msg_link_flush(ends[b].link, msg_now_ns() + 1000 * MS));
	BOTH assert_int_equal(stats_of(b).delivered, ends[b].sent);
}

static void limits(void **state)
{
	static char large[MEMORY];
	struct msg_link *other;
	struct msg_span span;

	(void)state;
	assert_int_equal(-EINVAL, msg_link_open(large, 100, "x", false, &other));
	assert_int_equal(-EINVAL, msg_link_open(large + 1, MEMORY - 1, "x", false, &other));
	assert_int_equal(-EINVAL, msg_link_open(large, MEMORY, "", false, &other));
	assert_int_equal(-ENODEV, msg_link_send(ends[0].link, large, 8, 0));
	assert_int_equal(-ENODEV, msg_link_recv(ends[0].link, large, 8, 0));
	assert_null(msg_link_item(ends[0].link));
	BOTH join(b, 0);
	assert_int_equal(-EBUSY, msg_link_attach(ends[0].link, ends[0].region));
	assert_int_equal(-EMSGSIZE, msg_link_send(ends[1].link, large, MEMORY / 4, 0));
	meet();
	/* As much as there is room for, then it waits, and each message comes once. */
	while (!msg_link_send(ends[1].link, large, 1000, 0))
		ends[1].sent++;
	assert_in_range(ends[1].sent, 4, 7);
	assert_int_equal(-ETIMEDOUT, msg_link_send(ends[1].link, large, 1000, msg_now_ns() + 5 * MS));
	assert_int_equal(-EMSGSIZE, msg_link_recv(ends[0].link, large, 999, 0));
	while (msg_link_recv(ends[0].link, large, 1000, 0) == 1000)
		ends[0].received++;
	assert_int_equal(ends[0].received, ends[1].sent);
	assert_int_equal(-EBUSY, msg_link_undelivered(ends[1].link, 0, &span));
	/* Ends, one after the other. */
	assert_int_equal(0, msg_link_finish(ends[1].link));
	assert_int_equal(0, msg_link_finish(ends[1].link));
	assert_int_equal(-EPIPE, msg_link_send(ends[1].link, large, 1, 0));
	assert_int_equal(-EPIPE, msg_link_recv(ends[0].link, large, 1000, msg_now_ns() + 1000 * MS));
	assert_int_equal(0, msg_link_send(ends[0].link, large, 1, 0));
	assert_int_equal(1, msg_link_recv(ends[1].link, large, 1000, msg_now_ns() + 1000 * MS));
	assert_int_equal(0, msg_link_finish(ends[0].link));
	assert_int_equal(-EPIPE, msg_link_recv(ends[1].link, large, 1000, msg_now_ns() + 1000 * MS));
	BOTH assert_int_equal(0, msg_link_flush(ends[b].link, msg_now_ns() + 1000 * MS));
}

/* The last word counts, although its sender has left at once. */
static void last_word(void **state)
{
	char c;

	(void)state;
	BOTH join(b, 0);
	meet();
	BOTH assert_int_equal(0, msg_link_finish(ends[b].link));
	assert_int_equal(-EPIPE, msg_link_recv(ends[1].link, &c, 1, msg_now_ns() + 1000 * MS));
	msg_link_close(ends[1].link);
	leave(1);
	assert_int_equal(-EPIPE, msg_link_recv(ends[0].link, &c, 1, msg_now_ns() + 1000 * MS));
	assert_int_equal(0, msg_link_flush(ends[0].link, msg_now_ns() + 1000 * MS));
}

static void cut_anywhere(void **state)
{
	int file = 0;

	(void)state;
	BOTH join(b, 0);
	for (int i = 0; i < 20000; i++) {
		int e = (int)draw(2), what = (int)draw(400), err = 0;

		if (what == 0) {
			leave(e);
			join(e, file);
		} else if (what == 1) { /* both move to the other region */
			leave(0);
			if (draw(2))
				err = receive_next(1);
			leave(1);
			file = !file;
			join(e, file);
			join(!e, file);
		} else {
			err = what % 2 ? send_next(e) : receive_next(e);
		}
		assert_true(err >= 0);
	}
	assert_true(stats_of(0).channels > 20);
	drain();
}

/* The listening end has completed a session of which the connecting end never learned, several times. */
static void answers_missed(void **state)
{
	(void)state;
	BOTH join(b, 0);
	meet();
	for (int n = 0; n < 5; n++) {
		BOTH assert_int_equal(0, send_next(b));
		leave(1);
		join(1, 0);
		for (int i = 0; i < 2000 && !ends[1].link->seat->said_hello; i++) {
			receive_next(0);
			receive_next(1);
		}
		assert_true(ends[1].link->seat->said_hello);
		if (ends[1].link->phase == LINK_UP)
			continue; /* it was too fast */
		ends[1].link->inside = true; /* it does nothing any more */
		for (int i = 0; i < 2000 && ends[0].link->last_session != ends[1].link->session; i++)
			receive_next(0);
		assert_true(ends[0].link->last_session == ends[1].link->session);
		leave(1);
		ends[1].link->inside = false;
		join(1, 0);
	}
	drain();
}

/* What the other end, which began anew, may not have received is told, oldest first. */
static void begun_anew(int anew)
{
	int old = !anew, count = 0, err = 0;
	uint64_t message[40];
	struct msg_span span;

	BOTH join(b, 0);
	meet();
	for (int i = 0; i < 10; i++)
		assert_int_equal(0, send_next(old));
	for (int i = 0; i < 4; i++)
		assert_int_equal(1, receive_next(anew));
	msg_link_close(ends[anew].link);
	leave(anew);
	open_end(anew);
	join(anew, 0);
	for (int i = 0; i < 2000 && !err; i++) {
		receive_next(anew);
		err = send_next(old);
		msg_sleep_until(msg_now_ns() + MS / 10);
	}
	assert_int_equal(-ECONNRESET, err);
	assert_int_equal(-ECONNRESET, msg_link_recv(ends[old].link, message, sizeof(message), 0));
	while (!msg_link_undelivered(ends[old].link, (unsigned)count, &span)) {
		assert_int_equal(fill(message, 4 + (unsigned)count), span.len);
		assert_memory_equal(message, span.data, span.len);
		count++;
	}
	assert_int_equal(ends[old].sent, 4 + count);
	assert_int_equal(0, msg_link_restart(ends[old].link));
	if (stats_of(anew).channels == 0 && receive_next(anew) == -ECONNRESET)
		msg_link_restart(ends[anew].link);
	BOTH ends[b].sent = ends[b].received = 0;
	meet();
	BOTH assert_int_equal(0, send_next(b));
	drain();
}

static void listener_begun_anew(void **state)
{
	(void)state;
	begun_anew(0);
}

static void connector_begun_anew(void **state)
{
	(void)state;
	begun_anew(1);
}

/* An end that is put back to an earlier state, as a VM's snapshot does, and writes on. */
static void put_back(int e, unsigned int meanwhile)
{
	static struct end saved;
	int err = 0, other;

	BOTH join(b, 0);
	meet();
	for (int i = 0; i < 7; i++)
		BOTH assert_int_equal(0, send_next(b));
	drain();
	leave(e);
	saved = ends[e];
	join(e, 0);
	meet();
	for (unsigned int i = 0; i < meanwhile; i++)
		assert_int_equal(0, send_next(e));
	drain();
	leave(e);
	ends[e] = saved;
	join(e, 0);
	/* Its numbers alone would fit. */
	for (unsigned int i = 0; i < 2 * meanwhile; i++)
		send_next(e);
	other = receive_next(!e);
	for (int i = 0; i < 2000 && !(err == -ECONNRESET && other == -ECONNRESET); i++) {
		assert_true(other <= 0); /* nothing of what it writes now is taken for what was */
		err = receive_next(e);
		msg_sleep_until(msg_now_ns() + MS / 10);
		other = receive_next(!e);
	}
	assert_int_equal(-ECONNRESET, err);
	assert_int_equal(-ECONNRESET, other);
	BOTH assert_int_equal(0, msg_link_restart(ends[b].link));
	BOTH ends[b].sent = ends[b].received = 0;
	meet();
	BOTH assert_int_equal(0, send_next(b));
	drain();
}

static void listener_put_back(void **state)
{
	(void)state;
	put_back(0, 5);
}

static void connector_put_back(void **state)
{
	(void)state;
	put_back(1, 5);
}

static void put_back_without_a_word(void **state)
{
	(void)state;
	put_back(1, 0);
}

/* The name of a listening end is still held by somebody: its former self, if that died. It waits. */
static void name_held(void **state)
{
	static char memory[MEMORY] __attribute__((aligned(8)));
	struct msg_listener *holder;
	struct msg_region *third;
	struct msg_link *other;

	(void)state;
	assert_int_equal(0, msg_attach(files[0], NULL, &third));
	assert_int_equal(0, msg_link_open(memory, sizeof(memory), "test", true, &other));
	assert_int_equal(0, msg_link_attach(other, third));
	/* At first that is an error. */
	assert_int_equal(0, msg_attach(files[0], NULL, &ends[0].region));
	assert_int_equal(-EADDRINUSE, msg_link_attach(ends[0].link, ends[0].region));
	msg_link_close(other);
	assert_int_equal(0, msg_link_attach(ends[0].link, ends[0].region));
	join(1, 0);
	meet();
	BOTH assert_int_equal(0, send_next(b));
	leave(0);
	assert_int_equal(0, msg_listen(third, "test", NULL, &holder));
	join(0, 0);
	assert_int_equal(0, send_next(0));
	assert_int_equal(-ETIMEDOUT, msg_link_flush(ends[0].link, msg_now_ns() + 50 * MS));
	msg_leave(third);
	drain();
}

static int wait_for_item(int e, unsigned int ms)
{
	struct msg_wait_item item = { .type = MSG_WAIT_PATTERN, .pattern = msg_link_item(ends[e].link) };

	return msg_wait(&item, 1, msg_now_ns() + ms * MS);
}

/* msg_wait keeps its deadline while nobody listens, and while the name is somebody else's; and it is enough
 * for listening again. */
static void waits_alone(void **state)
{
	struct msg_listener *holder;
	struct msg_region *third;

	(void)state;
	join(1, 0);
	assert_int_equal(-ETIMEDOUT, wait_for_item(1, 20));
	join(0, 0);
	meet();
	assert_int_equal(0, send_next(1));
	drain();
	leave(0);
	assert_int_equal(0, msg_attach(files[0], NULL, &third));
	assert_int_equal(0, msg_listen(third, "test", NULL, &holder));
	join(0, 0);
	assert_int_equal(-ETIMEDOUT, wait_for_item(0, 50));
	msg_leave(third);
	for (int i = 0; i < 500 && !ends[0].link->seat->listener; i++)
		assert_int_equal(-ETIMEDOUT, wait_for_item(0, 5));
	assert_non_null(ends[0].link->seat->listener);
	meet();
	assert_int_equal(0, send_next(1));
	drain();
}

/* Whoever is no link doesn't harm the conversation. */
static void strangers(void **state)
{
	struct msg_listener *listener;
	struct msg_channel *channel;
	struct msg_region *third;
	uint64_t junk[9] = { 0 };
	int err = 0;

	(void)state;
	BOTH join(b, 0);
	meet();
	BOTH assert_int_equal(0, send_next(b));
	drain();
	leave(1);
	assert_int_equal(0, msg_attach(files[0], NULL, &third));
	assert_int_equal(-EAGAIN, msg_link_recv(ends[0].link, junk, 8, 0));
	for (unsigned int i = 0; i < 10; i++) {
		struct msg_channel_options options = { 0 };
		struct connecting c;

		err = connect_begin(&c, third, "test", &options, KIND_LINK);

		assert_int_equal(0, err);
		for (int k = 0; k < 1000 && (err = connect_step(&c, &channel)) == -EAGAIN; k++)
			receive_next(0);
		assert_int_equal(0, err);
		junk[0] = i;
		assert_int_equal(0, msg_trysend(channel, junk, i < 8 ? i * 8 : sizeof(junk)));
		for (int k = 0; k < 100; k++)
			assert_int_equal(0, receive_next(0));
		msg_close(channel);
	}
	join(1, 0);
	meet();
	BOTH assert_int_equal(0, send_next(b));
	drain();
	err = 0;
	/* Nor does a listener of another kind look like the other end. */
	leave(0);
	msg_leave(ends[1].region);
	assert_int_equal(0, msg_listen(third, "test", NULL, &listener));
	join(1, 0);
	for (int k = 0; k < 1000 && !err; k++) {
		assert_int_equal(-EAGAIN, msg_accept(listener, &channel, 0));
		err = receive_next(1);
		msg_sleep_until(msg_now_ns() + MS / 10);
	}
	assert_int_equal(-EPROTOTYPE, err);
	assert_int_equal(0, msg_attach(files[1], NULL, &ends[0].region));
	msg_leave(third);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(limits, setup, teardown),
		cmocka_unit_test_setup_teardown(last_word, setup, teardown),
		cmocka_unit_test_setup_teardown(cut_anywhere, setup, teardown),
		cmocka_unit_test_setup_teardown(answers_missed, setup, teardown),
		cmocka_unit_test_setup_teardown(listener_begun_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(connector_begun_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(listener_put_back, setup, teardown),
		cmocka_unit_test_setup_teardown(connector_put_back, setup, teardown),
		cmocka_unit_test_setup_teardown(put_back_without_a_word, setup, teardown),
		cmocka_unit_test_setup_teardown(name_held, setup, teardown),
		cmocka_unit_test_setup_teardown(waits_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(strangers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

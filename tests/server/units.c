// SPDX-License-Identifier: BSD-2-Clause
/* The server's and the client's parts that need no socket: sizes, options, ids, queue, handshake.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/client/handshake.h"
#include "host/client/ivshmem_eventfd.h"
#include "host/client/receive.h"
#include "host/server/ids.h"
#include "host/server/options.h"
#include "host/server/queue.h"
#include "host/server/size.h"

#define NOBODY UINT64_MAX /* the oldest client, when nobody is connected */

static void test_size_parse(void **state)
{
	static const struct {
		const char *text;
		int err;
		uint64_t bytes;
	} cases[] = {
		{"0", 0, 0},
		{"1", 0, 1},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"3G", 0, UINT64_C(3) << 30},
		{"4G", 0, UINT64_C(4) << 30},
		{"1b", 0, 1},
		{"1k", 0, 1024},
		{"1T", 0, UINT64_C(1) << 40},
		{"1p", 0, UINT64_C(1) << 50},
		{"15E", 0, UINT64_C(15) << 60},
		{"16E", -ERANGE, 0},
		{"0.5k", 0, 512},
		{"1.999999999999999999999999k", 0, 2047},
		{"0x1F", 0, 31},
		{"0X10k", 0, 16384},
		{"1.5", -EINVAL, 0},
		{"1.5b", -EINVAL, 0},
		{"0x1.8k", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"k", -EINVAL, 0},
		{"1kk", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"nan", -EINVAL, 0},
		{"1\xc3\xa9", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t bytes = 0;

		print_message("size '%s'\n", cases[i].text);
		assert_int_equal(size_parse(cases[i].text, &bytes), cases[i].err);
		assert_true(bytes == cases[i].bytes);
	}
}

static void test_size_round(void **state)
{
	char text[32];

	(void)state;
	assert_true(size_round(0) == 0);
	assert_true(size_round(1) == 4096);
	assert_true(size_round(4096) == 4096);
	assert_true(size_round(4097) == 8192);
	for (unsigned int shift = 13; shift <= 62; shift++) {
		uint64_t power = UINT64_C(1) << shift;

		assert_true(size_round(power) == power);
		assert_true(size_round(power - 1) == power);
		assert_true(size_round(power + 1) == (shift == 62 ? 0 : 2 * power));
	}
	assert_true(size_round(UINT64_MAX) == 0);
	assert_string_equal(size_format(4 << 20, text), "4 MiB");
	assert_string_equal(size_format(5000, text), "5000 bytes");
	assert_string_equal(size_format(SIZE_LARGEST, text), "4 EiB");
}

static void test_options_defaults(void **state)
{
	char *argv[] = {(char *)"ivshmem-server", NULL};
	struct options options;
	char error[256];

	(void)state;
	assert_int_equal(options_parse(1, argv, &options, error), OPTIONS_RUN);
	assert_string_equal(options.pid_file, "/var/run/ivshmem-server.pid");
	assert_string_equal(options.socket_path, "/tmp/ivshmem_socket");
	assert_string_equal(options.shm_name, "ivshmem");
	assert_int_equal(options.region, OPTIONS_REGION_SHM);
	assert_true(options.size == 4 << 20);
	assert_int_equal(options.vectors, 1);
	assert_false(options.verbose || options.foreground || options.sticky_ids);
	/* No arguments at all, as execve(2) allows. */
	assert_int_equal(options_parse(0, argv + 1, &options, error), OPTIONS_RUN);
}

static void test_ids_lowest_that_harms_nobody(void **state)
{
	struct ids ids;

	(void)state;
	assert_int_equal(ids_init(&ids, 4, false), 0);
	assert_int_equal(ids_take(&ids, 1, NOBODY), 0); /* joins at 1 */
	assert_int_equal(ids_take(&ids, 1, 1), 1);      /* at 2 */
	ids_leave(&ids, 1, 3);
	assert_int_equal(ids_take(&ids, 1, 1), 2); /* at 4: the first was told that 1 has left */
	ids_leave(&ids, 0, 5);
	assert_int_equal(ids_take(&ids, 1, 4), 1); /* at 6: 2 joined after 1 had left, not 0 */
	ids_leave(&ids, 2, 7);
	assert_int_equal(ids_take(&ids, 1, 6), 0);
	ids_release(&ids);
}

static void test_ids_run_out(void **state)
{
	struct ids ids;
	uint64_t now = 1;

	(void)state;
	assert_int_equal(ids_init(&ids, IVSHMEM_PROTOCOL_IDS, false), 0);
	assert_int_equal(ids_take(&ids, 0, NOBODY), 0);
	/* One client stays and is told of all the others: none of their ids may come back. */
	for (int id = 1; id < IVSHMEM_PROTOCOL_IDS; id++) {
		assert_int_equal(ids_take(&ids, 0, 1), id);
		ids_leave(&ids, (unsigned int)id, ++now);
		if (id == 100) /* spare the test a quadratic search */
			for (unsigned int i = 101; i < 65000; i++, id++)
				ids.slots[i] = (struct id_slot){.left_at = ++now},
				ids.count = i + 1;
	}
	assert_int_equal(ids_take(&ids, 0, 1), -EUSERS);
	assert_int_equal(ids_take(&ids, 0, 1), -EUSERS);
	/* It leaves: all are free. */
	ids_leave(&ids, 0, ++now);
	assert_int_equal(ids_take(&ids, 0, NOBODY), 0);
	ids_release(&ids);
}

static void test_ids_given_back_unseen(void **state)
{
	struct ids ids;

	(void)state;
	assert_int_equal(ids_init(&ids, 4, false), 0);
	assert_int_equal(ids_take(&ids, 1, NOBODY), 0);
	assert_int_equal(ids_take(&ids, 1, 1), 1);
	ids_give_back(&ids, 1);
	assert_int_equal(ids_take(&ids, 1, 1), 1);
	ids_release(&ids);
}

static void test_ids_sticky(void **state)
{
	struct vectors *vectors;
	struct ids ids;

	(void)state;
	assert_int_equal(ids_init(&ids, 4, true), 0);
	assert_int_equal(ids_take(&ids, 2, NOBODY), 0);
	assert_int_equal(ids_take(&ids, 2, 1), 1);
	vectors = ids_vectors(&ids, 1);
	ivshmem_eventfd_ring(vectors->fds[1]);
	ids_leave(&ids, 1, 3);
	assert_true(ids_known_since(&ids, 1, 1));
	assert_false(ids_known_since(&ids, 1, 4));
	assert_int_equal(ids_take(&ids, 2, 1), 1);
	assert_ptr_equal(ids_vectors(&ids, 1), vectors);
	assert_int_equal(ivshmem_eventfd_drain(vectors->fds[1]), 0);
	ids_release(&ids);
}

static void expect_message(int sock, int64_t value, bool has_fd)
{
	struct receive receive = {.fd = -1};
	char error[256];
	int64_t got;
	int fd;

	assert_int_equal(receive_message(&receive, sock, &got, &fd, error), 1);
	assert_int_equal(got, value);
	assert_int_equal(fd >= 0, has_fd);
	if (fd >= 0)
		close(fd);
}

static void test_queue_order_and_cancel(void **state)
{
	struct vectors *vectors = vectors_create(2);
	struct queue queue = {.entries = NULL};
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	assert_int_equal(queue_push(&queue, 0, -1), 0);
	for (unsigned int id = 1; id <= 3; id++)
		assert_int_equal(queue_push_vectors(&queue, id, vectors), 0);
	assert_int_equal(queue_push(&queue, -1, vectors->fds[0]), 0);
	assert_int_equal(vectors->references, 4);
	assert_true(queue_cancel_vectors(&queue, 2));
	assert_false(queue_cancel_vectors(&queue, 2));
	assert_false(queue_cancel_vectors(&queue, 0)); /* a plain message is no join */
	assert_int_equal(vectors->references, 3);
	assert_int_equal(queue_flush(&queue, ends[0]), QUEUE_EMPTY);
	assert_int_equal(vectors->references, 1);
	expect_message(ends[1], 0, false);
	for (unsigned int i = 0; i < 4; i++)
		expect_message(ends[1], i < 2 ? 1 : 3, true);
	expect_message(ends[1], -1, true);
	close(ends[1]);
	queue_push(&queue, 7, -1);
	assert_int_equal(queue_flush(&queue, ends[0]), QUEUE_BROKEN);
	assert_int_equal(errno, EPIPE);
	queue_release(&queue);
	close(ends[0]);
	vectors_put(vectors);
}

/* Joins that a full socket has cut in two are not taken back; and the rest comes in order. */
static void test_queue_blocked(void **state)
{
	struct vectors *vectors = vectors_create(64);
	struct queue queue = {.entries = NULL};
	unsigned int cut;
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	for (unsigned int id = 0; id < 100; id++)
		assert_int_equal(queue_push_vectors(&queue, id, vectors), 0);
	assert_int_equal(queue_flush(&queue, ends[0]), QUEUE_BLOCKED);
	cut = (unsigned int)queue.entries[queue.head].value;
	if (queue.entries[queue.head].next)
		assert_false(queue_cancel_vectors(&queue, cut));
	assert_true(queue_cancel_vectors(&queue, 99));
	for (unsigned int id = 100; id < 200; id++) /* the array moves and grows meanwhile */
		assert_int_equal(queue_push_vectors(&queue, id, vectors), 0);
	for (unsigned int id = 0; id < 200; id++) {
		for (unsigned int i = 0; id != 99 && i < 64; i++) {
			queue_flush(&queue, ends[0]);
			expect_message(ends[1], id, true);
		}
	}
	assert_int_equal(queue_flush(&queue, ends[0]), QUEUE_EMPTY);
	queue_release(&queue);
	assert_int_equal(vectors->references, 1);
	vectors_put(vectors);
	close(ends[0]);
	close(ends[1]);
}

/* The rows of the state table in handshake.h, and that BROKEN is for good. */
static void test_handshake_table(void **state)
{
	struct handshake *handshake = malloc(sizeof(*handshake));
	struct handshake_message message;
	char error[256];

	(void)state;
	handshake_init(handshake);
	assert_int_equal(handshake_step(handshake, 0, false, &message, error), 0);
	assert_int_equal(handshake->state, HANDSHAKE_ID);
	assert_int_equal(handshake_step(handshake, 65535, false, &message, error), 0);
	assert_int_equal(handshake->state, HANDSHAKE_REGION);
	assert_int_equal(handshake_step(handshake, -1, true, &message, error), 0);
	assert_int_equal(handshake->state, HANDSHAKE_RUNNING);
	for (unsigned int i = 0; i < IVSHMEM_PROTOCOL_VECTORS_MAX; i++) {
		assert_int_equal(handshake_step(handshake, 0, true, &message, error), 0);
		assert_int_equal(message.meaning, HANDSHAKE_GOT_VECTOR);
		assert_int_equal(message.peer, 0);
		assert_int_equal(message.vector, i);
	}
	assert_int_equal(handshake_step(handshake, 0, false, &message, error), 0);
	assert_int_equal(message.meaning, HANDSHAKE_GOT_LEAVE);
	assert_int_equal(handshake_step(handshake, 0, true, &message, error), 0);
	assert_int_equal(message.vector, 0);
	assert_int_equal(handshake_step(handshake, 1, false, &message, error), -EPROTO);
	assert_int_equal(handshake->state, HANDSHAKE_BROKEN);
	assert_int_equal(handshake_step(handshake, 0, true, &message, error), -EPROTO);
	assert_int_equal(handshake_step(handshake, 0, false, &message, error), -EPROTO);
	free(handshake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size_parse),
		cmocka_unit_test(test_size_round),
		cmocka_unit_test(test_options_defaults),
		cmocka_unit_test(test_ids_lowest_that_harms_nobody),
		cmocka_unit_test(test_ids_run_out),
		cmocka_unit_test(test_ids_given_back_unseen),
		cmocka_unit_test(test_ids_sticky),
		cmocka_unit_test(test_queue_order_and_cancel),
		cmocka_unit_test(test_queue_blocked),
		cmocka_unit_test(test_handshake_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// Topics whose peers lie, or are killed at random.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <isthmus/msg_topic.h>
#include "msg/layout.h"
#include "tests/msg/harness.h"
#include "tests/msg/topic_stage.h"

/* ---- lies ---- */

static void any_publisher(void *arg)
{
	struct stage *stage = arg;
	uint64_t random = stage->seed;
	uint8_t data[400];
	unsigned i;

	stage_attach(stage, "publisher");
	stage_open(stage);
	for (i = 0; ; i++) {
		int err = msg_publish(stage->topic, data, test_random(&random) % sizeof(data), in_ms(50));

		CHECK(!err || err == -ETIMEDOUT || err == -EAGAIN);
		if (i % 16 == 0)
			msg_sleep_until(in_ms(1));
	}
}

// Garbage in everything that the publisher says of its topic: ends with -ECONNRESET at worst, in time.
static void lies(void)
{
	uint64_t random = 99, resets = 0, found = 0, heard = 0;
	unsigned round;

	// More rounds where few of them come to something, on a machine that is slow or busy.
	for (round = 0; round < 30 || resets <= 10 || found <= 10 || heard <= 100; round++) {
		struct stage stage = { .path = test_region(4 * MEGA), .seed = round,
			.options = { .policy = round % 3 } };
		uint64_t *region = test_map(stage.path, 4 * MEGA), *front = NULL;
		uint64_t end, i;
		uint8_t data[4096];
		pid_t pid = test_spawn(any_publisher, &stage);
		struct msg_fault fault;

		stage_attach(&stage, "subscriber");
		stage_subscribe(&stage, false);
		// What stands in front of the ring, found by its size and policy.
		for (i = 0; i < 4 * MEGA / 8 && !front; i += 8)
			if (region[i] == ((uint64_t)STAGE_RING << 32 | round % 3) && region[i + 16] < 1000)
				front = region + i;
		CHECK(front);
		end = in_ms(60);
		while (msg_now_ns() < end) {
			uint64_t word = test_random(&random) % (32 + STAGE_RING / 8), value = test_random(&random);
			int64_t len = msg_topic_recv(stage.sub, data, sizeof(data), NULL,
				test_random(&random) % 4 ? 0 : in_ms(1));

			if (len == -ECONNRESET) {
				resets++;
				// Or the publisher found that we had released what isn't there.
				found += msg_subscription_fault(stage.sub, &fault) && fault.what;
				msg_unsubscribe(stage.sub);
				front[0] = (uint64_t)STAGE_RING << 32 | round % 3;
				stage_subscribe(&stage, value % 2);
				continue;
			}
			heard += len >= 0;
			CHECK(len >= 0 || len == -EAGAIN || len == -ETIMEDOUT || len == -EMSGSIZE);
			if (value % 4)
				continue;
			if (value >> 8 & 1)
				word %= 32;
			// Wild, or near to what is there.
			front[word] = value >> 9 & 1 ? test_random(&random) :
				front[word] + (value >> 10) % 257 - 128;
		}
		test_kill(pid);
		munmap(region, 4 * MEGA);
		OK(msg_leave(stage.region));
	}
}

// Hears all there is, however long it takes.
static void hears_all(void *arg)
{
	struct stage *stage = arg;
	uint64_t i, data;

	stage_attach(stage, "honest");
	stage_subscribe(stage, false);
	for (i = 1; i <= stage->seed; i++)
		EQUAL(stage_hear(stage, i).lost, 0);
	EQUAL(msg_topic_recv(stage->sub, &data, 8, NULL, in_ms(60000)), -EPIPE);
	OK(msg_leave(stage->region));
}

static struct wire_channel *block_of(void *base, uint32_t slot, uint32_t index)
{
	struct wire_header *header = base;

	return (struct wire_channel *)((uint8_t *)base + header->slot_offset +
		(uint64_t)slot * header->slot_stride + sizeof(struct wire_slot) + header->deeds * 8) + index;
}

// A subscriber that lies about how far it is holds nobody up but itself.
static void lying_subscriber(void)
{
	struct stage stage = { .path = test_region(4 * MEGA), .seed = 5000 };
	void *base = test_map(stage.path, 4 * MEGA);
	uint64_t random = 3, i, faults = 0;
	struct msg_topic_subscriber who;
	struct msg_event event;
	pid_t honest, liar;
	unsigned k;

	stage_attach(&stage, "publisher");
	stage_open(&stage);
	honest = test_spawn(hears_all, &stage);
	stage_serve(&stage, 1);
	for (i = 1; i <= stage.seed; i++) {
		if (i % 500 == 1) {
			struct wire_channel *block;

			liar = test_spawn(stage_deaf_subscriber, &stage);
			stage_serve(&stage, 2);
			for (k = 0; ; k++) {
				OK(msg_topic_subscriber(stage.topic, k, &who));
				if (!strcmp(who.peer.name, "subscriber"))
					break;
			}
			block = block_of(base, who.peer.slot, 0);
			CHECK(block->kind == KIND_TOPIC);
			while (STATUS_STATE(__atomic_load_n(&block->status, __ATOMIC_SEQ_CST)) !=
				CHANNEL_OPEN)
				usleep(100);
			__atomic_store_n(&block->released, (uint32_t)(test_random(&random) | 1),
				__ATOMIC_SEQ_CST);
			// As soon as anybody's word counts.
			for (k = 0; k < 2 * STAGE_RING / 64; k++)
				stage_say(&stage, i++);
			i--;
			while (msg_next_event(stage.region, &event) > 0)
				if (event.type == MSG_EVENT_FAULT) {
					CHECK(!strcmp(event.peer.name, "subscriber"));
					faults++;
				}
			test_kill(liar);
		} else {
			stage_say(&stage, i);
		}
	}
	EQUAL(faults, 10);
	msg_topic_close(stage.topic);
	test_join(honest);
	OK(msg_leave(stage.region));
}

/* ---- kills at random ---- */

static void restless_publisher(void *arg)
{
	struct stage *stage = arg;
	uint64_t random = stage->seed, n;

	for (;;) {
		stage_attach(stage, "publisher");
		stage->options.policy = test_random(&random) % 3;
		stage->options.ring = STAGE_RING;
		if (!msg_topic_open(stage->region, "news", &stage->options, &stage->topic)) {
			uint64_t message[64];

			for (n = 1; n < 1 + test_random(&random) % 3000; n++) {
				size_t i, words = 1 + test_random(&random) % 64;

				for (i = 0; i < words; i++)
					message[i] = n;
				int err = msg_publish(stage->topic, message, 8 * words, in_ms(5000));

				if (err)
					CHECK(err == -ESTALE || err == -ETIMEDOUT);
				if (test_random(&random) % 50 == 0)
					msg_sleep_until(msg_now_ns() + test_random(&random) % MS);
			}
			if (test_random(&random) % 2)
				msg_topic_close(stage->topic);
		}
		msg_leave(stage->region);
	}
}

static void restless_subscriber(void *arg)
{
	struct stage *stage = arg;
	uint64_t random = stage->seed, message[64], rounds;

	for (;;) {
		struct msg_subscribe_options options = { .retained = test_random(&random) % 2 };
		struct msg_topic_mark mark;
		uint64_t expected = 0;
		int64_t len;

		stage_attach(stage, "subscriber");
		len = msg_subscribe(stage->region, "news", &options, &stage->sub, in_ms(60000));
		if (len)
			CHECK(len == -ESTALE || len == -ECONNREFUSED);
		for (rounds = test_random(&random) % 1000; !len && rounds; rounds--) {
			len = msg_topic_recv(stage->sub, message, sizeof(message), &mark, in_ms(60000));
			if (len < 0) {
				if (len != -EPIPE && len != -ESTALE)
					OK(len);
				break;
			}
			// Whole, in order, counted.
			CHECK(len >= 8 && len % 8 == 0);
			CHECK(message[0] == mark.number && message[len / 8 - 1] == mark.number);
			CHECK(!expected || mark.number == expected + mark.lost);
			expected = mark.number + 1;
			len = 0;
			if (test_random(&random) % 100 == 0)
				msg_sleep_until(msg_now_ns() + test_random(&random) % (2 * MS));
		}
		if (test_random(&random) % 2 && !len)
			msg_unsubscribe(stage->sub);
		msg_leave(stage->region);
	}
}

#define RESTLESS 4

static void kills_times(unsigned kills)
{
	struct stage stage = { .path = test_region(4 * MEGA), .seed = 1, .mortal = true };
	struct msg_region_info before, after;
	uint64_t random = 5, end;
	pid_t pids[RESTLESS];
	struct msg_event event;
	unsigned i, k;

	stage_attach(&stage, "watcher");
	msg_region_describe(stage.region, &before);
	for (i = 0; i < RESTLESS; i++, stage.seed++)
		pids[i] = test_spawn(i ? restless_subscriber : restless_publisher, &stage);
	for (k = 0; k < kills; k++, stage.seed++) {
		struct msg_wait_item item = { .type = MSG_WAIT_EVENT, .region = stage.region };

		end = msg_now_ns() + test_random(&random) % (40 * MS);
		while (msg_now_ns() < end) {
			msg_wait(&item, 1, end);
			while (msg_next_event(stage.region, &event) > 0)
				CHECK(event.type != MSG_EVENT_FAULT && event.type != MSG_EVENT_EVICTED);
		}
		i = test_random(&random) % RESTLESS;
		test_kill(pids[i]);
		pids[i] = test_spawn(i ? restless_subscriber : restless_publisher, &stage);
	}
	for (i = 0; i < RESTLESS; i++)
		test_kill(pids[i]);
	// Whoever died while it joined shows only by its land.
	for (end = in_ms(60000); ; msg_sleep_until(in_ms(20))) {
		k = (unsigned)OK(msg_peers(stage.region, NULL, 0));
		msg_region_describe(stage.region, &after);
		if (k == 1 && after.land_free == before.land_free)
			break;
		if (msg_now_ns() > end)
			EQUAL(after.land_free, before.land_free);
		CHECK(msg_now_ns() < end);
	}
	OK(msg_leave(stage.region));
}

static void kills(void)
{
	kills_times(100);
}

static void kills_more(void)
{
	kills_times(1000);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "lies", lies, 150 },
		{ "lying_subscriber", lying_subscriber, 150 },
		{ "kills", kills, 150 },
		{ "kills_more", kills_more, 300 },
	};

	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

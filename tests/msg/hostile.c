// SPDX-License-Identifier: BSD-2-Clause
/*
 * A peer that breaks the format, rule by rule: the victim's channel ends with -ECONNRESET and a
 * report of what was seen; its other channels go on. The rogue is a thread that only waits, so
 * that each step is exact.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "msg/layout.h"
#include "msg/ring.h"
#include "tests/msg/harness.h"

#define MEGA (1u << 20)
#define RING 4096

struct stage {
	const char *path;
	uint8_t *base;
	struct geometry geo;
	struct msg_region *victim, *rogue;
	struct msg_listener *listener;
	/* [0] is attacked, [1] must survive. */
	struct msg_channel *at_victim[2], *at_rogue[2];
	struct wire_channel *rogue_block, *victim_block;
	struct wire_slot *rogue_slot, *victim_slot;
};


static struct wire_slot *slot_of(struct stage *stage, uint32_t index)
{
	return (struct wire_slot *)(stage->base + stage->geo.slot_offset +
		(uint64_t)index * stage->geo.slot_stride);
}

static struct wire_channel *block_of(struct stage *stage, struct wire_slot *slot, uint32_t index)
{
	return (struct wire_channel *)((uint8_t *)(slot + 1) + stage->geo.deeds * 8) + index;
}

// The accepting half runs in a second thread with a region of its own for as long as the case
// lasts.
static struct {
	struct stage *stage;
	pthread_barrier_t barrier;
} rogue;

static void *rogue_main(void *arg)
{
	struct stage *stage = arg;
	struct msg_channel_options options = { .ring = RING };
	unsigned i;

	stage->rogue = test_attach_patient(stage->path, "rogue");
	for (i = 0; i < 2; i++)
		OK(msg_connect(stage->rogue, "victim", &options, &stage->at_rogue[i],
			in_ms(20000)));
	pthread_barrier_wait(&rogue.barrier);
	pthread_barrier_wait(&rogue.barrier);
	msg_leave(stage->rogue);
	return NULL;
}

static pthread_t set_stage(struct stage *stage)
{
	struct msg_channel_options options = { .ring = RING };
	struct msg_peer self;
	pthread_t thread;
	unsigned i;

	memset(stage, 0, sizeof(*stage));
	stage->path = test_region(MEGA);
	stage->base = test_map(stage->path, MEGA);
	EQUAL(geometry_choose(&stage->geo, MEGA, NULL), 0);
	stage->victim = test_attach_patient(stage->path, "victim");
	OK(msg_listen(stage->victim, "victim", &options, &stage->listener));
	pthread_barrier_init(&rogue.barrier, NULL, 2);
	CHECK(!pthread_create(&thread, NULL, rogue_main, stage));
	for (i = 0; i < 2; i++)
		OK(msg_accept(stage->listener, &stage->at_victim[i], in_ms(20000)));
	pthread_barrier_wait(&rogue.barrier);
	msg_self(stage->victim, &self);
	stage->victim_slot = slot_of(stage, self.slot);
	stage->victim_block = block_of(stage, stage->victim_slot, 0);
	msg_channel_peer(stage->at_victim[0], &self);
	stage->rogue_slot = slot_of(stage, self.slot);
	stage->rogue_block = block_of(stage, stage->rogue_slot, 0);
	EQUAL(STATUS_STATE(stage->rogue_block->status), CHANNEL_OPEN);
	return thread;
}

static void clear_stage(struct stage *stage, pthread_t thread)
{
	struct msg_wait_stats stats;
	char c = 0;

	// The other channel still works, both ways.
	OK(msg_send(stage->at_victim[1], "y", 1, 0));
	EQUAL(msg_recv(stage->at_victim[1], &c, 1, 0), -EAGAIN);
	msg_wait_stats(stage->victim, &stats);
	EQUAL(stats.resets, stage->victim_slot->resets);
	pthread_barrier_wait(&rogue.barrier);
	pthread_join(thread, NULL);
	OK(msg_leave(stage->victim));
}

// The victim's channel was reset with a report of this rule and value; each is reported once.
static void expect_fault(struct stage *stage, const char *what, uint64_t seen)
{
	struct msg_event event;
	struct msg_fault fault;
	unsigned faults = 0;

	CHECK(msg_fault_of(stage->at_victim[0], &fault));
	if (strcmp(fault.what, what) || fault.seen != seen)
		fprintf(stderr, "%s: 0x%llx\n", fault.what, (unsigned long long)fault.seen);
	CHECK(!strcmp(fault.what, what));
	EQUAL(fault.seen, seen);
	while (msg_next_event(stage->victim, &event) > 0) {
		CHECK(!strcmp(event.peer.name, "rogue"));
		faults += event.type == MSG_EVENT_FAULT;
	}
	EQUAL(faults, 1);
	EQUAL(STATUS_STATE(stage->victim_block->status), CHANNEL_RESET);
	EQUAL(stage->victim_block->reason, REASON_BAD_VALUE);
	EQUAL(msg_send(stage->at_victim[0], "x", 1, 0), -ECONNRESET);
	EQUAL(msg_tryrecv(stage->at_victim[0], &event, 1), -ECONNRESET);
	msg_close(stage->at_victim[0]);
}

static void released_too_far(void)
{
	struct stage stage;
	pthread_t thread = set_stage(&stage);
	char data[1000] = { 0 };

	stage.rogue_block->released = 0x12340;
	while (!msg_trysend(stage.at_victim[0], data, sizeof(data)))
		;
	expect_fault(&stage, "impossible released position", 0x12340);
	clear_stage(&stage, thread);
}

static void released_backwards(void)
{
	struct stage stage;
	pthread_t thread = set_stage(&stage);
	char data[1000] = { 0 };
	struct msg_stats stats;

	OK(msg_send(stage.at_victim[0], data, sizeof(data), 0));
	stage.rogue_block->released = 0 - 64u;
	msg_stats(stage.at_victim[0], &stats);
	expect_fault(&stage, "impossible released position", 0 - 64u);
	clear_stage(&stage, thread);
}

// Writes a word where the victim looks for its next record.
static uint64_t *next_header(struct stage *stage)
{
	return (uint64_t *)(stage->base + stage->rogue_block->ring_offset);
}

static void record_too_long(void)
{
	uint32_t lengths[] = { RING / 2 + 1, RING, 0x7fffffff, 0xffffffff, 0xfffffff8 };
	unsigned i;

	for (i = 0; i < 5; i++) {
		struct stage stage;
		pthread_t thread = set_stage(&stage);
		uint64_t header = ring_header(0, lengths[i], RING_MESSAGE, 0);
		char data[8];

		*next_header(&stage) = header;
		EQUAL(msg_tryrecv(stage.at_victim[0], data, sizeof(data)), -ECONNRESET);
		expect_fault(&stage, "impossible record length", header);
		clear_stage(&stage, thread);
	}
}

static void record_of_unknown_type(void)
{
	struct stage stage;
	pthread_t thread = set_stage(&stage);
	uint64_t header = ring_header(0, 8, 9, 0);
	struct msg_span span;

	*next_header(&stage) = header;
	EQUAL(msg_peek(stage.at_victim[0], &span, 1, 0), -ECONNRESET);
	expect_fault(&stage, "unknown record type", header);
	clear_stage(&stage, thread);
}

static void record_of_another_position(void)
{
	struct stage stage;
	pthread_t thread = set_stage(&stage);
	char data[8];

	// No header for this place: as if nothing were there.
	*next_header(&stage) = ring_header(64, 8, RING_MESSAGE, 0);
	EQUAL(msg_tryrecv(stage.at_victim[0], data, sizeof(data)), -EAGAIN);
	*next_header(&stage) = ring_header(0, 8, RING_NONE, 0);
	EQUAL(msg_tryrecv(stage.at_victim[0], data, sizeof(data)), -EAGAIN);
	msg_close(stage.at_victim[0]);
	clear_stage(&stage, thread);
}

static void buffer_elsewhere(void)
{
	uint64_t places[][2] = { { 0, 100 }, { MEGA - 10, 100 }, { ~0ull, 1 }, { 0, ~0ull },
		{ 0x8000, ~0ull - 0x7000 } };
	unsigned i;

	for (i = 0; i < 6; i++) {
		struct stage stage;
		pthread_t thread = set_stage(&stage);
		uint64_t *header = next_header(&stage);
		uint64_t offset = i < 5 ? places[i][0] : stage.victim_block->ring_offset;
		uint8_t data[100];

		// Also into the victim's own ring, which is not the rogue's to hand over.
		header[1] = offset;
		header[2] = i < 5 ? places[i][1] : 16;
		*header = ring_header(0, 16, RING_BUFFER, 0);
		EQUAL(msg_next_length(stage.at_victim[0], 0), -ECONNRESET);
		EQUAL(msg_tryrecv(stage.at_victim[0], data, sizeof(data)), -ECONNRESET);
		expect_fault(&stage, "buffer outside the sender's land", offset);
		clear_stage(&stage, thread);
	}
}

static void descriptor_too_short(void)
{
	struct stage stage;
	pthread_t thread = set_stage(&stage);
	uint64_t header = ring_header(0, 8, RING_BUFFER, 0);

	*next_header(&stage) = header;
	EQUAL(msg_next_length(stage.at_victim[0], 0), -ECONNRESET);
	expect_fault(&stage, "unknown record type", header);
	clear_stage(&stage, thread);
}

static void unknown_state(void)
{
	struct stage stage;
	pthread_t thread = set_stage(&stage);
	uint64_t status = STATUS(STATUS_GENERATION(stage.rogue_block->status), 77);

	stage.rogue_block->status = status;
	EQUAL(msg_trysend(stage.at_victim[0], "x", 1), 0);
	expect_fault(&stage, "unknown channel state", status);
	clear_stage(&stage, thread);
}

// A request that names an impossible ring is refused, and the listener goes on.
static void impossible_request(void)
{
	struct stage stage;
	pthread_t thread = set_stage(&stage);
	struct wire_channel *block = block_of(&stage, stage.rogue_slot, 5);
	struct { uint64_t offset; uint32_t size, start; } bad[] = {
		{ 0, RING, 0 }, { ~0ull, RING, 0 }, { stage.rogue_block->ring_offset, RING * 2, 0 },
		{ stage.rogue_block->ring_offset, RING - 1, 0 }, { stage.rogue_block->ring_offset,
		0, 0 },
		{ stage.rogue_block->ring_offset, 1u << 31, 0 },
		{ stage.rogue_block->ring_offset, RING, 8 },
		{ stage.rogue_block->ring_offset + 8, RING, 0 },
		{ stage.victim_block->ring_offset, RING, 0 },
	};
	struct msg_channel *channel;
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		*block = *stage.rogue_block;
		block->endpoint = stage.victim_slot->endpoint[0].state >> 2 << 8;
		block->ring_offset = bad[i].offset;
		block->ring_size = bad[i].size;
		block->ring_start = bad[i].start;
		block->status = STATUS(i + 1, CHANNEL_CONNECT);
		stage.rogue_slot->changes += 100;
		TIMES_OUT(msg_accept(stage.listener, &channel, in_ms(20)));
		EQUAL(stage.victim_slot->endpoint[0].refusal >> 32, i + 1);
		EQUAL(stage.victim_slot->endpoint[0].refusal & 15, REASON_BAD_VALUE);
	}
	// An endpoint that doesn't exist, and one that is somebody else's: not for us.
	block->endpoint = 200;
	block->status = STATUS(100, CHANNEL_CONNECT);
	stage.rogue_slot->changes += 100;
	TIMES_OUT(msg_accept(stage.listener, &channel, in_ms(20)));
	msg_close(stage.at_victim[0]);
	clear_stage(&stage, thread);
}

// Channels that are closed before their faults are told: each is told all the same.
static void closed_untold(void)
{
	struct stage stage;
	pthread_t thread = set_stage(&stage);
	uint64_t seen[2] = { 0x4d, 0x4e };
	struct msg_event event;
	unsigned i, faults = 0;

	for (i = 0; i < 2; i++) {
		block_of(&stage, stage.rogue_slot, i)->status = STATUS(1, (uint32_t)seen[i]);
		stage.rogue_slot->changes += 100;
	}
	CHECK(msg_peers(stage.victim, NULL, 0) == 2);
	for (i = 0; i < 2; i++) {
		struct msg_fault fault;

		CHECK(msg_fault_of(stage.at_victim[i], &fault));
		msg_close(stage.at_victim[i]);
	}
	while (msg_next_event(stage.victim, &event) > 0) {
		if (event.type != MSG_EVENT_FAULT)
			continue;
		CHECK(faults < 2);
		EQUAL(event.fault.seen, STATUS(1, seen[faults]));
		CHECK(!strcmp(event.peer.name, "rogue"));
		faults++;
	}
	EQUAL(faults, 2);
	pthread_barrier_wait(&rogue.barrier);
	pthread_join(thread, NULL);
	OK(msg_leave(stage.victim));
}

// Two such requests at a time, that stay: a refusal has place for one of them. Each is refused once for each
// change of their slot, and not in turn without end.
static void impossible_requests(void)
{
	struct stage stage;
	pthread_t thread = set_stage(&stage);
	struct msg_wait_item item = { .type = MSG_WAIT_ACCEPT, .listener = stage.listener };
	struct wire_endpoint *endpoint = &stage.victim_slot->endpoint[0];
	struct wire_channel *block;
	struct msg_channel *channel;
	uint32_t changes;
	unsigned i;

	for (i = 5; i < 7; i++) {
		block = block_of(&stage, stage.rogue_slot, i);
		*block = *stage.rogue_block;
		block->endpoint = endpoint->state >> 2 << 8;
		block->ring_size = RING - 1;
		block->status = STATUS(i, CHANNEL_CONNECT);
	}
	for (i = 0; i < 3; i++) {
		stage.rogue_slot->changes += 100;
		EQUAL(msg_accept(stage.listener, &channel, 0), -EAGAIN);
		EQUAL(endpoint->refusal >> 32, 6);
		changes = stage.victim_slot->changes;
		TIMES_OUT(msg_wait(&item, 1, in_ms(20)));
		TIMES_OUT(msg_accept(stage.listener, &channel, in_ms(5)));
		EQUAL(stage.victim_slot->changes, changes);
	}
	// A good one among them is taken.
	block = block_of(&stage, stage.rogue_slot, 6);
	block->ring_size = stage.rogue_block->ring_size;
	stage.rogue_slot->changes += 100;
	OK(msg_accept(stage.listener, &channel, 0));
	msg_close(channel);
	block->status = STATUS(6, CHANNEL_FREE);
	msg_close(stage.at_victim[0]);
	clear_stage(&stage, thread);
}

// Everything that the rogue owns, overwritten at random while the victim uses it.
static void scribble(void)
{
	uint64_t random = 4711;
	unsigned round, i;

	for (round = 0; round < 60; round++) {
		struct stage stage;
		pthread_t thread = set_stage(&stage);
		uint64_t *words[3] = { (uint64_t *)stage.rogue_slot + 1,
			(uint64_t *)stage.rogue_block,
			next_header(&stage) };
		size_t sizes[3] = { sizeof(struct wire_slot) / 8 - 1,
			sizeof(struct wire_channel) / 8,
			RING / 8 };
		uint8_t data[5000];
		struct msg_event event;
		struct msg_channel *channel;

		for (i = 0; i < 3000; i++) {
			uint64_t r = test_random(&random);
			unsigned which = r % 3;
			uint64_t *word = words[which] + (r >> 8) % sizes[which];

			switch (r >> 40 & 3) {
			case 0: *word = test_random(&random); break;
			case 1: *word = test_random(&random) % 64; break;
			case 2: *word += 16; break;
			case 3: *word = ring_header((uint32_t)(r >> 44) * 16 % RING,
					(uint32_t)test_random(&random) % RING,
					1 + (r >> 60) % 2, 0);
				break;
			}
			switch (i % 5) {
			case 0: msg_trysend(stage.at_victim[0], data, r >> 20 & 2047); break;
			case 1: msg_tryrecv(stage.at_victim[0], data, sizeof(data)); break;
			case 2: msg_next_event(stage.victim, &event); break;
			case 3: msg_peers(stage.victim, NULL, 0); break;
			case 4:
				if (i % 100 == 4 && !msg_accept(stage.listener, &channel, 0))
					msg_close(channel);
				break;
			}
		}
		msg_close(stage.at_victim[0]);
		// The rogue may well have been taken for dead in the meantime: nothing to say of
		// [1].
		pthread_barrier_wait(&rogue.barrier);
		pthread_join(thread, NULL);
		OK(msg_leave(stage.victim));
	}
}

#define LIVES   6
#define REPORTS 60

// Breaks the format again and again, and comes back to do more of it.
static void endless_rogue(void *arg)
{
	struct stage stage = { .path = arg, .base = test_map(arg, WIRE_MIN_SIZE) };
	struct msg_channel *channel;
	struct msg_region *region = NULL;
	struct wire_slot *slot;
	struct msg_peer self;
	unsigned i, k;
	int64_t ended;
	char c;

	EQUAL(geometry_choose(&stage.geo, WIRE_MIN_SIZE, NULL), 0);
	for (i = 0; i < REPORTS; i++) {
		if (i % (REPORTS / LIVES) == 0)
			region = test_attach_patient(stage.path, "rogue");
		OK(msg_connect(region, "victim", NULL, &channel, in_ms(50000)));
		EQUAL(msg_recv(channel, &c, 1, in_ms(50000)), 1);
		msg_self(region, &self);
		slot = slot_of(&stage, self.slot);
		for (k = 0; k < stage.geo.channels; k++)
			if (STATUS_STATE(block_of(&stage, slot, k)->status) == CHANNEL_OPEN)
				block_of(&stage, slot, k)->status |= 7;
		slot->changes += 100;
		ended = msg_recv(channel, &c, 1, in_ms(50000));
		CHECK(ended == -ECONNRESET || ended == -EPIPE);
		msg_close(channel);
		if (i % (REPORTS / LIVES) == REPORTS / LIVES - 1)
			OK(msg_leave(region));
	}
}

// Each is told to the app; the log has a few of them and the number of the others.
static void endless(void)
{
	const char *path = test_region(WIRE_MIN_SIZE);
	struct msg_region *region = test_attach_patient(path, "victim");
	unsigned i, faults = 0, shown = 0;
	unsigned long long held = 0;
	struct msg_listener *listener;
	struct msg_channel *channel;
	struct msg_event event;
	FILE *log = tmpfile();
	char line[300], c;
	pid_t pid;
	int own;

	OK(msg_listen(region, "victim", NULL, &listener));
	pid = test_spawn(endless_rogue, (void *)(uintptr_t)path);
	own = dup(STDERR_FILENO);
	CHECK(log && dup2(fileno(log), STDERR_FILENO) >= 0);
	for (i = 0; i < REPORTS; i++) {
		OK(msg_accept(listener, &channel, in_ms(50000)));
		OK(msg_send(channel, "x", 1, in_ms(50000)));
		EQUAL(msg_recv(channel, &c, 1, in_ms(50000)), -ECONNRESET);
		while (msg_next_event(region, &event) > 0)
			faults += event.type == MSG_EVENT_FAULT;
		msg_close(channel);
	}
	test_join(pid);
	OK(msg_leave(region));
	dup2(own, STDERR_FILENO);
	EQUAL(faults, REPORTS);
	rewind(log);
	while (fgets(line, sizeof(line), log)) {
		unsigned long long n;
		const char *more = strstr(line, ": ");

		shown += !!strstr(line, "unknown channel state");
		more = more ? strstr(more + 2, ": ") : NULL;
		if (more && sscanf(more, ": %llu more reports", &n) == 1)
			held += n;
	}
	fclose(log);
	printf("%u reports shown, %llu counted\n", shown, held);
	// Four of each life, unless two of them had the same slot.
	CHECK(shown >= 4 && shown <= 4 * LIVES);
	EQUAL(shown + held, REPORTS);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "released_too_far", released_too_far, 0 },
		{ "released_backwards", released_backwards, 0 },
		{ "record_too_long", record_too_long, 0 },
		{ "record_of_unknown_type", record_of_unknown_type, 0 },
		{ "record_of_another_position", record_of_another_position, 0 },
		{ "buffer_elsewhere", buffer_elsewhere, 0 },
		{ "descriptor_too_short", descriptor_too_short, 0 },
		{ "unknown_state", unknown_state, 0 },
		{ "impossible_request", impossible_request, 0 },
		{ "closed_untold", closed_untold, 0 },
		{ "impossible_requests", impossible_requests, 10 },
		{ "scribble", scribble, 0 },
		{ "endless", endless, 120 },
	};

	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

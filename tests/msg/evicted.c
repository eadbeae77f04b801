// SPDX-License-Identifier: BSD-2-Clause
/*
 * A peer whose place is no longer its own: by the rules (it stood still, the region was formatted anew),
 * of which the event of eviction tells enough, or since somebody overwrote its claim or the header: then it
 * says what it found there, once. And a region that held something else before it was formatted.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "msg/internal.h"
#include "tests/msg/harness.h"

#define MEGA (1u << 20)

/* Standard error goes to a file for a while; how many lines with text in it there were. */
static struct {
	FILE *file;
	int own;
} heard;

static void listen_to_log(void)
{
	heard.file = tmpfile();
	heard.own = dup(STDERR_FILENO);
	CHECK(heard.file && dup2(fileno(heard.file), STDERR_FILENO) >= 0);
}

static unsigned lines_heard(const char *text)
{
	unsigned n = 0;
	char line[300];

	fflush(stderr);
	dup2(heard.own, STDERR_FILENO);
	close(heard.own);
	rewind(heard.file);
	while (fgets(line, sizeof(line), heard.file)) {
		fputs(line, stderr);
		n += !!strstr(line, text);
	}
	fclose(heard.file);
	return n;
}

struct stage {
	struct msg_region *region;
	struct wire_header *header;
	struct wire_slot *slot;
};

static struct stage set_stage_of(const char *path, struct msg_region *region)
{
	struct stage stage = { .region = region };
	struct msg_peer self;
	uint8_t *base = test_map(path, MEGA);

	stage.header = (struct wire_header *)base;
	msg_self(stage.region, &self);
	stage.slot = (struct wire_slot *)(base + stage.header->slot_offset +
		(uint64_t)self.slot * stage.header->slot_stride);
	listen_to_log();
	return stage;
}

static struct stage set_stage(void)
{
	const char *path = test_region(MEGA);

	return set_stage_of(path, test_attach_patient(path, "it"));
}

/* The eviction is told once, and with it, in its log as well, what was overwritten; NULL: nothing. */
static void expect(struct stage *stage, const char *what, const void *where, uint64_t seen)
{
	struct msg_event event;
	unsigned i;

	EQUAL(msg_peers(stage->region, NULL, 0), -ESTALE);
	EQUAL(msg_next_event(stage->region, &event), 1);
	EQUAL(event.type, MSG_EVENT_EVICTED);
	if (what) {
		EQUAL(msg_next_event(stage->region, &event), 1);
		EQUAL(event.type, MSG_EVENT_FAULT);
		CHECK(!strcmp(event.peer.name, "it") && event.peer.self);
		CHECK(!strcmp(event.fault.what, what));
		EQUAL(event.fault.offset, (const char *)where - (const char *)stage->header);
		EQUAL(event.fault.seen, seen);
	}
	for (i = 0; i < 10; i++) {
		EQUAL(msg_peers(stage->region, NULL, 0), -ESTALE);
		EQUAL(msg_next_event(stage->region, &event), 0);
	}
	EQUAL(msg_leave(stage->region), -ESTALE);
	EQUAL(lines_heard("is evicted: "), what ? 1 : 0);
}

static void overwritten_claim(void)
{
	static const uint64_t values[] = { 0, 1, UINT64_MAX, 0x24e96cf7ea1b0b18 };
	size_t i;

	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct stage stage = set_stage();

		stage.slot->claim = values[i];
		expect(&stage, "its slot was overwritten", &stage.slot->claim, values[i]);
	}
}

static void overwritten_header(void)
{
	struct stage stage = set_stage();

	memset(stage.header, 0, sizeof(*stage.header));
	expect(&stage, "the region's header was overwritten", &stage.header->format_id, 0);
	stage = set_stage();
	memset(stage.header, 0xff, sizeof(*stage.header));
	expect(&stage, "the region's header was overwritten", &stage.header->format_id, UINT64_MAX);
}

/* The version is looked at eight times in the death time. */
static struct stage set_hasty_stage(void)
{
	struct msg_options options = { .name = "it", .death_ns = 1000 * MS };
	const char *path = test_region(MEGA);
	struct msg_region *region;

	OK(msg_attach(path, &options, &region));
	return set_stage_of(path, region);
}

/* Whoever comes would take us for peers of another version, and stay away as long as we live. */
static void overwritten_version(void)
{
	struct stage stage = set_hasty_stage();
	struct msg_event event;
	uint64_t end = in_ms(20000);

	stage.header->version ^= 0x1000000;
	while (msg_peers(stage.region, NULL, 0) >= 0 && msg_now_ns() < end)
		msg_sleep_until(in_ms(5));
	expect(&stage, "the region's header was overwritten", &stage.header->version,
		stage.header->version);
	stage = set_hasty_stage();
	stage.header->version++;
	end = in_ms(600);
	while (msg_now_ns() < end) {
		OK(msg_peers(stage.region, NULL, 0));
		EQUAL(msg_next_event(stage.region, &event), 0);
		msg_sleep_until(in_ms(5));
	}
	OK(msg_leave(stage.region));
	EQUAL(lines_heard("is evicted: "), 0);
}

static void by_the_rules(void)
{
	struct stage stage = set_stage();
	uint64_t life = stage.slot->claim;

	stage.slot->claim = CLAIM_WITH(life, CLAIM_DEAD);
	expect(&stage, NULL, NULL, 0);
	/* A successor, which has left again. */
	stage = set_stage();
	life = stage.slot->claim;
	stage.slot->claim = CLAIM_WITH(life + (3ull << 32) + 0x1230, CLAIM_LEFT);
	expect(&stage, NULL, NULL, 0);
	/* Somebody formats. */
	stage = set_stage();
	stage.header->format_claim = 0x1235;
	stage.header->magic = 0;
	stage.slot->claim = 0;
	expect(&stage, NULL, NULL, 0);
	/* Somebody, who knows a later format, did. */
	stage = set_stage();
	stage.header->version = (WIRE_MAJOR + 1) << 16;
	stage.header->format_id++;
	expect(&stage, NULL, NULL, 0);
}

static void garbage(void)
{
	const char *path = test_region(MEGA);

	listen_to_log();
	OK(msg_leave(test_attach_patient(path, "first")));
	EQUAL(lines_heard("formatted anew"), 0);
	memset(test_map(path, MEGA), 0x5a, MEGA);
	listen_to_log();
	OK(msg_leave(test_attach_patient(path, "second")));
	OK(msg_leave(test_attach_patient(path, "third")));
	EQUAL(lines_heard("formatted anew: what it held is no format of this kind: 0x5a5a5a5a5a5a5a5a "
		"at offset 0x0"), 1);
}

static struct {
	struct msg_listener *listener;
	struct msg_channel *channel;
} accepted;

static void accept_one(void)
{
	if (!accepted.channel && msg_accept(accepted.listener, &accepted.channel, 0))
		accepted.channel = NULL;
}

/* Both ends of a channel, in one thread. */
static void meet(struct msg_region *from, struct msg_listener *listener, struct msg_channel **here,
	struct msg_channel **there)
{
	accepted.listener = listener;
	accepted.channel = NULL;
	test_at_sleep(from, accept_one);
	OK(msg_connect(from, "it", NULL, here, in_ms(20000)));
	test_at_sleep(from, NULL);
	*there = accepted.channel;
}

/* What is read where we aren't any more is no message's length. */
static void no_length(void)
{
	char data[8];
	struct msg_span span = { data, sizeof(data) };
	unsigned way;

	for (way = 0; way < 4; way++) {
		const char *path = test_region(MEGA);
		struct msg_region *it = test_attach_patient(path, "it");
		struct msg_region *other = test_attach_patient(path, "other");
		struct wire_header *header = test_map(path, MEGA);
		struct msg_listener *listener;
		struct msg_channel *sender, *receiver;
		struct msg_peer self;
		uint64_t *claim;

		OK(msg_listen(it, "it", NULL, &listener));
		meet(other, listener, &sender, &receiver);
		OK(msg_send(sender, "far too long", 12, in_ms(20000)));
		msg_self(it, &self);
		claim = (uint64_t *)((uint8_t *)header + header->slot_offset +
			(uint64_t)self.slot * header->slot_stride);
		*claim = CLAIM_WITH(*claim, CLAIM_DEAD);
		switch (way) {
		case 0: EQUAL(msg_tryrecv(receiver, data, sizeof(data)), -ESTALE); break;
		case 1: EQUAL(msg_next_length(receiver, 0), -ESTALE); break;
		case 2: EQUAL(msg_recv_batch(receiver, &span, 1, 0), -ESTALE); break;
		case 3: EQUAL(msg_recv_array(receiver, data, sizeof(data), 1, 0), -ESTALE); break;
		}
		EQUAL(msg_leave(it), -ESTALE);
		OK(msg_leave(other));
	}
}

/* Taken for dead while it copies the second of two messages. */
static struct {
	struct msg_wait_ops ops;
	void (*copy_out)(void *data, const void *region, size_t len);
	uint64_t *claim;
	unsigned copies;
} lost;

static void lost_copy(void *data, const void *region, size_t len)
{
	lost.copy_out(data, region, len);
	if (++lost.copies == 2)
		*lost.claim = CLAIM_WITH(*lost.claim, CLAIM_DEAD);
}

/* Bytes of a stream that were given back are read, though the peer is evicted behind them; those that were not
 * are their sender's to know. With the second message whole, and with a part of it. */
static void read_before(void)
{
	static const size_t sizes[] = { 3000, 1500 };
	uint8_t first[1000], second[1200], data[3000];
	struct msg_span span;
	unsigned way;

	test_fill(first, sizeof(first), 1);
	test_fill(second, sizeof(second), 2);
	for (way = 0; way < 2; way++) {
		const char *path = test_region(MEGA);
		struct msg_region *it = test_attach_patient(path, "it");
		struct msg_region *other = test_attach_patient(path, "other");
		struct msg_listener *listener;
		struct msg_channel *sender, *receiver;

		OK(msg_listen(it, "it", NULL, &listener));
		meet(other, listener, &sender, &receiver);
		EQUAL(msg_write(sender, first, sizeof(first), in_ms(20000)), sizeof(first));
		EQUAL(msg_write(sender, second, sizeof(second), in_ms(20000)), sizeof(second));
		lost.ops = *it->context->ops;
		lost.copy_out = lost.ops.copy_out;
		lost.ops.copy_out = lost_copy;
		lost.claim = &it->slot->claim;
		lost.copies = 0;
		it->context->ops = &lost.ops;
		EQUAL(msg_read(receiver, data, sizes[way], 0), sizeof(first));
		EQUAL(lost.copies, 2);
		CHECK(test_filled(data, sizeof(first), 1));
		EQUAL(msg_read(receiver, data, sizeof(data), 0), -ESTALE);
		EQUAL(msg_leave(it), -ESTALE);
		EQUAL(msg_recv(sender, data, sizeof(data), in_ms(20000)), -EPIPE);
		OK(msg_unreleased(sender, 0, &span));
		EQUAL(span.len, sizeof(second));
		CHECK(test_filled(span.data, span.len, 2));
		EQUAL(msg_unreleased(sender, 1, &span), -ENOENT);
		OK(msg_leave(other));
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "overwritten_claim", overwritten_claim, 0 },
		{ "overwritten_header", overwritten_header, 0 },
		{ "overwritten_version", overwritten_version, 0 },
		{ "by_the_rules", by_the_rules, 0 },
		{ "garbage", garbage, 0 },
		{ "no_length", no_length, 0 },
		{ "read_before", read_before, 0 },
	};

	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

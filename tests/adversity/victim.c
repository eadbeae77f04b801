// SPDX-License-Identifier: BSD-2-Clause
// See victim.h.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "tests/adversity/bounds.h"
#include "tests/adversity/victim_life.h"
#include "tests/msg/harness.h"

#define CHANNELS VICTIM_CHANNELS
#define LONGEST  6000

uint64_t victim_pick(struct life *life, uint64_t n)
{
	return test_random(&life->random) % n;
}

// Every result that the header promises, and no other.
int64_t victim_result(struct life *life, int64_t value)
{
	life->victim->steps++;
	switch (-value) {
	case EAGAIN: case ETIMEDOUT: case EPIPE: case ECONNRESET: case ENODEV: case ESTALE:
	case ENOSPC: case EMSGSIZE: case ECONNREFUSED: case ENOENT: case EBUSY: case ENOBUFS:
	case EADDRINUSE: case EINVAL: case EPROTO: case EPROTOTYPE:
	case ECANCELED:
		return value;
	}
	if (value < 0)
		test_fail(__FILE__, __LINE__, "a call of a peer among liars", value);
	return value;
}

void victim_touch(const struct msg_span *spans, int64_t count)
{
	volatile uint8_t sum = 0;
	int64_t i;
	size_t k;

	for (i = 0; i < count; i++) {
		bounds_check(spans[i].data, spans[i].len, 1);
		for (k = 0; k < spans[i].len; k += 64)
			sum = (uint8_t)(sum + ((const volatile uint8_t *)spans[i].data)[k]);
	}
}

static void send_some(struct life *life, struct msg_channel *channel)
{
	static uint8_t data[LONGEST];
	struct msg_span spans[8];
	uint64_t until = victim_pick(life, 4) ? 0 : in_ms(2);
	size_t len = victim_pick(life, victim_pick(life, 4) ? 200 : LONGEST);
	unsigned i;
	void *at;

	switch (victim_pick(life, 6)) {
	case 0:
	case 1:
		victim_result(life, msg_send(channel, data, len, until));
		break;
	case 2:
		for (i = 0; i < 8; i++)
			spans[i] = (struct msg_span){ data, victim_pick(life, 100) };
		victim_result(life, msg_send_batch(channel, spans, 8, until));
		break;
	case 3:
		victim_result(life, msg_send_array(channel, data, victim_pick(life, 60),
			(unsigned)victim_pick(life, 60), until));
		break;
	case 4:
		for (i = 0; i < victim_pick(life, 4); i++) {
			if (victim_result(life, msg_reserve(channel, len % 500, &at, until)))
				break;
			bounds_check(at, len % 500, 1);
			memset(at, 1, len % 500);
		}
		if (victim_pick(life, 4))
			victim_result(life, msg_commit(channel));
		else
			msg_discard(channel);
		break;
	case 5:
		if (!life->buffer && victim_result(life, msg_buffer_alloc(life->region, len,
			&life->buffer)))
			life->buffer = NULL;
		if (!life->buffer)
			break;
		bounds_check(msg_buffer_data(life->buffer), 64, 64);
		victim_result(life, msg_buffer_send(channel, life->buffer, 10, until));
		victim_result(life, msg_buffer_busy(life->buffer));
		if (victim_pick(life, 2)) {
			msg_buffer_free(life->buffer);
			life->buffer = NULL;
		}
		break;
	}
}

static void receive_some(struct life *life, struct msg_channel *channel)
{
	static uint8_t data[8][LONGEST];
	struct msg_span spans[8];
	uint64_t until = victim_pick(life, 4) ? 0 : in_ms(2);
	int64_t got;
	unsigned i;

	switch (victim_pick(life, 6)) {
	case 0:
	case 1:
		got = victim_result(life, msg_recv(channel, data[0], LONGEST, until));
		CHECK(got <= LONGEST);
		life->victim->messages += got >= 0;
		break;
	case 2:
		for (i = 0; i < 8; i++)
			spans[i] = (struct msg_span){ data[i], victim_pick(life, LONGEST) };
		got = victim_result(life, msg_recv_batch(channel, spans, 8, until));
		CHECK(got <= 8);
		break;
	case 3:
		got = victim_result(life, msg_recv_array(channel, data, victim_pick(life, 200), 40, until));
		CHECK(got <= 40);
		break;
	case 4:
		got = victim_result(life, msg_peek(channel, spans, 8, until));
		CHECK(got <= 8);
		victim_touch(spans, got);
		if (got > 0)
			victim_result(life, msg_release(channel, (unsigned)got));
		break;
	case 5:
		victim_result(life, msg_next_length(channel, until));
		victim_result(life, msg_read(channel, data, LONGEST, 0));
		break;
	}
}

static void close_one(struct life *life, unsigned i)
{
	struct msg_channel *channel = life->channel[i];
	struct msg_fault fault;
	struct msg_stats stats;
	struct msg_span span;
	unsigned k;

	if (!channel)
		return;
	msg_stats(channel, &stats);
	for (k = 0; k < 3 && !victim_result(life, msg_unreleased(channel, k, &span)); k++)
		victim_touch(&span, 1);
	if (msg_fault_of(channel, &fault))
		CHECK(fault.what && fault.what[0]);
	msg_close(channel);
	life->channel[i] = NULL;
}

static void look_around(struct life *life)
{
	struct msg_region_info info;
	struct msg_wait_item items[CHANNELS + 2];
	struct msg_event event;
	struct msg_peer peers[4];
	unsigned i, n = 0;

	switch (victim_pick(life, 4)) {
	case 0:
		for (i = 0; i < 20 && msg_next_event(life->region, &event) > 0; i++) {
			life->victim->events++;
			// Its own place is overwritten once at most; then it is no peer any more.
			if (event.type == MSG_EVENT_FAULT && event.peer.self)
				CHECK(!life->evicted++);
			else if (event.type == MSG_EVENT_FAULT)
				life->faults++;
			CHECK(strnlen(event.peer.name, sizeof(event.peer.name)) <= MSG_NAME_MAX);
		}
		break;
	case 1:
		victim_result(life, msg_peers(life->region, peers, 4));
		break;
	case 2:
		msg_region_describe(life->region, &info);
		CHECK(info.land_free <= info.land_bytes);
		break;
	case 3:
		for (i = 0; i < CHANNELS; i++)
			if (life->channel[i])
				items[n++] = (struct msg_wait_item){ .channel = life->channel[i],
					.type = victim_pick(life, 2) ? MSG_WAIT_RECV : MSG_WAIT_SEND };
		if (life->listener)
			items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_ACCEPT,
				.listener = life->listener };
		items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_EVENT,
			.region = life->region };
		victim_result(life, msg_wait(items, n, in_ms(2)));
		break;
	}
}

static void open_one(struct life *life, unsigned i)
{
	struct msg_channel_options options = { .ring = 1024u << victim_pick(life, 4) };
	char name[16];

	if (life->channel[i])
		return;
	if (life->listener && victim_pick(life, 2)) {
		if (victim_result(life, msg_accept(life->listener, &life->channel[i], in_ms(2))))
			life->channel[i] = NULL;
		return;
	}
	snprintf(name, sizeof(name), "v%u", (unsigned)victim_pick(life, life->victim->others));
	if (victim_result(life, msg_connect(life->region, name, &options, &life->channel[i], in_ms(3))))
		life->channel[i] = NULL;
}

static void live(struct life *life)
{
	uint64_t steps = 200 + victim_pick(life, 2000), n;
	char name[16];

	snprintf(name, sizeof(name), "v%u", life->victim->number);
	for (n = 0; n < steps && !life->victim->stop; n++) {
		unsigned i = (unsigned)victim_pick(life, CHANNELS);
		struct msg_wait_stats stats;

		if (!life->listener && (n == 0 || !victim_pick(life, 50)) &&
			victim_result(life, msg_listen(life->region, name, NULL, &life->listener)))
			life->listener = NULL;
		if (!life->channel[i])
			open_one(life, i);
		else if (victim_pick(life, 2))
			send_some(life, life->channel[i]);
		else
			receive_some(life, life->channel[i]);
		if (!victim_pick(life, 3))
			victim_patterns(life);
		if (!victim_pick(life, 8))
			look_around(life);
		if (!victim_pick(life, 60))
			close_one(life, i);
		if (!victim_pick(life, 200) && life->listener) {
			msg_unlisten(life->listener);
			life->listener = NULL;
		}
		// Each fault is told once.
		msg_wait_stats(life->region, &stats);
		CHECK(life->faults <= stats.resets);
		if (msg_peers(life->region, NULL, 0) < 0 && !victim_pick(life, 4))
			break;
	}
	life->victim->faults += life->faults;
}

void victim_run(struct victim *victim)
{
	struct life life = { .random = victim->seed };
	char name[16];
	struct msg_options wishes = { .name = name, .death_ns = victim->death_ns, .slots = 8,
		.channels = 8 };

	snprintf(name, sizeof(name), "victim%u", victim->number);
	for (uint64_t n = 0; !victim->stop && (!victim->lives || n < victim->lives); n++) {
		uint64_t random = life.random;
		unsigned i;

		memset(&life, 0, sizeof(life));
		life.random = random;
		life.victim = victim;
		wishes.deadline = in_ms(1000);
		wishes.format = !victim_pick(&life, 20);
		if (victim_result(&life, msg_attach(victim->path, &wishes, &life.region)))
			continue;
		victim->joined++;
		live(&life);
		for (i = 0; i < CHANNELS; i++)
			if (victim_pick(&life, 2))
				close_one(&life, i);
		msg_buffer_free(life.buffer);
		victim_result(&life, msg_leave(life.region));
	}
}

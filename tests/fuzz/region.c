// SPDX-License-Identifier: BSD-2-Clause
/*
 * A peer that talks, and a liar that writes into the region between any two of its calls, or between
 * two of its looks. The input is a script of both. Every result is one that the header promises, all
 * that is handed out lies in the region, and in the end everything is freed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/fuzz/lie.h"

#define CHANNELS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct geometry geo;
static struct fuzz_input input;
static struct msg_listener *listener;
static struct msg_channel *channel[CHANNELS], *other[CHANNELS];
static struct msg_buffer *buffer;
static size_t buffer_len;
static uint8_t memory[4][8192];

static void inside(const void *p, size_t len)
{
	size_t at = (size_t)((const uint8_t *)p - fuzz_region);

	fuzz_must(at <= FUZZ_SIZE && len <= FUZZ_SIZE - at);
}

static int64_t result(int64_t value)
{
	switch (-value) {
	case EAGAIN: case ETIMEDOUT: case EPIPE: case ECONNRESET: case ESTALE: case ENOSPC:
	case EMSGSIZE: case ECONNREFUSED: case ENOENT: case EBUSY: case ENOBUFS: case EADDRINUSE:
	case EINVAL:
		return value;
	}
	fuzz_must(value >= 0);
	return value;
}

// While the peer sleeps, the other one does what it should.
static void other_peer(void)
{
	static uint8_t scratch[8192];
	unsigned i;

	if (!fuzz_peers[1].region)
		return;
	for (i = 0; i < CHANNELS; i++) {
		if (!other[i])
			continue;
		msg_tryrecv(other[i], scratch, sizeof(scratch));
		msg_trysend(other[i], scratch, 40 * i);
	}
	msg_peers(fuzz_peers[1].region, NULL, 0);
}

static void accept_for_other(void)
{
	unsigned i;

	for (i = 0; i < CHANNELS && channel[i]; i++)
		;
	if (i < CHANNELS && msg_accept(listener, &channel[i], 0))
		channel[i] = NULL;
}

static void send_some(struct msg_channel *to, uint8_t how)
{
	struct msg_region *region = fuzz_peers[0].region;
	struct msg_span spans[3] = { { memory[0], how }, { memory[1], 3 }, { memory[2], 77 } };
	uint64_t until = how & 1 ? msg_now_ns() + 3 * FUZZ_MS : 0;
	size_t len = fuzz_byte(&input);
	void *at;

	switch (how >> 1 & 7) {
	case 0: result(msg_send(to, memory[0], len, until)); break;
	case 1: result(msg_send(to, memory[0], len * 20, until)); break;
	case 2: result(msg_send_batch(to, spans, 3, until)); break;
	case 3: result(msg_send_array(to, memory, len, how, until)); break;
	case 4:
		if (!result(msg_reserve(to, len, &at, until))) {
			inside(at, len);
			memset(at, 7, len);
			if (how & 16)
				result(msg_trim(to, how));
			if (how & 32)
				result(msg_commit(to));
		}
		break;
	case 5:
		if (!buffer && result(msg_buffer_alloc(region, buffer_len = len * 40, &buffer)))
			buffer = NULL;
		if (buffer) {
			inside(msg_buffer_data(buffer), buffer_len);
			result(msg_buffer_send(to, buffer, len, until));
		}
		break;
	case 6:
		if (buffer)
			msg_buffer_busy(buffer);
		msg_buffer_free(buffer);
		buffer = NULL;
		break;
	case 7: result(msg_write(to, memory, len * 30, until)); break;
	}
}

static void receive_some(struct msg_channel *from, uint8_t how)
{
	struct msg_span spans[4] = { { memory[0], 8192 }, { memory[1], 100 }, { memory[2], 8192 },
		{ memory[3], 8192 } };
	uint64_t until = how & 1 ? msg_now_ns() + 3 * FUZZ_MS : 0;
	volatile uint8_t sum = 0;
	int64_t got, i;
	size_t k;

	switch (how >> 1 & 7) {
	case 0: case 1:
		fuzz_must(result(msg_recv(from, memory, 8192, until)) <= 8192);
		break;
	case 2: fuzz_must(result(msg_recv_batch(from, spans, 4, until)) <= 4); break;
	case 3:
		fuzz_must(result(msg_recv_array(from, memory, fuzz_byte(&input), 64, until)) <= 64);
		break;
	case 4: case 5:
		got = result(msg_peek(from, spans, 4, until));
		for (i = 0; i < got; i++) {
			inside(spans[i].data, spans[i].len);
			for (k = 0; k < spans[i].len; k += 16)
				sum = (uint8_t)(sum + ((uint8_t *)spans[i].data)[k]);
		}
		if (got > 0 && how & 16)
			result(msg_release(from, (unsigned)got));
		break;
	case 6: result(msg_release(from, how >> 4)); break;
	case 7:
		result(msg_next_length(from, until));
		result(msg_read(from, memory, how, 0));
		break;
	}
}

static void close_one(unsigned i)
{
	struct msg_fault fault;
	struct msg_span span;
	struct msg_stats stats;

	msg_stats(channel[i], &stats);
	if (!result(msg_unreleased(channel[i], 0, &span)))
		inside(span.data, span.len);
	if (msg_fault_of(channel[i], &fault))
		fuzz_must(fault.what && fault.offset < FUZZ_SIZE);
	msg_close(channel[i]);
	channel[i] = NULL;
}

static void look_around(uint8_t how)
{
	struct msg_region *region = fuzz_peers[0].region;
	struct msg_wait_item items[CHANNELS + 2] = {
		{ .type = MSG_WAIT_EVENT, .region = region },
		{ .type = MSG_WAIT_ACCEPT, .listener = listener },
	};
	struct msg_region_info info;
	struct msg_event event;
	unsigned i, n = listener ? 2 : 1;

	switch (how & 3) {
	case 0: msg_next_event(region, &event); break;
	case 1: result(msg_peers(region, NULL, 0)); break;
	case 2:
		msg_region_describe(region, &info);
		fuzz_must(info.land_free <= info.land_bytes);
		break;
	case 3:
		for (i = 0; i < CHANNELS; i++)
			if (channel[i])
				items[n++] = (struct msg_wait_item){ .channel = channel[i],
					.type = how & 4 ? MSG_WAIT_SEND : MSG_WAIT_RECV };
		result(msg_wait(items, n, msg_now_ns() + 5 * FUZZ_MS));
		break;
	}
}

static void step(void)
{
	uint8_t what = fuzz_byte(&input), how = fuzz_byte(&input);
	unsigned i = (what >> 4) % CHANNELS;
	struct msg_channel_options ring = { .ring = 1024, .start = 0u - 2048 };

	switch (what & 15) {
	case 0: case 1: case 2: case 3: fuzz_lie(&input, &geo); break;
	case 4: case 5:
		if (channel[i])
			send_some(channel[i], how);
		break;
	case 6: case 7: case 8:
		if (channel[i])
			receive_some(channel[i], how);
		break;
	case 9: look_around(how); break;
	case 10:
		if (channel[i] && how & 1)
			close_one(i);
		else if (!channel[i] && listener && result(msg_accept(listener, &channel[i],
			how & 2 ? msg_now_ns() + FUZZ_MS : 0)))
			channel[i] = NULL;
		break;
	case 11:
		if (!channel[i] && result(msg_connect(fuzz_peers[0].region, "other", &ring, &channel[i],
			msg_now_ns() + 3 * FUZZ_MS)))
			channel[i] = NULL;
		break;
	case 12: other_peer(); break;
	case 13:
		if (how & 1) {
			msg_unlisten(listener);
			listener = NULL;
		} else if (!listener && result(msg_listen(fuzz_peers[0].region, "peer", &ring, &listener))) {
			listener = NULL;
		}
		break;
	case 14:
		fuzz_loads_left = 1 + how;
		fuzz_load_flip = what & 16 ? 1ull << (what >> 5) * 8 : fuzz_word(&input);
		break;
	case 15: fuzz_pass(how * FUZZ_MS / 2); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msg_options wishes = { .name = "peer", .death_ns = 20 * FUZZ_MS, .slots = 3,
		.channels = 3 };
	struct msg_channel_options ring = { .ring = 1024 };
	struct msg_listener *others;
	unsigned i, steps = 0;

	fuzz_begin();
	fuzz_must(!geometry_choose(&geo, FUZZ_SIZE, &wishes));
	fuzz_must(!fuzz_join(0, &wishes));
	wishes.name = "other";
	fuzz_must(!fuzz_join(1, &wishes));
	fuzz_must(!msg_listen(fuzz_peers[0].region, "peer", &ring, &listener));
	fuzz_must(!msg_listen(fuzz_peers[1].region, "other", &ring, &others));
	fuzz_idle = accept_for_other;
	for (i = 0; i < 2; i++)
		fuzz_must(!msg_connect(fuzz_peers[1].region, "peer", &ring, &other[i],
			msg_now_ns() + 100 * FUZZ_MS) && channel[i]);
	for (i = 0; i < 2; i++)
		fuzz_must(!msg_trysend(other[i], "hello", 5) && !msg_trysend(channel[i], "hello", 5));
	fuzz_idle = other_peer;
	input = (struct fuzz_input){ data, size };
	while (input.size && steps++ < 200)
		step();
	fuzz_loads_left = 0;
	for (i = 0; i < CHANNELS; i++)
		if (channel[i])
			close_one(i);
	msg_buffer_free(buffer);
	buffer = NULL;
	listener = NULL;
	memset(other, 0, sizeof(other));
	fuzz_end();
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * Joining a region of any content: the input is patches of it (offset / 8, kind, value), and then the
 * wishes of who joins. Whatever was there, joining ends in time, with a peer that can be used or an
 * error; and who asks to format gets a region that works.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "msg/layout.h"
#include "tests/fuzz/port.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t fnv1a(uint32_t hash, const uint8_t *bytes, size_t len)
{
	while (len--)
		hash = (hash ^ *bytes++) * 16777619u;
	return hash;
}

// A liar's header has the right check.
static void mend_check(void)
{
	struct wire_header *header = (struct wire_header *)fuzz_region;

	header->check = fnv1a(fnv1a(2166136261u, fuzz_region + 8, 4), fuzz_region + 16, 112);
}

static void use(struct msg_region *region)
{
	struct msg_region_info info;
	struct msg_peer peers[8];
	struct msg_event event;
	struct msg_listener *listener;
	struct msg_channel *channel;
	struct msg_buffer *buffer;
	unsigned i;

	msg_region_describe(region, &info);
	fuzz_must(info.size == FUZZ_SIZE && info.land_free <= info.land_bytes);
	msg_peers(region, peers, 8);
	for (i = 0; i < 50 && msg_next_event(region, &event); i++)
		;
	if (!msg_buffer_alloc(region, 100, &buffer)) {
		memset(msg_buffer_data(buffer), 1, 100);
		msg_buffer_free(buffer);
	}
	if (!msg_listen(region, "me", NULL, &listener)) {
		if (!msg_accept(listener, &channel, 0))
			msg_close(channel);
		msg_unlisten(listener);
	}
	if (!msg_connect(region, "you", NULL, &channel, msg_now_ns() + 2 * FUZZ_MS)) {
		msg_trysend(channel, "x", 1);
		msg_tryrecv(channel, peers, sizeof(peers));
		msg_close(channel);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	struct msg_options wishes = { .name = "first", .death_ns = 20 * FUZZ_MS };
	uint8_t how = fuzz_byte(&input);
	int err;

	fuzz_begin();
	wishes.slots = how & 3;
	wishes.channels = how >> 2 & 3;
	// Something is there already: a region that was used.
	if (how & 16) {
		struct msg_listener *listener;

		fuzz_must(!fuzz_join(0, &wishes));
		fuzz_must(!msg_listen(fuzz_peers[0].region, "you", NULL, &listener));
		if (how & 32) {
			msg_leave(fuzz_peers[0].region);
			fuzz_peers[0].region = NULL;
		}
	}
	while (input.size > 4) {
		uint32_t at = fuzz_short(&input) % (FUZZ_SIZE / 8);
		uint8_t kind = fuzz_byte(&input);
		uint64_t *word = (uint64_t *)fuzz_region + at;

		if (kind & 0x80)
			*word = fuzz_word(&input);
		else if (kind & 0x40)
			*word += (uint64_t)fuzz_byte(&input) - 128;
		else
			memset((uint8_t *)word + (kind & 7), fuzz_byte(&input), 1);
	}
	if (how & 64)
		mend_check();
	if (how & 128)
		fuzz_loads_left = 1 + fuzz_short(&input) % 5000;
	fuzz_load_flip = 1ull << (size & 63);
	wishes = (struct msg_options){ .name = "second", .format = how & 1 };
	err = fuzz_join(1, &wishes);
	fuzz_must(!err || err == -EPROTO || err == -ENOSPC || err == -ETIMEDOUT || err == -EINVAL ||
		err == -ESTALE);
	if (!err)
		use(fuzz_peers[1].region);
	fuzz_end();
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * A peer that talks to the hub (hub.c) for as long as it lives, in a guest or in a process, and may be
 * killed, reset or stopped at any time: it joins, connects, sends numbered messages of all sizes, hears
 * the hub's answers, leaves, and begins again.
 *
 * talker [SEED [LIVES [ROUNDS [WHERE]]]]     LIVES: 0 for ever; ROUNDS: of one life, 0: at random
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <isthmus/msg.h>
#include "talk.h"

#define MS      1000000ull
static uint64_t random_state;
static uint64_t out[TALK_LARGEST / 8 + 1];

static uint64_t pick(uint64_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (random_state >> 33) % n;
}

static void compose(uint64_t seed, uint64_t life, uint64_t number, size_t len)
{
	size_t i;

	for (i = 0; i < (len + 7) / 8; i++)
		out[i] = talk_word(seed, life, number, i);
}

// Until it ends: why.
static int talk(struct msg_channel *channel, uint64_t seed, uint64_t life, uint64_t rounds)
{
	uint64_t sent = 0, heard = 0, answer;
	int64_t got;

	while (sent < rounds) {
		size_t len = 8 + pick(pick(16) ? 608 : TALK_LARGEST - 7);
		int err;

		compose(seed, life, sent, len);
		err = msg_send(channel, out, len, msg_now_ns() + 500 * MS);
		if (err == -ETIMEDOUT || err == -ENOSPC)
			continue;
		if (err)
			return err;
		sent++;
		while (heard < sent) {
			got = msg_recv(channel, &answer, sizeof(answer),
				sent - heard > 4 ? msg_now_ns() + 500 * MS : 0);
			if (got == -EAGAIN || got == -ETIMEDOUT)
				break;
			if (got < 0)
				return (int)got;
			if (got != sizeof(answer) || answer != heard) {
				printf("FAIL answer %llu of %lld bytes, not %llu\n",
					(unsigned long long)answer, (long long)got,
					(unsigned long long)heard);
				exit(1);
			}
			heard++;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	uint64_t lives = argc > 2 ? strtoull(argv[2], NULL, 10) : 0, life;
	uint64_t rounds = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
	const char *where = argc > 4 ? argv[4] : NULL;

	random_state = seed;
	setvbuf(stdout, NULL, _IOLBF, 256);
	for (life = 0; !lives || life < lives; life++) {
		struct msg_channel_options options = { .ring = 4096 };
		struct msg_region *region;
		struct msg_channel *channel;
		int err;

		err = msg_attach(where, NULL, &region);
		if (err) {
			printf("can't join: %s\n", msg_strerror(err));
			msg_sleep_until(msg_now_ns() + 50 * MS);
			continue;
		}
		if (!life)
			printf("joined\n");
		err = msg_connect(region, "hub", &options, &channel, msg_now_ns() + 5000 * MS);
		if (!err) {
			err = talk(channel, seed, life, rounds ? rounds : 20 + pick(400));
			if (pick(2))
				msg_close(channel);
		}
		if (err && err != -EPIPE && err != -ESTALE && err != -ETIMEDOUT &&
			err != -ECONNREFUSED && err != -ENOSPC) {
			printf("FAIL talk ended: %s\n", msg_strerror(err));
			return 1;
		}
		if (msg_leave(region) == -ESTALE)
			printf("was taken for dead\n");
	}
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ping-pong over a channel, asleep and awake. Who comes first listens and returns the balls;
 * the other one connects, serves and measures. Each way of waiting is an attachment of its own,
 * since that is where it is chosen.
 */
#include "apps/pingpong.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <isthmus/msg.h>

#define WORDS 7
#define TRY_NS 200000000ull	   /* one try to reach a listener before listening again */
#define SPIN_NS 2000000ull	   /* awake: spun in vain so long, the partner has no CPU */
#define LONGEST_NS 10000000000ull  /* for a count that nobody asked for, where sleeping is slow */
#define LAST 1

struct ball {
	uint32_t number, flags;
	uint64_t payload[WORDS];
};

struct mode {
	const char *name, *endpoint;
	uint32_t count;
	uint64_t spin_ns;
};

struct game {
	const struct pingpong_options *options;
	const struct mode *mode;
	struct msg_region *region;
	struct msg_channel *channel;
	bool serves;
	char partner[MSG_NAME_MAX + 1];
};

static uint64_t word_of(uint32_t number, unsigned int i)
{
	return (number + 1ull) * 0x9e3779b97f4a7c15u + i;
}

static int lost(const struct game *g, const char *when, int64_t result)
{
	printf("pingpong: %s: %s %s\n", g->mode->name, when, msg_strerror(result));
	return 1;
}

/*
 * The name of the mode is the endpoint; it can be taken, given up and taken again until two have
 * met.
 */
static int meet(struct game *g)
{
	uint64_t limit = msg_now_ns() + g->options->timeout_ns;
	struct msg_listener *listener;
	struct msg_peer peer;
	int error;

	do {
		g->serves = false;
		error = msg_listen(g->region, g->mode->endpoint, NULL, &listener);
		if (!error) {
			error = msg_accept(listener, &g->channel, limit);
			msg_unlisten(listener);
		} else if (error == -EADDRINUSE) {
			g->serves = true;
			error = msg_connect(g->region, g->mode->endpoint, NULL, &g->channel,
				msg_now_ns() + TRY_NS);
		}
	} while (g->serves && error && msg_now_ns() < limit);
	if (error)
		return lost(g, "no partner: start another pingpong on the same region:", error);
	msg_channel_peer(g->channel, &peer);
	snprintf(g->partner, sizeof(g->partner), "%s", peer.name);
	for (char *c = g->partner; *c; c++)
		*c = *c < ' ' || *c > '~' ? '?' : *c;
	printf("pingpong: %s: met %s; this side %s\n", g->mode->name, g->partner,
	       g->serves ? "serves" : "returns");
	return 0;
}

static int ball_throw(struct game *g, uint32_t number, uint32_t flags)
{
	struct ball ball = { .number = number, .flags = flags };
	int error;

	for (unsigned int i = 0; i < WORDS; i++)
		ball.payload[i] = word_of(number, i);
	error = msg_send(g->channel, &ball, sizeof(ball), msg_now_ns() + g->options->timeout_ns);
	return error ? lost(g, "can't throw:", error) : 0;
}

static int ball_catch(struct game *g, uint32_t number, struct ball *ball)
{
	int64_t length =
		msg_recv(g->channel, ball, sizeof(*ball), msg_now_ns() + g->options->timeout_ns);

	if (length < 0)
		return lost(g, "no ball came:", length);
	if (length != sizeof(*ball) || ball->number != number) {
		printf("pingpong: %s: a ball of %lld bytes with number %u came, not number %u\n",
		       g->mode->name, (long long)length, (unsigned int)ball->number,
		       (unsigned int)number);
		return 1;
	}
	for (unsigned int i = 0; i < WORDS; i++) {
		if (ball->payload[i] != word_of(number, i)) {
			printf("pingpong: %s: round trip %u: word %u of the payload is 0x%llx, not "
			       "0x%llx\n", g->mode->name, (unsigned int)number, i,
			       (unsigned long long)ball->payload[i],
			       (unsigned long long)word_of(number, i));
			return 1;
		}
	}
	return 0;
}

static int serve(struct game *g)
{
	uint64_t *samples = malloc(g->mode->count * sizeof(*samples));
	uint64_t start = msg_now_ns(), last = start;
	uint32_t n = 0, flags = 0;
	struct msg_stats stats;
	struct ball ball;
	int status = 0;

	if (!samples) {
		printf("pingpong: no memory for the times of %u round trips\n",
		       (unsigned int)g->mode->count);
		return 1;
	}
	while (!status && flags != LAST) {
		if (n + 1 == g->mode->count ||
		    (!g->options->channel_forced && last - start > LONGEST_NS))
			flags = LAST;
		status = ball_throw(g, n, flags);
		if (!status)
			status = ball_catch(g, n, &ball);
		if (!status) {
			uint64_t now = msg_now_ns();

			samples[n++] = now - last;
			last = now;
		}
	}
	if (!status) {
		pingpong_report(g->mode->name, samples, n);
		msg_stats(g->channel, &stats);
		printf("pingpong: %s: %llu doorbells, %llu not needed\n", g->mode->name,
		       (unsigned long long)stats.doorbells, (unsigned long long)stats.suppressed);
	}
	free(samples);
	return status;
}

static int give_back(struct game *g)
{
	struct ball ball = { .flags = 0 };
	uint32_t n;

	for (n = 0; ball.flags != LAST; n++)
		if (ball_catch(g, n, &ball) || ball_throw(g, n, ball.flags))
			return 1;
	printf("pingpong: %s: returned and checked %u balls\n", g->mode->name, (unsigned int)n);
	return 0;
}

static int play(struct game *g)
{
	struct msg_options options = { .spin_ns = g->mode->spin_ns };
	char where[16];
	int status;

	snprintf(where, sizeof(where), "%u", g->options->device);
	status = msg_attach(g->options->device ? where : NULL, &options, &g->region);
	if (status == -EINVAL && !g->options->channel_forced) {
		printf("pingpong: %s is left out: the region is too small for messages\n",
			g->mode->name);
		return 0;
	}
	if (status)
		return lost(g, "can't join the region:", status);
	status = meet(g);
	if (!status)
		status = g->serves ? serve(g) : give_back(g);
	msg_leave(g->region);
	return status;
}

int pingpong_channel(const struct pingpong_options *options)
{
	const struct mode modes[] = {
		{ "channel-asleep", "pingpong/asleep", options->asleep, MSG_SPIN_NEVER },
		{ "channel-awake", "pingpong/awake", options->awake, SPIN_NS },
	};
	int status = 0;

	for (unsigned int i = 0; !status && i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct game game = { .options = options, .mode = &modes[i] };

		if (modes[i].count)
			status = play(&game);
	}
	return status;
}

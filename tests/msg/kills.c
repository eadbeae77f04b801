// SPDX-License-Identifier: BSD-2-Clause
/*
 * Peers killed at random moments of whatever they do, while all of them talk to each other; now and
 * then all at once, in front of a spoiled header, so that who comes next formats. A ledger outside
 * the region knows what each conversation accepted and delivered. In the end nothing accepted is
 * missing where the receiver lived to hear the end, nothing came twice, and every slot, name, control
 * block and byte of land is back.
 *
 * kills            KILLS=N: that many
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tests/msg/harness.h"

#define MEGA          (1u << 20)
#define SIZE          (8 * MEGA)
#define PEERS         6
#define NAMES         8      /* of one peer: those of its dead lives are taken for a while */
#define CHANNELS      6      /* open at once, of one peer */
#define CONVERSATIONS 400000
#define DEATH_NS      (100 * MS)
#define SURVIVORS     2      /* that are killed but seldom */
#define LARGEST       6000

enum doing { JOINING, LISTENING, CONNECTING, ACCEPTING, SENDING, SENDING_BUFFER, RECEIVING, WAITING,
	CLOSING, LEAVING, DOINGS };
static const char *const doing_names[DOINGS] = { "joining", "listening", "connecting", "accepting",
	"sending", "sending a buffer", "receiving", "waiting", "closing", "leaving" };

/* Side 0 connected, side 1 accepted. */
struct conversation {
	volatile uint32_t accepted[2], trying[2], delivered[2];
	volatile bool heard_end[2], evicted[2];
};

struct world {
	volatile uint64_t doing[PEERS];
	volatile uint32_t name[PEERS]; /* under which of its names it listens */
	volatile uint64_t messages, lives, evictions, ends;
	volatile uint32_t conversations;
	volatile bool stop;
	struct conversation conversation[CONVERSATIONS];
};

static struct world *world;
static const char *path;

struct message {
	uint32_t conversation, side, number, seed;
	uint8_t data[LARGEST];
};
#define HEAD 16

struct talk {
	struct msg_channel *channel;
	struct conversation *c; /* NULL: not yet known (the accepting side learns it) */
	uint32_t number, side;
};

struct peer {
	unsigned number;
	uint64_t random;
	struct msg_region *region;
	struct msg_listener *listener;
	struct talk talk[CHANNELS];
};

static void now_doing(struct peer *peer, enum doing doing)
{
	world->doing[peer->number] = doing;
}

static uint64_t pick(struct peer *peer, uint64_t n)
{
	return test_random(&peer->random) % n;
}

static void compose(struct talk *talk, struct message *message, uint32_t number, size_t len)
{
	message->conversation = talk->number;
	message->side = talk->side;
	message->number = number;
	message->seed = talk->number * 31 + number;
	test_fill(message->data, len - HEAD, message->seed);
}

// What came is the next of its conversation.
static void heard(struct talk *talk, const struct message *message, int64_t len)
{
	struct conversation *c;

	CHECK(len >= HEAD && message->conversation < CONVERSATIONS);
	if (!talk->c) {
		talk->number = message->conversation;
		talk->c = &world->conversation[talk->number];
	}
	c = talk->c;
	EQUAL(message->conversation, talk->number);
	EQUAL(message->side, !talk->side);
	EQUAL(message->number, c->delivered[talk->side]);
	CHECK(test_filled(message->data, (size_t)len - HEAD, message->seed));
	c->delivered[talk->side]++;
	__atomic_fetch_add(&world->messages, 1, __ATOMIC_RELAXED);
}

static void close_talk(struct peer *peer, struct talk *talk)
{
	now_doing(peer, CLOSING);
	msg_close(talk->channel);
	memset(talk, 0, sizeof(*talk));
}

// True: goes on. Else the channel has ended, or all of it.
static bool fine(struct peer *peer, struct talk *talk, int64_t result)
{
	if (result >= 0 || result == -EAGAIN || result == -ETIMEDOUT || result == -ENOSPC)
		return true;
	if (result == -ESTALE && talk->c)
		talk->c->evicted[talk->side] = true;
	if (result != -EPIPE && result != -ESTALE)
		test_fail(__FILE__, __LINE__, "a talk ended with", result);
	if (result == -EPIPE)
		close_talk(peer, talk);
	return false;
}

static void say(struct peer *peer, struct talk *talk)
{
	static struct message message[4];
	struct msg_span spans[4];
	struct conversation *c = talk->c;
	uint32_t first = c->accepted[talk->side];
	size_t len = HEAD + pick(peer, pick(peer, 5) ? 400 : LARGEST);
	int64_t sent;
	void *place;
	unsigned i;

	now_doing(peer, len > 1000 ? SENDING_BUFFER : SENDING);
	switch (len > 1000 ? 3 : pick(peer, 4)) {
	case 0:
		for (i = 0; i < 4; i++) {
			compose(talk, &message[i], first + i, len);
			spans[i] = (struct msg_span){ &message[i], len };
		}
		c->trying[talk->side] = 4;
		sent = msg_send_batch(talk->channel, spans, 4, in_ms(3));
		break;
	case 1:
		sent = msg_reserve(talk->channel, len, &place, in_ms(3));
		if (!sent) {
			compose(talk, place, first, len);
			c->trying[talk->side] = 1;
			sent = msg_commit(talk->channel);
			sent += !sent;
		}
		break;
	default:
		compose(talk, message, first, len);
		c->trying[talk->side] = 1;
		sent = msg_send(talk->channel, message, len, pick(peer, 2) ? in_ms(3) : 0);
		sent += !sent;
	}
	if (sent > 0)
		c->accepted[talk->side] += (uint32_t)sent;
	c->trying[talk->side] = 0;
	// Its last messages may still be there: only hearing ends a talk.
	if (sent != -EPIPE)
		fine(peer, talk, sent);
}

static void hear(struct peer *peer, struct talk *talk)
{
	static struct message message[4];
	struct msg_span spans[4];
	int64_t got, i;

	now_doing(peer, RECEIVING);
	if (pick(peer, 3) == 0) {
		got = msg_peek(talk->channel, spans, 4, 0);
		for (i = 0; i < got; i++)
			heard(talk, spans[i].data, (int64_t)spans[i].len);
		if (got > 0)
			got = msg_release(talk->channel, (unsigned)got);
	} else {
		for (i = 0; i < 4; i++)
			spans[i] = (struct msg_span){ &message[i], sizeof(message[i]) };
		got = msg_recv_batch(talk->channel, spans, 4, pick(peer, 8) ? 0 : in_ms(2));
		for (i = 0; i < got; i++)
			heard(talk, &message[i], (int64_t)spans[i].len);
	}
	if (got == -EPIPE && talk->c) {
		talk->c->heard_end[talk->side] = true;
		__atomic_fetch_add(&world->ends, 1, __ATOMIC_RELAXED);
	}
	fine(peer, talk, got);
}

static void open_talk(struct peer *peer, struct talk *talk)
{
	struct msg_channel_options options = { .ring = 2048 };
	unsigned other = (unsigned)pick(peer, PEERS);
	char name[16];
	int err;

	if (peer->listener && pick(peer, 2)) {
		now_doing(peer, ACCEPTING);
		err = msg_accept(peer->listener, &talk->channel, in_ms(1));
		talk->side = 1;
	} else {
		snprintf(name, sizeof(name), "p%u.%u", other, world->name[other]);
		now_doing(peer, CONNECTING);
		err = msg_connect(peer->region, name, &options, &talk->channel, in_ms(3));
		if (!err) {
			talk->side = 0;
			talk->number = __atomic_fetch_add(&world->conversations, 1,
				__ATOMIC_RELAXED);
			CHECK(talk->number < CONVERSATIONS);
			talk->c = &world->conversation[talk->number];
			// The other side learns of which conversation it is.
			say(peer, talk);
		}
	}
	if (err)
		talk->channel = NULL;
	CHECK(!err || err == -EAGAIN || err == -ETIMEDOUT || err == -ENOSPC || err == -ESTALE ||
		err == -EINVAL || err == -ECONNREFUSED);
}

static void live(struct peer *peer)
{
	struct msg_options wishes = { .death_ns = DEATH_NS, .slots = 128, .channels = 8 };
	uint64_t steps = 50 + pick(peer, 1000);
	char name[16];
	unsigned i;
	int err;

	snprintf(name, sizeof(name), "p%u", peer->number);
	wishes.name = name;
	now_doing(peer, JOINING);
	err = msg_attach(path, &wishes, &peer->region);
	if (err == -ENOSPC || err == -ETIMEDOUT)
		return;
	OK(err);
	__atomic_fetch_add(&world->lives, 1, __ATOMIC_RELAXED);
	while (steps-- && !world->stop) {
		struct talk *talk = &peer->talk[pick(peer, CHANNELS)];

		if (!talk->channel && pick(peer, 4))
			talk = &peer->talk[0];

		if (!peer->listener) {
			uint32_t which = (uint32_t)pick(peer, NAMES);

			now_doing(peer, LISTENING);
			snprintf(name, sizeof(name), "p%u.%u", peer->number, which);
			err = msg_listen(peer->region, name, NULL, &peer->listener);
			CHECK(!err || err == -EADDRINUSE || err == -ESTALE);
			if (!err)
				world->name[peer->number] = which;
			else
				peer->listener = NULL;
		}
		if (!talk->channel) {
			open_talk(peer, talk);
		} else if (talk->c && pick(peer, 2)) {
			say(peer, talk);
		} else {
			hear(peer, talk);
		}
		if (!pick(peer, 40)) {
			struct msg_event event;

			now_doing(peer, WAITING);
			while (msg_next_event(peer->region, &event) > 0)
				CHECK(event.type != MSG_EVENT_FAULT);
			err = msg_peers(peer->region, NULL, 0);
			if (err == -ESTALE)
				break;
		}
	}
	for (i = 0; i < CHANNELS; i++)
		if (peer->talk[i].channel) {
			if (msg_peers(peer->region, NULL, 0) == -ESTALE && peer->talk[i].c)
				peer->talk[i].c->evicted[peer->talk[i].side] = true;
			if (pick(peer, 2))
				close_talk(peer, &peer->talk[i]);
		}
	now_doing(peer, LEAVING);
	err = msg_leave(peer->region);
	CHECK(!err || err == -ESTALE);
	if (err) {
		__atomic_fetch_add(&world->evictions, 1, __ATOMIC_RELAXED);
		for (i = 0; i < CHANNELS; i++)
			if (peer->talk[i].c)
				peer->talk[i].c->evicted[peer->talk[i].side] = true;
	}
}

static void peer_main(void *arg)
{
	struct peer *started = arg, peer = { 0 };

	while (!world->stop) {
		uint64_t random = peer.random ? peer.random : started->random;

		memset(&peer, 0, sizeof(peer));
		peer.number = started->number;
		peer.random = random;
		live(&peer);
	}
}

static void spoil_header(uint64_t *random)
{
	uint8_t *base = test_map(path, SIZE);

	// Not who formats: a claim is left alone for longer than anybody lives here.
	test_fill(base, 128, test_random(random));
	munmap(base, SIZE);
}

// All that was accepted was delivered, if its receiver heard the end; never more than was sent.
static void check_conversations(uint64_t kills_done)
{
	uint64_t ended = 0;
	uint32_t i;
	unsigned side;

	for (i = 0; i < world->conversations; i++) {
		const struct conversation *c = &world->conversation[i];

		if (c->evicted[0] || c->evicted[1])
			continue;
		for (side = 0; side < 2; side++) {
			uint32_t least = c->accepted[!side], most = least + c->trying[!side];

			CHECK(c->delivered[side] <= most);
			if (!c->heard_end[side])
				continue;
			CHECK(c->delivered[side] >= least);
			ended++;
		}
	}
	printf("%u conversations, %llu of their sides heard the end, %llu messages, %llu lives, "
		"%llu taken for dead on a busy machine\n", world->conversations,
		(unsigned long long)ended, (unsigned long long)world->messages,
		(unsigned long long)world->lives, (unsigned long long)world->evictions);
	CHECK(ended * 100 > kills_done);
}

static void name_of(unsigned i, char text[16])
{
	snprintf(text, 16, "p%u.%u", i / NAMES, i % NAMES);
}

// Whoever dies is no liar: nobody may have complained of one, but for the headers that we spoiled.
static void check_silence(int log, int own)
{
	const char *spoiled = "isthmus: the region is formatted anew: what it held is no format";
	char line[256];
	unsigned complaints = 0;
	FILE *said;

	dup2(own, STDERR_FILENO);
	CHECK(!lseek(log, 0, SEEK_SET));
	said = fdopen(log, "r");
	CHECK(said);
	while (fgets(line, sizeof(line), said)) {
		fputs(line, stderr);
		complaints += !!strncmp(line, spoiled, strlen(spoiled));
	}
	CHECK(!complaints);
}

static void kill_times(uint64_t wanted)
{
	int log = memfd_create("log", 0), own = dup(STDERR_FILENO);
	uint64_t done = 0, random = 12345;
	uint64_t at[DOINGS] = { 0 };
	struct peer peers[PEERS] = { { 0 } };
	pid_t pids[PEERS];
	unsigned i;

	alarm((unsigned)(120 + wanted / 5));
	path = test_region(SIZE);
	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		0);
	CHECK(world != MAP_FAILED);
	CHECK(log >= 0 && own >= 0 && dup2(log, STDERR_FILENO) >= 0);
	for (i = 0; i < PEERS; i++) {
		peers[i].number = i;
		peers[i].random = i + 1;
		pids[i] = test_spawn(peer_main, &peers[i]);
	}
	while (done < wanted) {
		bool all = done % 200 == 199;
		unsigned one = done % 25 == 24 ? (unsigned)(done / 25 % SURVIVORS) :
			SURVIVORS + (unsigned)(done % (PEERS - SURVIVORS));

		// On a machine that is slow or busy they need longer to come to anything.
		do
			msg_sleep_until(msg_now_ns() + test_random(&random) % (16 * MS));
		while (world->ends * 10 < done);
		for (i = 0; i < PEERS; i++) {
			if (!all && i != one)
				continue;
			test_kill(pids[i]);
			at[world->doing[i]]++;
			peers[i].random = test_random(&random);
		}
		if (all) {
			spoil_header(&random);
			done += PEERS - 1;
		}
		for (i = 0; i < PEERS; i++)
			if (all || i == one)
				pids[i] = test_spawn(peer_main, &peers[i]);
		done++;
	}
	world->stop = true;
	for (i = 0; i < PEERS; i++)
		test_join(pids[i]);
	printf("%llu kills:", (unsigned long long)done);
	for (i = 0; i < DOINGS; i++)
		printf(" %llu %s%s", (unsigned long long)at[i], doing_names[i],
			i + 1 < DOINGS ? "," : "\n");
	check_silence(log, own);
	check_conversations(done);
	test_all_returned(path, name_of, PEERS * NAMES);
}

static void kills(void)
{
	const char *text = getenv("KILLS");

	/* A thousand is what docs/reliability.md says of the everyday run. */
	kill_times(text ? strtoull(text, NULL, 10) : 1000);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "kills", kills, 600 },
	};

	test_at_once = 1; /* each keeps the machine busy */
	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two peers that send each other numbered letters and count those that arrive, while the devices
 * under them are unplugged and plugged in again, and guests are moved. All of it is in go_on():
 * whoever has lost its region waits for the next one, and the link goes on where it was.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <isthmus/msg_link.h>

#define S 1000000000ull
#define LINK_MEMORY 65536
#define LAST_WORD_NS (10 * S)

static const char usage[] =
	"usage: courier [--letters N] [--rate N] [--timeout SECONDS]\n"
	"  --letters N        letters that this side sends (default 3000)\n"
	"  --rate N           ... so many in a second (default 100)\n"
	"  --timeout SECONDS  longest time without a letter (default 600)\n";

struct letter {
	uint64_t number;
	uint64_t seal; /* made from the number: whether it is the letter that was sent */
};

struct courier {
	uint64_t letters, rate, timeout_ns;
	struct msg_region *region;
	struct msg_link *link;
	uint64_t sent, received, channels;
	uint64_t start, last_news, last_letter; /* ns */
	bool finished, over;
};

static char memory[LINK_MEMORY] __attribute__((aligned(8)));

static uint64_t seal_of(uint64_t number)
{
	return (number + 1) * 0x9e3779b97f4a7c15u;
}

static void news(struct courier *c, const char *what)
{
	struct msg_link_stats stats = { 0 };

	if (c->link)
		msg_link_stats(c->link, &stats);
	printf("courier: %s: sent %llu, delivered %llu, received %llu\n", what,
	       (unsigned long long)c->sent, (unsigned long long)stats.delivered,
	       (unsigned long long)c->received);
	fflush(stdout);
	c->last_news = msg_now_ns();
}

/* Who comes first listens, and stays the one that does. */
static int open_link(struct courier *c)
{
	int error = 0;

	for (int listens = c->link ? 2 : 1; listens >= 0; listens--) {
		if (listens < 2)
			error = msg_link_open(memory, sizeof(memory), "courier", listens, &c->link);
		if (!error)
			error = msg_link_attach(c->link, c->region);
		if (error != -EADDRINUSE || listens == 2)
			break;
	}
	return error;
}

static int enter(struct courier *c)
{
	struct msg_peer self;
	int error = msg_await(NULL, 0);

	if (error == -EAGAIN) {
		printf("courier: no region is there; waiting for it\n");
		fflush(stdout);
		error = msg_await(NULL, msg_now_ns() + c->timeout_ns);
	}
	if (!error)
		error = msg_attach(NULL, NULL, &c->region);
	if (!error)
		error = open_link(c);
	if (error)
		return error;
	msg_self(c->region, &self);
	printf("courier: in the region, in life %u\n", self.epoch);
	fflush(stdout);
	return 0;
}

/* The other end has begun anew, and so do we. */
static void begin_anew(struct courier *c)
{
	struct msg_span letter;
	unsigned int lost = 0;

	while (!msg_link_undelivered(c->link, lost, &letter))
		lost++;
	printf("courier: the other one has begun anew: %u letters may not have arrived\n", lost);
	msg_link_restart(c->link);
	c->sent = c->received = c->channels = 0;
	c->finished = c->over = false;
	c->start = msg_now_ns();
}

/* All that has come by now. 0, or the error that ends this. */
static int read_letters(struct courier *c)
{
	struct letter letter;
	int64_t got;

	while ((got = msg_link_recv(c->link, &letter, sizeof(letter), 0)) >= 0) {
		if (got != sizeof(letter) || letter.number != c->received ||
			letter.seal != seal_of(letter.number)) {
			printf("courier: FAIL: letter %llu where %llu should come\n",
			       (unsigned long long)letter.number, (unsigned long long)c->received);
			return -EILSEQ;
		}
		c->received++;
		c->last_letter = msg_now_ns();
	}
	c->over = got == -EPIPE;
	return got == -EAGAIN || got == -EPIPE ? 0 : (int)got;
}

/* As many as the rate allows by now, and as there is room for. */
static int write_letters(struct courier *c)
{
	uint64_t due = (msg_now_ns() - c->start) / (S / c->rate) + 1;
	int error = 0;

	while (c->sent < c->letters && c->sent < due && !error) {
		struct letter letter = { c->sent, seal_of(c->sent) };

		error = msg_link_send(c->link, &letter, sizeof(letter), 0);
		c->sent += !error;
	}
	if (!error && c->sent == c->letters && !c->finished) {
		error = msg_link_finish(c->link);
		c->finished = !error;
	}
	return error == -EAGAIN ? 0 : error;
}

static void tell(struct courier *c)
{
	struct msg_link_stats stats;

	msg_link_stats(c->link, &stats);
	if (stats.channels != c->channels)
		news(c, c->channels ? "together again" : "together");
	c->channels = stats.channels;
	if (msg_now_ns() - c->last_news > S)
		news(c, stats.connected ? "on the way" : "alone");
}

/* Until all letters went both ways (0), the region is gone (-ENODEV, -ESTALE), or it fails. */
static int exchange(struct courier *c)
{
	int error = 0;

	while (!error) {
		uint64_t pace = msg_now_ns() + S / c->rate;
		struct msg_wait_item items[] = {
			{ .type = MSG_WAIT_PATTERN, .pattern = msg_link_item(c->link) },
			{ .type = MSG_WAIT_TIMER, .at = pace },
		};

		error = read_letters(c);
		if (!error)
			error = write_letters(c);
		if (error == -ECONNRESET) {
			begin_anew(c);
			error = 0;
		}
		tell(c);
		if (!error && c->finished && c->over)
			return msg_link_flush(c->link, msg_now_ns() + LAST_WORD_NS);
		if (!error && msg_now_ns() - c->last_letter > c->timeout_ns)
			error = -ETIMEDOUT;
		if (!error)
			msg_wait(items + c->over, 2 - c->over, pace);
	}
	return error;
}

static int go_on(struct courier *c)
{
	int error;

	c->start = c->last_letter = msg_now_ns();
	do {
		error = enter(c);
		if (!error)
			error = exchange(c);
		if (error == -ENODEV || error == -ESTALE)
			news(c, "the region is gone");
		if (error) {
			msg_leave(c->region);
			c->region = NULL;
		}
	} while (error == -ENODEV || error == -ESTALE);
	return error;
}

/* 0: go on; 1: help was shown; -1 after one line that says what is wrong. */
static int read_options(struct courier *c, int argc, char **argv)
{
	for (int i = 1; i < argc; i += 2) {
		const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
		char *end;
		unsigned long long number = strtoull(value, &end, 10);
		bool fits = *value >= '0' && *value <= '9' && !*end && number && number <= S;

		if (!strcmp(option, "--help")) {
			fputs(usage, stdout);
			return 1;
		} else if (!strcmp(option, "--letters") && fits) {
			c->letters = number;
		} else if (!strcmp(option, "--rate") && fits) {
			c->rate = number;
		} else if (!strcmp(option, "--timeout") && fits) {
			c->timeout_ns = number * S;
		} else {
			fprintf(stderr, "courier: %s%s%s: not understood; --help lists the options\n",
				option, *value ? " " : "", value);
			return -1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct courier c = { .letters = 3000, .rate = 100, .timeout_ns = 600 * S };
	int status = read_options(&c, argc, argv), error;

	if (status)
		return status < 0 ? 2 : 0;
	error = go_on(&c);
	if (error) {
		news(&c, msg_strerror(error));
		return 1;
	}
	news(&c, "done, all letters arrived");
	msg_link_close(c.link);
	msg_leave(c.region);
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * A scripted exchange over a port of its own, whose clock, tokens and order of events are the same
 * in every run: the region must come out as in golden/exchange.hex, byte by byte. Usage:
 * msg_golden FILE (compares) or msg_golden --write FILE. The same file is parsed by the
 * independent reader, golden.py.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "msg/port.h"

#define SIZE 65536
#define MS   1000000ull

static _Alignas(4096) uint8_t memory[SIZE];
static uint64_t clock_ns = 1000 * MS, token;
static struct msg_beat *beats[8];
static void (*meanwhile)(void);

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			exit(1); \
		} \
	} while (0)

/* ---- the port ---- */

static uint64_t port_now(void *arg)
{
	(void)arg;
	return clock_ns;
}

// Whoever waits lets the other side run.
static void let_run(void)
{
	void (*other)(void) = meanwhile;

	meanwhile = NULL;
	if (other)
		other();
}

static void port_relax(void *arg)
{
	(void)arg;
	clock_ns += 10;
}

static void port_nothing(void *arg)
{
	(void)arg;
}

static enum msg_sleep_result port_sleep(void *arg, uint64_t deadline, volatile uint32_t *word,
	uint32_t value)
{
	unsigned i;

	(void)arg;
	(void)word;
	(void)value;
	// Time passes, hearts beat.
	while (clock_ns < deadline) {
		clock_ns = deadline - clock_ns > 100 * MS ? clock_ns + 100 * MS : deadline;
		for (i = 0; i < 8; i++)
			if (beats[i])
				msg_beat_once(beats[i]);
	}
	let_run();
	return MSG_SLEEP_NOTIFIED;
}

static void port_copy(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
}

static void *port_alloc(void *arg, size_t size)
{
	(void)arg;
	return calloc(1, size ? size : 1);
}

static void port_free(void *arg, void *pointer)
{
	(void)arg;
	free(pointer);
}

static uint64_t port_random(void *arg)
{
	(void)arg;
	return token += 0x1111111111111111ull;
}

static const struct msg_wait_ops wait_ops = {
	.now = port_now,
	.relax = port_relax,
	.prepare = port_nothing,
	.sleep_until = port_sleep,
	.cancel = port_nothing,
	.copy_in = port_copy,
	.copy_out = port_copy,
	.alloc = port_alloc,
	.free = port_free,
	.random = port_random,
};

static void port_notify(void *arg, uint32_t peer, uint32_t vector)
{
	(void)arg;
	(void)peer;
	(void)vector;
}

static int beat_start(void *arg, struct msg_beat *beat)
{
	*(struct msg_beat **)arg = beat;
	msg_beat_once(beat);
	return 0;
}

static void beat_stop(void *arg, struct msg_beat *beat)
{
	(void)beat;
	*(struct msg_beat **)arg = NULL;
}

uint64_t msg_now_ns(void)
{
	return clock_ns;
}

void msg_sleep_until(uint64_t deadline)
{
	port_sleep(NULL, deadline, NULL, 0);
}

static struct msg_region *join(unsigned index, const char *name, uint32_t id, uint32_t vectors)
{
	struct msg_region_ops ops = { .base = memory, .size = SIZE, .peer_id = id,
		.vectors = vectors,
		.notify = vectors ? port_notify : NULL, .arg = &beats[index],
		.beat_start = beat_start, .beat_stop = beat_stop };
	struct msg_options options = { .name = name, .spin_ns = MSG_SPIN_NEVER };
	static struct msg_context *contexts[8];
	struct msg_region *region;

	contexts[index] = msg_context_create(&wait_ops);
	CHECK(!msg_join(contexts[index], &ops, &options, &region));
	return region;
}

/* ---- the exchange ---- */

static struct msg_region *alpha, *beta, *gamma_, *delta;
static struct msg_listener *listener;
static struct msg_channel *at_alpha, *at_beta;

static void alpha_accepts(void)
{
	CHECK(!msg_accept(listener, &at_alpha, 0));
}

static void exchange(void)
{
	struct msg_channel_options options = { .ring = 1024 }, late = { .ring = 1024,
		.start = 0xffffff80 };
	struct msg_span spans[3];
	struct msg_event event;
	uint8_t data[5000];
	unsigned i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + 1);
	alpha = join(0, "alpha", 3, 2);
	CHECK(!msg_listen(alpha, "golden service", &options, &listener));
	beta = join(1, "beta", MSG_NO_ID, 0);
	meanwhile = alpha_accepts;
	CHECK(!msg_connect(beta, "golden service", &late, &at_beta, clock_ns + 1000 * MS));
	CHECK(at_alpha);

	// Single messages, each beginning a line, then a batch in one; the position passes 2^32.
	CHECK(!msg_send(at_beta, data, 0, 0));
	CHECK(!msg_send(at_beta, data, 1, 0));
	CHECK(!msg_send(at_beta, data, 48, 0));
	CHECK(!msg_send(at_beta, data, 64, 0));
	for (i = 0; i < 3; i++)
		spans[i] = (struct msg_span){ data + i, 8 };
	CHECK(msg_send_batch(at_beta, spans, 3, 0) == 3);
	for (i = 0; i < 4; i++)
		CHECK(msg_recv(at_alpha, data, sizeof(data), 0) >= 0);
	CHECK(!msg_send(at_alpha, "answer", 6, 0));
	CHECK(msg_send_array(at_alpha, data, 8, 5, 0) == 5);
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + 1);
	// Larger than the ring takes.
	CHECK(!msg_send(at_beta, data, sizeof(data), 0));

	gamma_ = join(2, "gamma", 7, 1);
	CHECK(!msg_leave(gamma_));
	delta = join(3, "delta", 9, 1);
	CHECK(msg_next_event(alpha, &event) == 1);
	// delta's heart stops; alpha, which looks now and then, declares it dead.
	beats[3] = NULL;
	for (i = 0; i < 40; i++) {
		port_sleep(NULL, clock_ns + 100 * MS, NULL, 0);
		msg_peers(alpha, NULL, 0);
	}
}

/* ---- the image as text: lines of 16 bytes that are not all zero ---- */

static void image_print(FILE *to)
{
	unsigned at, i;

	fprintf(to, "# size %u; rows of zeroes are left out\n", SIZE);
	for (at = 0; at < SIZE; at += 16) {
		for (i = 0; i < 16 && !memory[at + i]; i++)
			;
		if (i == 16)
			continue;
		fprintf(to, "%05x:", at);
		for (i = 0; i < 16; i++)
			fprintf(to, " %02x", memory[at + i]);
		fputc('\n', to);
	}
}

static int compare(const char *path)
{
	char *image = NULL, line[128];
	size_t size, at = 0;
	FILE *file, *text = open_memstream(&image, &size);
	unsigned number = 0, wrong = 0;

	image_print(text);
	fclose(text);
	file = fopen(path, "r");
	if (!file) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	while (fgets(line, sizeof(line), file)) {
		size_t len = strlen(line);

		number++;
		if (strncmp(image + at, line, len) && wrong++ < 10)
			fprintf(stderr, "%s:%u: the file has   %s  the region has %.*s\n", path,
			number,
				line, (int)strcspn(image + at, "\n") + 1, image + at);
		at += strcspn(image + at, "\n") + 1;
		if (at > size)
			at = size;
	}
	fclose(file);
	free(image);
	if (wrong || at != size)
		fprintf(stderr,
		"the wire format has changed: that needs another version, or is a fault\n");
	return wrong || at != size;
}

int main(int argc, char **argv)
{
	exchange();
	if (argc == 3 && !strcmp(argv[1], "--write")) {
		FILE *file = fopen(argv[2], "w");

		CHECK(file);
		image_print(file);
		return fclose(file);
	}
	if (argc != 2) {
		fprintf(stderr, "usage: msg_golden [--write] FILE\n");
		return 2;
	}
	return compare(argv[1]);
}

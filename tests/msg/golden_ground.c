// SPDX-License-Identifier: BSD-2-Clause
// See golden.h. The files are parsed by the independent reader, golden.py, as well.
#include "tests/msg/golden.h"

static _Alignas(4096) uint8_t memory[GOLDEN_SIZE];
static uint64_t clock_ns = 1000 * MS, token;
static struct msg_beat *beats[8];
static void (*meanwhile)(void);

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

struct msg_region *golden_join(unsigned index, const char *name, uint32_t id, uint32_t vectors)
{
	struct msg_region_ops ops = { .base = memory, .size = GOLDEN_SIZE, .peer_id = id,
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

void golden_meanwhile(void (*other)(void))
{
	meanwhile = other;
}

void golden_pass(uint64_t ns)
{
	port_sleep(NULL, clock_ns + ns, NULL, 0);
}

void golden_stop_heart(unsigned index)
{
	beats[index] = NULL;
}

uint64_t golden_in_ms(uint64_t ms)
{
	return clock_ns + ms * MS;
}

/* ---- the image as text: lines of 16 bytes that are not all zero ---- */

static void image_print(FILE *to)
{
	unsigned at, i;

	fprintf(to, "# size %u; rows of zeroes are left out\n", GOLDEN_SIZE);
	for (at = 0; at < GOLDEN_SIZE; at += 16) {
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

int golden_main(int argc, char **argv, void (*script)(void))
{
	script();
	if (argc == 3 && !strcmp(argv[1], "--write")) {
		FILE *file = fopen(argv[2], "w");

		CHECK(file);
		image_print(file);
		return fclose(file);
	}
	if (argc != 2) {
		fprintf(stderr, "usage: %s [--write] FILE\n", argv[0]);
		return 2;
	}
	return compare(argv[1]);
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * The Mandelbrot set, painted by many hands: a painter puts tiles into a queue, workers take and
 * compute them, a dispatcher stands in between; who comes as a second dispatcher stands by for the
 * first. A worker that dies over a tile (--die) makes no hole: another one gets the tile. The painter
 * compares every pixel with what it computes itself, shows the picture as text or, in a process,
 * writes it as PNG, and the others end when it has left.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <isthmus/msg_queue.h>
#include "workers.h"

#define NS_PER_S 1000000000ull
#define TILE 32u
#define MAX_SIDE 2048u
#define MAX_DEPTH 255
#define ONE ((int64_t)1 << 28) /* fixed point: every machine computes the same picture */

static const char usage[] =
	"usage: workers paint|work|dispatch [--size PIXELS] [--png FILE] [--quiet] [--die TILES]\n"
	"               [--peers N] [--timeout SECONDS]\n"
	"  paint              put the tiles of a picture, collect and check them\n"
	"  work               compute tiles until the painter leaves\n"
	"  dispatch           dispatch, or stand by for who does\n"
	"  --size PIXELS      width of the picture, a multiple of 32 up to 2048 (default 256);\n"
	"                     it is three quarters as high, in whole tiles of 32\n"
	"  --png FILE         write the picture (only in a process: a guest has no files)\n"
	"  --quiet            don't show it\n"
	"  --die TILES        work: die over a tile after so many, without a word\n"
	"  --peers N          paint: begin when so many peers are there, the painter among them\n"
	"  --timeout SECONDS  longest wait without progress (default 60)\n";

struct tile {
	uint32_t size, x, y; /* of the picture; of the tile's first pixel */
};

struct job {
	enum { NONE, PAINT, WORK, DISPATCH } role;
	uint32_t size;
	const char *png;
	bool quiet;
	uint32_t die, peers;
	uint64_t timeout_ns;
	struct msg_region *region;
};

/* How fast one point of the plane escapes. */
static uint8_t pixel(uint32_t size, uint32_t x, uint32_t y)
{
	int64_t step = 3 * ONE / size;
	int64_t cx = x * step - 9 * ONE / 4, cy = y * step - (int64_t)size * 3 / 8 * step;
	int64_t zx = 0, zy = 0;
	unsigned depth;

	for (depth = 0; depth < MAX_DEPTH; depth++) {
		int64_t xx = zx * zx / ONE, yy = zy * zy / ONE;

		if (xx + yy > 4 * ONE)
			break;
		zy = 2 * zx * zy / ONE + cy;
		zx = xx - yy + cx;
	}
	return (uint8_t)depth;
}

/* Waits for something to do, or to hear of: 1; 0: the painter has come and gone; or an error. */
static int wait_for_work(const struct job *job, void *pattern)
{
	struct msg_wait_item items[2] = {
		{ .type = MSG_WAIT_PATTERN, .pattern = pattern },
		{ .type = MSG_WAIT_EVENT, .region = job->region },
	};
	struct msg_event event;
	int ready = msg_wait(items, 2, msg_now_ns() + job->timeout_ns);

	if (ready < 0)
		return ready;
	while (msg_next_event(job->region, &event) > 0)
		if ((event.type == MSG_EVENT_LEFT || event.type == MSG_EVENT_DIED) &&
			!strcmp(event.peer.name, "painter"))
			return 0;
	return 1;
}

static int fail(const char *what, int64_t error)
{
	fprintf(stderr, "workers: FAIL: %s: %s\n", what, msg_strerror(error));
	return 1;
}

/* ---- dispatching ---- */

static int dispatch(const struct job *job)
{
	struct msg_dispatcher *dispatcher;
	struct msg_queue_stats stats;
	bool active = false;
	int error = msg_dispatcher_open(job->region, "tiles", NULL, &dispatcher), more;

	if (error)
		return fail("the queue", error);
	printf("workers: standing by to dispatch\n");
	/* It works while we wait. */
	while ((more = wait_for_work(job, dispatcher)) > 0) {
		error = msg_dispatcher_run(dispatcher, 0);
		active |= !error;
		if (!error)
			printf("workers: this is the dispatcher now\n");
		else if (error != -EAGAIN)
			return fail("dispatching", error);
	}
	msg_dispatcher_stats(dispatcher, &stats);
	if (active)
		printf("workers: dispatched %llu tiles, %llu of them again\n",
			(unsigned long long)stats.done, (unsigned long long)stats.redelivered);
	msg_dispatcher_close(dispatcher);
	return more ? fail("waiting for the painter to come and go", more) : 0;
}

/* ---- working ---- */

static void compute(struct msg_worker *worker, const struct msg_work *work)
{
	uint8_t pixels[TILE * TILE];
	struct tile tile;
	uint32_t x, y;

	if (work->len != sizeof(tile)) {
		msg_worker_done(worker, work->token, NULL, 0);
		return;
	}
	memcpy(&tile, work->data, sizeof(tile));
	for (y = 0; y < TILE; y++)
		for (x = 0; x < TILE; x++)
			pixels[y * TILE + x] = tile.size ?
				pixel(tile.size, tile.x + x, tile.y + y) : 0;
	msg_worker_done(worker, work->token, pixels, sizeof(pixels));
}

static int work(const struct job *job)
{
	struct msg_worker *worker;
	struct msg_work next;
	unsigned done = 0, again = 0;
	int error = msg_worker_open(job->region, "tiles", NULL, &worker), more;

	if (error)
		return fail("the queue", error);
	while ((more = wait_for_work(job, worker)) > 0) {
		error = msg_worker_take(worker, &next, 0);
		if (error == -EAGAIN)
			continue;
		if (error)
			return fail("taking a tile", error);
		if (job->die && done == job->die) {
			printf("workers: dying over a tile, after %u\n", done);
			fflush(stdout);
			_exit(0);
		}
		if (!done)
			printf("workers: at work\n");
		again += next.redelivered;
		compute(worker, &next);
		done++;
	}
	msg_worker_close(worker);
	printf("workers: computed %u tiles, %u of them after somebody else\n", done, again);
	return more ? fail("waiting for work", more) : 0;
}

/* ---- painting ---- */

static void show(const uint8_t *picture, uint32_t width, uint32_t height)
{
	static const char shades[] = " .:-=+*%@#";
	char line[65];
	unsigned x, y, columns = 64, rows = 24;

	for (y = 0; y < rows; y++) {
		for (x = 0; x < columns; x++) {
			unsigned depth = picture[y * height / rows * width + x * width / columns];

			line[x] = depth == MAX_DEPTH ? ' ' : shades[1 + depth % 9];
		}
		line[columns] = 0;
		puts(line);
	}
}

/* Where a result belongs is told by user: its tile's number. */
static int paint_tile(uint8_t *picture, uint32_t width, const struct msg_queue_result *result)
{
	uint32_t number = (uint32_t)(uintptr_t)result->user, y;
	uint32_t left = number % (width / TILE) * TILE, top = number / (width / TILE) * TILE;

	if (result->failed) {
		fprintf(stderr, "workers: FAIL: %u workers had a tile, and none of them did it\n",
			result->deliveries);
		return 1;
	}
	if (result->len != TILE * TILE)
		return fail("a tile of another size", -EMSGSIZE);
	for (y = 0; y < TILE; y++)
		memcpy(picture + (size_t)(top + y) * width + left,
			(const uint8_t *)result->data + y * TILE, TILE);
	return 0;
}

static int paint_all(const struct job *job, struct msg_producer *producer, uint8_t *picture,
	uint32_t height)
{
	uint32_t width = job->size, tiles = width / TILE * (height / TILE), put = 0, painted = 0;
	unsigned again = 0;

	while (painted < tiles) {
		struct tile tile = { width, put % (width / TILE) * TILE,
			put / (width / TILE) * TILE };
		struct msg_queue_result result;
		int error = -ENOBUFS;

		/* As many as the window takes; then results. */
		if (put < tiles)
			error = msg_producer_put(producer, &tile, sizeof(tile),
				(void *)(uintptr_t)put, 0);
		if (!error) {
			put++;
			continue;
		}
		if (error != -ENOBUFS && error != -EAGAIN)
			return fail("putting a tile", error);
		error = msg_producer_result(producer, &result, msg_now_ns() + job->timeout_ns);
		if (error)
			return fail("waiting for a tile", error);
		if (paint_tile(picture, width, &result))
			return 1;
		again += result.deliveries > 1;
		painted++;
	}
	printf("workers: %u tiles painted, %u of them given out more than once\n", tiles, again);
	return 0;
}

static int paint(const struct job *job)
{
	uint32_t width = job->size, height = width / TILE * 3 / 4 * TILE, x, y;
	uint8_t *picture = malloc((size_t)width * height);
	uint64_t limit = msg_now_ns() + job->timeout_ns;
	struct msg_producer *producer;
	int error = picture ? msg_producer_open(job->region, "tiles", NULL, &producer) : -ENOMEM;

	if (error)
		return fail("the queue", error);
	while (msg_peers(job->region, NULL, 0) < (int)job->peers) {
		if (msg_now_ns() >= limit)
			return fail("waiting for peers", -ETIMEDOUT);
		msg_sleep_until(msg_now_ns() + NS_PER_S / 50);
	}
	if (paint_all(job, producer, picture, height))
		return 1;
	msg_producer_close(producer);
	for (y = 0; y < height; y++)
		for (x = 0; x < width; x++)
			if (picture[(size_t)y * width + x] != pixel(width, x, y)) {
				fprintf(stderr, "workers: FAIL: the pixel at %u, %u is wrong\n",
					(unsigned)x, (unsigned)y);
				return 1;
			}
	printf("workers: all %u pixels are right\n", (unsigned)(width * height));
	if (!job->quiet)
		show(picture, width, height);
	if (job->png && workers_save(job->png, picture, width, height))
		return 1;
	free(picture);
	return 0;
}

/* ---- */

static int read_options(struct job *job, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
		char *end;
		unsigned long number = strtoul(value, &end, 10);

		if (*end) /* it isn't one */
			number = 0;

		if (!strcmp(option, "paint")) {
			job->role = PAINT;
		} else if (!strcmp(option, "work")) {
			job->role = WORK;
		} else if (!strcmp(option, "dispatch")) {
			job->role = DISPATCH;
		} else if (!strcmp(option, "--quiet")) {
			job->quiet = true;
		} else if (!strcmp(option, "--png") && *value) {
			job->png = argv[++i];
		} else if (!strcmp(option, "--size") && number >= 2 * TILE && number <= MAX_SIDE &&
			   !(number % TILE)) {
			job->size = (uint32_t)number;
			i++;
		} else if (!strcmp(option, "--die") && number > 0 && number < 1000000) {
			job->die = (uint32_t)number;
			i++;
		} else if (!strcmp(option, "--peers") && number > 0 && number < 1000) {
			job->peers = (uint32_t)number;
			i++;
		} else if (!strcmp(option, "--timeout") && number > 0 && number < 100000) {
			job->timeout_ns = number * NS_PER_S;
			i++;
		} else {
			fprintf(stderr, "workers: %s%s%s: not understood; --help lists the options\n",
				option, *value ? " " : "", value);
			return -1;
		}
	}
	if (job->role == NONE)
		fprintf(stderr, "workers: paint, work or dispatch? --help says more\n");
	return job->role == NONE ? -1 : 0;
}

int main(int argc, char **argv)
{
	struct job job = { .size = 256, .timeout_ns = 60 * NS_PER_S };
	struct msg_options options = { 0 };
	int status, error;

	if (argc > 1 && !strcmp(argv[1], "--help")) {
		fputs(usage, stdout);
		return 0;
	}
	if (read_options(&job, argc, argv))
		return 2;
	/* Not after an hour of painting. */
	if (job.png && workers_can_save(job.png))
		return 1;
	/* Whoever reads along through a pipe wants each line at once. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (job.role == PAINT)
		options.name = "painter";
	error = msg_attach(NULL, &options, &job.region);
	if (error) {
		fprintf(stderr, "workers: can't join: %s\n", msg_strerror(error));
		return 1;
	}
	status = job.role == PAINT ? paint(&job) : job.role == WORK ? work(&job) : dispatch(&job);
	msg_leave(job.region);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "workers: the output could not be written\n");
		status = 1;
	}
	return status;
}

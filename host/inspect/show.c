// SPDX-License-Identifier: BSD-2-Clause
#include "host/inspect/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/inspect/print.h"
#include "host/inspect/source.h"

#define NS_PER_S    1000000000ull
#define WATCH_MAX_S 86400.0
/* For how long at most a first look waits for every heart to beat. */
#define HEARTS_NS   (2 * NS_PER_S)
/* While a region is being formatted. */
#define TRIES       100
#define PAUSE_NS    10000000

static const char help[] =
	"usage: isthmus show REGION [--json] [--watch SECONDS] [--at-once]\n"
	"\n"
	"Shows who is in a region and what they do there: peers, names, channels with their figures, calls,\n"
	"queues, topics, groups. It only reads: it takes no slot, and nobody can tell that it was there.\n"
	"\n"
	"REGION is a file (/dev/shm/room), the socket of an ivshmem-server, or the name of a shared memory, as\n"
	"the server's -M. A server counts who asks it for its region as a client, for that moment.\n"
	"\n"
	"  --json            one JSON object a line, the one of type \"region\" first\n"
	"  --watch SECONDS   again and again, with rates per second, until Ctrl-C\n"
	"  --at-once         don't wait for each heart to beat once\n";

struct wishes {
	const char *where;
	bool json, at_once, help;
	double watch_s; /* 0: once */
};

static bool parse(int argc, char **argv, struct wishes *w)
{
	for (int i = 0; i < argc; i++) {
		const char *word = argv[i], *value = NULL;
		char *end;

		if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
			w->help = true;
		} else if (strcmp(word, "--json") == 0) {
			w->json = true;
		} else if (strcmp(word, "--at-once") == 0) {
			w->at_once = true;
		} else if (strcmp(word, "--watch") == 0 || strncmp(word, "--watch=", 8) == 0) {
			value = word[7] ? word + 8 : i + 1 < argc ? argv[++i] : "";
			w->watch_s = strtod(value, &end);
			/* The comparison fails for what is no number, too. */
			if (end == value || *end || !(w->watch_s >= 0.01 && w->watch_s <= WATCH_MAX_S)) {
				fprintf(stderr, "isthmus: show --watch '%s': wants seconds, from 0.01 "
					"to %.0f\n", value, WATCH_MAX_S);
				return false;
			}
		} else if (word[0] == '-' || w->where) {
			fprintf(stderr, "isthmus: show: '%s' is too much; see `isthmus show --help`\n",
				word);
			return false;
		} else {
			w->where = word;
		}
	}
	if (!w->where && !w->help)
		fprintf(stderr, "isthmus: show wants a region; see `isthmus show --help`\n");
	return w->where || w->help;
}

static bool complain(const char *where, const struct look *look, uint64_t size, enum look_result what)
{
	static const char *const lines[] = {
		[LOOK_EMPTY] = "nobody has joined this region yet",
		[LOOK_FORMATTING] = "somebody is formatting this region, or died over it; try again",
		[LOOK_STRANGE] = "not a region of Isthmus",
		[LOOK_DAMAGED] = "its header is damaged",
	};

	fprintf(stderr, "isthmus: %s: ", where);
	if (source_cut())
		fprintf(stderr, "was cut short while it was read\n");
	else if (what == LOOK_SMALL)
		fprintf(stderr, "%llu bytes are too few for a region of Isthmus: at least %u\n",
			(unsigned long long)size, WIRE_MIN_SIZE);
	else if (what == LOOK_VERSION)
		fprintf(stderr, "its format is version %u.%u, and this program knows %u.x\n",
			look->version >> 16, look->version & 0xffff, WIRE_MAJOR);
	else if (what == LOOK_SIZE)
		fprintf(stderr, "%llu bytes with the header of a region of %llu\n",
			(unsigned long long)size, (unsigned long long)look->geo.size);
	else
		fprintf(stderr, "%s\n", lines[what]);
	return false;
}

/* Rounds of one formatting: until the region is formatted anew (then true), or it ends. */
static bool look_on(const struct wishes *w, const struct source *s, const struct look *look, bool *again)
{
	struct heart *hearts = calloc(look->geo.slots, sizeof(*hearts));
	struct picture pictures[2] = {0}, *now = &pictures[0], *former = NULL;
	uint64_t due = hearts_now();
	bool good = hearts;

	*again = false;
	if (hearts)
		hearts_watch(look, hearts, w->at_once ? due : due + (look->geo.death_ns < HEARTS_NS ?
				look->geo.death_ns : HEARTS_NS), true);
	while (good) {
		picture_free(now);
		good = picture_take(now, look, hearts, former);
		if (!good)
			break;
		if (source_cut() || !look_stands(look)) {
			*again = !source_cut();
			break;
		}
		if (former && !w->json)
			putchar('\n');
		(w->json ? print_json : print_text)(now);
		/* main() says what went wrong with it. */
		if (fflush(stdout) || !w->watch_s)
			break;
		former = now;
		now = now == &pictures[0] ? &pictures[1] : &pictures[0];
		due = hearts_now() + (uint64_t)(w->watch_s * NS_PER_S);
		hearts_watch(look, hearts, due, false);
	}
	if (!good)
		fprintf(stderr, "isthmus: %s: no memory for what is in there\n", w->where);
	else if (source_cut())
		good = complain(w->where, look, s->size, LOOK_GOOD);
	picture_free(&pictures[0]);
	picture_free(&pictures[1]);
	free(hearts);
	return good;
}

bool inspect_show(int argc, char **argv)
{
	struct wishes w = {0};
	bool good, again = true;
	struct source s = {0};
	struct look look;
	char error[256];

	if (!parse(argc, argv, &w))
		return false;
	if (w.help) {
		fputs(help, stdout);
		return true;
	}
	good = source_open(&s, w.where, error);
	if (!good)
		fprintf(stderr, "isthmus: %s\n", error);
	/* A region that was formatted anew meanwhile is another one. */
	for (unsigned int tries = 0; good && again; tries++) {
		enum look_result what = look_open(&look, s.base, s.size);

		if (what == LOOK_GOOD && !source_cut() && (w.watch_s || tries < TRIES))
			good = look_on(&w, &s, &look, &again);
		else if (what == LOOK_FORMATTING && (w.watch_s || tries < TRIES) && !source_cut())
			nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
		else
			good = complain(w.where, &look, s.size,
				what == LOOK_GOOD ? LOOK_FORMATTING : what);
	}
	source_close(&s);
	return good;
}

// SPDX-License-Identifier: BSD-2-Clause
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/launch/commands.h"
#include "host/launch/outcome.h"
#include "host/launch/place.h"
#include "host/launch/topology.h"

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has(const struct words *w, const char *name, size_t n, const char *tail)
{
	for (size_t i = 0; i < w->n; i++) {
		if (strncmp(w->v[i], name, n) == 0 && strcmp(w->v[i] + n, tail) == 0)
			return true;
	}
	return false;
}

static void print_topology(const char *dir, const char *file, size_t n)
{
	struct text buf = {0}, error = {0};
	char *path = text_format("%s/%s", dir, file);
	struct topology t = {0};

	if (place_read(path, 1u << 20, &buf, &error) &&
		topology_parse(buf.s, buf.n, file, &t, &error))
		printf("  %-16.*s %s (%zu %s)\n", (int)n, file, t.about ? t.about : "", t.n_guests,
			t.n_guests == 1 ? "guest" : "guests");
	else
		printf("  %-16.*s unusable: %s\n", (int)n, file, error.s);
	topology_free(&t);
	text_free(&buf);
	text_free(&error);
	free(path);
}

int command_list(int argc, char **argv)
{
	char *dir = text_format("%s/apps", place_build());
	struct words files = {0};
	struct dirent *e;
	DIR *d;

	if (argc > 0) {
		fprintf(stderr, "isthmus: list takes no words, such as '%s'\n", argv[0]);
		free(dir);
		return EXIT_TOOL;
	}
	d = opendir(dir);
	if (!d) {
		fprintf(stderr, "isthmus: can't read %s: %s; build the project first\n", dir,
			strerror(errno));
		free(dir);
		return EXIT_TOOL;
	}
	while ((e = readdir(d)))
		words_add(&files, e->d_name);
	closedir(d);
	if (files.n)
		qsort(files.v, files.n, sizeof(*files.v), by_name);
	for (size_t i = 0; i < files.n; i++) {
		const char *dot = strrchr(files.v[i], '.');
		size_t n = dot ? (size_t)(dot - files.v[i]) : 0;

		if (dot && strcmp(dot, ".topo") == 0)
			print_topology(dir, files.v[i], n);
		else if (dot && strcmp(dot, ".elf") == 0 && !has(&files, files.v[i], n, ".topo"))
			printf("  %-16.*s an app; any number of guests with -n\n", (int)n,
				files.v[i]);
	}
	words_free(&files);
	free(dir);
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
#include "host/launch/place.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *place_build(void)
{
	static char path[PATH_MAX];
	ssize_t n;

	if (path[0])
		return path;
	n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (n <= 0)
		return ".";
	path[n] = '\0';
	for (int up = 0; up < 2; up++) {
		char *slash = strrchr(path, '/');

		if (slash)
			*slash = '\0';
	}
	return path;
}

static bool is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

static bool ends_in(const char *s, const char *tail)
{
	size_t n = strlen(s), t = strlen(tail);

	return n > t && strcmp(s + n - t, tail) == 0;
}

char *place_program(const char *given, const char *fallback, const char *what, const char *mend,
		    struct text *error)
{
	const char *name = given ? given : fallback, *path = getenv("PATH");

	if (strchr(name, '/')) {
		if (is_file(name) && access(name, X_OK) == 0)
			return text_copy(name);
		text_addf(error, "can't run %s: %s is %s; %s", what, name,
			  access(name, F_OK) ? "not there" : "no program", mend);
		return NULL;
	}
	for (const char *p = path ? path : "/usr/bin:/bin"; *p;) {
		size_t n = strcspn(p, ":");
		char *file = n ? text_format("%.*s/%s", (int)n, p, name) : text_format("./%s", name);

		if (is_file(file) && access(file, X_OK) == 0)
			return file;
		free(file);
		p += n + (p[n] == ':');
	}
	text_addf(error, "can't run %s: there is no %s on the PATH; %s", what, name, mend);
	return NULL;
}

bool place_read(const char *path, size_t max, struct text *out, struct text *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char buf[16384];
	ssize_t n = 0;

	if (fd < 0) {
		text_addf(error, "can't open %s: %s", path, strerror(errno));
		return false;
	}
	text_add(out, "", 0);
	while (out->n <= max && (n = read(fd, buf, sizeof(buf))) > 0)
		text_add(out, buf, (size_t)n);
	if (n < 0)
		text_addf(error, "can't read %s: %s", path, strerror(errno));
	else if (out->n > max)
		text_addf(error, "%s is larger than %zu bytes", path, max);
	close(fd);
	return n >= 0 && out->n <= max;
}

bool place_check_image(const char *path, struct text *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	Elf64_Ehdr h;
	ssize_t n;

	if (fd < 0) {
		text_addf(error, "can't open the image %s: %s", path, strerror(errno));
		return false;
	}
	n = read(fd, &h, sizeof(h));
	close(fd);
	if (n == (ssize_t)sizeof(h) && memcmp(h.e_ident, ELFMAG, SELFMAG) == 0 &&
	    h.e_ident[EI_CLASS] == ELFCLASS64 && h.e_machine == EM_X86_64 && h.e_type == ET_EXEC)
		return true;
	text_addf(error, "%s is no guest image; an x86-64 ELF executable made by isthmus_add_app() is",
		  path);
	return false;
}

/* Whether a word without a / in it names a file all the same. */
static bool is_file_name(const char *what)
{
	static const char *const tails[] = { ".elf", ".topo", ".efi", ".img", ".iso" };

	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		if (ends_in(what, tails[i]))
			return true;
	}
	return false;
}

char *place_find(const char *what, bool *is_topology, struct text *error)
{
	static const char *const tails[] = { ".topo", ".elf" };

	if (strchr(what, '/') || is_file_name(what)) {
		*is_topology = ends_in(what, ".topo");
		if (is_file(what))
			return text_copy(what);
		/* pingpong.elf, where nothing of that name lies in the current folder */
		if (!strchr(what, '/')) {
			char *built = text_format("%s/apps/%s", place_build(), what);

			if (is_file(built))
				return built;
			free(built);
		}
		text_addf(error, "there is no file %s; `isthmus list` shows what can be run by name",
			  what);
		return NULL;
	}
	for (size_t i = 0; i < 2; i++) {
		char *path = text_format("%s/apps/%s%s", place_build(), what, tails[i]);

		*is_topology = i == 0;
		if (is_file(path))
			return path;
		free(path);
	}
	text_addf(error, "there is no app or topology '%s' in %s/apps; `isthmus list` shows what there is",
		  what, place_build());
	return NULL;
}

char *place_app(const char *folder, const char *app, struct text *error)
{
	char *path;

	if (strchr(app, '/')) {
		path = app[0] == '/' ? text_copy(app) : text_format("%s/%s", folder, app);
		if (is_file(path))
			return path;
		text_addf(error, "there is no image %s", path);
		free(path);
		return NULL;
	}
	for (int built = 0; built < 2; built++) {
		const char *tail = is_file_name(app) ? "" : ".elf";

		path = built ? text_format("%s/apps/%s%s", place_build(), app, tail) :
			       text_format("%s/%s%s", folder, app, tail);
		if (is_file(path))
			return path;
		free(path);
	}
	text_addf(error, "there is no app '%s' beside the topology or in %s/apps; `isthmus list` shows what "
		  "there is", app, place_build());
	return NULL;
}

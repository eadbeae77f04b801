// SPDX-License-Identifier: BSD-2-Clause
#include "host/launch/huge.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SYSFS	"/sys/kernel/mm/hugepages"
#define MEMINFO "/proc/meminfo"
#define MOUNTS	"/proc/self/mounts"
#define KIB	1024ull

uint64_t huge_default(const char *meminfo)
{
	FILE *f = fopen(meminfo ? meminfo : MEMINFO, "re");
	unsigned long long kib = 0;
	char line[200];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Hugepagesize: %llu kB", &kib) == 1)
			break;
	}
	if (f)
		fclose(f);
	return kib * KIB;
}

/* A pool's number, or 0 where the file isn't there: all of them may lack. */
static uint64_t pool_number(const char *sysfs, uint64_t page, const char *name)
{
	char *path = text_format("%s/hugepages-%llukB/%s", sysfs,
				 (unsigned long long)(page / KIB), name);
	FILE *f = fopen(path, "re");
	unsigned long long n = 0;

	if (f && fscanf(f, "%llu", &n) != 1)
		n = 0;
	if (f)
		fclose(f);
	free(path);
	return n;
}

static void say_sizes(const char *sysfs, uint64_t page, struct text *error)
{
	DIR *d = opendir(sysfs);
	struct dirent *entry;
	unsigned long long kib;
	char size[32];
	size_t before;

	format_size(size, sizeof(size), page);
	text_addf(error, "this system has no huge pages of %s; it has", size);
	before = error->n;
	while (d && (entry = readdir(d))) {
		if (sscanf(entry->d_name, "hugepages-%llukB", &kib) != 1)
			continue;
		format_size(size, sizeof(size), kib * KIB);
		text_addf(error, "%s%s", error->n > before ? ", " : " ", size);
	}
	if (d)
		closedir(d);
	if (error->n == before)
		text_add_str(error, " none");
}

bool huge_enough(const char *sysfs, uint64_t page, uint64_t pages, struct text *error)
{
	uint64_t total, spare, more, surplus;
	char *pool, size[32];

	sysfs = sysfs ? sysfs : SYSFS;
	pool = text_format("%s/hugepages-%llukB", sysfs, (unsigned long long)(page / KIB));
	if (access(pool, F_OK)) {
		say_sizes(sysfs, page, error);
		free(pool);
		return false;
	}
	total = pool_number(sysfs, page, "nr_hugepages");
	spare = pool_number(sysfs, page, "free_hugepages");
	/* Free ones may be promised to somebody who hasn't touched them yet. */
	more = pool_number(sysfs, page, "resv_hugepages");
	spare -= more < spare ? more : spare;
	/* The kernel makes some at the time of need where it is allowed to. */
	more = pool_number(sysfs, page, "nr_overcommit_hugepages");
	surplus = pool_number(sysfs, page, "surplus_hugepages");
	spare += more > surplus ? more - surplus : 0;
	if (spare < pages) {
		format_size(size, sizeof(size), page);
		text_addf(error, "the regions need %llu huge page%s of %s, and %llu of %llu %s to be had; as "
			  "root, run: echo %llu > %s/nr_hugepages", (unsigned long long)pages,
			  pages == 1 ? "" : "s", size, (unsigned long long)spare,
			  (unsigned long long)total, spare == 1 ? "is" : "are",
			  (unsigned long long)(total + pages - spare), pool);
	}
	free(pool);
	return spare >= pages;
}

char *huge_mount(const char *mounts, uint64_t page)
{
	FILE *f = setmntent(mounts ? mounts : MOUNTS, "re");
	struct mntent *m;
	char *found = NULL;

	while (f && !found && (m = getmntent(f))) {
		const char *value = hasmntopt(m, "pagesize");
		unsigned long long bytes = 0;

		/* Linux always names the size there, as 2M or 1024M. */
		if (strcmp(m->mnt_type, "hugetlbfs") != 0 || !value)
			continue;
		value += strlen("pagesize=");
		char *copy = text_copy(value);

		copy[strcspn(copy, ",")] = '\0';
		if (parse_size(copy, &bytes) && bytes == page)
			found = text_copy(m->mnt_dir);
		free(copy);
	}
	if (f)
		endmntent(f);
	return found;
}

int huge_memfd(const char *name, uint64_t size, uint64_t page, struct text *error)
{
	unsigned int shift = (unsigned int)__builtin_ctzll(page);
	char text[32];
	void *map = MAP_FAILED;
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB |
			      shift << MAP_HUGE_SHIFT);

	if (fd >= 0 && !ftruncate(fd, (off_t)size) &&
	    !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		map = mmap(NULL, size, PROT_NONE, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED) {
		munmap(map, size);
		return fd;
	}
	format_size(text, sizeof(text), page);
	text_addf(error, "can't make region '%s' of %llu huge pages of %s: %s", name,
		  (unsigned long long)(size / page), text, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

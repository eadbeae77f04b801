// SPDX-License-Identifier: BSD-2-Clause
#include "shm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "report.h"
#include "size.h"

#define SHM_FILESYSTEM "/dev/shm"

static const char *plain_name(const struct options *options)
{
	return options->shm_name + strspn(options->shm_name, "/");
}

static int check_dir(struct options *options)
{
	const char *dir = options->shm_dir;
	struct statfs fs;
	struct stat st;

	if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode)) {
		report_error("-m %s: not a directory; -m takes one (such as /dev/hugepages), the "
			     "name of "
			     "a shared memory object is given with -M",
			dir);
		return -1;
	}
	if (statfs(dir, &fs) < 0) {
		report_error("-m %s: %s", dir, strerror(errno));
		return -1;
	}
	if (fs.f_type == HUGETLBFS_MAGIC && options->size < (uint64_t)fs.f_bsize)
		options->size = (uint64_t)fs.f_bsize;
	return 0;
}

/* The bytes that an object of this name has in use already: it may be taken over. */
static uint64_t bytes_in_place(const struct options *options)
{
	uint64_t bytes = 0;
	struct stat st;
	int fd;

	if (options->region != OPTIONS_REGION_SHM)
		return 0;
	fd = shm_open(options->shm_name, O_RDONLY | O_CLOEXEC, 0);
	if (fd >= 0 && fstat(fd, &st) == 0)
		bytes = (uint64_t)st.st_blocks * 512;
	if (fd >= 0)
		close(fd);
	return bytes;
}

int shm_check(struct options *options)
{
	const char *where = SHM_FILESYSTEM;
	char wanted[32];
	struct statfs fs;
	uint64_t room;

	if (options->region == OPTIONS_REGION_MEMFD) {
		if (options->size < options->huge_page)
			options->size = options->huge_page;
		return 0; /* its filesystem has no limit of its own */
	}
	if (options->region == OPTIONS_REGION_DIR) {
		if (check_dir(options) < 0)
			return -1;
		where = options->shm_dir;
	}
	/* hugetlbfs says how many pages it has only when they are reserved, in reserve_huge(). */
	if (statfs(where, &fs) < 0 || fs.f_type == HUGETLBFS_MAGIC || fs.f_blocks == 0)
		return 0;
	room = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize + bytes_in_place(options);
	if (options->size <= room)
		return 0;
	report_error("-l: %s has room for %" PRIu64
		     " MiB, and the region needs %s; take a smaller -l, or "
		     "free or enlarge it",
		where, room >> 20, size_format(options->size, wanted));
	return -1;
}

/* A number of the system's pool of such huge pages; 0 where it can't be read. */
static uint64_t pool_number(uint64_t page, const char *name)
{
	uint64_t number = 0;
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/%s",
		page / 1024, name);
	file = fopen(path, "re");
	if (file && fscanf(file, "%" SCNu64, &number) != 1)
		number = 0;
	if (file)
		fclose(file);
	return number;
}

/*
 * Puts the pages of a hugetlbfs file aside now, or a client would die by SIGBUS when they run
 * out. The kernel reserves at mmap; PROT_NONE, for the region is none of our business.
 */
static int reserve_huge(int fd, const struct options *options, const char *what)
{
	uint64_t total, spare, promised, wanted;
	char size[32], page[32];
	struct statfs fs;
	void *map;

	if (fstatfs(fd, &fs) < 0 || fs.f_type != HUGETLBFS_MAGIC)
		return 0;
	map = mmap(NULL, options->size, PROT_NONE, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED) {
		munmap(map, options->size);
		return 0;
	}
	wanted = options->size / (uint64_t)fs.f_bsize;
	total = pool_number((uint64_t)fs.f_bsize, "nr_hugepages");
	spare = pool_number((uint64_t)fs.f_bsize, "free_hugepages");
	promised = pool_number((uint64_t)fs.f_bsize, "resv_hugepages");
	spare -= promised < spare ? promised : spare;
	if (spare > wanted)
		spare = wanted; /* then a limit of the mount stood in the way */
	report_error(
		"%s: %s need %" PRIu64 " huge pages of %s, and %" PRIu64 " of %" PRIu64
		" are to be had; reserve more: echo %" PRIu64
		" > /sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/nr_hugepages",
		what, size_format(options->size, size), wanted,
		size_format((uint64_t)fs.f_bsize, page), spare, total, total + wanted - spare,
		(uint64_t)fs.f_bsize / 1024);
	return -1;
}

static int resize(int fd, const struct options *options, const char *what)
{
	char size[32];

	if (ftruncate(fd, (off_t)options->size) == 0)
		return 0;
	report_error("%s: cannot make it %s long: %s", what, size_format(options->size, size),
		strerror(errno));
	return -1;
}

static int open_memfd(struct shm *shm, const struct options *options)
{
	const char *what = options->huge_page ? "--hugepages" : "--memfd";
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	char page[32];

	if (options->huge_page)
		flags |= MFD_HUGETLB | (unsigned int)__builtin_ctzll(options->huge_page)
						<< MAP_HUGE_SHIFT;
	shm->fd = memfd_create("ivshmem", flags);
	if (shm->fd < 0 && errno == ENODEV) {
		report_error("--hugepages %s: this system has no huge pages of that size; "
			     "/sys/kernel/mm/hugepages shows which it has",
			size_format(options->huge_page, page));
		return -1;
	}
	if (shm->fd < 0) {
		report_error("%s: %s", what, strerror(errno));
		return -1;
	}
	shm->created = true;
	if (resize(shm->fd, options, what) < 0)
		return -1;
	if (fcntl(shm->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		report_error("%s: cannot seal it against resizing: %s", what, strerror(errno));
		return -1;
	}
	return reserve_huge(shm->fd, options, what);
}

static int open_in_dir(struct shm *shm, const struct options *options)
{
	char *path;

	if (asprintf(&path, "%s/ivshmem.XXXXXX", options->shm_dir) < 0) {
		report_error("-m %s: out of memory", options->shm_dir);
		return -1;
	}
	shm->fd = mkostemp(path, O_CLOEXEC);
	if (shm->fd < 0) {
		report_error(
			"-m %s: cannot create a file there: %s", options->shm_dir, strerror(errno));
		free(path);
		return -1;
	}
	unlink(path); /* the descriptor is all that anybody needs */
	free(path);
	shm->created = true;
	if (resize(shm->fd, options, options->shm_dir) < 0)
		return -1;
	return reserve_huge(shm->fd, options, "-m");
}

/* Whether the name means the file behind @st, still. */
static bool names_file(const char *name, dev_t device, ino_t inode)
{
	struct stat st;
	bool same;
	int fd = shm_open(name, O_RDONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return false;
	same = fstat(fd, &st) == 0 && st.st_dev == device && st.st_ino == inode;
	close(fd);
	return same;
}

/* Opens or creates the object. Returns 1; 0 to try again, for it vanished on the way; -1. */
static int open_object(struct shm *shm, const struct options *options)
{
	const char *name = options->shm_name;
	struct stat st;

	shm->fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
	shm->created = shm->fd >= 0;
	if (shm->fd < 0 && errno == EEXIST)
		shm->fd = shm_open(name, O_RDWR | O_CLOEXEC, 0);
	if (shm->fd < 0 && errno == ENOENT)
		return 0;
	if (shm->fd < 0) {
		report_error("-M %s: cannot open " SHM_FILESYSTEM "/%s: %s", name,
			plain_name(options), strerror(errno));
		return -1;
	}
	if (fstat(shm->fd, &st) < 0) {
		report_error("-M %s: %s", name, strerror(errno));
		return -1;
	}
	shm->name = name;
	shm->device = st.st_dev;
	shm->inode = st.st_ino;

	/* A lock on clients' own opening would outlive this server; so there is a second one. */
	shm->lock_fd = shm_open(name, O_RDONLY | O_CLOEXEC, 0);
	if (shm->lock_fd < 0)
		return 0;
	if (flock(shm->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		report_error("-M %s: another ivshmem-server is using " SHM_FILESYSTEM
			     "/%s; stop it, or "
			     "choose another name with -M",
			name, plain_name(options));
		shm->created = false;
		return -1;
	}
	/* Its last user may have removed it between our open and our lock. */
	if (fstat(shm->lock_fd, &st) < 0 || st.st_ino != shm->inode ||
		!names_file(name, shm->device, shm->inode))
		return 0;
	return 1;
}

static int open_named(struct shm *shm, const struct options *options)
{
	char has[32], wants[32];
	struct stat st;
	int outcome = 0;

	for (int tries = 0; tries < 100 && outcome == 0; tries++) {
		shm_close_region(shm, false);
		outcome = open_object(shm, options);
	}
	if (outcome == 0)
		report_error("-M %s: " SHM_FILESYSTEM
			     "/%s comes and goes: somebody else uses that name",
			options->shm_name, plain_name(options));
	if (outcome <= 0)
		return -1;
	if (fstat(shm->fd, &st) == 0 && (uint64_t)st.st_size > options->size) {
		report_error("-M %s: " SHM_FILESYSTEM
			     "/%s exists with %s and is not cut to %s, for whoever "
			     "has it mapped would crash; remove it, or choose another -M or -l",
			options->shm_name, plain_name(options),
			size_format((uint64_t)st.st_size, has), size_format(options->size, wants));
		return -1;
	}
	return resize(shm->fd, options, options->shm_name);
}

int shm_open_region(struct shm *shm, const struct options *options)
{
	int err;

	*shm = (struct shm){.fd = -1, .lock_fd = -1};
	if (options->region == OPTIONS_REGION_MEMFD)
		err = open_memfd(shm, options);
	else if (options->region == OPTIONS_REGION_DIR)
		err = open_in_dir(shm, options);
	else
		err = open_named(shm, options);
	if (err)
		shm_close_region(shm, shm->created);
	return err;
}

void shm_close_region(struct shm *shm, bool unlink_name)
{
	if (unlink_name && shm->name && names_file(shm->name, shm->device, shm->inode))
		shm_unlink(shm->name);
	if (shm->fd >= 0)
		close(shm->fd);
	if (shm->lock_fd >= 0)
		close(shm->lock_fd);
	*shm = (struct shm){.fd = -1, .lock_fd = -1};
}

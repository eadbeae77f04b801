// SPDX-License-Identifier: BSD-2-Clause
#include "host/inspect/source.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/client/ivshmem_client.h"

#define PAGE 4096u

/* What the handler looks at. */
static volatile uintptr_t mapped;
static volatile uint64_t mapped_size;
static volatile sig_atomic_t cut;

/* A lost page: zeroes of our own over all of it, so that the read goes on, and the fact noted. */
static void bus_error(int number, siginfo_t *info, void *context)
{
	struct sigaction fallback = {.sa_handler = SIG_DFL};

	(void)context;
	if (mapped && (uintptr_t)info->si_addr - mapped < mapped_size &&
		mmap((void *)mapped, mapped_size, PROT_READ,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) !=
			MAP_FAILED) {
		cut = 1;
		return;
	}
	sigaction(number, &fallback, NULL); /* the access happens again, and ends us */
}

bool source_cut(void)
{
	return cut;
}

static bool map(struct source *s, int fd, uint64_t size, const char *where, char error[256])
{
	struct sigaction action = {.sa_sigaction = bus_error, .sa_flags = SA_SIGINFO};
	void *base;

	if (!size || size > SIZE_MAX) {
		snprintf(error, 256, "%.200s: %llu bytes can't be a region", where,
			(unsigned long long)size);
		return false;
	}
	base = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED) {
		snprintf(error, 256, "%.150s: can't map %llu bytes: %s", where,
			(unsigned long long)size, strerror(errno));
		return false;
	}
	*s = (struct source){.base = base, .size = size};
	cut = 0;
	mapped_size = size;
	mapped = (uintptr_t)base;
	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, NULL);
	return true;
}

static bool open_socket(struct source *s, const char *path, char error[256])
{
	struct ivshmem_client_options options = {.min_vectors = 0, .max_vectors = 1};
	struct ivshmem_client_error why;
	struct ivshmem_client *client;
	bool good;

	if (ivshmem_client_open(&client, path, &options, &why)) {
		snprintf(error, 256, "%.255s", why.text);
		return false;
	}
	good = map(s, ivshmem_client_region_fd(client), ivshmem_client_region_size(client), path,
		error);
	ivshmem_client_close(client);
	return good;
}

static bool open_file(struct source *s, int fd, const char *where, char error[256])
{
	struct stat status;

	if (fstat(fd, &status) < 0) {
		snprintf(error, 256, "%.150s: %s", where, strerror(errno));
		return false;
	}
	if (!S_ISREG(status.st_mode)) {
		snprintf(error, 256, "%.100s: not a region: give a file, a server's socket, or the name "
			 "of a shared memory", where);
		return false;
	}
	/* What whoever attaches takes: whole pages. */
	return map(s, fd, (uint64_t)status.st_size & ~(uint64_t)(PAGE - 1), where, error);
}

bool source_open(struct source *s, const char *where, char error[256])
{
	struct stat status;
	bool good;
	int fd;

	if (strncmp(where, "socket=", 7) == 0)
		return open_socket(s, where + 7, error);
	if (stat(where, &status) == 0 && S_ISSOCK(status.st_mode))
		return open_socket(s, where, error);
	fd = open(where, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	/* The name of a shared memory has no slash but one that may be in front. */
	if (fd < 0 && errno == ENOENT && where[0] && !strchr(where + 1, '/')) {
		fd = shm_open(where, O_RDONLY | O_CLOEXEC, 0);
		if (fd < 0 && errno == ENOENT) {
			snprintf(error, 256, "%.100s: no such file, socket or shared memory", where);
			return false;
		}
	}
	if (fd < 0) {
		snprintf(error, 256, "%.150s: %s", where, strerror(errno));
		return false;
	}
	good = open_file(s, fd, where, error);
	close(fd);
	return good;
}

void source_close(struct source *s)
{
	mapped = 0;
	if (s->base)
		munmap((void *)(uintptr_t)s->base, s->size);
	*s = (struct source){0};
}

// SPDX-License-Identifier: BSD-2-Clause
// Joining a region from a process: through a server's socket, or a bare shared file.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "host/client/ivshmem_client.h"
#include "host/peer/peer.h"

#define MIN_SIZE 65536
#define AWAIT_STEP_NS 20000000ull
#define NS_PER_MS 1000000ull
#define ATTACH_MS 10000
/* The least that a server gets for its greeting, however late it is: one that answers is through in
 * less, and who tries but once shall find it. */
#define GREETING_MS 100

static _Thread_local struct peer_region *regions;
static _Thread_local struct msg_context *context;

struct peer_region *peer_regions(void)
{
	return regions;
}

struct msg_context *peer_context(void)
{
	if (!context)
		context = msg_context_create(&peer_wait_ops);
	return context;
}

// Without regions a thread needs no context: threads that end leave nothing behind.
static void context_drop(void)
{
	if (context && !msg_context_regions(context)) {
		msg_context_destroy(context);
		context = NULL;
	}
}

// The child of a fork is not the peer that its parent is: it attaches for itself, and must not mark
// the parent asleep, nor read its doorbells.
static void forget_parent(void)
{
	regions = NULL;
	context = NULL;
}

static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, forget_parent);
}

void peer_read_server(struct peer_region *region)
{
	struct ivshmem_client_event event;
	struct ivshmem_client_error error;
	int got;

	// Who comes and goes is told by the region; the client keeps the eventfds.
	while ((got = ivshmem_client_next_event(region->client, &event, &error)) > 0)
		;
	if (got < 0 && !region->server_lost) {
		region->server_lost = true;
		if (region->region)
			msg_region_server_lost(region->region);
	}
}

static void peer_notify(void *arg, uint32_t peer_id, uint32_t vector)
{
	struct peer_region *region = arg;

	if (ivshmem_client_notify(region->client, peer_id, vector) == -ENOENT) {
		// The server's news of that peer may be waiting in the socket.
		peer_read_server(region);
		ivshmem_client_notify(region->client, peer_id, vector);
	}
}

static void peer_wake_word(void *arg, volatile uint32_t *word)
{
	(void)arg;
	__atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void peer_free_region(struct peer_region *region)
{
	if (region->base) {
		peer_unwatch_holes(region);
		munmap(region->base, region->size);
	}
	ivshmem_client_close(region->client);
	free(region);
}

static void peer_close(void *arg)
{
	struct peer_region *region = arg, **link = &regions;

	while (*link && *link != region)
		link = &(*link)->next;
	if (*link)
		*link = region->next;
	peer_free_region(region);
	context_drop();
}

static int map_fd(struct peer_region *region, int fd, const char *name)
{
	region->base = mmap(NULL, region->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (region->base == MAP_FAILED) {
		int err = errno;

		region->base = NULL;
		peer_say("%s: can't map %llu bytes: %s", name, (unsigned long long)region->size,
			strerror(err));
		return -err;
	}
	peer_watch_holes(region);
	return 0;
}

// patient: a server that isn't there, or dies over the greeting, may come until the deadline.
static int open_socket(struct peer_region *region, const char *path, uint64_t deadline, bool patient)
{
	struct ivshmem_client_options options = { .min_vectors = 1 };
	struct ivshmem_client_error error;
	int err;

	for (;;) {
		uint64_t now = msg_now_ns(), left = deadline > now ? deadline - now : 0;

		options.timeout_ms = GREETING_MS;
		if (left / NS_PER_MS > GREETING_MS)
			options.timeout_ms = left / NS_PER_MS < INT_MAX ?
				(unsigned int)(left / NS_PER_MS) : INT_MAX;
		err = ivshmem_client_open(&region->client, path, &options, &error);
		if (!patient || !left ||
			(err != -ENOENT && err != -ECONNREFUSED && err != -ECONNRESET))
			break;
		msg_sleep_until(left < AWAIT_STEP_NS ? deadline : now + AWAIT_STEP_NS);
	}
	if (err) {
		peer_say("%s", error.text);
		return err == -ENOENT || err == -ECONNREFUSED ? -ENODEV : err;
	}
	region->size = ivshmem_client_region_size(region->client);
	return map_fd(region, ivshmem_client_region_fd(region->client), path);
}

static int open_file(struct peer_region *region, const char *path)
{
	struct stat status;
	int fd, err;

	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0) {
		err = errno;
		if (err == ENOENT)
			peer_say("region %s is not there; make it with: truncate -s 4M %s", path,
				path);
		else
			peer_say("region %s: %s", path, strerror(err));
		if (fd >= 0)
			close(fd);
		return err == ENOENT ? -ENODEV : -err;
	}
	region->size = (uint64_t)status.st_size & ~4095ull;
	if (S_ISSOCK(status.st_mode) || !S_ISREG(status.st_mode)) {
		peer_say("region %s: not a regular file; for a server's socket say socket=%s",
			path, path);
		err = -EINVAL;
	} else if (region->size < MIN_SIZE) {
		peer_say("region %s: %lld bytes; messages need at least %d: truncate -s 4M %s",
			path, (long long)status.st_size, MIN_SIZE, path);
		err = -EINVAL;
	} else {
		err = map_fd(region, fd, path);
	}
	close(fd);
	return err;
}

static void fill_ops(struct msg_region_ops *ops, struct peer_region *region)
{
	*ops = (struct msg_region_ops){
		.base = region->base,
		.size = region->size,
		.peer_id = MSG_NO_ID,
		.arg = region,
		.beat_start = peer_beat_start,
		.beat_stop = peer_beat_stop,
		.close = peer_close,
	};
	if (region->client) {
		ops->peer_id = ivshmem_client_id(region->client);
		ops->vectors = ivshmem_client_vectors(region->client);
		ops->notify = peer_notify;
	} else {
		ops->shared_words = true;
		ops->wake_word = peer_wake_word;
	}
}

// "" and NULL mean what the environment says; NULL, and a line, if it says nothing.
static const char *choose_place(const char *where)
{
	if (where && where[0])
		return where;
	where = getenv("ISTHMUS_REGION");
	if (where && where[0])
		return where;
	peer_say("which region? Set ISTHMUS_REGION to socket=PATH (of an ivshmem-server) "
		 "or to a shared file");
	return NULL;
}

int msg_await(const char *where, uint64_t deadline)
{
	int late = -EAGAIN;
	const char *path;

	where = choose_place(where);
	if (!where)
		return -EINVAL;
	path = !strncmp(where, "socket=", 7) ? where + 7 : where;
	// Whether a server listens there is for msg_attach to say: to ask would be to join.
	while (access(path, F_OK)) {
		uint64_t now = msg_now_ns();

		if (now >= deadline)
			return late;
		late = -ETIMEDOUT;
		msg_sleep_until(deadline - now < AWAIT_STEP_NS ? deadline : now + AWAIT_STEP_NS);
	}
	return 0;
}

int msg_attach(const char *where, const struct msg_options *options, struct msg_region **result)
{
	struct msg_options wishes = options ? *options : (struct msg_options){ 0 };
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct peer_region *region;
	struct msg_region_ops ops;
	bool patient = wishes.deadline;
	int err;

	pthread_once(&once, watch_forks);
	where = choose_place(where);
	if (!where)
		return -ENODEV;
	if (!wishes.deadline)
		wishes.deadline = msg_now_ns() + ATTACH_MS * NS_PER_MS;
	if (!wishes.name)
		wishes.name = getenv("ISTHMUS_NAME");
	if (wishes.name && !wishes.name[0])
		wishes.name = NULL;
	if (wishes.name && strlen(wishes.name) > MSG_NAME_MAX) {
		peer_say("the peer name %s is longer than %d bytes", wishes.name, MSG_NAME_MAX);
		return -EINVAL;
	}
	region = calloc(1, sizeof(*region));
	if (!region || !peer_context()) {
		free(region);
		return -ENOMEM;
	}
	err = !strncmp(where, "socket=", 7) ?
		open_socket(region, where + 7, wishes.deadline, patient) : open_file(region, where);
	if (err) {
		peer_free_region(region);
		context_drop();
		return err;
	}
	fill_ops(&ops, region);
	region->next = regions;
	regions = region;
	err = msg_join(context, &ops, &wishes, &region->region);
	if (err) {
		if (region->hole)
			err = -ENODEV;
		peer_say("can't join the region at %s: %s", where,
			region->hole ? "its file was cut short" : msg_strerror(err));
		peer_close(region);
		return err;
	}
	if (region->server_lost)
		msg_region_server_lost(region->region);
	if (region->hole) {
		// What was joined is memory of nobody else's.
		peer_say("the region at %s was cut short", where);
		msg_leave(region->region);
		return -ENODEV;
	}
	*result = region->region;
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// See harness.h.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "msg/internal.h"
#include "tests/msg/harness.h"

static char folder[64];
static pid_t top;
static const char *current = "?";

void (*test_undecided)(void);

void test_fail(const char *file, int line, const char *what, int64_t result)
{
	if (test_undecided)
		test_undecided();
	if (result)
		fprintf(stderr, "%s: %s:%d: %s: %lld (%s)\n", current, file, line, what,
			(long long)result, msg_strerror(result));
	else
		fprintf(stderr, "%s: %s:%d: %s\n", current, file, line, what);
	fflush(NULL);
	_exit(1);
}

int64_t test_ok(const char *file, int line, const char *what, int64_t result)
{
	if (result < 0)
		test_fail(file, line, what, result);
	return result;
}

void test_differ(const char *file, int line, const char *a, const char *b, int64_t va, int64_t vb)
{
	if (test_undecided)
		test_undecided();
	fprintf(stderr, "%s: %s:%d: %s is %lld, %s is %lld\n", current, file, line, a,
		(long long)va,
		b, (long long)vb);
	fflush(NULL);
	_exit(1);
}

static void remove_folder(void)
{
	DIR *dir;
	struct dirent *entry;

	if (getpid() != top)
		return;
	dir = opendir(folder);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(folder);
}

// Ended from outside, by Ctrl-C say. The run itself only waits, so that it can do this at any moment.
static void ended(int number)
{
	remove_folder();
	signal(number, SIG_DFL);
	raise(number);
}

/* Cases sleep more than they compute: so many run at once, each with its output in a file of its own. */
#define AT_ONCE 3
unsigned test_at_once = AT_ONCE;

struct running {
	const struct test_case *test; /* NULL: nobody runs here */
	pid_t pid;
	int output;                   /* -1: it writes where we do */
};

static void case_start(struct running *running, const struct test_case *test, bool alone)
{
	current = test->name;
	fflush(NULL);
	running->test = test;
	running->output = alone ? -1 : memfd_create(test->name, MFD_CLOEXEC);
	running->pid = fork();
	if (!running->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpgid(0, 0);
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		if (!alone && (dup2(running->output, STDOUT_FILENO) < 0 ||
			dup2(running->output, STDERR_FILENO) < 0))
			_exit(1);
		alarm(test->seconds ? test->seconds : 60);
		test->run();
		fflush(NULL);
		exit(0);
	}
}

static void show(int output)
{
	char text[4096];
	ssize_t len;
	off_t at;

	for (at = 0; (len = pread(output, text, sizeof(text), at)) > 0; at += len)
		fwrite(text, 1, (size_t)len, stdout);
	close(output);
}

// Waits for one of them to end. True: it passed.
static bool case_end(struct running *running)
{
	pid_t pid;
	int status;

	current = "?";
	pid = wait(&status);
	while (running->pid != pid || !running->test)
		running++;
	if (running->output >= 0)
		show(running->output);
	if (WIFSIGNALED(status))
		printf("%s: signal %d%s\n", running->test->name, WTERMSIG(status),
			WTERMSIG(status) == SIGALRM ? " (time limit)" : "");
	printf("%s %s\n", status ? "FAIL" : "PASS", running->test->name);
	fflush(stdout);
	running->test = NULL;
	return !status;
}

static bool case_wanted(const struct test_case *test, int argc, char **argv)
{
	size_t len = strlen(test->name);
	int k;

	if (argc < 2)
		return len < 5 || strcmp(test->name + len - 5, "_more");
	for (k = 1; k < argc; k++)
		if (!strcmp(argv[k], test->name))
			return true;
	return false;
}

// A name that has no case is a mistake in somebody's list, not a case that passes.
static unsigned unknown_cases(int argc, char **argv, const struct test_case *cases, size_t count)
{
	unsigned unknown = 0;
	size_t i;
	int k;

	for (k = 1; k < argc; k++) {
		for (i = 0; i < count && strcmp(argv[k], cases[i].name); i++)
			;
		if (i == count) {
			printf("FAIL %s: there is no such case\n", argv[k]);
			unknown++;
		}
	}
	return unknown;
}

int test_main(int argc, char **argv, const struct test_case *cases, size_t count)
{
	struct running running[AT_ONCE] = { { 0 } };
	unsigned failed = unknown_cases(argc, argv, cases, count), ran = 0, now = 0, i;

	top = getpid();
	strcpy(folder, "/dev/shm/isthmus-msg-XXXXXX");
	if (access("/dev/shm", W_OK) || !mkdtemp(folder)) {
		strcpy(folder, "/tmp/isthmus-msg-XXXXXX");
		if (!mkdtemp(folder))
			return 1;
	}
	atexit(remove_folder);
	signal(SIGINT, ended);
	signal(SIGTERM, ended);
	for (; count; cases++, count--) {
		if (!case_wanted(cases, argc, argv))
			continue;
		if (now == test_at_once) {
			failed += !case_end(running);
			now--;
		}
		for (i = 0; running[i].test; i++)
			;
		case_start(&running[i], cases, argc == 2);
		ran++;
		now++;
	}
	for (; now; now--)
		failed += !case_end(running);
	printf("SUMMARY %u cases, %u failed\n", ran, failed);
	return failed || !ran;
}

const char *test_region(uint64_t size)
{
	static unsigned number;
	static char paths[256][128];
	char *path = paths[number % 256];
	int fd;

	snprintf(path, sizeof(paths[0]), "%s/region-%d-%u", folder, getpid(), number++);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	CHECK(!ftruncate(fd, (off_t)size));
	close(fd);
	return path;
}

void *test_map(const char *path, uint64_t size)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *base;

	CHECK(fd >= 0);
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(base != MAP_FAILED);
	close(fd);
	return base;
}

pid_t test_spawn(void (*peer)(void *arg), void *arg)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		peer(arg);
		fflush(NULL);
		exit(0);
	}
	return pid;
}

void *test_shared(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED);
	return memory;
}

void test_join(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	EQUAL(status, 0);
}

void test_kill(pid_t pid)
{
	CHECK(!kill(pid, SIGKILL));
	CHECK(waitpid(pid, NULL, 0) == pid);
}

pid_t test_server(const char *socket_path, const char *size, const char *vectors, const char *kind,
	const char *name)
{
	const char *build = getenv("ISTHMUS_BUILD");
	char program[512], fd[16], own[480] = "";
	int ready[2];
	pid_t pid;

	if (!build) { // run by hand, from where it was built: BUILD/tests/...
		char *end = NULL, *next = own;

		CHECK(readlink("/proc/self/exe", own, sizeof(own) - 1) > 0);
		while ((next = strstr(next, "/tests/")))
			end = next++;
		CHECK(end);
		*end = 0;
		build = own;
	}
	snprintf(program, sizeof(program), "%s/bin/ivshmem-server", build);
	CHECK(!pipe(ready));
	fflush(NULL);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		snprintf(fd, sizeof(fd), "%d", ready[1]);
		execl(program, program, "-F", "-S", socket_path, "-l", size, "-n", vectors, "--ready-fd",
			fd, kind, name, NULL);
		_exit(127);
	}
	close(ready[1]);
	// The socket's file is there before anybody listens on it; the server says when it is ready.
	CHECK(read(ready[0], fd, 1) == 1);
	close(ready[0]);
	return pid;
}

void test_server_end(pid_t pid)
{
	CHECK(!kill(pid, SIGTERM));
	CHECK(waitpid(pid, NULL, 0) == pid);
}

uint64_t test_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

void test_fill(void *data, size_t len, uint64_t seed)
{
	uint8_t *p = data;
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)((seed * 131 + i) ^ i >> 8);
}

bool test_filled(const void *data, size_t len, uint64_t seed)
{
	const uint8_t *p = data;
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != (uint8_t)((seed * 131 + i) ^ i >> 8))
			return false;
	return true;
}

void test_all_returned(const char *path, void (*name)(unsigned i, char text[16]), unsigned names)
{
	struct msg_options wishes = { .name = "last", .deadline = in_ms(60000) };
	struct msg_region_info info;
	struct msg_listener *listener;
	struct msg_region *region;
	uint64_t end = in_ms(60000);
	char text[16];
	unsigned i;

	OK(msg_attach(path, &wishes, &region));
	while (msg_peers(region, NULL, 0) != 1 && msg_now_ns() < end)
		msg_sleep_until(in_ms(5));
	EQUAL(msg_peers(region, NULL, 0), 1);
	msg_region_describe(region, &info);
	EQUAL(info.land_free, info.land_bytes);
	for (i = 0; i < names; i++) {
		name(i, text);
		OK(msg_listen(region, text, NULL, &listener));
		msg_unlisten(listener);
	}
	OK(msg_leave(region));
}

struct msg_region *test_attach(const char *path, const char *name)
{
	struct msg_options options = { .name = name };
	struct msg_region *region;

	OK(msg_attach(path, &options, &region));
	return region;
}

struct msg_region *test_attach_patient(const char *path, const char *name)
{
	struct msg_options options = { .name = name, .death_ns = PATIENT_DEATH };
	struct msg_region *region;

	OK(msg_attach(path, &options, &region));
	return region;
}

void test_slow_backing(struct msg_region *region)
{
	static struct msg_wait_ops ops;

	ops = *region->context->ops;
	ops.backing_ns = 5 * S;
	region->context->ops = &ops;
}

static struct {
	struct msg_wait_ops ops;
	enum msg_sleep_result (*sleep_until)(void *arg, uint64_t deadline, volatile uint32_t *word,
		uint32_t value);
	void (*hook)(void);
	bool inside;
} at_sleep;

static enum msg_sleep_result hooked_sleep(void *arg, uint64_t deadline, volatile uint32_t *word,
	uint32_t value)
{
	uint64_t soon = msg_now_ns() + MS;

	if (at_sleep.hook && !at_sleep.inside) {
		at_sleep.inside = true;
		at_sleep.hook();
		at_sleep.inside = false;
	}
	return at_sleep.sleep_until(arg, deadline < soon ? deadline : soon, word, value);
}

void test_at_sleep(struct msg_region *region, void (*hook)(void))
{
	if (!at_sleep.sleep_until) {
		at_sleep.ops = *region->context->ops;
		at_sleep.sleep_until = at_sleep.ops.sleep_until;
		at_sleep.ops.sleep_until = hooked_sleep;
	}
	region->context->ops = &at_sleep.ops;
	at_sleep.hook = hook;
}

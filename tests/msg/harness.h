/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table of cases, each run in a process of its own with a time limit, a few at once, so that a crash or a
 * hang is that case's failure alone. Peers are further processes. Region files lie in one temporary
 * folder that goes away with the run.
 */
#ifndef TESTS_MSG_HARNESS_H
#define TESTS_MSG_HARNESS_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <isthmus/msg.h>

#define MS 1000000ull
#define S  (1000 * MS)

/* A death time for regions in which nobody is to be taken for dead, however busy the machine is. */
#define PATIENT_DEATH (20 * S)

#define CHECK(condition) \
	do { \
		if (!(condition)) \
			test_fail(__FILE__, __LINE__, #condition, 0); \
	} while (0)

/* The expression must not be negative; its value. */
#define OK(expression) test_ok(__FILE__, __LINE__, #expression, (expression))

#define EQUAL(a, b) \
	do { \
		int64_t a_ = (int64_t)(a), b_ = (int64_t)(b); \
		if (a_ != b_) \
			test_differ(__FILE__, __LINE__, #a, #b, a_, b_); \
	} while (0)

/* Did the deadline end it? On a busy machine it may have passed before the call: that is -EAGAIN. */
static inline bool test_late(int64_t result)
{
	return result == -ETIMEDOUT || result == -EAGAIN;
}

/* A call with a deadline a few ms away, in which nothing happens. */
#define TIMES_OUT(call) \
	do { \
		int64_t err_ = (int64_t)(call); \
		if (!test_late(err_)) \
			test_fail(__FILE__, __LINE__, #call, err_ ? err_ : 1); \
	} while (0)

/* Waits until it is so, a minute at most: for what another process does, in its own time. The regions
 * of who waits so are not tended meanwhile. */
#define UNTIL(condition) \
	do { \
		uint64_t end_ = in_ms(60000); \
		while (!(condition)) { \
			if (msg_now_ns() > end_) \
				test_fail(__FILE__, __LINE__, "not in a minute: " #condition, 0); \
			msg_sleep_until(msg_now_ns() + MS / 10); \
		} \
	} while (0)

struct test_case {
	const char *name;
	void (*run)(void);
	unsigned seconds; /* time limit; 0: 60 */
};

/* Runs the cases named in argv, or all but those whose names end in "_more": what takes long and adds
 * times, not kinds. main's result. */
int test_main(int argc, char **argv, const struct test_case *cases, size_t count);

/* How many cases run at once, 3 at most, which is the default; main may set it: 1 for what keeps the
 * machine busy by itself. */
extern unsigned test_at_once;

/* Called before a failure is told, if it is set: ends the process instead where the failure shows nothing,
 * since a heart stood still on a busy machine. */
extern void (*test_undecided)(void);

void test_fail(const char *file, int line, const char *what, int64_t result)
	__attribute__((noreturn));
int64_t test_ok(const char *file, int line, const char *what, int64_t result);
void test_differ(const char *file, int line, const char *a, const char *b, int64_t va, int64_t vb)
	__attribute__((noreturn));

/* A new file of zeroes in the run's folder; its path, for good. */
const char *test_region(uint64_t size);

/* Maps a region file. */
void *test_map(const char *path, uint64_t size);

/* Runs peer(arg) in a new process, which dies with this one. */
pid_t test_spawn(void (*peer)(void *arg), void *arg);

/* Zeroed memory that processes spawned from now on share: what they tell each other past the
 * region. For as long as the case. */
void *test_shared(size_t size);

/* Waits for a spawned process, which must succeed. */
void test_join(pid_t pid);

/* Kills it with signal and waits. */
void test_kill(pid_t pid);

/* Starts the build's ivshmem-server at that socket with a region of `size` and so many vectors (the
 * words of -l and -n), and waits until it listens. kind, name: an option that says where the region
 * lies, and its value or NULL. It ends with this process. */
pid_t test_server(const char *socket_path, const char *size, const char *vectors, const char *kind,
	const char *name);

/* Asks it to end, and waits. */
void test_server_end(pid_t pid);

/* Bytes that depend on seed and place. */
void test_fill(void *data, size_t len, uint64_t seed);
bool test_filled(const void *data, size_t len, uint64_t seed);

uint64_t test_random(uint64_t *state);

/* A deadline in ms from now. */
static inline uint64_t in_ms(uint64_t ms)
{
	return msg_now_ns() + ms * MS;
}

/* msg_attach under a name, with defaults; with PATIENT_DEATH, where nobody dies. */
struct msg_region *test_attach(const char *path, const char *name);
struct msg_region *test_attach_patient(const char *path, const char *name);

/* When all peers are gone: nobody stands in the region any more, all land is free, and each of the names, of
 * which name() writes the i-th, can be had. */
void test_all_returned(const char *path, void (*name)(unsigned i, char text[16]), unsigned names);

/* From now on a lost wake-up in this region's thread costs seconds, and is counted as a rescue; what
 * is merely late on a busy machine comes well before that, and isn't. */
void test_slow_backing(struct msg_region *region);

/* From now on hook runs whenever a wait in this region's thread is about to sleep, which it then does for
 * a millisecond at most. What it does with other regions of the thread, others could do then. NULL: no
 * more. */
void test_at_sleep(struct msg_region *region, void (*hook)(void));

#endif

// SPDX-License-Identifier: BSD-2-Clause
#include "bench/native/pair.h"
#include "bench/native/work.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORK_TIMEOUT_S 60

struct control {
	_Atomic uint32_t order;	     /* side 0: number of the work to do */
	uint8_t pad0[60];
	_Atomic uint32_t arrived[2]; /* each side's: barriers reached */
	uint8_t pad1[56];
	long preempted[2]; /* each side's: times it lost its processor during the last work */
	enum bench_work work;
	const struct bench_ring_ops *ops;
	struct bench_load load;
};

static struct {
	struct control *control;
	struct bench_end end;
	struct bench_work_ground ground;
	pid_t other;
	uint32_t barriers;
} self;

void bench_fail(const char *format, ...)
{
	va_list args;

	fputs("native: error: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	_exit(1);
}

static void *shared_memory(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (at == MAP_FAILED)
		bench_fail("cannot map %zu bytes of shared memory: %s", size, strerror(errno));
	return at;
}

static void pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		bench_fail("cannot run on processor %d: %s (see --cpus)", cpu, strerror(errno));
}

double pair_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

void bench_think(uint32_t ns)
{
	double end = pair_now_ns() + ns;

	while (pair_now_ns() < end)
		;
}

static void barrier(void)
{
	int side = self.end.side;

	atomic_store(&self.control->arrived[side], ++self.barriers);
	while ((int32_t)(atomic_load(&self.control->arrived[!side]) - self.barriers) < 0)
		__asm__ volatile("pause");
}

static long preemptions(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nivcsw;
}

static double work_do(void)
{
	const struct bench_ring_ops *ops = self.control->ops;
	double start, took;
	long before;

	self.end.load = self.control->load;
	self.end.state = NULL;
	if (ops && ops->open && ops->open(&self.end))
		bench_fail("%s: could not be opened for %u bytes", ops->name,
			   self.end.load.size);
	before = preemptions();
	barrier();
	start = pair_now_ns();
	switch (self.control->work) {
	case BENCH_WORK_RAW:
		work_raw(&self.ground, &self.end);
		break;
	case BENCH_WORK_RAW_LINE:
		work_raw_line(&self.ground, &self.end);
		break;
	case BENCH_WORK_EVENTFD:
		work_eventfd(&self.ground, &self.end);
		break;
	case BENCH_WORK_PING:
		(self.end.side ? ops->pong : ops->ping)(&self.end);
		break;
	case BENCH_WORK_ONE_WAY:
		(self.end.side ? ops->produce : ops->consume)(&self.end);
		break;
	case BENCH_WORK_END:
		break;
	}
	took = pair_now_ns() - start - 2.0 * (double)self.end.load.think_ns * (double)self.end.load.count;
	self.control->preempted[self.end.side] = preemptions() - before;
	barrier();
	if (ops && ops->close)
		ops->close(&self.end);
	return took;
}

static _Noreturn void other_main(int cpu)
{
	uint32_t done = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == 1)
		_exit(1);
	pin(cpu);
	for (;;) {
		while (atomic_load(&self.control->order) == done)
			__asm__ volatile("pause");
		done++;
		if (self.control->work == BENCH_WORK_END)
			_exit(0);
		work_do();
	}
}

static void on_child(int signal)
{
	(void)signal;
	/* The other process has said why on stderr. */
	_exit(1);
}

static void on_alarm(int signal)
{
	static const char text[] = "native: error: a sample did not end within 60 s\n";

	(void)signal;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(2);
	_exit(1);
}

void pair_start(const int cpu[2])
{
	int i;

	self.control = shared_memory(sizeof(*self.control));
	for (i = 0; i < 2; i++) {
		self.end.ring[i] = shared_memory(BENCH_ARENA_RING);
		self.ground.eventfd[i] = eventfd(0, EFD_CLOEXEC);
		if (self.ground.eventfd[i] < 0)
			bench_fail("no eventfd: %s", strerror(errno));
	}
	self.ground.line = shared_memory(4096);
	self.end.buffer = mmap(NULL, BENCH_BUFFER, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (self.end.buffer == MAP_FAILED)
		bench_fail("cannot map %zu bytes: %s", BENCH_BUFFER, strerror(errno));
	fflush(NULL);
	self.other = fork();
	if (self.other < 0)
		bench_fail("cannot start the other process: %s", strerror(errno));
	self.end.side = self.other == 0;
	/* Pages that a fork shares are copied when first written: now, not in a sample. */
	memset(self.end.buffer, 0x5a, BENCH_BUFFER);
	if (!self.other)
		other_main(cpu[1]);
	signal(SIGCHLD, on_child);
	signal(SIGALRM, on_alarm);
	pin(cpu[0]);
}

void pair_stop(void)
{
	signal(SIGCHLD, SIG_DFL);
	self.control->work = BENCH_WORK_END;
	atomic_fetch_add(&self.control->order, 1);
	waitpid(self.other, NULL, 0);
}

double pair_run(enum bench_work work, const struct bench_ring_ops *ops,
		const struct bench_load *load, bool *disturbed)
{
	double took;

	if (ops && ops->create && ops->create(self.end.ring, load))
		bench_fail("%s: no room for %u bytes in %zu", ops->name, load->size, load->ring);
	memset(self.ground.line, 0, BENCH_LINE);
	self.control->work = work;
	self.control->ops = ops;
	self.control->load = *load;
	alarm(WORK_TIMEOUT_S);
	atomic_fetch_add(&self.control->order, 1);
	took = work_do();
	alarm(0);
	if (disturbed)
		*disturbed = self.control->preempted[0] || self.control->preempted[1];
	return took;
}

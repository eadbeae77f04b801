// SPDX-License-Identifier: BSD-2-Clause
// Runs seeds, in two processes; shows a failing one. See docs/simulator.md.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/sim/sim.h"

#define TAIL 60
#define LINE 160

static char tail[TAIL][LINE];
static uint64_t tail_count;
static bool trace_all;
static int result_fd = -1;
static bool brief; /* a failure is one line, and not replayed */
static struct sim_totals *totals; /* of all workers */

void sim_trace(const char *format, ...)
{
	char *line;
	int n;
	va_list args;

	if (!sim.trace)
		return;
	line = tail[tail_count++ % TAIL];
	n = snprintf(line, LINE, "%12.3f us  ", (double)sim.now / 1000.0);
	if (sim.running)
		n += snprintf(line + n, (size_t)(LINE - n), "peer %u%*s", sim.running->index,
			(int)sim.running->index * 4 + 1, "");
	va_start(args, format);
	vsnprintf(line + n, (size_t)(LINE - n), format, args);
	va_end(args);
	if (trace_all)
		puts(line);
}

static void show_tail(void)
{
	uint64_t i = tail_count > TAIL ? tail_count - TAIL : 0;

	if (trace_all)
		return;
	for (; i < tail_count; i++)
		puts(tail[i % TAIL]);
}

void sim_fail(const char *format, ...)
{
	va_list args;

	if (sim.trace)
		show_tail();
	fflush(stdout);
	if (sim.trace || result_fd < 0 || brief) {
		printf("FAIL seed %llu at %.3f us: ", (unsigned long long)sim.config.seed,
			(double)sim.now / 1000.0);
		va_start(args, format);
		vprintf(format, args);
		va_end(args);
		printf("\n");
	}
	fflush(stdout);
	if (result_fd >= 0 && write(result_fd, &sim.config.seed, 8) != 8)
		_exit(2);
	_exit(1);
}

static void add(uint64_t *to, uint64_t n)
{
	__atomic_fetch_add(to, n, __ATOMIC_RELAXED);
}

static void run_seed(uint64_t seed, bool trace)
{
	memset(&sim, 0, sizeof(sim));
	sim.trace = trace;
	sim_configure(seed);
	if (trace)
		sim_print_config();
	sim_run();
	if (!totals)
		return;
	add(&totals->steps, sim.steps);
	add(&totals->virtual_us, sim.now / US);
	add(&totals->messages, sim.messages_received);
	add(&totals->kills, sim.kills_done);
	add(&totals->stalls, sim.stalls_done);
	add(&totals->unplugs, sim.unplugs_done);
	add(&totals->lies, sim.lies_told);
	add(&totals->bells, sim.bells_rung);
	if (sim.steps > totals->longest)
		totals->longest = sim.steps;
}

static void crashed(int signal)
{
	sim_fail("signal %d in peer %u", signal, sim.running ? sim.running->index : 99);
}

static void on_crash(void)
{
	static uint8_t stack[65536];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_handler = crashed, .sa_flags = SA_ONSTACK };

	sigaltstack(&alternate, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGFPE, &action, NULL);
	sigaction(SIGVTALRM, &action, NULL);
}

// What loops without an access is stopped, by processor time: on a busy machine a seed may take long.
static void stop_after(unsigned seconds)
{
	struct itimerval timer = { .it_value = { .tv_sec = seconds } };

	setitimer(ITIMER_VIRTUAL, &timer, NULL);
}

static pid_t worker(uint64_t first, uint64_t count, unsigned k, unsigned of, int fd)
{
	uint64_t i;
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	result_fd = fd;
	on_crash();
	for (i = k; i < count; i += of) {
		// A seed takes a millisecond.
		if (i / of % 64 == 0)
			stop_after(30);
		run_seed(first + i, false);
	}
	_exit(0);
}

// Shows the failing seed again, with the end of its trace.
static void replay(const char *program, uint64_t seed)
{
	char path[512];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	pid_t pid;

	if (len > 0) {
		path[len] = 0;
		program = path;
	}
	printf("to replay it: %s --seed %llu %s%s%s--trace\n", program, (unsigned long long)seed,
		scenario_given() ? "--with " : "", scenario_given() ? scenario_given() : "",
		scenario_given() ? " " : "");
	fflush(stdout);
	pid = fork();
	if (!pid) {
		on_crash();
		stop_after(30);
		run_seed(seed, true);
		printf("seed %llu passed when replayed: the simulator isn't deterministic\n",
			(unsigned long long)seed);
		exit(1);
	}
	waitpid(pid, NULL, 0);
}

static int run_many(const char *program, uint64_t first, uint64_t count, unsigned jobs)
{
	struct timespec a, b;
	int fd[2], status;
	pid_t pid[16];
	uint64_t failing = 0;
	bool failed = false;
	unsigned i;

	clock_gettime(CLOCK_MONOTONIC, &a);
	totals = mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		-1, 0);
	if (pipe(fd) || totals == MAP_FAILED)
		return 2;
	for (i = 0; i < jobs; i++)
		pid[i] = worker(first, count, i, jobs, fd[1]);
	close(fd[1]);
	// A worker writes only when it fails; all close it when they end.
	if (read(fd[0], &failing, 8) == 8) {
		failed = true;
		for (i = 0; i < jobs; i++)
			kill(pid[i], SIGKILL);
	}
	for (i = 0; i < jobs; i++) {
		waitpid(pid[i], &status, 0);
		if (!failed && status) {
			printf("FAIL a worker ended with status 0x%x\n", status);
			return 1;
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	if (failed) {
		if (!brief)
			replay(program, failing);
		return 1;
	}
	printf("%llu million accesses (%llu in the longest seed), %llu thousand messages, %llu kills, "
	       "%llu stalls, %llu unplugs, %llu lies, %llu bells, %llu s of virtual time\n",
		(unsigned long long)totals->steps / 1000000, (unsigned long long)totals->longest,
		(unsigned long long)totals->messages / 1000, (unsigned long long)totals->kills,
		(unsigned long long)totals->stalls, (unsigned long long)totals->unplugs,
		(unsigned long long)totals->lies, (unsigned long long)totals->bells,
		(unsigned long long)totals->virtual_us / 1000000);
	printf("PASS %llu seeds from %llu on, %.1f s\n", (unsigned long long)count,
		(unsigned long long)first, (double)(b.tv_sec - a.tv_sec) +
		(double)(b.tv_nsec - a.tv_nsec) / 1e9);
	return 0;
}

static const char usage[] =
	"usage: sim [--seeds N] [--first SEED] [--jobs 1..16] [--with PARTS] [--limit ACCESSES]\n"
	"           [--brief]\n"
	"       sim --seed SEED [--trace] [--with PARTS] [--limit ACCESSES]\n"
	"       sim --help\n";

struct options {
	uint64_t first, count, seed;
	unsigned jobs;
	bool one;
};

static bool option(struct options *o, const char *name, const char *value)
{
	char *end;
	uint64_t n;

	if (!value)
		return false;
	if (!strcmp(name, "--with"))
		return scenario_parse(value);
	errno = 0;
	n = strtoull(value, &end, 0);
	// strtoull takes a minus, and what doesn't fit as the largest number.
	if (*end || errno || *value < '0' || *value > '9')
		return false;
	if (!strcmp(name, "--seeds"))
		o->count = n;
	else if (!strcmp(name, "--first"))
		o->first = n;
	else if (!strcmp(name, "--limit"))
		sim_step_limit = n;
	else if (!strcmp(name, "--jobs"))
		o->jobs = n > 16 ? 0 : (unsigned)n;
	else if (!strcmp(name, "--seed"))
		o->one = true, o->seed = n;
	else
		return false;
	return o->count && o->jobs;
}

// A run that nobody could read of is none.
static int told(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	fprintf(stderr, "sim: the output could not be written: %s\n", strerror(errno));
	return 2;
}

int main(int argc, char **argv)
{
	struct options o = { .first = 1, .count = 100000, .jobs = 2 };
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--trace")) {
			trace_all = true;
		} else if (!strcmp(argv[i], "--brief")) {
			brief = true;
		} else if (!strcmp(argv[i], "--help")) {
			fputs(usage, stdout);
			scenario_help();
			return told(0);
		} else if (!option(&o, argv[i], argv[i + 1])) {
			fprintf(stderr, "sim: can't do anything with '%s%s%s'; see sim --help\n%s", argv[i],
				argv[i + 1] ? " " : "", argv[i + 1] ? argv[i + 1] : "", usage);
			return 2;
		} else {
			i++;
		}
	}
	memory_init();
	if (!o.one)
		return told(run_many(argv[0], o.first, o.count, o.jobs));
	on_crash();
	stop_after(60);
	run_seed(o.seed, true);
	printf("PASS seed %llu: %llu accesses, %.3f ms, %u killed, %u stalled, %u bells\n",
		(unsigned long long)o.seed, (unsigned long long)sim.steps, (double)sim.now / 1e6,
		sim.kills_done, sim.stalls_done, sim.bells_rung);
	return told(0);
}

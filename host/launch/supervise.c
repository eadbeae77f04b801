// SPDX-License-Identifier: BSD-2-Clause
#include "host/launch/supervise.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/launch/guardian.h"
#include "host/launch/input.h"
#include "host/launch/part.h"
#include "host/launch/ready.h"

#define MS			1000000ull
#define SERVER_START_NS		(10000 * MS)	/* to listen */
#define SERVER_LOOK_NS		(3 * MS)	/* between two looks */
#define SERVER_STOP_NS		(1000 * MS)	/* to obey SIGTERM */
#define PIPE_STOP_NS		(500 * MS)	/* for the pipes of a dead child to end */
#define SCREEN_STOP_NS		(1000 * MS)	/* for a stalled screen, once the run ends */

struct run {
	struct plan *p;
	struct screen screen;
	struct guardian guardian;
	struct part *parts;	/* makers, servers, guests */
	size_t n_parts;
	int signals;
	int status;		/* exit status; the first failure sets it */
	bool decided;		/* the run is ending */
	bool servers_told;
	bool guests_started;
	bool quiet;		/* ended by the user: no summary */
	uint64_t started_ns;
	uint64_t told_ns;	/* when the servers were told to end */
	struct input input;	/* of the guest that reads our stdin */
	int probe;		/* with --master: to the QMP of the guest that was started last */
};

static bool guests_all_ended(const struct run *r)
{
	for (size_t i = 0; i < r->n_parts; i++) {
		if (r->parts[i].role == PART_GUEST && r->parts[i].started && !r->parts[i].ended)
			return false;
	}
	return r->guests_started || r->decided;
}

/* End every guest. The guests' memory has no owner to be saved for: no need to ask them. */
static void end_run(struct run *r)
{
	r->decided = true;
	r->screen.give_up_ns = screen_now() + SCREEN_STOP_NS;
	for (size_t i = 0; i < r->n_parts; i++) {
		struct part *part = &r->parts[i];

		if (part->role != PART_SERVER && part->started && !part->ended) {
			part->ended_by_us = true;
			child_kill(&part->child, SIGKILL);
		}
	}
}

static void fail_run(struct run *r, int status, bool may_go_on)
{
	if (!r->status)
		r->status = status;
	if (!may_go_on || !r->p->o->keep_going)
		end_run(r);
}

static int open_signals(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction old;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		/* nohup and a shell's background jobs have reasons to ignore some. */
		sigaction(ends[i], NULL, &old);
		if (old.sa_handler != SIG_IGN)
			sigaddset(&set, ends[i]);
	}
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* In the background, reading the terminal is an error and not a stop. */
	signal(SIGTTIN, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* A guest takes three or four descriptors, so that the usual soft limit ends at 250 guests. */
static void raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static bool make_parts(struct run *r)
{
	struct plan *p = r->p;
	const char *log = p->o->log;
	bool ok = true;

	if (log && mkdir(log, 0755) && errno != EEXIST) {
		screen_say(&r->screen, "can't make the log directory %s: %s", log, strerror(errno));
		return false;
	}
	/* In one piece, since the screen points at the stream that has an open line. */
	r->parts = text_grow(NULL, p->n_regions + 2 * p->n_guests, sizeof(*r->parts));
	for (size_t i = 0; i < p->n_guests; i++) {
		if (p->guests[i].medium)
			ok &= part_init(&r->parts[r->n_parts++], &r->screen, p->guests[i].name,
					PART_MAKER, i, (unsigned int)i, NULL);
	}
	for (size_t i = 0; i < p->n_regions; i++) {
		char *name;

		if (!p->regions[i].used || p->regions[i].plain)
			continue;
		/* With a dot, which no guest has in its name: a guest may be called server. */
		name = text_format("server.%s", p->regions[i].name);
		ok &= part_init(&r->parts[r->n_parts++], &r->screen, name, PART_SERVER, i, 7, log);
		free(name);
	}
	/* Only guests set the width of the names: a server that works says nothing. */
	r->screen.name_width = 0;
	for (size_t i = 0; i < p->n_guests; i++) {
		struct part *part = &r->parts[r->n_parts++];

		ok &= part_init(part, &r->screen, p->guests[i].name, PART_GUEST, i, (unsigned int)i,
				log);
		part->firmware_talks = boot_firmware_talks(&p->guests[i].boot);
		part->firmware.refuses_in_silence = boot_refuses_in_silence(&p->guests[i].boot);
	}
	return ok;
}

static bool start_part(struct run *r, struct part *part, const struct words *argv, const int *fds,
		       size_t n_fds, bool input)
{
	int e = child_start(&part->child, &r->guardian, argv, fds, n_fds, input);

	if (e) {
		screen_say(&r->screen, "can't start %s for %s: %s", argv->v[0], part->name, strerror(e));
		fail_run(r, EXIT_TOOL, false);
		return false;
	}
	part->started = true;
	return true;
}

static void start_makers_and_servers(struct run *r)
{
	for (size_t i = 0; i < r->n_parts && !r->decided; i++) {
		struct part *part = &r->parts[i];
		struct words argv = { 0 };

		if (part->role == PART_GUEST)
			continue;
		if (part->role == PART_MAKER)
			plan_image_command(r->p, part->index, &argv);
		else
			plan_server_command(r->p, part->index, &argv);
		start_part(r, part, &argv, NULL, 0, false);
		words_free(&argv);
	}
}

static void start_guest(struct run *r, struct part *part)
{
	const struct plan_guest *g = &r->p->guests[part->index];
	int fds[TOPOLOGY_REGIONS_MAX];
	struct words argv = { 0 };
	size_t n = 0;

	/* A guest gets the plain regions that it is on and no other. */
	for (size_t i = 0; i < r->p->n_regions; i++) {
		if (r->p->regions[i].fd < 0)
			continue;
		fds[n] = -1;
		for (unsigned int k = 0; k < g->n_on; k++) {
			if (g->on[k] == i)
				fds[n] = r->p->regions[i].fd;
		}
		n++;
	}
	plan_guest_command(r->p, part->index, &argv);
	if (start_part(r, part, &argv, fds, n, g->wants_input) && g->wants_input)
		r->input.to = &part->child.in;
	words_free(&argv);
	if (g->wants_gdb && part->started) {
		struct text t = { 0 };

		plan_gdb_command(r->p, part->index, &t);
		screen_say(&r->screen, "%s waits for gdb; in another terminal: %s", part->name, t.s);
		text_free(&t);
	}
}

/*
 * With --master, guests get their ids in their order: each one is started when the one before has all its
 * devices, which is when its QEMU greets whoever has connected to its monitor.
 */
static bool is_up(struct run *r, const struct part *part)
{
	const char *path = r->p->guests[part->index].qmp;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char c;

	if (r->probe < 0 && strlen(path) < sizeof(a.sun_path)) {
		memcpy(a.sun_path, path, strlen(path) + 1);
		r->probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (r->probe >= 0 && connect(r->probe, (struct sockaddr *)&a, sizeof(a))) {
			close(r->probe);
			r->probe = -1;
		}
	}
	if (!part->ended && (r->probe < 0 || recv(r->probe, &c, 1, 0) != 1))
		return false;
	if (r->probe >= 0)
		close(r->probe);
	r->probe = -1;
	return true;
}

/* Start the guests once there is all that they need; returns when to look again. */
static uint64_t start_guests(struct run *r, uint64_t now)
{
	bool made = true;

	if (r->guests_started || r->decided)
		return UINT64_MAX;
	for (size_t i = 0; i < r->n_parts; i++) {
		const struct part *part = &r->parts[i];
		const char *path;

		if (part->role == PART_MAKER)
			made &= part->ended;
		if (part->role != PART_SERVER)
			continue;
		path = r->p->regions[part->index].path;
		if (ready_listening(path))
			continue;
		if (now - r->started_ns < SERVER_START_NS)
			return now + SERVER_LOOK_NS;
		screen_say(&r->screen, "%s did not listen on %s within %llu s", part->name, path,
			   SERVER_START_NS / (1000 * MS));
		fail_run(r, EXIT_SERVER, false);
		return UINT64_MAX;
	}
	if (!made)
		return UINT64_MAX;
	for (size_t i = 0; i < r->n_parts && !r->decided; i++) {
		if (r->parts[i].role != PART_GUEST || r->parts[i].started)
			continue;
		if (r->p->o->master && i && r->parts[i - 1].role == PART_GUEST && !is_up(r, &r->parts[i - 1]))
			return now + SERVER_LOOK_NS;
		start_guest(r, &r->parts[i]);
	}
	r->guests_started = true;
	return UINT64_MAX;
}

static void maker_ended(struct run *r, struct part *part)
{
	const struct child *c = &part->child;

	if (part->ended_by_us || (c->end_code == CLD_EXITED && c->end_status == 0))
		return;
	screen_say(&r->screen, "%s: what it boots from could not be made", part->name);
	fail_run(r, EXIT_TOOL, false);
}

static void server_ended(struct run *r, struct part *part)
{
	const struct child *c = &part->child;
	const char *how = "exited with status";
	char what[32];

	if (part->ended_by_us)
		return;
	if (c->end_code == CLD_EXITED) {
		snprintf(what, sizeof(what), "%d", c->end_status);
	} else {
		how = "ended by";
		describe_signal(c->end_status, what, sizeof(what));
	}
	screen_say(&r->screen, "ivshmem-server of region '%s' %s %s%s",
		   r->p->regions[part->index].name, how, what,
		   r->guests_started && r->p->o->keep_going ? "; guests that it has connected go on" : "");
	fail_run(r, EXIT_SERVER, r->guests_started);
}

/* Whether `isthmus migrate` has led this guest away and left word. */
static bool has_moved(struct run *r, const struct part *part)
{
	char *mark = text_format("%s/%s.moved", r->guardian.dir, part->name);
	bool moved = access(mark, F_OK) == 0;

	free(mark);
	if (moved)
		screen_say(&r->screen, "%s has moved away", part->name);
	return moved;
}

static void reap_parts(struct run *r, uint64_t now)
{
	for (size_t i = 0; i < r->n_parts; i++) {
		struct part *part = &r->parts[i];

		if (!part->started || part->ended || !child_reap(&part->child))
			continue;
		part->ended = true;
		part->ended_ns = now;
		if (part->role != PART_GUEST) {
			/* Its last words come before ours. */
			part_read(part, &r->screen, now);
			if (part->role == PART_SERVER)
				server_ended(r, part);
			else
				maker_ended(r, part);
			continue;
		}
		part->outcome = outcome_from_wait(part->child.end_code, part->child.end_status);
		if (part->outcome.kind == OUTCOME_NO_STATUS && has_moved(r, part))
			part->outcome = (struct outcome){ OUTCOME_SUCCESS, 0 };
		/* It may have ended by itself just before our signal came: then that counts. */
		if (part->ended_by_us && part->outcome.kind == OUTCOME_QEMU_SIGNAL &&
		    part->outcome.value == SIGKILL)
			part->outcome = (struct outcome){ OUTCOME_ENDED, 0 };
		if (part->firmware_failed && part->outcome.kind == OUTCOME_QEMU_SIGNAL)
			part->outcome = (struct outcome){ OUTCOME_FIRMWARE, 0 };
		if (outcome_is_failure(part->outcome) && !r->decided)
			fail_run(r, outcome_exit_status(part->outcome), true);
	}
}

/* When the guests are gone the servers may go; returns when to press them. */
static uint64_t end_servers(struct run *r, uint64_t now)
{
	uint64_t next = UINT64_MAX;

	if (!guests_all_ended(r))
		return UINT64_MAX;
	for (size_t i = 0; i < r->n_parts; i++) {
		struct part *part = &r->parts[i];

		if (part->role != PART_SERVER || !part->started || part->ended)
			continue;
		part->ended_by_us = true;
		if (!r->servers_told)
			child_kill(&part->child, SIGTERM);
		else if (now - r->told_ns >= SERVER_STOP_NS)
			child_kill(&part->child, SIGKILL);
		next = now + SERVER_STOP_NS;
	}
	if (!r->servers_told)
		r->told_ns = now;
	r->servers_told = true;
	return next;
}

static void take_signal(struct run *r)
{
	struct signalfd_siginfo info;
	char name[32];

	if (read(r->signals, &info, sizeof(info)) != sizeof(info))
		return;
	describe_signal((int)info.ssi_signo, name, sizeof(name));
	if (!r->quiet)
		screen_say(&r->screen, "ended by %s", name);
	r->quiet = true;
	r->status = EXIT_SIGNAL + (int)info.ssi_signo;
	end_run(r);
}

/* Returns when the time is up. */
static uint64_t check_timeout(struct run *r, uint64_t now)
{
	uint64_t end;

	if (!r->p->timeout_s || r->decided)
		return UINT64_MAX;
	end = r->started_ns + r->p->timeout_s * 1000 * MS;
	if (now < end)
		return end;
	screen_say(&r->screen, "timed out after %u s", r->p->timeout_s);
	r->status = EXIT_TIMEOUT;
	end_run(r);
	return UINT64_MAX;
}

static void wait_for_events(struct run *r, uint64_t until)
{
	struct pollfd *f = text_grow(NULL, 4 + 3 * r->n_parts, sizeof(*f));
	uint64_t now = screen_now();
	int wait_ms = -1;
	size_t n = 4;

	f[0] = (struct pollfd){ .fd = r->signals, .events = POLLIN };
	f[1] = (struct pollfd){ .fd = r->guardian.pidfd, .events = POLLIN };
	f[2] = (struct pollfd){ .fd = input_wants(&r->input) ? STDIN_FILENO : -1, .events = POLLIN };
	f[3] = (struct pollfd){ .fd = input_has(&r->input) ? *r->input.to : -1, .events = POLLOUT };
	for (size_t i = 0; i < r->n_parts; i++) {
		const struct child *c = &r->parts[i].child;

		f[n++] = (struct pollfd){ .fd = r->parts[i].ended ? -1 : c->pidfd, .events = POLLIN };
		f[n++] = (struct pollfd){ .fd = c->out, .events = POLLIN };
		f[n++] = (struct pollfd){ .fd = c->err, .events = POLLIN };
	}
	if (until != UINT64_MAX)
		wait_ms = until <= now ? 0 : (int)((until - now + MS - 1) / MS);
	if (poll(f, n, wait_ms) > 0) {
		if (f[0].revents)
			take_signal(r);
		if (f[1].revents && !r->decided) {
			screen_say(&r->screen, "the guardian process was killed");
			r->status = EXIT_TOOL;
			end_run(r);
		}
		if (f[2].revents)
			input_read(&r->input);
	}
	free(f);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* A firmware that can't start its guest waits for somebody at a keyboard: there is nobody. */
static void check_firmware(struct run *r, struct part *part)
{
	const char *why = part->firmware_talks ? firmware_failure(&part->firmware) : NULL;

	if (!why || part->firmware_failed || part->ended || r->decided)
		return;
	screen_say(&r->screen, "%s: the firmware didn't start the guest: %s", part->name, why);
	part->firmware_failed = true;
	child_kill(&part->child, SIGKILL);
}

/* One turn: look at everything, act, then sleep until something happens. False: all is over. */
static bool turn(struct run *r)
{
	uint64_t now = screen_now(), next = UINT64_MAX;
	bool done = true;

	/* Ends are looked at before output is read, so that an end's last output is read after it. */
	reap_parts(r, now);
	for (size_t i = 0; i < r->n_parts; i++) {
		struct part *part = &r->parts[i];

		if (!part->started)
			continue;
		part_read(part, &r->screen, now);
		check_firmware(r, part);
		next = earlier(next, stream_tick(&part->out, now));
		next = earlier(next, stream_tick(&part->err, now));
		if (part->ended && !part_done(part)) {
			if (now - part->ended_ns > PIPE_STOP_NS)
				part_close(part);
			next = earlier(next, now + PIPE_STOP_NS);
		}
		done &= part_done(part);
	}
	input_pass(&r->input);
	if (r->screen.broken && !r->decided) {
		r->quiet = true;
		r->status = EXIT_SIGNAL + SIGPIPE;
		end_run(r);
	}
	next = earlier(next, start_guests(r, now));
	next = earlier(next, check_timeout(r, now));
	next = earlier(next, end_servers(r, now));
	if (done && guests_all_ended(r))
		return false;
	wait_for_events(r, next);
	return true;
}

static void summarise(struct run *r)
{
	char how[128];

	if (!r->status || r->quiet)
		return;
	for (size_t i = 0; i < r->n_parts; i++) {
		if (r->parts[i].role != PART_GUEST || !r->parts[i].started)
			continue;
		outcome_describe(r->parts[i].outcome, how, sizeof(how));
		screen_say(&r->screen, "%s: %s", r->parts[i].name, how);
	}
}

int supervise_run(struct plan *p)
{
	struct run r = { .p = p, .probe = -1 };
	struct text error = { 0 };

	screen_init(&r.screen, STDOUT_FILENO, STDERR_FILENO);
	r.signals = open_signals();
	r.screen.interrupt = r.signals;
	raise_fd_limit();
	if (!guardian_start(&r.guardian, p->o->dir))
		return EXIT_TOOL;
	/* What children put into temporary files goes with the rest. */
	setenv("TMPDIR", r.guardian.dir, 1);
	if (!plan_place(p, r.guardian.dir, p->o->dir == NULL, &error) ||
	    !plan_create_files(p, &error)) {
		screen_say(&r.screen, "%s", error.s);
		r.status = EXIT_TOOL;
	} else if (!make_parts(&r)) {
		r.status = EXIT_TOOL;
	} else {
		r.started_ns = screen_now();
		if (p->timeout_s)
			r.screen.give_up_ns = r.started_ns + p->timeout_s * 1000 * MS;
		start_makers_and_servers(&r);
		while (turn(&r))
			;
		summarise(&r);
	}
	for (size_t i = 0; i < r.n_parts; i++) {
		part_close(&r.parts[i]);
		part_free(&r.parts[i]);
	}
	free(r.parts);
	guardian_finish(&r.guardian);
	close(r.signals);
	if (r.probe >= 0)
		close(r.probe);
	text_free(&error);
	return r.status;
}

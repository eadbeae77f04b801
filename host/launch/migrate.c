// SPDX-License-Identifier: BSD-2-Clause
/*
 * isthmus migrate: moves a running guest to a QEMU that waits for it. A device whose region doesn't
 * travel (master=off) is in QEMU's way: it is taken out before and put in again afterwards.
 * Source: QEMU, docs/system/devices/ivshmem.rst, "Migration with ivshmem".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/launch/commands.h"
#include "host/launch/outcome.h"
#include "host/launch/screen.h"
#include "host/launch/vm.h"

#define LOOK_NS	    20000000
#define SAY_LOOKS   50 /* a line of progress each second */
#define SPEED_BYTES (16ull << 30) /* in a second */
#define TIMEOUT_S   30

static const char help[] =
	"usage: isthmus migrate DIR/GUEST TO/GUEST [--stay] [--live]\n"
	"\n"
	"Moves a running guest of `isthmus run --dir DIR` to one that waits: `isthmus run ... --dir TO --incoming`.\n"
	"Regions whose device is master (`isthmus run --master`) travel with it and overwrite the other's. Others don't:\n"
	"their devices are unplugged before and plugged in again there, on the region of the same name.\n"
	"\n"
	"  --stay    on the regions that it had, where its peers stay, not on the other run's\n"
	"  --live    let the guest run while it is copied, under TCG too. By default it stands still there, since QEMU's\n"
	"            translator loses track of pages that are written meanwhile, and they arrive as they were\n";

struct move {
	struct vm from, to;
	struct vm_device out[VM_DEVICES_MAX]; /* taken out, to be put in again */
	int n_out;
	bool stay, live;
	bool stopped;		/* by us, to move */
	uint64_t stopped_ns;
};

static void say(const struct move *m, const char *what, const char *which)
{
	printf("%s: %s%s\n", m->from.name, what, which);
	fflush(stdout);
}

/* Put back what was taken out: the guest stays. */
static void take_back(struct move *m)
{
	struct text error = { 0 };

	qmp_tell(&m->from.qmp, "cont", NULL, &error);
	for (int i = 0; i < m->n_out; i++) {
		text_free(&error);
		error = (struct text){ 0 };
		if (vm_plug(&m->from, &m->out[i], &error))
			say(m, "plugged in again: ", m->out[i].id);
		else
			fprintf(stderr, "isthmus: %s\n", error.s);
	}
	text_free(&error);
}

static bool take_out(struct move *m, struct text *error)
{
	struct vm_device devices[VM_DEVICES_MAX];
	int n = vm_devices(&m->from, devices, error);
	bool ok = n >= 0;

	for (int i = 0; i < n; i++) {
		if (!ok || devices[i].master) {
			vm_device_free(&devices[i]);
			continue;
		}
		say(m, "asking the guest to let go ", devices[i].id);
		ok = vm_unplug(&m->from, &devices[i], TIMEOUT_S, error);
		if (ok)
			m->out[m->n_out++] = devices[i];
		else
			vm_device_free(&devices[i]);
	}
	return ok;
}

static long long number(json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/* One look at a migration's state: 1 it is done, 0 it goes on, -1 it failed. */
static int look(struct move *m, unsigned int turn, struct text *error)
{
	json_t *state = qmp_do(&m->from.qmp, "query-migrate", NULL, error), *ram;
	const char *status = json_string_value(json_object_get(state, "status"));
	const char *why = json_string_value(json_object_get(state, "error-desc"));
	int done = 0;

	ram = json_object_get(state, "ram");
	if (!state) {
		done = -1;
	} else if (status && strcmp(status, "completed") == 0) {
		printf("%s: moved %lld KiB; stood still for %lld ms\n", m->from.name, number(ram, "transferred") >> 10,
		       m->stopped ? (long long)((screen_now() - m->stopped_ns) / 1000000) :
				    number(state, "downtime"));
		done = 1;
	} else if (status && (strcmp(status, "failed") == 0 || strcmp(status, "cancelled") == 0)) {
		text_addf(error, "%s: the migration failed: %s", m->from.name,
			  why ? why : "the other side ended it; what its QEMU says is the reason");
		done = -1;
	} else if (ram && turn % SAY_LOOKS == SAY_LOOKS - 1) {
		printf("%s: moving: %lld of %lld KiB are left, pass %lld\n", m->from.name,
		       number(ram, "remaining") >> 10, number(ram, "total") >> 10,
		       number(ram, "dirty-sync-count"));
	}
	fflush(stdout);
	json_decref(state);
	return done;
}

/*
 * Under TCG a running guest can't be copied: measured, one move in twenty on a busy host brings a page
 * as it was some time before, in RAM as in a region. A write that QEMU's translator is about to do as
 * the dirty bits are cleared goes unseen, and those after it too. Nothing is written while the guest
 * stands still.
 */
static bool stand_still(struct move *m, struct text *error)
{
	json_t *kvm = qmp_do(&m->from.qmp, "query-kvm", NULL, error);
	bool native = json_is_true(json_object_get(kvm, "enabled"));

	json_decref(kvm);
	if (error->n || m->live || native)
		return !error->n;
	m->stopped_ns = screen_now();
	m->stopped = qmp_tell(&m->from.qmp, "stop", NULL, error);
	return m->stopped;
}

/* The guest that came in stopped goes on. */
static bool go_on(struct move *m, struct text *error)
{
	static const struct timespec pause = { .tv_nsec = LOOK_NS / 20 };
	bool coming = true;

	/* It has arrived when the source says so, but for the last moment. */
	while (coming) {
		json_t *state = qmp_do(&m->to.qmp, "query-status", NULL, error);
		const char *status = json_string_value(json_object_get(state, "status"));

		coming = status && strcmp(status, "inmigrate") == 0;
		json_decref(state);
		if (error->n)
			return false;
		if (coming)
			nanosleep(&pause, NULL);
	}
	return !m->stopped || qmp_tell(&m->to.qmp, "cont", NULL, error);
}

/* Both ends are on this host: nobody's line has to be spared. */
static bool no_speed_limit(struct move *m, struct text *error)
{
	return qmp_tell(&m->from.qmp, "migrate-set-parameters",
			json_pack("{s:I}", "max-bandwidth", (json_int_t)SPEED_BYTES), error);
}

static bool transfer(struct move *m, struct text *error)
{
	static const struct timespec pause = { .tv_nsec = LOOK_NS };
	char *uri = text_format("unix:%s/%s.move", m->to.dir, m->to.name);
	int done = 0;
	bool ok;

	ok = no_speed_limit(m, error) && stand_still(m, error) &&
	     qmp_tell(&m->to.qmp, "migrate-incoming", json_pack("{s:s}", "uri", uri), error) &&
	     qmp_tell(&m->from.qmp, "migrate", json_pack("{s:s}", "uri", uri), error);
	if (ok)
		say(m, "moving to ", m->to.socket);
	for (unsigned int turn = 0; ok && !done; turn++) {
		nanosleep(&pause, NULL);
		done = look(m, turn, error);
	}
	unlink(uri + strlen("unix:"));
	free(uri);
	return done == 1 && go_on(m, error);
}

/* The file's name without folder and tail: the region's. */
static char *region_name(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');

	return dot ? strndup(name, (size_t)(dot - name)) : text_copy(name);
}

static bool put_in(struct move *m, struct text *error)
{
	bool ok = true;

	for (int i = 0; ok && i < m->n_out; i++) {
		struct vm_device *d = &m->out[i], there = { 0 };
		char *name = region_name(d->path);

		if (!m->stay) {
			ok = vm_find_region(&m->to, name, &there, error);
			if (ok && there.plain != d->plain) {
				text_addf(error, "%s: region '%s' is another kind there", m->to.name, name);
				ok = false;
			}
			if (ok) {
				free(d->path);
				d->path = there.path;
				d->size = there.size;
			}
		}
		ok = ok && vm_plug(&m->to, d, error);
		if (ok)
			printf("%s: plugged in %s (%s)\n", m->to.name, d->id, d->path);
		free(name);
	}
	return ok;
}

/* The guest is gone from here: the QEMU that it left ends, and its `isthmus run` is told why. */
static void leave(struct move *m)
{
	char *mark = text_format("%s/%s.moved", m->from.dir, m->from.name);
	int fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct text error = { 0 };

	if (fd >= 0)
		close(fd);
	qmp_tell(&m->from.qmp, "quit", NULL, &error);
	text_free(&error);
	free(mark);
}

static bool waits(struct move *m, struct text *error)
{
	json_t *state = qmp_do(&m->to.qmp, "query-status", NULL, error);
	const char *status = json_string_value(json_object_get(state, "status"));
	bool ok = status && strcmp(status, "inmigrate") == 0;

	if (state && !ok)
		text_addf(error, "%s waits for no guest; start it with `isthmus run ... --incoming`", m->to.socket);
	json_decref(state);
	return ok;
}

/* GUEST and GUEST.qmp are the same: its QMP serves one at a time. */
static bool same_vm(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	n -= n > 4 && strcmp(a + n - 4, ".qmp") == 0 ? 4 : 0;
	m -= m > 4 && strcmp(b + m - 4, ".qmp") == 0 ? 4 : 0;
	return n == m && memcmp(a, b, n) == 0;
}

int command_migrate(int argc, char **argv)
{
	struct move m = { .from.qmp = QMP_NONE, .to.qmp = QMP_NONE };
	const char *words[2] = { NULL, NULL };
	struct text error = { 0 };
	int n = 0, status;

	for (int i = 0; i < argc && !error.n; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			fputs(help, stdout);
			return 0;
		}
		if (strcmp(argv[i], "--stay") == 0)
			m.stay = true;
		else if (strcmp(argv[i], "--live") == 0)
			m.live = true;
		else if (argv[i][0] == '-' || n == 2)
			text_addf(&error, "'%s' is too much; --help shows the usage", argv[i]);
		else
			words[n++] = argv[i];
	}
	if (!error.n && n < 2)
		text_add_str(&error, "migrate wants a guest and where it shall go; see `isthmus migrate --help`");
	if (!error.n && same_vm(words[0], words[1]))
		text_addf(&error, "%s can't move to where it is", words[0]);
	if (!error.n && vm_open(&m.from, words[0], &error) && vm_open(&m.to, words[1], &error) &&
	    waits(&m, &error)) {
		if (take_out(&m, &error) && transfer(&m, &error)) {
			leave(&m);
			put_in(&m, &error);
		} else {
			take_back(&m);
		}
	}
	status = error.n ? EXIT_TOOL : 0;
	if (error.n)
		fprintf(stderr, "isthmus: %s\n", error.s);
	while (m.n_out)
		vm_device_free(&m.out[--m.n_out]);
	vm_close(&m.from);
	vm_close(&m.to);
	text_free(&error);
	return status;
}

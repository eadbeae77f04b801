// SPDX-License-Identifier: BSD-2-Clause
#include "host/launch/vm.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PERIPHERAL "/machine/peripheral"
#define NS_PER_S   1000000000ull
#define OPEN_MAX_FD 65536 /* far above what QEMU opens for 256 vectors of many peers */

/* What could have been meant: the VMs of a run's directory. */
static void say_others(const char *dir, struct text *error)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	bool first = true;

	while (d && (entry = readdir(d))) {
		size_t n = strlen(entry->d_name);

		if (n <= 4 || strcmp(entry->d_name + n - 4, ".qmp") != 0)
			continue;
		text_addf(error, "%s %s/%.*s", first ? "; there is" : ",", dir, (int)n - 4, entry->d_name);
		first = false;
	}
	if (d)
		closedir(d);
}

bool vm_open(struct vm *vm, const char *word, struct text *error)
{
	const char *tail = ".qmp", *slash = strrchr(word, '/');
	const char *name = slash ? slash + 1 : word;
	size_t n = strlen(word);
	struct stat st;

	*vm = (struct vm){ .qmp = QMP_NONE };
	/* A socket of any name, or GUEST for GUEST.qmp. */
	if ((stat(word, &st) == 0 && S_ISSOCK(st.st_mode)) || (n > 4 && strcmp(word + n - 4, tail) == 0))
		tail = "";
	vm->socket = text_format("%s%s", word, tail);
	vm->dir = !slash ? text_copy(".") : slash == word ? text_copy("/") : strndup(word, (size_t)(slash - word));
	n = strlen(name);
	vm->name = n > 4 && strcmp(name + n - 4, ".qmp") == 0 ? strndup(name, n - 4) : text_copy(name);
	if (qmp_open(&vm->qmp, vm->socket, vm->name, error))
		return true;
	if (vm->qmp.fd < 0)
		say_others(stat(word, &st) == 0 && S_ISDIR(st.st_mode) ? word : vm->dir, error);
	return false;
}

void vm_close(struct vm *vm)
{
	qmp_close(&vm->qmp);
	free(vm->socket);
	free(vm->dir);
	free(vm->name);
}

void vm_device_free(struct vm_device *d)
{
	free(d->id);
	free(d->bus);
	free(d->backend);
	free(d->path);
	*d = (struct vm_device){ 0 };
}

static json_t *list(struct vm *vm, const char *path, struct text *error)
{
	return qmp_do(&vm->qmp, "qom-list", json_pack("{s:s}", "path", path), error);
}

/* "child<ivshmem-plain>" and the like. */
static bool is_child(json_t *entry, const char *type)
{
	const char *is = json_string_value(json_object_get(entry, "type"));
	size_t n = strlen(type);

	return is && strncmp(is, "child<", 6) == 0 && strncmp(is + 6, type, n) == 0 && is[6 + n] == '>';
}

/* The part behind the last slash of a link or bus path, owned. */
static char *last_part(char *path)
{
	char *slash = path ? strrchr(path, '/') : NULL, *result = path ? text_copy(slash ? slash + 1 : path) : NULL;

	free(path);
	return result;
}

/* The socket of a chardev, owned; NULL where it has none. query-chardev doesn't name a client's. */
static char *chardev_path(struct vm *vm, const char *id)
{
	char *object = text_format("/chardevs/%s", id), *path = NULL;
	struct text error = { 0 };
	json_t *address = qmp_do(&vm->qmp, "qom-get", json_pack("{s:s, s:s}", "path", object, "property", "addr"),
				 &error);

	if (json_is_string(json_object_get(address, "path")))
		path = text_copy(json_string_value(json_object_get(address, "path")));
	json_decref(address);
	text_free(&error);
	free(object);
	return path;
}

static bool read_device(struct vm *vm, const char *id, bool plain, struct vm_device *d, struct text *error)
{
	char *object = text_format(PERIPHERAL "/%s", id), *value;

	*d = (struct vm_device){ .id = text_copy(id), .plain = plain };
	value = qmp_property(&vm->qmp, object, "master");
	d->master = value && strcmp(value, "on") == 0;
	free(value);
	d->bus = last_part(qmp_property(&vm->qmp, object, "parent_bus"));
	/* The root buses; the others are named after their ports. */
	if (d->bus && (strcmp(d->bus, "pcie.0") == 0 || strcmp(d->bus, "pci.0") == 0)) {
		free(d->bus);
		d->bus = NULL;
	}
	d->backend = last_part(qmp_property(&vm->qmp, object, plain ? "memdev" : "chardev"));
	if (d->backend && plain) {
		char *backend = text_format("/objects/%s", d->backend);

		d->path = qmp_property(&vm->qmp, backend, "mem-path");
		value = qmp_property(&vm->qmp, backend, "size");
		d->size = value ? strtoull(value, NULL, 10) : 0;
		free(value);
		free(backend);
	} else if (d->backend) {
		d->path = chardev_path(vm, d->backend);
		value = qmp_property(&vm->qmp, object, "vectors");
		d->vectors = value ? (unsigned int)strtoul(value, NULL, 10) : 0;
		free(value);
	}
	free(object);
	if (d->path)
		return true;
	if (!error->n)
		text_addf(error, "%s: can't tell what is behind device %s", vm->name, id);
	vm_device_free(d);
	return false;
}

int vm_devices(struct vm *vm, struct vm_device devices[VM_DEVICES_MAX], struct text *error)
{
	json_t *all = list(vm, PERIPHERAL, error), *one;
	int n = 0;
	size_t i;

	if (!all)
		return -1;
	json_array_foreach(all, i, one) {
		bool plain = is_child(one, "ivshmem-plain");

		if ((!plain && !is_child(one, "ivshmem-doorbell")) || n == VM_DEVICES_MAX)
			continue;
		if (read_device(vm, json_string_value(json_object_get(one, "name")), plain, &devices[n], error)) {
			n++;
			continue;
		}
		while (n)
			vm_device_free(&devices[--n]);
		json_decref(all);
		return -1;
	}
	json_decref(all);
	return n;
}

static bool remove_backend(struct vm *vm, const struct vm_device *d, struct text *error)
{
	return qmp_tell(&vm->qmp, d->plain ? "object-del" : "chardev-remove",
			json_pack("{s:s}", "id", d->backend), error);
}

/* What QEMU has open: per descriptor whether it is an eventfd, and how many files. */
struct open_files {
	bool event[OPEN_MAX_FD];
	bool used[OPEN_MAX_FD];
	unsigned int files;
};

static bool look_at_files(const struct vm *vm, struct open_files *f)
{
	char *path = text_format("/proc/%d/fd", qmp_pid(&vm->qmp)), link[64];
	DIR *d = opendir(path);
	struct dirent *entry;
	struct stat st;

	*f = (struct open_files){ 0 };
	while (d && (entry = readdir(d))) {
		int fd = atoi(entry->d_name);
		ssize_t n = readlinkat(dirfd(d), entry->d_name, link, sizeof(link) - 1);

		if (n <= 0 || fd >= OPEN_MAX_FD)
			continue;
		link[n] = '\0';
		f->used[fd] = true;
		f->event[fd] = strcmp(link, "anon_inode:[eventfd]") == 0;
		f->files += fstatat(dirfd(d), entry->d_name, &st, 0) == 0 && S_ISREG(st.st_mode);
	}
	if (d)
		closedir(d);
	free(path);
	return d != NULL;
}

/*
 * QEMU 7.2 goes on listening to the numbers of the eventfds that a device had, for memory that it has
 * freed. Whatever gets such a number next may kill it; until then it spins. So each is given an eventfd on
 * which nothing ever comes. What another user's QEMU has open can't be seen: then a moment must do.
 */
static void fill_old_numbers(struct vm *vm, const struct open_files *before)
{
	static const struct timespec moment = { .tv_nsec = 20000000 };
	struct open_files now;
	bool missing = true;

	/* It closes the region a moment after it has said that the device is gone. */
	for (int i = 0; i < 100 && look_at_files(vm, &now) && now.files >= before->files; i++)
		nanosleep(&moment, NULL);
	for (int i = 0; missing && i < OPEN_MAX_FD; i++) {
		char *label = text_format("isthmus-%d-%d", (int)getpid(), i);
		int silent = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		struct text error = { 0 };

		missing = false;
		for (int fd = 0; fd < OPEN_MAX_FD; fd++)
			missing |= before->event[fd] && !now.used[fd];
		if (missing)
			missing = silent >= 0 && qmp_give_fd(&vm->qmp, silent, label, &error) &&
				  look_at_files(vm, &now);
		if (silent >= 0)
			close(silent);
		text_free(&error);
		free(label);
	}
}

bool vm_unplug(struct vm *vm, const struct vm_device *d, unsigned int timeout_s, struct text *error)
{
	struct open_files before;
	bool seen = !d->plain && look_at_files(vm, &before);
	int gone;

	if (!qmp_tell(&vm->qmp, "device_del", json_pack("{s:s}", "id", d->id), error)) {
		if (strstr(error->s, "does not support hotplugging")) {
			text_free(error);
			*error = (struct text){ 0 };
			text_addf(error, "%s: %s can't be unplugged: it is on a bus without hotplug, as after "
				  "isthmus run --hotplug none", vm->name, d->id);
		}
		return false;
	}
	gone = qmp_wait(&vm->qmp, "DEVICE_DELETED", "device", d->id, timeout_s * NS_PER_S, error);
	if (gone == 0)
		text_addf(error, "%s: the guest didn't let %s go within %u s; it stays plugged in until it does",
			  vm->name, d->id, timeout_s);
	if (gone == 1 && seen)
		fill_old_numbers(vm, &before);
	/* QEMU aborts or freezes when the same backend is given to another device. */
	return gone == 1 && remove_backend(vm, d, error);
}

static bool has_child(struct vm *vm, const char *path, const char *name)
{
	struct text error = { 0 };
	json_t *all = list(vm, path, &error), *one;
	bool found = false;
	size_t i;

	json_array_foreach(all, i, one) {
		const char *is = json_string_value(json_object_get(one, "name"));

		found |= is && strcmp(is, name) == 0;
	}
	json_decref(all);
	text_free(&error);
	return found;
}

/* "shm0" or the next that is free, with "iv0" behind it. */
static void choose_ids(struct vm *vm, struct vm_device *d)
{
	for (unsigned int i = 0; !d->id; i++) {
		char *id = text_format("shm%u", i), *backend = text_format("iv%u", i);

		if (!has_child(vm, PERIPHERAL, id) && !has_child(vm, "/objects", backend) &&
		    !has_child(vm, "/chardevs", backend)) {
			d->id = id;
			free(d->backend);
			d->backend = backend;
			continue;
		}
		free(id);
		free(backend);
	}
}

/* The port with that id as query-pci describes it; NULL: none, or something is behind it. */
static json_t *empty_port(json_t *devices, const char *id)
{
	json_t *one;
	size_t i;

	json_array_foreach(devices, i, one) {
		const char *is = json_string_value(json_object_get(one, "qdev_id"));
		json_t *bridge = json_object_get(one, "pci_bridge");

		if (is && strcmp(is, id) == 0)
			return json_array_size(json_object_get(bridge, "devices")) == 0 ? bridge : NULL;
	}
	return NULL;
}

/* Bytes of prefetchable memory behind a port, as firmware or the guest has opened it. */
static unsigned long long port_room(json_t *port)
{
	json_t *range = json_object_get(json_object_get(port, "bus"), "prefetchable_range");
	long long base = json_integer_value(json_object_get(range, "base"));
	long long limit = json_integer_value(json_object_get(range, "limit"));

	return limit > base ? (unsigned long long)(limit - base) + 1 : 0;
}

/* An empty root port, where the machine has PCI Express; its root bus takes nothing while it runs. */
static bool choose_bus(struct vm *vm, struct vm_device *d, struct text *error)
{
	json_t *buses, *all, *devices, *one;
	unsigned long long room = 0;
	char *type, size[32];
	size_t i;

	if (d->bus)
		return true;
	type = qmp_property(&vm->qmp, "/machine", "type");
	if (!type || strncmp(type, "pc-i440fx", 9) == 0) {
		free(type);
		return true;
	}
	free(type);
	buses = qmp_do(&vm->qmp, "query-pci", NULL, error);
	all = buses ? list(vm, PERIPHERAL, error) : NULL;
	devices = json_object_get(json_array_get(buses, 0), "devices");
	json_array_foreach(all, i, one) {
		const char *name = json_string_value(json_object_get(one, "name"));
		json_t *port = is_child(one, "pcie-root-port") ? empty_port(devices, name) : NULL;

		if (!port || d->bus)
			continue;
		room = port_room(port);
		if (room >= d->size)
			d->bus = text_copy(name);
	}
	json_decref(all);
	json_decref(buses);
	format_size(size, sizeof(size), d->size);
	if (!d->bus && !error->n && room)
		text_addf(error, "%s: no empty port has room for a region of %s; isthmus run gives its ports as much as "
			  "--size says, and another one is --qemu-arg -device --qemu-arg "
			  "pcie-root-port,id=more,slot=20,chassis=20,pref64-reserve=%s", vm->name, size, size);
	else if (!d->bus && !error->n)
		text_addf(error, "%s: has no empty port to plug into; on q35 each region of its run has one, unless "
			  "--hotplug none, on microvm with --hotplug native, and one more is --qemu-arg -device --qemu-arg "
			  "pcie-root-port,id=more,slot=20,chassis=20", vm->name);
	return d->bus != NULL;
}

static json_t *backend_arguments(const struct vm_device *d)
{
	if (d->plain)
		return json_pack("{s:s, s:s, s:s, s:I, s:b}", "qom-type", "memory-backend-file", "id", d->backend,
				 "mem-path", d->path, "size", (json_int_t)d->size, "share", 1);
	return json_pack("{s:s, s:{s:s, s:{s:{s:s, s:{s:s}}, s:b}}}", "id", d->backend, "backend", "type", "socket",
			 "data", "addr", "type", "unix", "data", "path", d->path, "server", 0);
}

bool vm_plug(struct vm *vm, struct vm_device *d, struct text *error)
{
	struct text ignored = { 0 };
	json_t *device;

	choose_ids(vm, d);
	if (!choose_bus(vm, d, error) ||
	    !qmp_tell(&vm->qmp, d->plain ? "object-add" : "chardev-add", backend_arguments(d), error))
		return false;
	device = json_pack("{s:s, s:s, s:s}", "driver", d->plain ? "ivshmem-plain" : "ivshmem-doorbell", "id", d->id,
			   d->plain ? "memdev" : "chardev", d->backend);
	if (!d->plain)
		json_object_set_new(device, "vectors", json_integer(d->vectors));
	if (d->bus)
		json_object_set_new(device, "bus", json_string(d->bus));
	if (qmp_tell(&vm->qmp, "device_add", device, error))
		return true;
	remove_backend(vm, d, &ignored);
	text_free(&ignored);
	return false;
}

bool vm_find_region(const struct vm *vm, const char *region, struct vm_device *d, struct text *error)
{
	char *socket = text_format("%s/%s.sock", vm->dir, region), *file = text_format("%s/%s.mem", vm->dir, region);
	bool named = !strchr(region, '/');
	struct stat st;

	d->path = NULL;
	if (named && stat(socket, &st) == 0)
		d->path = realpath(socket, NULL);
	else if (named && stat(file, &st) == 0)
		d->path = text_copy(file); /* where that is a link, its target has no name */
	else if (stat(region, &st) == 0)
		d->path = realpath(region, NULL);
	else
		text_addf(error, named ? "%s: no region '%s' in %s, neither %s.sock nor %s.mem" :
					 "%s: no region '%s'", vm->name, region, vm->dir, region, region);
	free(socket);
	free(file);
	if (!d->path)
		return false;
	d->plain = !S_ISSOCK(st.st_mode);
	d->size = (unsigned long long)st.st_size;
	if (!d->plain || (d->size && !(d->size & (d->size - 1))))
		return true;
	text_addf(error, "%s has %llu bytes, and a region is a power of two", d->path, d->size);
	return false;
}

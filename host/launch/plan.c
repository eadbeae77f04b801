// SPDX-License-Identifier: BSD-2-Clause
#include "host/launch/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/launch/accel.h"
#include "host/launch/child.h"
#include "host/launch/huge.h"
#include "host/launch/place.h"

#define TOPOLOGY_FILE_MAX (1u << 20)

/* a, b, ... z, aa, ab, ... */
static char *letter_name(unsigned int index)
{
	char buf[16], *p = buf + sizeof(buf) - 1;

	*p = '\0';
	for (index++; index; index = (index - 1) / 26)
		*--p = (char)('a' + (index - 1) % 26);
	return text_copy(p);
}

/* The topology that `run APP` means: so many guests of it on one region. */
static void topology_of_app(struct topology *t, const char *image, unsigned int guests)
{
	*t = (struct topology){ 0 };
	t->regions = text_grow(NULL, 1, sizeof(*t->regions));
	t->n_regions = 1;
	t->regions[0] = (struct topology_region){ .name = "shm", .size = TOPOLOGY_SIZE_DEFAULT,
						  .vectors = TOPOLOGY_VECTORS_DEFAULT };
	t->n_guests = guests ? guests : 1;
	t->guests = text_grow(NULL, t->n_guests, sizeof(*t->guests));
	for (unsigned int i = 0; i < t->n_guests; i++) {
		char *name = letter_name(i);

		t->guests[i] = (struct topology_guest){ .app = text_copy(image), .n_on = 1 };
		snprintf(t->guests[i].name, sizeof(t->guests[i].name), "%s", name);
		free(name);
	}
}

/* Give the one guest line with a count= the number that makes `wanted` guests in all. */
static bool apply_guest_count(struct topology *t, const char *file, unsigned int wanted,
			      struct text *error)
{
	struct topology_guest *many = NULL;
	unsigned int total = 0, countable = 0;

	for (size_t i = 0; i < t->n_guests; i++) {
		total += t->guests[i].count ? t->guests[i].count : 1;
		if (t->guests[i].count) {
			many = &t->guests[i];
			countable++;
		}
	}
	if (total == wanted)
		return true;
	if (countable != 1) {
		text_addf(error, "%s has %u guests and %s: -n %u can't change that; write count= on the "
			  "one line to multiply", file, total,
			  countable ? "several lines with count=" : "no line with count=", wanted);
		return false;
	}
	total -= many->count;
	if (wanted <= total) {
		text_addf(error, "%s has %u other guests beside '%s': -n %u leaves none of it", file, total,
			  many->name, wanted);
		return false;
	}
	many->count = wanted - total;
	return true;
}

static bool load_topology(struct plan *p, struct text *error, char **folder)
{
	bool is_topology, ok;
	char *path = place_find(p->o->what, &is_topology, error);
	struct text file = { 0 };
	char *slash;

	*folder = NULL;
	if (!path)
		return false;
	if (!is_topology) {
		/* place_app() takes a word with a / in it as a path. */
		char *image = path[0] == '/' ? text_copy(path) : text_format("./%s", path);

		topology_of_app(&p->topology, image, p->o->guests);
		free(image);
		free(path);
		*folder = text_copy(".");
		return true;
	}
	ok = place_read(path, TOPOLOGY_FILE_MAX, &file, error) &&
	     topology_parse(file.s, file.n, path, &p->topology, error) &&
	     (!p->o->guests || apply_guest_count(&p->topology, path, p->o->guests, error));
	text_free(&file);
	slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
	*folder = text_copy(!slash ? "." : slash == path ? "/" : path);
	free(path);
	return ok;
}

static void make_append(struct plan_guest *g, const struct words *own, const struct words *more)
{
	struct text t = { 0 };

	text_addf(&t, "isthmus.name=%s", g->name);
	for (size_t i = 0; i < own->n + more->n; i++) {
		text_add(&t, " ", 1);
		quote_shell(&t, i < own->n ? own->v[i] : more->v[i - own->n]);
	}
	g->append = t.s;
}

static const char *pick(const char *a, const char *b, const char *c, const char *d)
{
	return a ? a : b ? b : c ? c : d;
}

/* How the guest comes up, and whether what it is given can reach it that way. */
static bool choose_boot(const struct plan *p, struct plan_guest *g, const struct topology_guest *tg,
			struct text *error)
{
	const char *boot = p->o->boot ? p->o->boot : tg->boot;
	const char *bios = p->o->bios ? p->o->bios : tg->bios;

	if (!boot_choose(&g->boot, g->kernel, boot, bios, g->machine, error) ||
	    !boot_check_file(&g->boot, g->kernel, error))
		return false;
	if (!g->boot.made || g->boot.kind == BOOT_UEFI || !(tg->args.n + p->o->args.n))
		return true;
	text_addf(error, "%s has its arguments in it, and takes no others: make it again with "
		  "`isthmus image APP -o %s -- ARG...`", g->kernel, g->kernel);
	return false;
}

/*
 * How the guest's regions can come and go. q35 and microvm have ports with hotplug of their own, pc has
 * QEMU's ACPI registers on its root bus. microvm is there to be small: its ports are asked for.
 */
static bool choose_hotplug(const struct plan *p, struct plan_guest *g, struct text *error)
{
	static const char *const names[] = { "none", "native", "acpi" };
	bool pc = qemu_machine_is_pc(g->machine), q35 = qemu_machine_is_q35(g->machine);
	const char *wish = p->o->hotplug;

	g->hotplug = q35 ? QEMU_HOTPLUG_NATIVE : pc ? QEMU_HOTPLUG_ACPI : QEMU_HOTPLUG_NONE;
	if (!wish)
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(wish, names[i]) != 0)
			continue;
		g->hotplug = (enum qemu_hotplug)i;
		if ((pc && i == QEMU_HOTPLUG_NATIVE) || (!pc && !q35 && i == QEMU_HOTPLUG_ACPI))
			break;
		return true;
	}
	text_addf(error, "%s: --hotplug %s: on %s it is %s", g->name, wish, g->machine,
		  q35 ? "native, acpi or none" : pc ? "acpi or none" : "native or none");
	return false;
}

static bool add_guests(struct plan *p, const struct topology_guest *tg, const char *folder,
		       struct text *error)
{
	const struct topology *t = &p->topology;
	unsigned int copies = tg->count ? tg->count : 1;

	for (unsigned int k = 1; k <= copies; k++) {
		struct plan_guest *g;

		if (p->n_guests == TOPOLOGY_GUESTS_MAX) {
			text_addf(error, "more than %d guests", TOPOLOGY_GUESTS_MAX);
			return false;
		}
		p->guests = text_grow(p->guests, p->n_guests + 1, sizeof(*p->guests));
		g = &p->guests[p->n_guests++];
		*g = (struct plan_guest){ .n_on = tg->n_on };
		g->name = copies > 1 ? text_format("%s%u", tg->name, k) : text_copy(tg->name);
		memcpy(g->on, tg->on, sizeof(g->on));
		for (unsigned int i = 0; i < g->n_on; i++)
			p->regions[g->on[i]].used = true;
		g->machine = pick(p->o->machine, tg->machine, t->machine, "q35");
		g->mem_mib = p->o->mem_mib ? p->o->mem_mib : tg->mem_mib ? tg->mem_mib :
			     t->mem_mib;
		make_append(g, &tg->args, &p->o->args);
		if (strcmp(g->machine, "q35") && strncmp(g->machine, "pc", 2) &&
		    strncmp(g->machine, "q35,", 4) && strncmp(g->machine, "microvm", 7)) {
			text_addf(error, "%s: machine '%s' isn't one of pc, q35 and microvm", g->name,
				  g->machine);
			return false;
		}
		g->kernel = place_app(folder, tg->app, error);
		if (!g->kernel || !choose_boot(p, g, tg, error) || !choose_hotplug(p, g, error))
			return false;
		if (!g->mem_mib)
			g->mem_mib = boot_default_mem(&g->boot);
		for (size_t i = 0; i + 1 < p->n_guests; i++) {
			if (strcmp(p->guests[i].name, g->name) == 0) {
				text_addf(error, "two guests would be named '%s'; rename one", g->name);
				return false;
			}
		}
	}
	return true;
}

static struct plan_guest *find_guest(struct plan *p, const char *name, const char *option,
				     struct text *error)
{
	for (size_t i = 0; i < p->n_guests; i++) {
		if (strcmp(p->guests[i].name, name) == 0)
			return &p->guests[i];
	}
	text_addf(error, "%s %s: there is no such guest; the first is '%s'", option, name,
		  p->guests[0].name);
	return NULL;
}

static bool apply_guest_options(struct plan *p, struct text *error)
{
	const struct run_options *o = p->o;
	struct plan_guest *g;

	if (o->gdb) {
		g = o->gdb_guest ? find_guest(p, o->gdb_guest, "--gdb", error) : &p->guests[0];
		if (!g)
			return false;
		g->wants_gdb = true;
	}
	if (o->input && strcmp(o->input, "none") != 0) {
		g = find_guest(p, o->input, "--input", error);
		if (!g)
			return false;
		g->wants_input = true;
	} else if (!o->input && p->n_guests == 1) {
		p->guests[0].wants_input = true;
	}
	return true;
}

/* Whether each region is whole huge pages, and whether there are enough of them for all. */
static bool choose_pages(struct plan *p, struct text *error)
{
	const struct run_options *o = p->o;
	uint64_t pages = 0;
	char size[32];

	if (!o->hugepages)
		return true;
	p->huge_page = o->huge_page ? o->huge_page : huge_default(NULL);
	if (!p->huge_page) {
		text_add_str(error, "--hugepages: this system's kernel has no huge pages");
		return false;
	}
	format_size(size, sizeof(size), p->huge_page);
	for (size_t i = 0; i < p->n_regions; i++) {
		const struct plan_region *r = &p->regions[i];

		if (!r->used)
			continue;
		if (r->size < p->huge_page) {
			text_addf(error, "region '%s' is smaller than one huge page of %s; give it at least "
				  "that: --size %s", r->name, size, size);
			return false;
		}
		pages += r->size / p->huge_page;
	}
	return o->dry_run || huge_enough(NULL, p->huge_page, pages, error);
}

bool plan_make(struct plan *p, const struct run_options *o, struct text *error)
{
	bool wants_server = false, ok;
	char *folder, *fallback;

	*p = (struct plan){ .o = o };
	if (!load_topology(p, error, &folder)) {
		free(folder);
		return false;
	}
	p->n_regions = p->topology.n_regions;
	p->regions = text_grow(NULL, p->n_regions + 1, sizeof(*p->regions));
	for (size_t i = 0; i < p->n_regions; i++) {
		const struct topology_region *r = &p->topology.regions[i];

		p->regions[i] = (struct plan_region){
			.name = text_copy(r->name), .plain = r->plain || o->plain,
			.size = o->size ? o->size : r->size,
			.vectors = o->vectors ? o->vectors : r->vectors, .fd = -1, .huge_fd = -1,
		};
	}
	ok = true;
	for (size_t i = 0; ok && i < p->topology.n_guests; i++)
		ok = add_guests(p, &p->topology.guests[i], folder, error);
	free(folder);
	if (!ok || !apply_guest_options(p, error) || !choose_pages(p, error))
		return false;

	p->timeout_s = o->timeout_s ? o->timeout_s : p->topology.timeout_s;
	p->accel = o->accel ? o->accel : accel_default();
	/* Under KVM the host's own CPU is both the fastest and the best tested; QEMU's default is not. */
	p->cpu = o->cpu ? o->cpu : strncmp(p->accel, "kvm", 3) == 0 ? "host" : NULL;
	p->qemu = place_program(o->qemu, "qemu-system-x86_64", "QEMU",
				"install qemu-system-x86 or name one with --qemu PATH", error);
	for (size_t i = 0; i < p->n_regions; i++)
		wants_server |= p->regions[i].used && !p->regions[i].plain;
	if (!p->qemu || !wants_server)
		return p->qemu != NULL;
	fallback = text_format("%s/bin/ivshmem-server", place_build());
	p->server = place_program(o->server, fallback, "ivshmem-server",
				  "build it, or name one with --server PATH, or use --plain", error);
	free(fallback);
	return p->server != NULL;
}

static bool make_memfd(struct plan_region *r, size_t index, uint64_t huge_page, struct text *error)
{
	/* Each QEMU has it under the same number: see plan_place() and child_start(). */
	r->path = text_format("/proc/self/fd/%zu", CHILD_FIRST_FD + index);
	if (huge_page) {
		r->fd = huge_memfd(r->name, r->size, huge_page, error);
		return r->fd >= 0;
	}
	r->fd = memfd_create(r->name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	/* Sealed: no guest's QEMU can be killed by another process that shrinks the region. */
	if (r->fd < 0 || ftruncate(r->fd, (off_t)r->size) ||
	    fcntl(r->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
		text_addf(error, "can't make region '%s' of %llu bytes: %s", r->name,
			  (unsigned long long)r->size, strerror(errno));
		return false;
	}
	return true;
}

/* By hand, a plain region in huge pages is a file in a hugetlbfs, named after the directory. */
static bool place_huge(const struct plan *p, struct plan_region *r, const char *dir, struct text *error)
{
	char *mount = huge_mount(NULL, p->huge_page), size[32];
	const char *name = strrchr(dir, '/');

	if (mount) {
		r->path = text_format("%s/%s.%s.mem", mount, name ? name + 1 : dir, r->name);
		free(mount);
		return true;
	}
	format_size(size, sizeof(size), p->huge_page);
	text_addf(error, "no hugetlbfs with pages of %s is mounted, in which region '%s' could be a file; as "
		  "root, run: mkdir -p /dev/hugepages && mount -t hugetlbfs -o pagesize=%s none "
		  "/dev/hugepages", size, r->name, size);
	return false;
}

bool plan_place(struct plan *p, const char *dir, bool anonymous, struct text *error)
{
	size_t plain = 0;

	for (size_t i = 0; i < p->n_regions; i++) {
		struct plan_region *r = &p->regions[i];

		if (!r->used)
			continue;
		if (!r->plain)
			r->path = text_format("%s/%s.sock", dir, r->name);
		else if (!anonymous && p->huge_page && p->o->dry_run) {
			if (!place_huge(p, r, dir, error))
				return false;
		} else if (!anonymous)
			r->path = text_format("%s/%s.mem", dir, r->name);
		else if (!make_memfd(r, plain++, p->huge_page, error))
			return false;
	}
	for (size_t i = 0; i < p->n_guests; i++) {
		struct plan_guest *g = &p->guests[i];

		g->qmp = text_format("%s/%s.qmp", dir, g->name);
		if (g->wants_gdb)
			g->gdb = text_format("%s/%s.gdb", dir, g->name);
		if (!g->boot.made && boot_tail(g->boot.kind))
			g->medium = text_format("%s/%s%s", dir, g->name, boot_tail(g->boot.kind));
	}
	return true;
}

/* No file in huge pages can lie in just any directory: there, a link leads to our memfd. */
static bool link_huge(struct plan_region *r, uint64_t page, struct text *error)
{
	char *target;
	bool ok;

	r->huge_fd = huge_memfd(r->name, r->size, page, error);
	if (r->huge_fd < 0)
		return false;
	target = text_format("/proc/%ld/fd/%d", (long)getpid(), r->huge_fd);
	ok = symlink(target, r->path) == 0;
	if (!ok)
		text_addf(error, "can't make %s: %s", r->path, strerror(errno));
	free(target);
	return ok;
}

bool plan_create_files(struct plan *p, struct text *error)
{
	for (size_t i = 0; i < p->n_regions; i++) {
		struct plan_region *r = &p->regions[i];
		int fd;

		if (!r->used || !r->plain || r->fd >= 0)
			continue;
		if (p->huge_page) {
			if (!link_huge(r, p->huge_page, error))
				return false;
			continue;
		}
		fd = open(r->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || ftruncate(fd, (off_t)r->size)) {
			text_addf(error, "can't make %s of %llu bytes: %s", r->path,
				  (unsigned long long)r->size, strerror(errno));
			if (fd >= 0)
				close(fd);
			return false;
		}
		close(fd);
	}
	return true;
}

void plan_image_command(const struct plan *p, size_t guest, struct words *out)
{
	const struct plan_guest *g = &p->guests[guest];

	words_addf(out, "%s/bin/isthmus", place_build());
	words_add(out, "image");
	words_add(out, g->kernel);
	words_add(out, "-o");
	words_add(out, g->medium);
	/* A CD or a disk has the guest's arguments in it; an .efi gets them from QEMU. */
	if (g->boot.kind != BOOT_UEFI) {
		words_add(out, "--");
		split_words(g->append, strlen(g->append), out);
	}
}

void plan_server_command(const struct plan *p, size_t region, struct words *out)
{
	const struct plan_region *r = &p->regions[region];
	char size[32];

	words_add(out, p->server);
	words_add(out, "-F");
	words_add(out, "--memfd");
	if (p->huge_page) {
		format_size(size, sizeof(size), p->huge_page);
		words_add(out, "--hugepages");
		words_add(out, size);
	}
	words_add(out, "--sticky-ids");
	words_add(out, "-S");
	words_add(out, r->path);
	words_add(out, "-l");
	format_size(size, sizeof(size), r->size);
	words_add(out, size);
	words_add(out, "-n");
	words_addf(out, "%u", r->vectors);
}

/* Each region travels with one guest at most, its first one: it gets id 0, which QEMU wants for that. */
static bool is_master(const struct plan *p, unsigned int region, size_t guest)
{
	for (size_t i = 0; i < guest; i++) {
		for (unsigned int k = 0; k < p->guests[i].n_on; k++) {
			if (p->guests[i].on[k] == region)
				return false;
		}
	}
	return true;
}

void plan_guest_command(const struct plan *p, size_t guest, struct words *out)
{
	const struct plan_guest *g = &p->guests[guest];
	const char *file = g->medium ? g->medium : g->kernel;
	struct qemu_region regions[TOPOLOGY_ON_MAX];
	struct qemu_config c = {
		.program = p->qemu, .name = g->name, .machine = g->machine, .accel = p->accel,
		.cpu = p->cpu, .cpus = p->o->cpus, .mem_mib = g->mem_mib, .bios = g->boot.firmware.bios,
		.flash_code = g->boot.firmware.code, .flash_vars = g->boot.firmware.vars, .qmp = g->qmp, .gdb = g->gdb,
		.regions = regions, .n_regions = g->n_on,
		.hotplug = g->hotplug, .master = p->o->master, .incoming = p->o->incoming, .extra = &p->o->qemu_args,
	};

	for (unsigned int i = 0; i < g->n_on; i++) {
		const struct plan_region *r = &p->regions[g->on[i]];

		regions[i] = (struct qemu_region){ .plain = r->plain, .path = r->path,
						   .size = r->size, .vectors = r->vectors,
						   .master = is_master(p, g->on[i], guest) };
	}
	switch (g->boot.kind) {
	case BOOT_PVH:
	case BOOT_UEFI:
		c.kernel = file;
		c.append = g->append;
		break;
	case BOOT_DISK:
		c.disk = file;
		break;
	case BOOT_ISO:
		c.cd = file;
		break;
	}
	qemu_command(&c, out);
}

void plan_gdb_command(const struct plan *p, size_t guest, struct text *out)
{
	const struct plan_guest *g = &p->guests[guest];
	struct text t = { 0 };

	text_add_str(out, "gdb -q ");
	quote_shell(out, g->kernel);
	text_addf(&t, "target remote %s", g->gdb);
	text_add_str(out, " -ex ");
	quote_shell(out, t.s);
	text_add_str(out, " -ex 'hbreak main' -ex continue");
	text_free(&t);
}

void plan_free(struct plan *p)
{
	for (size_t i = 0; i < p->n_regions; i++) {
		free(p->regions[i].name);
		free(p->regions[i].path);
		if (p->regions[i].fd >= 0)
			close(p->regions[i].fd);
		if (p->regions[i].huge_fd >= 0)
			close(p->regions[i].huge_fd);
	}
	for (size_t i = 0; i < p->n_guests; i++) {
		free(p->guests[i].name);
		free(p->guests[i].kernel);
		free(p->guests[i].medium);
		free(p->guests[i].append);
		free(p->guests[i].qmp);
		free(p->guests[i].gdb);
	}
	free(p->regions);
	free(p->guests);
	free(p->qemu);
	free(p->server);
	topology_free(&p->topology);
}

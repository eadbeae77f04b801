// SPDX-License-Identifier: BSD-2-Clause
#include "host/launch/qemu.h"

#include <stdio.h>
#include <string.h>

static void option(struct words *out, const char *name, const char *value)
{
	if (!value)
		return;
	words_add(out, name);
	words_add(out, value);
}

/* PCI on microvm exists only with both; without them there is no bus for the device to sit on. */
static const char *machine_value(const char *machine)
{
	return strcmp(machine, "microvm") == 0 ? "microvm,acpi=on,pcie=on" : machine;
}

/*
 * With one possible CPU, QEMU's TCG emits no memory barriers and plain load-op-store for atomics:
 * wrong as soon as a second QEMU shares the memory. A second *possible* CPU mends it at no cost.
 */
static void add_cpus(struct words *out, unsigned int cpus)
{
	words_add(out, "-smp");
	if (cpus <= 1)
		words_add(out, "1,maxcpus=2");
	else
		words_addf(out, "%u", cpus);
}

static void add_socket(struct words *out, const char *id, const char *path, const char *tail)
{
	struct text t = { 0 };

	text_add_str(&t, "socket,path=");
	quote_qemu(&t, path);
	text_addf(&t, ",id=%s%s", id, tail);
	option(out, "-chardev", t.s);
	text_free(&t);
}

static void add_region(struct words *out, const struct qemu_region *r, size_t index)
{
	struct text t = { 0 };
	char id[32];

	/* Each part has an id, so that QMP can take the device out and put it back. */
	snprintf(id, sizeof(id), "iv%zu", index);
	if (!r->plain) {
		add_socket(out, id, r->path, "");
		words_add(out, "-device");
		words_addf(out, "ivshmem-doorbell,id=shm%zu,chardev=%s,vectors=%u", index, id,
			   r->vectors);
		return;
	}
	text_addf(&t, "memory-backend-file,id=%s,share=on,mem-path=", id);
	quote_qemu(&t, r->path);
	text_addf(&t, ",size=%llu", (unsigned long long)r->size);
	option(out, "-object", t.s);
	text_free(&t);
	words_add(out, "-device");
	words_addf(out, "ivshmem-plain,id=shm%zu,memdev=%s", index, id);
}

/*
 * Secure Boot's firmware lies in flash that only code in system management mode may write. The
 * variables are written to a temporary copy that QEMU makes.
 */
static void add_flash(struct words *out, const char *code, const char *vars)
{
	struct text t = { 0 };

	if (!code)
		return;
	option(out, "-global", "driver=cfi.pflash01,property=secure,value=on");
	text_add_str(&t, "if=pflash,unit=0,format=raw,readonly=on,file=");
	quote_qemu(&t, code);
	option(out, "-drive", t.s);
	text_free(&t);
	text_add_str(&t, "if=pflash,unit=1,format=raw,snapshot=on,file=");
	quote_qemu(&t, vars);
	option(out, "-drive", t.s);
	text_free(&t);
}

static void add_medium(struct words *out, const char *file, const char *how, const char *device)
{
	struct text t = { 0 };

	if (!file)
		return;
	text_addf(&t, "if=none,id=boot,format=raw,%s,file=", how);
	quote_qemu(&t, file);
	option(out, "-drive", t.s);
	text_free(&t);
	words_add(out, "-device");
	words_addf(out, "%s,drive=boot,bootindex=0", device);
}

void qemu_command(const struct qemu_config *c, struct words *out)
{
	words_add(out, c->program);
	words_add(out, "-nodefaults");
	words_add(out, "-no-user-config");
	option(out, "-display", "none");
	words_add(out, "-no-reboot");
	option(out, "-name", c->name);
	words_add(out, "-machine");
	words_addf(out, "%s%s", machine_value(c->machine), c->flash_code ? ",smm=on" : "");
	option(out, "-accel", c->accel);
	option(out, "-cpu", c->cpu);
	add_cpus(out, c->cpus);
	words_add(out, "-m");
	words_addf(out, "%u", c->mem_mib);
	option(out, "-bios", c->bios);
	add_flash(out, c->flash_code, c->flash_vars);
	add_medium(out, c->cd, "media=cdrom,readonly=on", "ide-cd");
	add_medium(out, c->disk, "snapshot=on", "ide-hd");
	option(out, "-kernel", c->kernel);
	option(out, "-append", c->append && *c->append ? c->append : NULL);
	option(out, "-serial", "stdio");
	option(out, "-device", "isa-debug-exit,iobase=0xf4,iosize=4");
	if (c->qmp) {
		add_socket(out, "qmp", c->qmp, ",server=on,wait=off");
		option(out, "-mon", "chardev=qmp,mode=control");
	}
	for (size_t i = 0; i < c->n_regions; i++)
		add_region(out, &c->regions[i], i);
	if (c->gdb) {
		struct text t = { 0 };

		text_add_str(&t, "unix:");
		quote_qemu(&t, c->gdb);
		text_add_str(&t, ",server=on,wait=off");
		option(out, "-gdb", t.s);
		text_free(&t);
		words_add(out, "-S");
	}
	for (size_t i = 0; c->extra && i < c->extra->n; i++)
		words_add(out, c->extra->v[i]);
}

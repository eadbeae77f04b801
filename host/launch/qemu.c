// SPDX-License-Identifier: BSD-2-Clause
#include "host/launch/qemu.h"

#include <stdio.h>
#include <string.h>

/* Of prefetchable memory behind an empty port: SeaBIOS. */
#define PORT_ROOM (2ull << 20)

static void option(struct words *out, const char *name, const char *value)
{
	if (!value)
		return;
	words_add(out, name);
	words_add(out, value);
}

bool qemu_machine_is_q35(const char *machine)
{
	return strncmp(machine, "q35", 3) == 0 || strncmp(machine, "pc-q35", 6) == 0;
}

bool qemu_machine_is_pc(const char *machine)
{
	return strncmp(machine, "pc", 2) == 0 && !qemu_machine_is_q35(machine);
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

/*
 * A port for hotplug: the root bus of a PCI Express machine takes nothing while it runs. By the port's own
 * means a guest can serve it without an interpreter for ACPI's language. Firmware leaves an empty port
 * 2 MiB: a larger region needs its room said.
 */
static void add_port(struct words *out, const struct qemu_region *r, size_t index)
{
	words_add(out, "-device");
	if (r->size <= PORT_ROOM)
		words_addf(out, "pcie-root-port,id=port%zu,slot=%zu,chassis=%zu", index, index + 1, index + 1);
	else
		words_addf(out, "pcie-root-port,id=port%zu,slot=%zu,chassis=%zu,pref64-reserve=%llu", index,
			   index + 1, index + 1, (unsigned long long)r->size);
}

static bool has_ports(const struct qemu_config *c)
{
	return c->hotplug != QEMU_HOTPLUG_NONE && !qemu_machine_is_pc(c->machine);
}

static void add_region(struct words *out, const struct qemu_config *c, size_t index)
{
	const struct qemu_region *r = &c->regions[index];
	char id[32], tail[64] = "";
	struct text t = { 0 };

	/* Each part has an id, so that QMP can take the device out and put it back. */
	snprintf(id, sizeof(id), "iv%zu", index);
	if (has_ports(c)) {
		add_port(out, r, index);
		snprintf(tail, sizeof(tail), ",bus=port%zu", index);
	}
	if (c->incoming && !(c->master && r->master))
		return;
	if (c->master)
		strcat(tail, r->master ? ",master=on" : ",master=off");
	if (!r->plain) {
		add_socket(out, id, r->path, "");
		words_add(out, "-device");
		words_addf(out, "ivshmem-doorbell,id=shm%zu,chardev=%s,vectors=%u%s", index, id,
			   r->vectors, tail);
		return;
	}
	text_addf(&t, "memory-backend-file,id=%s,share=on,mem-path=", id);
	quote_qemu(&t, r->path);
	text_addf(&t, ",size=%llu", (unsigned long long)r->size);
	option(out, "-object", t.s);
	text_free(&t);
	words_add(out, "-device");
	words_addf(out, "ivshmem-plain,id=shm%zu,memdev=%s%s", index, id, tail);
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
	if (c->hotplug == QEMU_HOTPLUG_NATIVE && qemu_machine_is_q35(c->machine) && c->n_regions)
		option(out, "-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off");
	if (c->hotplug == QEMU_HOTPLUG_NONE && qemu_machine_is_pc(c->machine) && c->n_regions)
		option(out, "-global", "PIIX4_PM.acpi-root-pci-hotplug=off");
	for (size_t i = 0; i < c->n_regions; i++)
		add_region(out, c, i);
	if (c->incoming)
		option(out, "-incoming", "defer");
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

// SPDX-License-Identifier: BSD-2-Clause
/*
 * Shows every PCI function with its BARs and capabilities, and every ivshmem device with its registers,
 * memory types and vectors; then tests each ivshmem device. Each test prints PASS or FAIL.
 */
#include "apps/inspect.h"

#include <stdio.h>
#include <string.h>

static const char usage[] = "usage: inspect [--list]\n"
			    "  --list  shows what is there and tests nothing\n";

static const struct {
	uint16_t code; /* class, subclass */
	const char *name;
} class_names[] = {
	{ 0x0100, "SCSI" },	     { 0x0101, "IDE" },		   { 0x0106, "SATA" },
	{ 0x0108, "NVMe" },	     { 0x0200, "Ethernet" },	   { 0x0300, "VGA" },
	{ 0x0500, "memory" },	     { 0x0600, "host bridge" },	   { 0x0601, "ISA bridge" },
	{ 0x0604, "PCI bridge" },    { 0x0680, "bridge" },	   { 0x0700, "serial" },
	{ 0x0780, "communication" }, { 0x0c03, "USB" },		   { 0x0c05, "SMBus" },
	{ 0x00ff, "other" },
};

static const struct {
	uint8_t id;
	const char *name;
} capability_names[] = {
	{ 0x01, "power management" }, { 0x03, "vital product data" }, { 0x04, "slot" },
	{ 0x05, "MSI" },	      { 0x08, "HyperTransport" },     { 0x09, "vendor" },
	{ 0x0c, "hot-plug" },	      { 0x0d, "subsystem" },	      { 0x10, "PCI Express" },
	{ 0x11, "MSI-X" },	      { 0x12, "SATA" },		      { 0x13, "advanced features" },
};

static const char *class_name(const struct pci_device *d)
{
	uint16_t code = (uint16_t)(d->class_code << 8 | d->subclass);

	for (size_t i = 0; i < sizeof(class_names) / sizeof(class_names[0]); i++) {
		if (class_names[i].code == code)
			return class_names[i].name;
	}
	return "device";
}

static const char *capability_name(uint8_t id)
{
	for (size_t i = 0; i < sizeof(capability_names) / sizeof(capability_names[0]); i++) {
		if (capability_names[i].id == id)
			return capability_names[i].name;
	}
	return "unknown";
}

const char *inspect_size(uint64_t bytes)
{
	static const char units[] = "BKMGTPE";
	static char text[4][24];
	static unsigned int turn;
	unsigned int unit = 0;
	char *out = text[turn++ % 4];

	while (bytes >= 1024 && bytes % 1024 == 0 && units[unit + 1]) {
		bytes /= 1024;
		unit++;
	}
	if (unit)
		snprintf(out, sizeof(text[0]), "%llu %ciB", (unsigned long long)bytes, units[unit]);
	else
		snprintf(out, sizeof(text[0]), "%llu B", (unsigned long long)bytes);
	return out;
}

static void bar_show(const char *what, unsigned int n, const struct pci_bar *bar)
{
	if (!bar->size)
		return;
	printf("    %s %u: %s%s%s, %s", what, n, bar->flags & PCI_BAR_IO ? "ports" : "memory",
	       bar->flags & PCI_BAR_64 ? ", 64-bit" : "",
	       bar->flags & PCI_BAR_PREFETCH ? ", prefetchable" : "", inspect_size(bar->size));
	if (bar->flags & PCI_BAR_ASSIGNED)
		printf(" at 0x%llx\n", (unsigned long long)bar->base);
	else
		printf(", no address\n");
}

/* MSI-X capability (PCI 3.0, 6.8.2): where table and PBA lie. */
static void msix_show(const struct pci_device *d, uint8_t at)
{
	uint16_t control = pci_read16(d, at + 2);
	uint32_t table = pci_read32(d, at + 4), pba = pci_read32(d, at + 8);

	printf(": %u entries, table at 0x%x of BAR %u, PBA at 0x%x of BAR %u, %s%s",
	       (control & 0x7ffu) + 1, (unsigned int)(table & ~7u), (unsigned int)(table & 7),
	       (unsigned int)(pba & ~7u), (unsigned int)(pba & 7), control >> 15 ? "on" : "off",
	       control >> 14 & 1 ? ", all masked" : "");
}

static void capabilities_show(const struct pci_device *d)
{
	uint8_t offsets[PCI_CAPABILITIES_MAX];
	uint16_t extended[PCI_EXTENDED_CAPABILITIES_MAX];
	unsigned int count = pci_capabilities(d, offsets);

	for (unsigned int i = 0; i < count; i++) {
		uint8_t id = pci_read8(d, offsets[i]);

		printf("    capability 0x%02x: %s (0x%02x)", offsets[i], capability_name(id), id);
		if (id == PCI_CAPABILITY_MSIX)
			msix_show(d, offsets[i]);
		printf("\n");
	}
	count = pci_extended_capabilities(d, extended);
	for (unsigned int i = 0; i < count; i++)
		printf("    capability 0x%03x: extended, id 0x%04x\n", extended[i],
		       pci_read16(d, extended[i]));
}

static void device_show(const struct pci_device *d)
{
	static const char *const windows[PCI_WINDOWS] = { "I/O", "memory", "prefetchable" };
	uint16_t command = pci_read16(d, 4);

	printf("%s %04x:%04x rev %02x class %02x%02x%02x %s", d->name, d->vendor, d->device,
	       d->revision, d->class_code, d->subclass, d->prog_if, class_name(d));
	if (d->subsystem_vendor)
		printf(", subsystem %04x:%04x", d->subsystem_vendor, d->subsystem);
	printf("%s%s%s\n", command & PCI_IO ? ", decodes ports" : "",
	       command & PCI_MEMORY ? ", decodes memory" : "",
	       command & PCI_BUS_MASTER ? ", bus master" : "");
	if (d->secondary)
		printf("    buses %02x to %02x behind it\n", d->secondary, d->subordinate);
	for (unsigned int n = 0; n < PCI_WINDOWS; n++) {
		const struct pci_bar *w = &d->window[n];

		if (w->size)
			printf("    %s window: 0x%llx to 0x%llx\n", windows[n],
			       (unsigned long long)w->base,
			       (unsigned long long)(w->base + w->size - 1));
	}
	for (unsigned int n = 0; n < PCI_BARS; n++)
		bar_show("BAR", n, &d->bar[n]);
	capabilities_show(d);
}

/* What each vector is bound to; runs of consecutive ones are one line. */
static void vectors_show(struct ivshmem *device)
{
	struct pci_device *pci = ivshmem_pci(device);
	unsigned int count = ivshmem_vectors(device);

	for (unsigned int first = 0, n = 0; first < count; first = n) {
		int cpu = pci_msix_vector(pci, first);

		while (++n < count && cpu >= 0 &&
		       pci_msix_vector(pci, n) == cpu + (int)(n - first))
			continue;
		if (n - first > 1)
			printf("    vectors %u to %u: CPU vectors 0x%02x to 0x%02x\n", first, n - 1,
			       (unsigned int)cpu, (unsigned int)cpu + (n - 1 - first));
		else if (cpu >= 0)
			printf("    vector %u: CPU vector 0x%02x\n", first, (unsigned int)cpu);
		else
			printf("    vector %u: not bound\n", first);
	}
}

#define DEVICES_MAX 64 /* of more, the rest is left out where sharing is shown */

static struct ivshmem *devices[DEVICES_MAX]; /* NULL: could not be opened */

/* The entries on that CPU vector; printed as a list, if there is a text to begin it with. */
static unsigned int sharers(int cpu, const char *text)
{
	unsigned int found = 0;

	for (unsigned int i = 0; i < DEVICES_MAX; i++) {
		for (unsigned int n = 0; devices[i] && n < ivshmem_vectors(devices[i]); n++) {
			if (pci_msix_vector(ivshmem_pci(devices[i]), n) != cpu)
				continue;
			if (text)
				printf("%s%u:%u", found ? ", " : text, i, n);
			found++;
		}
	}
	return found;
}

/* Where there are more entries than CPU vectors: which share one, as DEVICE:VECTOR. */
static void shared_show(void)
{
	for (int cpu = 0; cpu < 256; cpu++) {
		char text[48];

		if (sharers(cpu, NULL) < 2)
			continue;
		snprintf(text, sizeof(text), "    CPU vector 0x%02x is shared by ", (unsigned int)cpu);
		sharers(cpu, text);
		printf("\n");
	}
}

static uint64_t word_at(const struct ivshmem *device, uint64_t offset)
{
	return *(const volatile uint64_t *)((const uint8_t *)ivshmem_region(device) + offset);
}

static void ivshmem_show(unsigned int index, struct ivshmem *device)
{
	uint64_t size = ivshmem_size(device);

	printf("ivshmem %u: %s, ", index, ivshmem_pci(device)->name);
	if (ivshmem_has_doorbell(device))
		printf("doorbell, id %u, %u vectors\n", ivshmem_id(device), ivshmem_vectors(device));
	else
		printf("plain: no interrupts, no id\n");
	printf("    registers: IntrMask 0x%x, IVPosition %u (IntrStatus is cleared by a read, Doorbell reads "
	       "0: left alone)\n", (unsigned int)ivshmem_interrupt_mask(device),
	       (unsigned int)ivshmem_position(device));
	printf("    region: %s at 0x%llx, mapped write-back, effectively %s, in pages of %s\n",
	       inspect_size(size), (unsigned long long)ivshmem_region_address(device),
	       ivshmem_memory_type(device), inspect_size(ivshmem_page_size(device)));
	printf("    words: first 0x%016llx, middle 0x%016llx, last 0x%016llx\n",
	       (unsigned long long)word_at(device, 0), (unsigned long long)word_at(device, size / 2),
	       (unsigned long long)word_at(device, size - 8));
	vectors_show(device);
}

static int options_read(int argc, char **argv, bool *list)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help")) {
			fputs(usage, stdout);
			return 1;
		} else if (!strcmp(argv[i], "--list")) {
			*list = true;
		} else {
			fprintf(stderr, "inspect: %s: no such option; --help lists them\n", argv[i]);
			return -1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct inspect_result result = { 0 };
	unsigned int functions = 0, count;
	bool list = false;
	int go = options_read(argc, argv, &list);

	if (go)
		return go < 0 ? 2 : 0;
	if (pci_init() < 0)
		return 1;
	for (struct pci_device *d = NULL; (d = pci_next(d)); functions++)
		device_show(d);
	count = ivshmem_count();
	printf("inspect: %u functions, config space by %s, %u ivshmem device%s\n", functions,
	       pci_config_method(), count, count == 1 ? "" : "s");
	if (!count && !list) {
		printf("inspect: no ivshmem device to test: give QEMU -device ivshmem-doorbell or "
		       "-device ivshmem-plain\n");
		return 1;
	}
	for (unsigned int i = 0; i < count; i++) {
		struct ivshmem *device;

		if (ivshmem_open(i, &device) < 0) {
			result.failed++;
			continue;
		}
		if (i < DEVICES_MAX)
			devices[i] = device;
		if (!list)
			inspect_test(i, device, &result);
		ivshmem_show(i, device);
	}
	shared_show();
	if (!list)
		printf("inspect: %u passed, %u failed\n", result.passed, result.failed);
	return result.failed ? 1 : 0;
}

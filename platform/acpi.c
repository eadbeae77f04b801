// SPDX-License-Identifier: BSD-2-Clause
#include "platform/acpi.h"

#include <isthmus/clock.h>
#include <isthmus/log.h>
#include "mm/mm.h"
#include "platform/acpi_tables.h"

#define LONGEST_TABLE	0x1000000u	/* 16 MiB: a length beyond is taken for damage */
#define MOST_TABLES	256u
#define RSDP_SIZE	36
#define EBDA_POINTER	0x40e		/* real-mode segment of the EBDA */
#define BIOS_AREA	0xe0000ul
#define BIOS_AREA_END	0x100000ul

static uint64_t told_rsdp;
static bool unread;
static struct acpi_platform platform;
static const struct acpi_header *root;
static bool root_is_xsdt;

/* Maps a table whole and checks it; NULL after a log line that says what is wrong with it. */
static const struct acpi_header *map_table(uint64_t phys)
{
	const struct acpi_header *table = mm_map(phys, sizeof(*table), MM_WRITE_BACK);
	uint32_t length;

	if (!table)
		return NULL;
	length = table->length;
	if (length < sizeof(*table) || length > LONGEST_TABLE) {
		log_warn("acpi: table \"%.4s\" at %#lx says that it is %u bytes long: left out",
			table->signature, (unsigned long)phys, length);
		return NULL;
	}
	table = mm_map(phys, length, MM_WRITE_BACK);
	if (table && !acpi_sum_is_zero(table, length)) {
		log_warn("acpi: table \"%.4s\" at %#lx has a wrong checksum: left out",
			table->signature, (unsigned long)phys);
		return NULL;
	}
	return table;
}

static bool take_rsdp(uint64_t phys)
{
	const void *rsdp = mm_map(phys, RSDP_SIZE, MM_WRITE_BACK);
	uint64_t root_phys;

	if (!rsdp || !acpi_parse_rsdp(rsdp, RSDP_SIZE, &root_phys, &root_is_xsdt))
		return false;
	root = map_table(root_phys);
	return root;
}

static bool search_rsdp(uint64_t from, uint64_t to)
{
	const uint8_t *area = mm_map(from, to - from, MM_WRITE_BACK);
	uint64_t root_phys;
	bool is_xsdt;

	for (uint64_t at = 0; area && at + RSDP_SIZE <= to - from; at += 16)
		if (acpi_parse_rsdp(area + at, RSDP_SIZE, &root_phys, &is_xsdt) &&
		    take_rsdp(from + at))
			return true;
	return false;
}

/* Section 5.2.5.1: the first KiB of the EBDA, then the BIOS area. */
static bool search_everywhere(void)
{
	const uint16_t *pointer = mm_map(EBDA_POINTER, sizeof(*pointer), MM_WRITE_BACK);
	uint64_t ebda = pointer ? (uint64_t)*pointer << 4 : 0;

	return (ebda >= 0x10000 && ebda < 0xa0000 && search_rsdp(ebda, ebda + 1024)) ||
		search_rsdp(BIOS_AREA, BIOS_AREA_END);
}

static bool has_signature(const struct acpi_header *table, const char *signature)
{
	for (int i = 0; i < 4; i++)
		if (table->signature[i] != signature[i])
			return false;
	return true;
}

/* Physical address of the n-th table in the root table, 0 at its end. */
static uint64_t table_address(unsigned n)
{
	unsigned size = root_is_xsdt ? 8 : 4;
	const uint8_t *entry = (const uint8_t *)(root + 1) + n * size;
	uint64_t phys = 0;

	if (!root || n >= MOST_TABLES || sizeof(*root) + (n + 1) * size > root->length)
		return 0;
	while (size--)
		phys = phys << 8 | entry[size];
	return phys;
}

static const struct acpi_header *find_table(const char *signature, unsigned index)
{
	uint64_t phys;

	for (unsigned n = 0; (phys = table_address(n)) != 0; n++) {
		const struct acpi_header *table = mm_map(phys, sizeof(*table), MM_WRITE_BACK);

		if (!table || !has_signature(table, signature))
			continue;
		table = map_table(phys);
		if (table && index-- == 0)
			return table;
	}
	return NULL;
}

/* Other CPUs start only after the first one has looked for them here, and so find it done. */
static void read_tables(void)
{
	const struct acpi_header *table;

	/* What is said of bad tables asks for the time, and the clock asks here what to measure it
	 * with: it gets its answer first, and whole. */
	if (unread)
		clock_now_ns();
	if (!unread)
		return;
	unread = false;
	if (!(told_rsdp && take_rsdp(told_rsdp)) && !search_everywhere()) {
		log_warn("acpi: no tables found%s: PCI by ports, one CPU, no HPET",
			told_rsdp ? " where the loader said, nor elsewhere" : "");
		return;
	}
	for (unsigned i = 0; (table = find_table("MCFG", i)) != NULL; i++)
		acpi_parse_mcfg(table, &platform);
	table = find_table("APIC", 0);
	if (table)
		acpi_parse_madt(table, &platform);
	table = find_table("HPET", 0);
	if (table)
		acpi_parse_hpet(table, &platform);
	table = find_table("FACP", 0);
	if (table)
		platform.dsdt = acpi_parse_fadt(table, &platform);
}

void acpi_init(uint64_t rsdp)
{
	acpi_platform_default(&platform);
	told_rsdp = rsdp;
	unread = true;
}

const struct acpi_header *acpi_find_table(const char *signature, unsigned index)
{
	read_tables();
	return find_table(signature, index);
}

const struct acpi_platform *acpi_platform(void)
{
	read_tables();
	return &platform;
}

void acpi_find_sleep_types(void)
{
	const struct acpi_header *table;

	read_tables();
	if (platform.knows_sleep_types || !platform.dsdt)
		return;
	table = map_table(platform.dsdt);
	if (table && has_signature(table, "DSDT"))
		acpi_parse_dsdt(table, &platform);
}

void acpi_find_config_space(void)
{
	const struct acpi_header *table;

	read_tables();
	if (platform.ecam_count || !platform.dsdt)
		return;
	table = map_table(platform.dsdt);
	if (table && has_signature(table, "DSDT"))
		acpi_parse_config_base(table, &platform);
}

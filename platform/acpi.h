/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI's static tables. No AML. Every table is taken only with a right checksum and a length that
 * holds it; a bad one is named in a log line and left out.
 * Sources: ACPI specification 6.4, chapter 5.2; PCI Firmware specification 3.3 (MCFG);
 * IA-PC HPET specification 1.0a.
 */
#ifndef PLATFORM_ACPI_H
#define PLATFORM_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What every table begins with (section 5.2.6). Little-endian, packed by nature. */
struct acpi_header {
	char signature[4];
	uint32_t length;	/* of the whole table, this header included */
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
};

#define ACPI_MAX_CPUS	256
#define ACPI_MAX_ECAMS	8

/* One allocation of the MCFG: config space of buses first_bus..last_bus of a segment. */
struct acpi_ecam {
	uint64_t base;		/* physical address of bus 0, whether or not first_bus is 0 */
	uint16_t segment;
	uint8_t first_bus, last_bus;
};

/* A register in ports or memory (generic address structure, section 5.2.3.2). */
struct acpi_register {
	uint64_t address;	/* 0: there is none */
	bool in_memory;		/* else a port */
	uint8_t width;		/* bits */
};

/* What the tables say of the machine; what they don't say is 0. */
struct acpi_platform {
	unsigned ecam_count;
	struct acpi_ecam ecams[ACPI_MAX_ECAMS];	/* MCFG */

	uint64_t lapic_base;			/* MADT; 0xfee00000 without one */
	unsigned cpu_count;			/* enabled ones */
	uint32_t cpus[ACPI_MAX_CPUS];		/* their APIC ids */
	bool has_8259;
	uint64_t ioapic_base;			/* the first I/O APIC */
	uint32_t ioapic_gsi_base;

	uint64_t hpet_base;			/* HPET */

	bool has_fadt;
	uint16_t pm_timer_port;			/* FADT */
	bool pm_timer_32bit;
	uint16_t sci;
	struct acpi_register pm1a_control, pm1b_control, gpe0, reset, sleep_control;
	uint8_t gpe0_length;			/* bytes of status and enable together */
	uint8_t reset_value;
	uint32_t smi_command;
	uint8_t acpi_enable;
	uint64_t dsdt;				/* its physical address */
	bool knows_sleep_types;			/* \_S5 was found: */
	uint8_t sleep_type_a, sleep_type_b;
};

/*
 * Where the tables are, a physical address given by the boot protocol. The functions below read
 * them when the first of them is called, so that a program that asks for nothing doesn't wait for
 * it at boot: from `rsdp`, or if that is 0 (or wrong) from the one found by searching the EBDA and
 * 0xe0000-0xfffff. Without any, after a log line, acpi_platform() describes a machine without ACPI.
 */
void acpi_init(uint64_t rsdp);

/*
 * The index-th table with that 4-letter signature, checksummed and mapped for good, or NULL.
 * Its length field has been checked against what is mapped; what is inside it has not.
 */
const struct acpi_header *acpi_find_table(const char *signature, unsigned index);

/* Looks \_S5 up in the DSDT, which takes longer than a boot should; for power-off. */
void acpi_find_sleep_types(void);

/* Never NULL; valid and constant. */
const struct acpi_platform *acpi_platform(void);

/* Looks for PCI's config space in the DSDT where there is no MCFG; acpi_platform() has it then. */
void acpi_find_config_space(void);

#endif

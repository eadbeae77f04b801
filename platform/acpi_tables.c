// SPDX-License-Identifier: BSD-2-Clause
#include "platform/acpi_tables.h"

/* Offsets within tables: ACPI 6.4. */
#define RSDP_SIZE_V1		20	/* 5.2.5.3 */
#define RSDP_SIZE_V2		36
#define RSDP_REVISION		15
#define RSDP_RSDT		16
#define RSDP_LENGTH		20
#define RSDP_XSDT		24

#define MCFG_ENTRIES		44	/* PCI Firmware 3.3, 4.1.2 */
#define MCFG_ENTRY_SIZE		16

#define MADT_LAPIC_BASE		36	/* 5.2.12 */
#define MADT_FLAGS		40
#define   MADT_HAS_8259		(1u << 0)
#define MADT_ENTRIES		44
#define MADT_LAPIC		0	/* kinds of entries */
#define MADT_IOAPIC		1
#define MADT_LAPIC_OVERRIDE	5
#define MADT_X2APIC		9
#define   MADT_CPU_ENABLED	(1u << 0)

#define HPET_BASE		40	/* HPET 1.0a, 3.2.4 */

#define FADT_DSDT		40	/* 5.2.9 */
#define FADT_SCI		46
#define FADT_SMI_COMMAND	48
#define FADT_ACPI_ENABLE	52
#define FADT_PM1A_CONTROL	64
#define FADT_PM1B_CONTROL	68
#define FADT_PM_TIMER		76
#define FADT_GPE0		80
#define FADT_PM_TIMER_LENGTH	91
#define FADT_GPE0_LENGTH	92
#define FADT_FLAGS		112
#define   FADT_TIMER_32BIT	(1u << 8)
#define   FADT_HAS_RESET	(1u << 10)
#define   FADT_HW_REDUCED	(1u << 20)
#define FADT_RESET		116
#define FADT_RESET_VALUE	128
#define FADT_X_DSDT		140
#define FADT_X_PM1A_CONTROL	172
#define FADT_X_PM1B_CONTROL	184
#define FADT_X_PM_TIMER		208
#define FADT_X_GPE0		220
#define FADT_SLEEP_CONTROL	244

#define GAS_SIZE		12
#define GAS_IN_MEMORY		0
#define GAS_IN_PORTS		1

#define LAPIC_BASE_DEFAULT	0xfee00000u

/* A little-endian number of `size` bytes at `offset`; 0 beyond the table's end. */
static uint64_t number(const struct acpi_header *table, uint32_t offset, unsigned size)
{
	const uint8_t *bytes = (const uint8_t *)table + offset;
	uint64_t value = 0;

	if (offset > table->length || size > table->length - offset)
		return 0;
	while (size--)
		value = value << 8 | bytes[size];
	return value;
}

static struct acpi_register gas(const struct acpi_header *table, uint32_t offset)
{
	uint8_t space = (uint8_t)number(table, offset, 1);
	struct acpi_register reg = { 0, false, 0 };

	if (space > GAS_IN_PORTS)
		return reg;
	reg.address = number(table, offset + 4, 8);
	reg.in_memory = space == GAS_IN_MEMORY;
	reg.width = (uint8_t)number(table, offset + 1, 1);
	return reg;
}

/* The 64-bit form of a FADT register where it is filled in, else the old port. */
static struct acpi_register fadt_register(const struct acpi_header *table, uint32_t extended,
	uint32_t old, uint8_t width)
{
	struct acpi_register reg = gas(table, extended);

	if (!reg.address)
		reg = (struct acpi_register){ number(table, old, 4), false, width };
	return reg;
}

bool acpi_sum_is_zero(const void *bytes, size_t size)
{
	const uint8_t *b = bytes;
	uint8_t sum = 0;

	while (size--)
		sum = (uint8_t)(sum + *b++);
	return sum == 0;
}

void acpi_platform_default(struct acpi_platform *platform)
{
	*platform = (struct acpi_platform){
		.lapic_base = LAPIC_BASE_DEFAULT, .has_8259 = true,
	};
}

void acpi_parse_mcfg(const struct acpi_header *table, struct acpi_platform *platform)
{
	for (uint32_t at = MCFG_ENTRIES; at + MCFG_ENTRY_SIZE <= table->length &&
	     platform->ecam_count < ACPI_MAX_ECAMS; at += MCFG_ENTRY_SIZE) {
		struct acpi_ecam ecam = {
			.base = number(table, at, 8),
			.segment = (uint16_t)number(table, at + 8, 2),
			.first_bus = (uint8_t)number(table, at + 10, 1),
			.last_bus = (uint8_t)number(table, at + 11, 1),
		};

		if (ecam.base && ecam.first_bus <= ecam.last_bus)
			platform->ecams[platform->ecam_count++] = ecam;
	}
}

static void add_cpu(struct acpi_platform *platform, uint32_t apic_id, uint64_t flags)
{
	if ((flags & MADT_CPU_ENABLED) && platform->cpu_count < ACPI_MAX_CPUS)
		platform->cpus[platform->cpu_count++] = apic_id;
}

void acpi_parse_madt(const struct acpi_header *table, struct acpi_platform *platform)
{
	uint32_t size;

	if (number(table, MADT_LAPIC_BASE, 4))
		platform->lapic_base = number(table, MADT_LAPIC_BASE, 4);
	platform->has_8259 = number(table, MADT_FLAGS, 4) & MADT_HAS_8259;
	for (uint32_t at = MADT_ENTRIES; at + 2 <= table->length; at += size) {
		size = (uint32_t)number(table, at + 1, 1);
		if (size < 2 || size > table->length - at)
			break;
		switch (number(table, at, 1)) {
		case MADT_LAPIC:
			if (size >= 8)
				add_cpu(platform, (uint32_t)number(table, at + 3, 1),
					number(table, at + 4, 4));
			break;
		case MADT_X2APIC:
			if (size >= 16)
				add_cpu(platform, (uint32_t)number(table, at + 4, 4),
					number(table, at + 8, 4));
			break;
		case MADT_IOAPIC:
			if (size >= 12 && !platform->ioapic_base) {
				platform->ioapic_base = number(table, at + 4, 4);
				platform->ioapic_gsi_base = (uint32_t)number(table, at + 8, 4);
			}
			break;
		case MADT_LAPIC_OVERRIDE:
			if (size >= 12 && number(table, at + 4, 8))
				platform->lapic_base = number(table, at + 4, 8);
			break;
		}
	}
}

void acpi_parse_hpet(const struct acpi_header *table, struct acpi_platform *platform)
{
	struct acpi_register base = gas(table, HPET_BASE);

	if (base.in_memory && !platform->hpet_base)
		platform->hpet_base = base.address;
}

uint64_t acpi_parse_fadt(const struct acpi_header *table, struct acpi_platform *platform)
{
	uint32_t flags = (uint32_t)number(table, FADT_FLAGS, 4);
	uint64_t dsdt = number(table, FADT_X_DSDT, 8);

	platform->has_fadt = true;
	if (flags & FADT_HAS_RESET) {
		platform->reset = gas(table, FADT_RESET);
		platform->reset_value = (uint8_t)number(table, FADT_RESET_VALUE, 1);
	}
	if (flags & FADT_HW_REDUCED) {
		platform->sleep_control = gas(table, FADT_SLEEP_CONTROL);
	} else {
		struct acpi_register timer = fadt_register(table, FADT_X_PM_TIMER,
			FADT_PM_TIMER, 32);

		platform->sci = (uint16_t)number(table, FADT_SCI, 2);
		platform->smi_command = (uint32_t)number(table, FADT_SMI_COMMAND, 4);
		platform->acpi_enable = (uint8_t)number(table, FADT_ACPI_ENABLE, 1);
		platform->pm1a_control = fadt_register(table, FADT_X_PM1A_CONTROL,
			FADT_PM1A_CONTROL, 16);
		platform->pm1b_control = fadt_register(table, FADT_X_PM1B_CONTROL,
			FADT_PM1B_CONTROL, 16);
		platform->gpe0 = fadt_register(table, FADT_X_GPE0, FADT_GPE0, 8);
		platform->gpe0_length = (uint8_t)number(table, FADT_GPE0_LENGTH, 1);
		if (!timer.in_memory && timer.address <= UINT16_MAX &&
		    number(table, FADT_PM_TIMER_LENGTH, 1) == 4) {
			platform->pm_timer_port = (uint16_t)timer.address;
			platform->pm_timer_32bit = flags & FADT_TIMER_32BIT;
		}
	}
	return dsdt ? dsdt : number(table, FADT_DSDT, 4);
}

/* An AML integer constant at *at (ACPI 6.4, 20.2.3), which is moved behind it; -1 if it is none. */
static int aml_integer(const struct acpi_header *table, uint32_t *at)
{
	uint64_t op = number(table, *at, 1);
	uint32_t bytes = op == 0x0a ? 1 : op == 0x0b ? 2 : op == 0x0c ? 4 : 0;
	int value = -1;

	if (bytes)
		value = (int)number(table, *at + 1, 1);
	else if (op == 0 || op == 1)
		value = (int)op;
	else if (op == 0xff)
		value = 0xff;
	*at += 1 + bytes;
	return value;
}

void acpi_parse_dsdt(const struct acpi_header *table, struct acpi_platform *platform)
{
	/* NameOp, perhaps a root prefix, the name, PackageOp, its length, count, two integers. */
	for (uint32_t at = sizeof(*table); at + 12 <= table->length; at++) {
		uint32_t value_at;

		if (number(table, at, 4) != 0x5f35535f /* "_S5_" */ ||
		    number(table, at + 4, 1) != 0x12)
			continue;
		if (number(table, at - 1, 1) != 0x08 &&
		    !(number(table, at - 1, 1) == '\\' && number(table, at - 2, 1) == 0x08))
			continue;
		/* The top two bits of a package length count the bytes that follow the first. */
		value_at = at + 5 + 1 + (uint32_t)(number(table, at + 5, 1) >> 6) + 1;

		int a = aml_integer(table, &value_at), b = aml_integer(table, &value_at);

		platform->knows_sleep_types = a >= 0;
		platform->sleep_type_a = a & 7;
		platform->sleep_type_b = b < 0 ? 0 : b & 7;
		return;
	}
}

/*
 * QEMU's microvm has no MCFG: _CBA (PCI Firmware 3.3, 4.1.3) alone says where config space is, as
 * Name (_CBA, constant) or Method (_CBA) { Return (constant) }.
 */
void acpi_parse_config_base(const struct acpi_header *table, struct acpi_platform *platform)
{
	const uint8_t *bytes = (const uint8_t *)table;

	for (uint32_t at = sizeof(*table); at + 12 <= table->length; at++) {
		uint32_t value_at = at + 4;
		uint64_t base;

		if (bytes[at] != '_' || number(table, at, 4) != 0x4142435f /* "_CBA" */)
			continue;
		/* A method: flags, then ReturnOp. */
		if (bytes[value_at + 1] == 0xa4)
			value_at += 2;
		base = bytes[value_at] == 0x0e ? number(table, value_at + 1, 8) :
		       bytes[value_at] == 0x0c ? number(table, value_at + 1, 4) : 0;
		if (!base || base & 0xfffff || platform->ecam_count >= ACPI_MAX_ECAMS)
			continue;
		platform->ecams[platform->ecam_count++] = (struct acpi_ecam){
			.base = base, .first_bus = 0, .last_bus = 255,
		};
		return;
	}
}

bool acpi_parse_rsdp(const void *rsdp, size_t size, uint64_t *root, bool *is_xsdt)
{
	static const char signature[8] = { 'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ' };
	const uint8_t *bytes = rsdp;
	uint64_t rsdt = 0, xsdt = 0;

	if (size < RSDP_SIZE_V1)
		return false;
	for (unsigned i = 0; i < sizeof(signature); i++)
		if (bytes[i] != (uint8_t)signature[i])
			return false;
	if (!acpi_sum_is_zero(rsdp, RSDP_SIZE_V1))
		return false;
	for (int i = 3; i >= 0; i--)
		rsdt = rsdt << 8 | bytes[RSDP_RSDT + i];
	if (bytes[RSDP_REVISION] >= 2 && size >= RSDP_SIZE_V2 &&
	    bytes[RSDP_LENGTH] >= RSDP_SIZE_V2 && acpi_sum_is_zero(rsdp, RSDP_SIZE_V2))
		for (int i = 7; i >= 0; i--)
			xsdt = xsdt << 8 | bytes[RSDP_XSDT + i];
	*is_xsdt = xsdt != 0;
	*root = xsdt ? xsdt : rsdt;
	return *root != 0;
}

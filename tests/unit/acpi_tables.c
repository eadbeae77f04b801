// SPDX-License-Identifier: BSD-2-Clause
// platform/acpi_tables: tables as they should be, cut off at every byte, and of noise.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "platform/acpi_tables.h"

/* A table on the heap, exactly as long as it says, so that a sanitizer sees a read beyond. */
static struct acpi_header *new_table(const char *signature, uint32_t length)
{
	struct acpi_header *table = calloc(1, length);

	memcpy(table->signature, signature, 4);
	table->length = length;
	return table;
}

static void put(struct acpi_header *table, uint32_t offset, uint64_t value, unsigned size)
{
	assert_true(offset + size <= table->length);
	memcpy((uint8_t *)table + offset, &value, size);
}

static struct acpi_platform parse(void (*parser)(const struct acpi_header *, struct acpi_platform *),
	struct acpi_header *table)
{
	struct acpi_platform p;

	acpi_platform_default(&p);
	parser(table, &p);
	free(table);
	return p;
}

static void reads_an_mcfg(void **state)
{
	struct acpi_header *t = new_table("MCFG", 44 + 3 * 16 + 7);
	struct acpi_platform p;

	(void)state;
	put(t, 44, 0xb0000000, 8);
	put(t, 55, 255, 1);
	put(t, 60, 0x3800000000, 8);
	put(t, 68, 1, 2);
	put(t, 70, 16, 1);
	put(t, 71, 31, 1);
	put(t, 76, 0x1000, 8);
	put(t, 86, 9, 1);	/* ends before it begins: left out, as are the 7 bytes behind it */
	put(t, 87, 8, 1);
	p = parse(acpi_parse_mcfg, t);
	assert_int_equal(p.ecam_count, 2);
	assert_int_equal(p.ecams[0].base, 0xb0000000);
	assert_int_equal(p.ecams[0].last_bus, 255);
	assert_int_equal(p.ecams[1].base, 0x3800000000);
	assert_int_equal(p.ecams[1].segment, 1);
	assert_int_equal(p.ecams[1].first_bus, 16);
	assert_int_equal(p.ecams[1].last_bus, 31);
}

static void keeps_to_its_arrays(void **state)
{
	struct acpi_header *mcfg = new_table("MCFG", 44 + 16 * 20);
	struct acpi_header *madt = new_table("APIC", 44 + 8 * (ACPI_MAX_CPUS + 40));

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		put(mcfg, 44 + 16 * i, 0x100000, 8);
	assert_int_equal(parse(acpi_parse_mcfg, mcfg).ecam_count, ACPI_MAX_ECAMS);
	for (unsigned i = 0; i < ACPI_MAX_CPUS + 40; i++) {
		put(madt, 44 + 8 * i, 0x0800, 2);
		put(madt, 48 + 8 * i, 1, 4);
	}
	assert_int_equal(parse(acpi_parse_madt, madt).cpu_count, ACPI_MAX_CPUS);
}

static void reads_a_madt(void **state)
{
	struct acpi_header *t = new_table("APIC", 44 + 8 + 8 + 12 + 16 + 12);
	struct acpi_platform p;
	uint32_t at = 44;

	(void)state;
	put(t, 36, 0xfee00000, 4);
	put(t, 40, 1, 4);
	put(t, at, 0x07010800, 4);	/* CPU with APIC id 7, enabled */
	put(t, at + 4, 1, 4);
	at += 8;
	put(t, at, 0x08010800, 4);	/* APIC id 8, not enabled */
	put(t, at + 4, 2, 4);
	at += 8;
	put(t, at, 0x0c01, 2);		/* I/O APIC */
	put(t, at + 4, 0xfec00000, 4);
	put(t, at + 8, 24, 4);
	at += 12;
	put(t, at, 0x1009, 2);		/* x2APIC id 0x1234 */
	put(t, at + 4, 0x1234, 4);
	put(t, at + 8, 1, 4);
	at += 16;
	put(t, at, 0x0c05, 2);		/* the local APIC lies elsewhere */
	put(t, at + 4, 0x1fee00000, 8);
	p = parse(acpi_parse_madt, t);
	assert_int_equal(p.cpu_count, 2);
	assert_int_equal(p.cpus[0], 7);
	assert_int_equal(p.cpus[1], 0x1234);
	assert_int_equal(p.ioapic_base, 0xfec00000);
	assert_int_equal(p.ioapic_gsi_base, 24);
	assert_int_equal(p.lapic_base, 0x1fee00000);
	assert_true(p.has_8259);
}

static void ends_a_madt_at_an_entry_without_length(void **state)
{
	struct acpi_header *t = new_table("APIC", 44 + 16);

	(void)state;
	put(t, 44, 0, 2);
	put(t, 52, 0x0800, 2);
	put(t, 56, 1, 4);
	assert_int_equal(parse(acpi_parse_madt, t).cpu_count, 0);
}

static void reads_a_fadt(void **state)
{
	struct acpi_header *t = new_table("FACP", 244);
	struct acpi_platform p;

	(void)state;
	put(t, 40, 0x3fe0040, 4);
	put(t, 46, 9, 2);
	put(t, 48, 0xb2, 4);
	put(t, 52, 2, 1);
	put(t, 64, 0x604, 4);
	put(t, 76, 0x608, 4);
	put(t, 80, 0x620, 4);
	put(t, 91, 4, 1);
	put(t, 92, 16, 1);
	put(t, 112, 1u << 10 | 1u << 8, 4);
	put(t, 116, 0x0801, 2);		/* reset register: a port of 8 bits */
	put(t, 120, 0xcf9, 8);
	put(t, 128, 0x0f, 1);
	acpi_platform_default(&p);
	assert_int_equal(acpi_parse_fadt(t, &p), 0x3fe0040);
	assert_int_equal(p.sci, 9);
	assert_int_equal(p.pm_timer_port, 0x608);
	assert_true(p.pm_timer_32bit);
	assert_int_equal(p.pm1a_control.address, 0x604);
	assert_false(p.pm1a_control.in_memory);
	assert_int_equal(p.gpe0.address, 0x620);
	assert_int_equal(p.gpe0_length, 16);
	assert_int_equal(p.reset.address, 0xcf9);
	assert_int_equal(p.reset_value, 0x0f);
	assert_int_equal(p.sleep_control.address, 0);
	put(t, 140, 0x123456789a, 8);	/* the 64-bit address of the DSDT wins */
	assert_int_equal(acpi_parse_fadt(t, &p), 0x123456789a);
	free(t);
}

static void finds_s5(void **state)
{
	static const uint8_t plain[] = { 0x08, '_', 'S', '5', '_', 0x12, 6, 4, 0x0a, 5, 0x0a, 3, 0, 0 };
	static const uint8_t rooted[] = { 8, '\\', '_', 'S', '5', '_', 0x12, 0x46, 0, 4, 1, 0, 0, 0 };
	static const uint8_t mention[] = { 0x70, '_', 'S', '5', '_', 0x12, 6, 4, 1, 0, 0, 0, 0, 0 };
	struct acpi_platform p;
	struct acpi_header *t = new_table("DSDT", 36 + 100);

	(void)state;
	memcpy((uint8_t *)t + 60, mention, sizeof(mention));
	p = parse(acpi_parse_dsdt, t);
	assert_false(p.knows_sleep_types);
	t = new_table("DSDT", 36 + 100);
	memcpy((uint8_t *)t + 60, plain, sizeof(plain));
	p = parse(acpi_parse_dsdt, t);
	assert_true(p.knows_sleep_types);
	assert_int_equal(p.sleep_type_a, 5);
	assert_int_equal(p.sleep_type_b, 3);
	t = new_table("DSDT", 36 + sizeof(rooted));
	memcpy(t + 1, rooted, sizeof(rooted));
	p = parse(acpi_parse_dsdt, t);
	assert_true(p.knows_sleep_types);
	assert_int_equal(p.sleep_type_a, 1);
	assert_int_equal(p.sleep_type_b, 0);
}

static void mend_sum(uint8_t *bytes, size_t size, size_t at)
{
	uint8_t sum = 0;

	bytes[at] = 0;
	for (size_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + bytes[i]);
	bytes[at] = (uint8_t)-sum;
}

static void checks_an_rsdp(void **state)
{
	uint8_t rsdp[36] = "RSD PTR ";
	uint64_t root;
	bool is_xsdt;

	(void)state;
	rsdp[16] = 0x40;
	rsdp[18] = 0xfe;
	mend_sum(rsdp, 20, 8);
	assert_true(acpi_parse_rsdp(rsdp, 20, &root, &is_xsdt));
	assert_int_equal(root, 0xfe0040);
	assert_false(is_xsdt);
	rsdp[15] = 2;
	rsdp[20] = 36;
	rsdp[24] = 0x80;
	rsdp[28] = 1;
	mend_sum(rsdp, 20, 8);
	mend_sum(rsdp, 36, 32);
	assert_true(acpi_parse_rsdp(rsdp, 36, &root, &is_xsdt));
	assert_int_equal(root, 0x100000080);
	assert_true(is_xsdt);
	rsdp[32]++;	/* the longer sum is wrong: the shorter part still holds */
	assert_true(acpi_parse_rsdp(rsdp, 36, &root, &is_xsdt));
	assert_false(is_xsdt);
	rsdp[9]++;
	assert_false(acpi_parse_rsdp(rsdp, 36, &root, &is_xsdt));
	rsdp[9]--;
	assert_false(acpi_parse_rsdp(rsdp, 19, &root, &is_xsdt));
	rsdp[0] = 'r';
	mend_sum(rsdp, 20, 8);
	assert_false(acpi_parse_rsdp(rsdp, 36, &root, &is_xsdt));
}

/* Every parser on tables of noise, of every length. */
static void reads_nothing_beyond_a_table(void **state)
{
	uint32_t seed = 5;

	(void)state;
	for (uint32_t length = sizeof(struct acpi_header); length < 400; length++)
		for (int round = 0; round < 60; round++) {
			struct acpi_header *t = new_table("....", length);
			struct acpi_platform p;

			for (uint32_t i = sizeof(*t); i < length; i++) {
				seed = seed * 1664525 + 1013904223;
				((uint8_t *)t)[i] = round % 3 ? (uint8_t)(seed >> 24) :
					"\x08_S5_\x12\xff\x04\x0c"[(seed >> 24) % 9];
			}
			if (round % 3 == 0 && length > 50)
				memcpy((uint8_t *)t + length - 10, "\x08_S5_\x12\xc0\x04\x0c", 10);
			acpi_platform_default(&p);
			acpi_parse_mcfg(t, &p);
			acpi_parse_madt(t, &p);
			acpi_parse_hpet(t, &p);
			acpi_parse_fadt(t, &p);
			acpi_parse_dsdt(t, &p);
			assert_true(p.cpu_count <= ACPI_MAX_CPUS && p.ecam_count <= ACPI_MAX_ECAMS);
			free(t);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_an_mcfg),
		cmocka_unit_test(keeps_to_its_arrays),
		cmocka_unit_test(reads_a_madt),
		cmocka_unit_test(ends_a_madt_at_an_entry_without_length),
		cmocka_unit_test(reads_a_fadt),
		cmocka_unit_test(finds_s5),
		cmocka_unit_test(checks_an_rsdp),
		cmocka_unit_test(reads_nothing_beyond_a_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands in ACPI tables: pure functions on bytes, tested on the host. Each is given a whole
 * table whose length field is right, and reads nothing beyond it whatever its inside says.
 */
#ifndef PLATFORM_ACPI_TABLES_H
#define PLATFORM_ACPI_TABLES_H

#include "platform/acpi.h"

/* Whether the bytes add up to 0. */
bool acpi_sum_is_zero(const void *bytes, size_t size);

/* What a machine without tables is taken to be. */
void acpi_platform_default(struct acpi_platform *platform);

void acpi_parse_mcfg(const struct acpi_header *table, struct acpi_platform *platform);
void acpi_parse_madt(const struct acpi_header *table, struct acpi_platform *platform);
void acpi_parse_hpet(const struct acpi_header *table, struct acpi_platform *platform);

/* Returns the DSDT's physical address, 0 if it names none. */
uint64_t acpi_parse_fadt(const struct acpi_header *table, struct acpi_platform *platform);

/* Takes the values of \_S5 from the DSDT's AML, by looking for the package; no interpreter. */
void acpi_parse_dsdt(const struct acpi_header *table, struct acpi_platform *platform);

/* Takes the place of config space from the DSDT, for machines without an MCFG; no interpreter. */
void acpi_parse_config_base(const struct acpi_header *table, struct acpi_platform *platform);

/*
 * The RSDP's root table: checks the 20 or 36 bytes at `rsdp` of which `size` can be read; the
 * physical address goes to *root and whether it is an XSDT to *is_xsdt. False if it is no RSDP.
 */
bool acpi_parse_rsdp(const void *rsdp, size_t size, uint64_t *root, bool *is_xsdt);

#endif

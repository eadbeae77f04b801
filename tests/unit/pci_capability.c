// SPDX-License-Identifier: BSD-2-Clause
/* pci/capability.c on config spaces that a device may have wrong: every walk ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <isthmus/pci.h>
#include "pci/registers.h"

static uint8_t space[4096];
static unsigned int reads;

uint8_t pci_read8(const struct pci_device *device, unsigned int offset)
{
	(void)device;
	reads++;
	assert_true(offset < sizeof(space));
	return space[offset];
}

uint16_t pci_read16(const struct pci_device *device, unsigned int offset)
{
	return (uint16_t)(pci_read8(device, offset) | pci_read8(device, offset + 1) << 8);
}

uint32_t pci_read32(const struct pci_device *device, unsigned int offset)
{
	return pci_read16(device, offset) | (uint32_t)pci_read16(device, offset + 2) << 16;
}

static void clear(void)
{
	memset(space, 0, sizeof(space));
	space[PCI_REG_STATUS] = PCI_STATUS_CAPABILITIES;
	reads = 0;
}

static void put(uint8_t at, uint8_t id, uint8_t next)
{
	space[at] = id;
	space[at + 1] = next;
}

static void put_extended(unsigned int at, uint16_t id, unsigned int next)
{
	uint32_t header = id | 1u << 16 | next << 20;

	memcpy(&space[at], &header, sizeof(header));
}

static void test_list(void **state)
{
	uint8_t offsets[PCI_CAPABILITIES_MAX];

	(void)state;
	clear();
	space[PCI_REG_CAPABILITIES] = 0x80;
	put(0x80, PCI_CAPABILITY_MSI, 0x42); /* the low two bits are reserved */
	put(0x40, PCI_CAPABILITY_MSIX, 0);
	assert_int_equal(pci_capabilities(NULL, offsets), 2);
	assert_int_equal(offsets[0], 0x80);
	assert_int_equal(offsets[1], 0x40);
	assert_int_equal(pci_find_capability(NULL, PCI_CAPABILITY_MSIX), 0x40);
	assert_int_equal(pci_find_capability(NULL, PCI_CAPABILITY_EXPRESS), 0);
}

static void test_no_list(void **state)
{
	(void)state;
	clear();
	space[PCI_REG_STATUS] = 0;
	space[PCI_REG_CAPABILITIES] = 0x40;
	put(0x40, PCI_CAPABILITY_MSIX, 0);
	assert_int_equal(pci_find_capability(NULL, PCI_CAPABILITY_MSIX), 0);
}

static void test_loops(void **state)
{
	uint8_t offsets[PCI_CAPABILITIES_MAX];

	(void)state;
	clear();
	space[PCI_REG_CAPABILITIES] = 0x40;
	put(0x40, PCI_CAPABILITY_MSI, 0x40);
	assert_int_equal(pci_capabilities(NULL, offsets), 1);
	put(0x40, PCI_CAPABILITY_MSI, 0x50);
	put(0x50, PCI_CAPABILITY_POWER, 0x40);
	assert_int_equal(pci_capabilities(NULL, offsets), 2);
	assert_int_equal(pci_find_capability(NULL, PCI_CAPABILITY_MSIX), 0);
}

static void test_leaves_its_ground(void **state)
{
	uint8_t offsets[PCI_CAPABILITIES_MAX];

	(void)state;
	clear();
	space[PCI_REG_CAPABILITIES] = 0x40;
	put(0x40, PCI_CAPABILITY_MSI, 0x04); /* into the header */
	assert_int_equal(pci_capabilities(NULL, offsets), 1);
	memset(&space[0x40], 0xff, 0xc0); /* gone */
	assert_int_equal(pci_capabilities(NULL, offsets), 0);
}

static void test_extended(void **state)
{
	uint16_t offsets[PCI_EXTENDED_CAPABILITIES_MAX];

	(void)state;
	clear();
	put_extended(0x100, 1, 0x148);
	put_extended(0x148, 0xd, 0x100); /* a loop */
	/* A conventional function has none, whatever lies there. */
	assert_int_equal(pci_extended_capabilities(NULL, offsets), 0);
	space[PCI_REG_CAPABILITIES] = 0x40;
	put(0x40, PCI_CAPABILITY_EXPRESS, 0);
	assert_int_equal(pci_extended_capabilities(NULL, offsets), 2);
	assert_int_equal(offsets[1], 0x148);
}

static void test_garbage(void **state)
{
	uint8_t offsets[PCI_CAPABILITIES_MAX];
	uint16_t extended[PCI_EXTENDED_CAPABILITIES_MAX];

	(void)state;
	srand(2);
	for (int round = 0; round < 2000; round++) {
		for (size_t i = 0; i < sizeof(space); i++)
			space[i] = (uint8_t)rand();
		reads = 0;
		assert_true(pci_capabilities(NULL, offsets) <= PCI_CAPABILITIES_MAX);
		assert_true(pci_extended_capabilities(NULL, extended) <=
			    PCI_EXTENDED_CAPABILITIES_MAX);
		assert_true(reads < 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),	 cmocka_unit_test(test_no_list),
		cmocka_unit_test(test_loops),	 cmocka_unit_test(test_leaves_its_ground),
		cmocka_unit_test(test_extended), cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

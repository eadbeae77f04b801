// SPDX-License-Identifier: BSD-2-Clause
// Finds the ivshmem device by port I/O and makes its first vector interrupt this CPU.

#include "bench/floor/floor.h"
#include "bench/floor/port.h"

/* PCI Local Bus 3.0, 3.2.2.3.2 (configuration mechanism) and 6.8.2 (MSI-X). */
#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA 0xcfc
#define CONFIG_REG_ID 0x00
#define CONFIG_REG_COMMAND 0x04
#define CONFIG_COMMAND_MEMORY_MASTER 6u
#define CONFIG_REG_HEADER_TYPE 0x0c
#define CONFIG_REG_BAR0 0x10
#define CONFIG_REG_CAPABILITIES 0x34
#define CAPABILITY_MSIX 0x11
#define MSIX_REG_TABLE 4
#define MSIX_CONTROL_ENABLE (1u << 31)
#define MSIX_CONTROL_MASK_ALL (1u << 30)

#define IVSHMEM_ID 0x11101af4u
#define IVSHMEM_REG_POSITION 2 /* in 32-bit words */

#define MSI_ADDRESS 0xfee00000u
#define VECTOR_DOORBELL 0x40

static uint32_t config_read(uint32_t function, uint32_t reg)
{
	outl(CONFIG_ADDRESS, 1u << 31 | function << 8 | (reg & 0xfc));
	return inl(CONFIG_DATA);
}

static void config_write(uint32_t function, uint32_t reg, uint32_t value)
{
	outl(CONFIG_ADDRESS, 1u << 31 | function << 8 | (reg & 0xfc));
	outl(CONFIG_DATA, value);
}

static bool function_find(uint32_t *found)
{
	uint32_t slot, f;

	for (slot = 0; slot < 256 * 32; slot++) {
		uint32_t functions = 1;

		for (f = 0; f < functions; f++) {
			uint32_t function = slot << 3 | f;
			uint32_t id = config_read(function, CONFIG_REG_ID);

			if (id == IVSHMEM_ID) {
				*found = function;
				return true;
			}
			if (!f && id != UINT32_MAX &&
			    config_read(function, CONFIG_REG_HEADER_TYPE) & 1u << 23)
				functions = 8;
		}
	}
	return false;
}

static uint64_t bar_base(uint32_t function, unsigned int bar)
{
	uint32_t reg = CONFIG_REG_BAR0 + 4 * bar;
	uint64_t base = config_read(function, reg);

	if ((base & 6) == 4)
		base |= (uint64_t)config_read(function, reg + 4) << 32;
	return base & ~0xfULL;
}

static uint64_t bar_size(uint32_t function, unsigned int bar)
{
	uint32_t reg = CONFIG_REG_BAR0 + 4 * bar;
	uint32_t low = config_read(function, reg), high = 0;
	uint64_t size;

	config_write(function, reg, UINT32_MAX);
	size = config_read(function, reg) & ~0xfu;
	config_write(function, reg, low);
	if ((low & 6) == 4) {
		high = config_read(function, reg + 4);
		config_write(function, reg + 4, UINT32_MAX);
		size |= (uint64_t)config_read(function, reg + 4) << 32;
		config_write(function, reg + 4, high);
	} else {
		size |= 0xffffffffULL << 32;
	}
	return ~size + 1;
}

static bool msix_enable(uint32_t function)
{
	uint32_t at = config_read(function, CONFIG_REG_CAPABILITIES) & 0xfc;
	int limit = 48;
	uint32_t header, where;
	volatile uint32_t *entry;

	while (at && limit--) {
		header = config_read(function, at);
		if ((header & 0xff) == CAPABILITY_MSIX)
			break;
		at = header >> 8 & 0xfc;
	}
	if (!at || limit < 0)
		return false;

	where = config_read(function, at + MSIX_REG_TABLE);
	entry = (volatile uint32_t *)(uintptr_t)(bar_base(function, where & 7) + (where & ~7u));
	entry[0] = MSI_ADDRESS;
	entry[1] = 0;
	entry[2] = VECTOR_DOORBELL;
	entry[3] = 0;
	config_write(function, at, (header | MSIX_CONTROL_ENABLE) & ~MSIX_CONTROL_MASK_ALL);
	return true;
}

/* False: no such device. Anything else that is wrong ends the guest. */
bool floor_device_find(struct floor_device *device)
{
	uint32_t function;
	uint64_t registers, region;

	if (!function_find(&function))
		return false;
	registers = bar_base(function, 0);
	region = bar_base(function, 2);
	if (!registers || !region)
		floor_die("firmware left the BARs empty; boot with SeaBIOS");
	device->region_size = bar_size(function, 2);
	if (!floor_map(region, device->region_size))
		floor_die("cannot map a region of %lu bytes at 0x%x", device->region_size, region);

	config_write(function, CONFIG_REG_COMMAND,
		     config_read(function, CONFIG_REG_COMMAND) | CONFIG_COMMAND_MEMORY_MASTER);
	device->registers = (volatile uint32_t *)(uintptr_t)registers;
	device->region = (uint8_t *)(uintptr_t)region;
	device->has_doorbell = msix_enable(function);
	device->id = device->registers[IVSHMEM_REG_POSITION];
	return true;
}

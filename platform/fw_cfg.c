// SPDX-License-Identifier: BSD-2-Clause
#include "platform/fw_cfg.h"

#include <errno.h>
#include "cpu/io.h"
#include "cpu/lock.h"

#define FW_CFG_PORT_SELECT	0x510	/* 16 bits */
#define FW_CFG_PORT_DATA	0x511	/* 8 bits: the next byte of the item */
#define MOST_FILES		1024

/* An entry of the directory; numbers are big-endian. */
struct fw_cfg_file {
	uint32_t size;
	uint16_t key;
	uint16_t reserved;
	char name[56];
};

static struct cpu_lock lock;

static void select_and_read(uint16_t key, void *buffer, size_t size)
{
	uint8_t *bytes = buffer;
	uint64_t flags = cpu_lock_acquire(&lock);

	port_out16(FW_CFG_PORT_SELECT, key);
	for (size_t i = 0; i < size; i++)
		bytes[i] = port_in8(FW_CFG_PORT_DATA);
	cpu_lock_release(&lock, flags);
}

bool fw_cfg_present(void)
{
	static int known;	/* 1 there, -1 not */
	char signature[4];

	if (!known) {
		select_and_read(FW_CFG_KEY_SIGNATURE, signature, sizeof(signature));
		known = signature[0] == 'Q' && signature[1] == 'E' && signature[2] == 'M' &&
			signature[3] == 'U' ? 1 : -1;
	}
	return known > 0;
}

int fw_cfg_read(uint16_t key, void *buffer, size_t size)
{
	if (!fw_cfg_present())
		return -ENODEV;
	select_and_read(key, buffer, size);
	return 0;
}

unsigned fw_cfg_max_cpus(void)
{
	uint16_t count;

	return fw_cfg_read(FW_CFG_KEY_MAX_CPUS, &count, sizeof(count)) ? 0 : count;
}

static bool same_name(const struct fw_cfg_file *file, const char *name)
{
	size_t i = 0;

	while (i < sizeof(file->name) && file->name[i] && file->name[i] == name[i])
		i++;
	return i < sizeof(file->name) && file->name[i] == name[i];
}

/* Reads the directory as a stream: its entries follow each other at the data port. */
static bool find_file(const char *name, struct fw_cfg_file *file)
{
	uint64_t flags = cpu_lock_acquire(&lock);
	uint32_t count = 0;
	bool found = false;

	port_out16(FW_CFG_PORT_SELECT, FW_CFG_KEY_DIRECTORY);
	for (int i = 0; i < 4; i++)
		count = count << 8 | port_in8(FW_CFG_PORT_DATA);
	if (count > MOST_FILES)
		count = MOST_FILES;
	while (count-- && !found) {
		uint8_t *bytes = (uint8_t *)file;

		for (size_t i = 0; i < sizeof(*file); i++)
			bytes[i] = port_in8(FW_CFG_PORT_DATA);
		found = same_name(file, name);
	}
	cpu_lock_release(&lock, flags);
	return found;
}

int64_t fw_cfg_read_file(const char *name, void *buffer, size_t size)
{
	struct fw_cfg_file file;

	if (!fw_cfg_present())
		return -ENODEV;
	if (!find_file(name, &file))
		return -ENOENT;

	uint32_t whole = __builtin_bswap32(file.size);

	select_and_read(__builtin_bswap16(file.key), buffer, size < whole ? size : whole);
	return whole;
}

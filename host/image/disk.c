// SPDX-License-Identifier: BSD-2-Clause
/*
 * The partition table is written here; the file system in it by mtools. Source: UEFI 2.10, chapter 5
 * and section 13.3. Nothing in it is random: the same program gives the same disk.
 */
#include "host/image/disk.h"

#include <stdio.h>
#include <string.h>

#include "host/image/bytes.h"

#define SECTOR		512u
#define FIRST_SECTOR	2048u		/* of the partition: 1 MiB, as all tools align it */
#define MIB		0x100000ul
#define ENTRY_SIZE	128u
#define ENTRY_COUNT	128u
#define ENTRY_SECTORS	(ENTRY_SIZE * ENTRY_COUNT / SECTOR)
#define HEADER_SIZE	92u

/* C12A7328-F81F-11D2-BA4B-00A0C93EC93B, the EFI system partition, as it lies on disk */
static const uint8_t esp_type[16] = { 0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
				      0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b };

/* IEEE 802.3, reflected: what zlib's crc32() computes. */
static uint32_t crc32_of(const uint8_t *data, size_t size)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < size; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

/* A version-4 GUID from a checksum of the contents and a number that tells disk and partition apart. */
static void put_guid(uint8_t *at, uint32_t seed, uint32_t which)
{
	for (int i = 0; i < 4; i++) {
		seed = seed * 1664525u + 1013904223u + which;
		put32(at + 4 * i, seed);
	}
	at[7] = (uint8_t)((at[7] & 0x0f) | 0x40);
	at[8] = (uint8_t)((at[8] & 0x3f) | 0x80);
}

/* A disk that tools without GPT see as full: one entry of type 0xee over all of it. */
static void put_protective_mbr(uint8_t *mbr, uint64_t sectors)
{
	uint8_t *entry = mbr + 446;

	entry[2] = 2;			/* first sector in cylinders, heads, sectors */
	entry[4] = 0xee;
	entry[5] = entry[6] = entry[7] = 0xff;
	put32(entry + 8, 1);
	put32(entry + 12, sectors - 1 > 0xffffffff ? 0xffffffff : (uint32_t)(sectors - 1));
	put16(mbr + 510, 0xaa55);
}

static void put_header(uint8_t *disk, uint64_t sectors, uint64_t here, uint64_t other,
		       uint64_t entries, uint32_t seed)
{
	uint8_t *h = disk + here * SECTOR;

	memcpy(h, "EFI PART", 8);
	put32(h + 8, 0x00010000);
	put32(h + 12, HEADER_SIZE);
	put64(h + 24, here);
	put64(h + 32, other);
	put64(h + 40, 2 + ENTRY_SECTORS);
	put64(h + 48, sectors - ENTRY_SECTORS - 2);
	put_guid(h + 56, seed, 1);
	put64(h + 72, entries);
	put32(h + 80, ENTRY_COUNT);
	put32(h + 84, ENTRY_SIZE);
	put32(h + 88, crc32_of(disk + entries * SECTOR, ENTRY_SIZE * ENTRY_COUNT));
	put32(h + 16, crc32_of(h, HEADER_SIZE));
}

static void put_partition_table(struct bytes *disk, uint64_t partition_sectors, uint32_t seed)
{
	uint64_t sectors = disk->size / SECTOR;
	uint64_t backup_entries = sectors - 1 - ENTRY_SECTORS;
	uint8_t *entry = disk->data + 2 * SECTOR;
	static const char name[] = "EFI system";

	put_protective_mbr(disk->data, sectors);
	memcpy(entry, esp_type, sizeof(esp_type));
	put_guid(entry + 16, seed, 2);
	put64(entry + 32, FIRST_SECTOR);
	put64(entry + 40, FIRST_SECTOR + partition_sectors - 1);
	for (size_t i = 0; i + 1 < sizeof(name); i++)
		put16(entry + 56 + 2 * i, (uint8_t)name[i]);
	memcpy(disk->data + backup_entries * SECTOR, entry, ENTRY_SIZE);
	put_header(disk->data, sectors, 1, sectors - 1, 2, seed);
	put_header(disk->data, sectors, sectors - 1, 1, backup_entries, seed);
}

bool disk_write(const struct workplace *w, const char *efi, unsigned long efi_size, const char *out,
	char *error)
{
	/* FAT16 wants some 4,100 clusters at least; what the program needs and a quarter more. */
	unsigned long partition = (efi_size + efi_size / 4 + 8 * MIB) / MIB * MIB;
	struct bytes disk = { 0 }, program = { 0 };
	char where[4096], sectors[32], serial[16];
	const char *format[] = { "mformat", "-i", where, "-T", sectors, "-h", "16", "-s", "63", "-c", "1",
				 "-H", "2048", "-N", serial, "-v", "ISTHMUS", "::", NULL };
	const char *folders[] = { "mmd", "-i", where, "::/EFI", "::/EFI/BOOT", NULL };
	const char *copy[] = { "mcopy", "-i", where, efi, "::/EFI/BOOT/BOOTX64.EFI", NULL };
	uint32_t seed;
	bool ok;

	if (!bytes_read(&program, efi, error))
		return false;
	seed = crc32_of(program.data, program.size);
	bytes_free(&program);

	bytes_resize(&disk, FIRST_SECTOR * SECTOR + partition + MIB);
	put_partition_table(&disk, partition / SECTOR, seed);
	ok = bytes_write(&disk, out, error);
	bytes_free(&disk);

	snprintf(where, sizeof(where), "%s@@%lu", out, (unsigned long)FIRST_SECTOR * SECTOR);
	snprintf(sectors, sizeof(sectors), "%lu", partition / SECTOR);
	snprintf(serial, sizeof(serial), "%08x", seed);
	return ok && tool_run(w, "mtools", format, NULL, error) &&
	       tool_run(w, "mtools", folders, NULL, error) &&
	       tool_run(w, "mtools", copy, NULL, error);
}

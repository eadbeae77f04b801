/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scratch area of a region: memory that no part of the message layer ever reads or writes, for
 * programs that use a region without channels (bare ping-pong, a device's self-test). It is found
 * from the region's size alone. Source: docs/wire-format.md, "Scratch area".
 *
 * It is the last sixteenth of the region, but never more than 64 KiB, cut into cells of 256 bytes
 * (four cache lines). Two peers with ids a != b use cell (b * (b - 1) / 2 + a) % cells where a <
 * b, so that among the first 22 peers of a region of 1 MiB or more no two pairs share a cell. Who
 * needs more, or runs many pairs at once, takes a region of its own.
 *
 *   region    scratch area            cells
 *   4 KiB     3840 .. 4095               1
 *   64 KiB    61440 .. 65535            16
 *   1 MiB     983040 .. 1048575        256
 *   1 GiB     the last 64 KiB          256
 */
#ifndef ISTHMUS_SCRATCH_H
#define ISTHMUS_SCRATCH_H

#include <stdint.h>

#define SCRATCH_CELL_BYTES 256u
#define SCRATCH_MAX_BYTES  65536u

/* Bytes of the scratch area in a region of region_size bytes (at least 4096): a multiple of 256. */
static inline uint64_t scratch_size(uint64_t region_size)
{
	uint64_t size = region_size / 16 & ~(uint64_t)(SCRATCH_CELL_BYTES - 1);

	return size < SCRATCH_MAX_BYTES ? size : SCRATCH_MAX_BYTES;
}

/* Where it begins, as an offset in the region. */
static inline uint64_t scratch_offset(uint64_t region_size)
{
	return region_size - scratch_size(region_size);
}

/* Offset of the cell of peers a and b in a region of at least 4096 bytes; the order of a and b is
 * of no importance. Where there are no ids (ivshmem-plain), the two sides agree on 0 and 1. */
static inline uint64_t scratch_cell(uint64_t region_size, uint32_t a, uint32_t b)
{
	uint64_t low = a < b ? a : b, high = a < b ? b : a;
	uint64_t cells = scratch_size(region_size) / SCRATCH_CELL_BYTES;
	uint64_t cell = high ? high * (high - 1) / 2 + low : 0;

	return scratch_offset(region_size) + (cell % cells) * SCRATCH_CELL_BYTES;
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* The header of a region, as whoever joins or looks reads it. */
#ifndef MSG_HEAD_H
#define MSG_HEAD_H

#include "msg/layout.h"

/* A private copy of the first two lines, each word read once. */
union head {
	uint64_t word[16];
	uint8_t bytes[128];
	struct {
		uint64_t magic;
		uint32_t version, check;
		uint64_t size;
		uint32_t slot_offset, slot_stride, slots, channels, deeds, grain;
		uint64_t land_offset, land_size, death_ns, beat_ns, format_id;
		uint32_t default_ring, endpoints;
		uint64_t reserved[4];
	} h;
};
_Static_assert(sizeof(union head) == 128, "two lines");

void head_read(const struct wire_header *header, union head *head);

/* What `check` must be. */
uint32_t head_check(const union head *head);

/* Is it a header of this version for a region of size bytes, to walk by? */
bool head_accept(const union head *head, struct geometry *geo, uint64_t size);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking at a region from outside: for tools, which join nothing, write nothing and may map it
 * read-only. Each word is read once, into copies of the structures of layout.h.
 *
 * Nothing in a copy is true: peers write all the time, and anybody may write anything. What says where
 * something else lies is checked in here before it is used; states, kinds and indices of other
 * tables are the caller's to check. Names end with a NUL.
 */
#ifndef MSG_LOOK_H
#define MSG_LOOK_H

#include "msg/layout.h"

enum look_result {
	LOOK_GOOD = 0,
	LOOK_SMALL,      /* fewer than WIRE_MIN_SIZE bytes */
	LOOK_EMPTY,      /* zeroes where a header would be: nobody has joined yet */
	LOOK_FORMATTING, /* somebody formats it now, or died over it */
	LOOK_STRANGE,    /* no magic: not a region of Isthmus */
	LOOK_VERSION,    /* another major version: look->version */
	LOOK_SIZE,       /* of a region of another size: look->geo.size */
	LOOK_DAMAGED,    /* the header's check or what it says can't be */
};

struct look {
	const uint8_t *base;
	uint32_t version;
	struct geometry geo;
};

/* Looks at the header. base: aligned to 64, readable for size bytes as long as the look is used; the
 * caller's. */
enum look_result look_open(struct look *look, const void *base, uint64_t size);

/* Is it still the region that was opened, and not formatted anew? */
bool look_stands(const struct look *look);

/* Does somebody claim to format it anew? */
bool look_formatting(const struct look *look);

/* slot < geo.slots. False: it changed hands during the look. */
bool look_slot(const struct look *look, uint32_t slot, struct wire_slot *copy);

/* Who holds it, and the word that changes while that one lives. */
uint64_t look_claim(const struct look *look, uint32_t slot);
uint64_t look_beat(const struct look *look, uint32_t slot);

/* A control block. False: free (status says its generation). index < geo.channels. */
bool look_channel(const struct look *look, uint32_t slot, uint32_t index, struct wire_channel *copy);

/* Land held by deed index < geo.deeds: an offset in the region, and its length; 0: none, or outside. */
uint64_t look_deed(const struct look *look, uint32_t slot, uint32_t index, uint64_t *offset);

/* The front of the topic that a publisher's block names. False: it names none that can be. */
bool look_topic(const struct look *look, const struct wire_channel *block, struct wire_topic *copy);

#endif

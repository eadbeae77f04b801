// SPDX-License-Identifier: BSD-2-Clause
// See lie.h.
#include "tests/fuzz/lie.h"
#include "msg/ring.h"

static uint64_t *slot_word(const struct geometry *geo, unsigned slot)
{
	return (uint64_t *)(fuzz_region + geo->slot_offset + (slot % geo->slots) * geo->slot_stride);
}

// Where the liar writes: a table of one of the peers, or anywhere.
static uint64_t *place(struct fuzz_input *input, const struct geometry *geo)
{
	uint8_t where = fuzz_byte(input), at = fuzz_byte(input);
	uint64_t *slot = slot_word(geo, where >> 4), *deeds = slot + sizeof(struct wire_slot) / 8;
	struct wire_channel *blocks = (struct wire_channel *)(deeds + geo->deeds);

	switch (where & 15) {
	case 0: return (uint64_t *)fuzz_region + at % 32;
	case 1: return slot + at % 8;
	case 2: return slot + at % (sizeof(struct wire_slot) / 8);
	case 3: return deeds + at % geo->deeds;
	case 4: case 5: case 6: return (uint64_t *)blocks + at % 8;
	case 7: return (uint64_t *)(blocks + at % geo->channels) + (at >> 3) % 32;
	case 8: return (uint64_t *)fuzz_region + (at << 8 | fuzz_byte(input)) % (FUZZ_SIZE / 8);
	}
	// In a ring: of the peer's first blocks.
	blocks += at % 2;
	if (blocks->ring_offset % 8 || blocks->ring_offset > FUZZ_SIZE - 4096)
		return deeds;
	return (uint64_t *)(fuzz_region + blocks->ring_offset) + (at >> 1) * (where & 8 ? 8 : 2) % 512;
}

void fuzz_lie(struct fuzz_input *input, const struct geometry *geo)
{
	uint64_t *word = place(input, geo);
	uint8_t kind = fuzz_byte(input);
	uint64_t value = fuzz_byte(input);

	switch (kind & 15) {
	case 0: *word = fuzz_word(input); break;
	case 1: *word = value; break;
	case 2: *word += value - 128; break;
	case 3: *word = (*word & ~0xffffffffull) | value << (kind >> 4); break;
	case 4: *word ^= 1ull << (value & 63); break;
	case 5: *word = ring_header((uint32_t)((uint8_t *)word - fuzz_region) & 4095, (uint32_t)value * 8,
			1 + (kind >> 4) % 4, value & 1); break;
	case 6: *word = STATUS(kind >> 4, value & 7); break;
	case 7: *word = DEED(kind >> 4 & 3, value, fuzz_byte(input)); break;
	case 8: *word = CLAIM_WITH(*word, value & 3); break;
	case 9: *word = UINT64_MAX - value; break;
	case 10: *word = *slot_word(geo, (unsigned)value); break;
	case 11: *word = value << 6; break;
	default: *word = ring_header((uint32_t)value << 6, fuzz_short(input), 1 + (kind >> 4) % 3, 1);
	}
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * The region as a peer sees it: stores wait in the peer's store buffer (first in, first out) and
 * its own loads find them there; a fence or an atomic operation drains it. Every access must lie in
 * the region, and every store in a word that the wire format gives to that peer.
 */
#include <string.h>
#include <sys/mman.h>
#include <isthmus/scratch.h>
#include "tests/sim/sim.h"

#define STALE_MOST 20

uint8_t *sim_base;

void memory_init(void)
{
	uint8_t *all = mmap(NULL, SIM_SIZE + 8192, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (all == MAP_FAILED || mprotect(all + 4096, SIM_SIZE, PROT_READ | PROT_WRITE))
		sim_fail("no memory for the region");
	sim_base = all + 4096;
}

void memory_reset(void)
{
	memset(sim_base, 0, SIM_SIZE);
}

uint64_t memory_read(const void *p, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, p, size);
	return value;
}

static uint32_t offset_of(const void *p, unsigned size, const char *what)
{
	uint64_t offset = (uint64_t)((const uint8_t *)p - sim_base);

	if (offset >= SIM_SIZE || size > SIM_SIZE - offset)
		sim_fail("peer %u %s outside the region, at 0x%llx", sim.running->index, what,
			(unsigned long long)offset);
	if (offset + size > scratch_offset(SIM_SIZE))
		sim_fail("peer %u %s in the scratch area, at 0x%llx", sim.running->index, what,
			(unsigned long long)offset);
	return (uint32_t)offset;
}

static void commit(struct sim_peer *p, const struct sim_entry *e)
{
	memcpy(sim_base + e->offset, &e->value, e->size);
	oracle_stored(p, e->offset, e->size, e->value);
}

void memory_drain(struct sim_peer *p, unsigned n)
{
	while (n-- && p->count) {
		struct sim_entry e = p->buffer[p->first];

		p->first = (p->first + 1) % SIM_BUFFER;
		p->count--;
		commit(p, &e);
	}
}

static void buffer_store(struct sim_peer *p, uint32_t offset, uint32_t size, uint64_t value)
{
	struct sim_entry e = { offset, size, value };

	if (!sim.config.buffer) {
		commit(p, &e);
		return;
	}
	if (p->count == sim.config.buffer)
		memory_drain(p, 1);
	p->buffer[(p->first + p->count++) % SIM_BUFFER] = e;
}

// The newest store that covers it; else memory. A store that covers it in part must leave first.
static uint64_t buffer_load(struct sim_peer *p, uint32_t offset, uint32_t size)
{
	unsigned i;

	for (i = p->count; i-- > 0;) {
		const struct sim_entry *e = &p->buffer[(p->first + i) % SIM_BUFFER];

		if (e->offset == offset && e->size == size)
			return e->value;
		if (e->offset < offset + size && offset < e->offset + e->size) {
			memory_drain(p, i + 1);
			break;
		}
	}
	return memory_read(sim_base + offset, size);
}

/* ---- who may write what ---- */

static bool in_own_land(struct sim_peer *p, uint32_t offset, uint32_t size)
{
	uint64_t deeds = sim.geo.slot_offset + (uint64_t)p->slot * sim.geo.slot_stride + 1024;
	uint32_t k;

	if (offset >= p->land_from && offset + size <= p->land_to)
		return true;
	for (k = 0; k < sim.geo.deeds; k++) {
		uint64_t deed = buffer_load(p, (uint32_t)(deeds + 8 * k), 8);
		uint64_t from = sim.geo.land_offset + (uint64_t)DEED_FIRST(deed) * sim.geo.grain;
		uint64_t to = from + (uint64_t)DEED_COUNT(deed) * sim.geo.grain;

		if (DEED_STATE(deed) == DEED_FIRM && offset >= from && offset + size <= to) {
			p->land_from = from;
			p->land_to = to;
			return true;
		}
	}
	return false;
}

// A store into a slot that was its own when it last looked. Some may be under way; it may not go on
// and on.
static void check_stale(struct sim_peer *p)
{
	uint64_t claim = memory_read(sim_base + sim.geo.slot_offset +
		(uint64_t)p->slot * sim.geo.slot_stride, 8);

	if (claim == p->life || CLAIM_STATE(claim) != CLAIM_HELD || !sim.config.atomic)
		return;
	// That one store may spoil whatever its successor has there.
	sim.spoiled = true;
	if (++p->stale > STALE_MOST && oracle_honest())
		sim_fail("peer %u goes on writing into slot %d, which is another's", p->index,
			p->slot);
}

static void check_store(struct sim_peer *p, uint32_t offset, uint32_t size)
{
	uint64_t slots = sim.geo.slot_offset, in;
	unsigned slot;

	if (!oracle_honest())
		return;
	if (p->liar) {
		// Where it may lie in land, while its deeds are still true.
		if (p->slot >= 0 && offset >= sim.geo.land_offset && !p->lied)
			in_own_land(p, offset, size);
		return;
	}
	if (offset < slots) {
		if (p->formats)
			return;
		sim_fail("peer %u writes the header at 0x%x, which it doesn't format", p->index,
			offset);
	}
	if (offset < slots + (uint64_t)sim.geo.slots * sim.geo.slot_stride) {
		slot = (unsigned)((offset - slots) / sim.geo.slot_stride);
		in = (offset - slots) % sim.geo.slot_stride;
		if (p->formats && (in == 0 || in == offsetof(struct wire_slot, life)))
			return;
		if ((int)slot != p->slot || in == 0)
			sim_fail("peer %u writes %s, which isn't its own", p->index,
				name_word(offset));
		check_stale(p);
		return;
	}
	if (p->slot < 0 || (!in_own_land(p, offset, size) && !sim.spoiled))
		sim_fail("peer %u writes land at 0x%x, for which it has no deed", p->index,
			offset);
}

/* ---- what msg/ calls ---- */

uint64_t sim_load(const void *p, unsigned size)
{
	uint32_t offset = offset_of(p, size, "reads");
	uint64_t value;

	if (size > 1 && offset % size)
		sim_fail("peer %u reads %u bytes misaligned at 0x%x", sim.running->index, size,
			offset);
	sim_step();
	value = buffer_load(sim.running, offset, size);
	if (__builtin_expect(sim.trace, 0))
		sim_trace("%-28s -> 0x%llx", name_word(offset), (unsigned long long)value);
	return value;
}

void sim_store(void *p, uint64_t value, unsigned size)
{
	uint32_t offset = offset_of(p, size, "writes");

	if (offset % size)
		sim_fail("peer %u writes %u bytes misaligned at 0x%x", sim.running->index, size,
			offset);
	sim_step();
	check_store(sim.running, offset, size);
	if (__builtin_expect(sim.trace, 0))
		sim_trace("%-28s =  0x%llx", name_word(offset), (unsigned long long)value);
	buffer_store(sim.running, offset, size, value);
}

void sim_fence(void)
{
	sim_step();
	if (sim.config.fences)
		memory_drain(sim.running, SIM_BUFFER);
	if (__builtin_expect(sim.trace, 0))
		sim_trace("fence");
}

static void cas_done(struct sim_peer *p, uint32_t offset, uint64_t desired)
{
	uint32_t slots = sim.geo.slot_offset;

	if (offset == offsetof(struct wire_header, format_claim)) {
		if (desired)
			p->formats = true;
		return;
	}
	if (offset < slots || (offset - slots) % sim.geo.slot_stride)
		sim_fail("peer %u compares and swaps %s", p->index, name_word(offset));
	if (CLAIM_STATE(desired) == CLAIM_HELD)
		oracle_claimed(p, (offset - slots) / sim.geo.slot_stride, desired);
}

bool sim_cas(uint64_t *word, uint64_t expected, uint64_t desired)
{
	struct sim_peer *p = sim.running;
	uint32_t offset = offset_of(word, 8, "swaps");
	bool done;

	sim_step();
	if (sim.config.atomic)
		memory_drain(p, SIM_BUFFER);
	done = buffer_load(p, offset, 8) == expected;
	if (!sim.config.atomic)
		sim_step();
	if (done)
		buffer_store(p, offset, 8, desired);
	if (sim.config.atomic)
		memory_drain(p, SIM_BUFFER);
	if (__builtin_expect(sim.trace, 0))
		sim_trace("%-28s 0x%llx -> 0x%llx: %s", name_word(offset),
			(unsigned long long)expected, (unsigned long long)desired,
			done ? "swapped" : "differs");
	if (done)
		cas_done(p, offset, desired);
	return done;
}

// In steps of eight bytes, between any two of which others may run.
void sim_copy_in(void *region, const void *data, size_t len)
{
	uint8_t *to = region;
	const uint8_t *from = data;

	while (len) {
		uint32_t n = len < 8 ? 1 : 8, offset = offset_of(to, n, "writes");
		uint64_t value = memory_read(from, n);

		sim_step();
		check_store(sim.running, offset, n);
		if (__builtin_expect(sim.trace, 0))
			sim_trace("%-28s =  0x%llx (payload)", name_word(offset),
				(unsigned long long)value);
		buffer_store(sim.running, offset, n, value);
		to += n;
		from += n;
		len -= n;
	}
}

void sim_copy_out(void *data, const void *region, size_t len)
{
	const uint8_t *from = region;
	uint8_t *to = data;

	while (len) {
		uint32_t n = len < 8 ? 1 : 8, offset = offset_of(from, n, "reads");
		uint64_t value;

		sim_step();
		value = buffer_load(sim.running, offset, n);
		if (__builtin_expect(sim.trace, 0))
			sim_trace("%-28s -> 0x%llx (payload)", name_word(offset),
				(unsigned long long)value);
		memcpy(to, &value, n);
		to += n;
		from += n;
		len -= n;
	}
}

/* ---- the heart ---- */

// The timer interrupt's work (msg_beat_once), through the same store buffer.
void memory_beat(struct sim_peer *p)
{
	uint32_t claim = (uint32_t)((const uint8_t *)(uintptr_t)p->beat->claim - sim_base);
	uint32_t word = (uint32_t)((const uint8_t *)(uintptr_t)p->beat->word - sim_base);

	if (buffer_load(p, claim, 8) == p->beat->life)
		buffer_store(p, word, 8, ++p->beat->count);
}

/* ---- lies ---- */

static uint64_t nonsense(const struct sim_peer *p, uint64_t old)
{
	switch (sim_pick(8)) {
	case 0: return sim_random();
	case 1: return 0;
	case 2: return UINT64_MAX;
	case 3: return old + 1;
	case 4: return old ^ 1ull << sim_pick(64);
	case 5: return sim_pick(SIM_SIZE);
	case 6: return old + 64;
	default: return (uint64_t)sim_pick(8) << 32 | (old & 0xffffffff) | p->index;
	}
}

// The name that somebody else wants, as one that it is about to take.
static void lie_name(struct sim_peer *p)
{
	struct wire_slot *slots = (struct wire_slot *)(void *)(sim_base + sim.geo.slot_offset +
		(uint64_t)p->slot * sim.geo.slot_stride);
	struct wire_endpoint *endpoint = &slots->endpoint[7];
	static const char *const names[] = { "common", "north", "east", "south", "west" };
	uint32_t state = sim_pick(100) << 2 | sim_pick(3);

	memset(endpoint->name, 0, WIRE_NAME);
	strcpy(endpoint->name, names[sim_pick(5)]);
	memcpy(&endpoint->state, &state, 4);
	sim_trace("peer %u lies: it has the name '%s', state %u", p->index, endpoint->name,
		state & 3);
}

// Never a claim: that is everybody's, so to write it is no lie about one's own.
void memory_lie(struct sim_peer *p)
{
	uint32_t offset, in = 0, stride = sim.geo.slot_stride;
	uint64_t old, value;

	if (p->slot < 0)
		return;
	if (sim_chance(16)) {
		p->lied = true;
		lie_name(p);
		return;
	}
	if (sim.config.lies == LIES_WILD) {
		offset = sim_pick((uint32_t)scratch_offset(SIM_SIZE) / 8) * 8;
	} else if (p->land_to > p->land_from && p->land_to <= scratch_offset(SIM_SIZE) &&
		sim_chance(64)) {
		offset = (uint32_t)p->land_from +
			sim_pick((uint32_t)(p->land_to - p->land_from) / 8) * 8;
	} else {
		in = sim_chance(64) ? 64 + sim_pick((stride - 64) / 8) * 8 :
		     1024 + sim.geo.deeds * 8 + sim_pick(sim.geo.channels) * 256 +
			     sim_pick(9) * 8;
		offset = sim.geo.slot_offset + (uint32_t)p->slot * stride + in;
	}
	old = memory_read(sim_base + offset, 8);
	value = nonsense(p, old);
	if (sim.config.lies == LIES_OWN && in >= 1024 && in < 1024 + sim.geo.deeds * 8) {
		// It may boast of land, but what it gave up it would have to leave alone.
		if (old)
			return;
		value = DEED(1 + sim_pick(2), sim_pick(64), sim_pick(64));
	}
	p->lied = true;
	sim_trace("peer %u lies: %s = 0x%llx", p->index, name_word(offset),
		(unsigned long long)value);
	memcpy(sim_base + offset, &value, 8);
}

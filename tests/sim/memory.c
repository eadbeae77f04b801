// SPDX-License-Identifier: BSD-2-Clause
/*
 * The regions as a peer sees them: stores wait in the peer's store buffer (first in, first out) and
 * its own loads find them there; a fence or an atomic operation drains it. Every access must lie in
 * a region that the peer has, and every store in a word that the wire format gives to that peer.
 */
#include <string.h>
#include <sys/mman.h>
#include <isthmus/scratch.h>
#include "tests/sim/oracle.h"

#define STALE_MOST 20

uint8_t *sim_base;

void memory_init(void)
{
	size_t guard = SIM_SPAN - SIM_SIZE, all = guard + SIM_REGIONS * (size_t)SIM_SPAN;
	uint8_t *at = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned i;

	if (at == MAP_FAILED)
		sim_fail("no memory for the regions");
	sim_base = at + guard;
	for (i = 0; i < SIM_REGIONS; i++)
		if (mprotect(sim_base + i * SIM_SPAN, SIM_SIZE, PROT_READ | PROT_WRITE))
			sim_fail("no memory for the regions");
}

void memory_reset(void)
{
	unsigned i;

	for (i = 0; i < sim.config.regions; i++)
		memset(sim_base + i * SIM_SPAN, 0, SIM_SIZE);
}

uint64_t memory_read(const void *p, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, p, size);
	return value;
}

static uint32_t at_of(const void *p, unsigned size, const char *what)
{
	uint64_t at = (uint64_t)((const uint8_t *)p - sim_base);
	uint32_t in = (uint32_t)(at % SIM_SPAN);

	if (at >= (uint64_t)sim.config.regions * SIM_SPAN || in + (uint64_t)size > SIM_SIZE)
		sim_fail("peer %u %s outside the region, at 0x%llx", sim.running->index, what,
			(unsigned long long)at);
	if (in + (uint64_t)size > scratch_offset(SIM_SIZE))
		sim_fail("peer %u %s in the scratch area, at 0x%x", sim.running->index, what, in);
	if (sim.running->seat[at / SIM_SPAN].gone)
		sim_fail("peer %u %s in a region that is gone, at 0x%x", sim.running->index, what,
			in);
	return (uint32_t)at;
}

static void commit(struct sim_peer *p, const struct sim_entry *e)
{
	memcpy(sim_base + e->at, &e->value, e->size);
	oracle_stored(p, e->at, e->value);
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

static void buffer_store(struct sim_peer *p, uint32_t at, uint32_t size, uint64_t value)
{
	struct sim_entry e = { at, size, value };

	if (!sim.config.buffer) {
		commit(p, &e);
		return;
	}
	if (p->count == sim.config.buffer)
		memory_drain(p, 1);
	p->buffer[(p->first + p->count++) % SIM_BUFFER] = e;
}

// The newest store that covers it; else memory. A store that covers it in part must leave first.
static uint64_t buffer_load(struct sim_peer *p, uint32_t at, uint32_t size)
{
	unsigned i;

	for (i = p->count; i-- > 0;) {
		const struct sim_entry *e = &p->buffer[(p->first + i) % SIM_BUFFER];

		if (e->at == at && e->size == size)
			return e->value;
		if (e->at < at + size && at < e->at + e->size) {
			memory_drain(p, i + 1);
			break;
		}
	}
	return memory_read(sim_base + at, size);
}

/* ---- who may write what ---- */

bool memory_in_own_land(struct sim_seat *seat, uint32_t offset, uint32_t size)
{
	uint64_t deeds = seat->where * SIM_SPAN + sim.geo.slot_offset +
		(uint64_t)seat->slot * sim.geo.slot_stride + 1024;
	uint32_t k;

	if (offset >= seat->land_from && offset + size <= seat->land_to)
		return true;
	for (k = 0; k < sim.geo.deeds; k++) {
		uint64_t deed = buffer_load(seat->peer, (uint32_t)(deeds + 8 * k), 8);
		uint64_t from = sim.geo.land_offset + (uint64_t)DEED_FIRST(deed) * sim.geo.grain;
		uint64_t to = from + (uint64_t)DEED_COUNT(deed) * sim.geo.grain;

		if (DEED_STATE(deed) == DEED_FIRM && offset >= from && offset + size <= to) {
			seat->land_from = from;
			seat->land_to = to;
			return true;
		}
	}
	return false;
}

static uint64_t slot_word(const struct sim_seat *seat, uint32_t in)
{
	return memory_read(seat->base + sim.geo.slot_offset +
		(uint64_t)seat->slot * sim.geo.slot_stride + in, 8);
}

// A store into a slot that was its own when it last looked. Some may be under way; it may not go on
// and on.
static void check_stale(struct sim_seat *seat)
{
	uint64_t claim = slot_word(seat, 0);

	if (CLAIM_STATE(claim) == CLAIM_FREE || CLAIM_WITH(claim, CLAIM_HELD) == seat->life)
		return;
	// That one store may spoil whatever its successor has there, or had, for who still looks.
	sim.spoiled = true;
	// Where a swap isn't one, both may think that they won.
	if (!sim.config.atomic || CLAIM_STATE(claim) != CLAIM_HELD)
		return;
	if (++seat->stale > STALE_MOST && oracle_honest())
		sim_fail("peer %u goes on writing into slot %d, which is another's",
			seat->peer->index, seat->slot);
}

static void check_store(struct sim_peer *p, uint32_t at, uint32_t size)
{
	struct sim_seat *seat = &p->seat[at / SIM_SPAN];
	uint64_t slots = sim.geo.slot_offset, in;
	uint32_t offset = at % SIM_SPAN;
	unsigned slot;

	if (!oracle_honest())
		return;
	if (p->liar) {
		// Where it may lie in land, while its deeds are still true.
		if (seat->slot >= 0 && offset >= sim.geo.land_offset && !p->lied)
			memory_in_own_land(seat, offset, size);
		return;
	}
	if (offset < slots) {
		if (seat->formats)
			return;
		sim_fail("peer %u writes the header at 0x%x, which it doesn't format", p->index,
			offset);
	}
	if (offset < slots + (uint64_t)sim.geo.slots * sim.geo.slot_stride) {
		slot = (unsigned)((offset - slots) / sim.geo.slot_stride);
		in = (offset - slots) % sim.geo.slot_stride;
		if (seat->formats && (in == 0 || in == offsetof(struct wire_slot, life)))
			return;
		if ((int)slot != seat->slot || in == 0)
			sim_fail("peer %u writes %s, which isn't its own", p->index,
				name_word(at));
		check_stale(seat);
		return;
	}
	// A message that was being copied while the peer stood still, and was taken for dead.
	if (seat->slot >= 0 && slot_word(seat, 0) != seat->life)
		sim.spoiled = true;
	if (seat->slot < 0 || (!memory_in_own_land(seat, offset, size) && !sim.spoiled))
		sim_fail("peer %u writes land at 0x%x, for which it has no deed", p->index,
			offset);
}

// A receiver looks at its sender's deeds before it follows a descriptor.
static void note_deed(struct sim_peer *p, uint32_t at, uint64_t value)
{
	uint32_t in = at % SIM_SPAN - sim.geo.slot_offset;

	if (at % SIM_SPAN < sim.geo.slot_offset || in / sim.geo.slot_stride >= sim.geo.slots)
		return;
	in %= sim.geo.slot_stride;
	if (in >= 1024 && in < 1024 + 8 * sim.geo.deeds && DEED_STATE(value) == DEED_FIRM)
		p->deed[p->deeds++ % SIM_DEEDS] = value;
}

void memory_note_deeds(struct sim_peer *p, const struct msg_channel *reading)
{
	p->reading = reading;
	p->deeds = 0;
	memset(p->deed, 0, sizeof(p->deed));
}

// Does it lie in one deed that the peer saw? A liar's may be another by now.
static bool deeded(const struct sim_peer *p, uint32_t offset, size_t len)
{
	unsigned i;

	for (i = 0; i < SIM_DEEDS; i++) {
		uint64_t from = sim.geo.land_offset +
			(uint64_t)DEED_FIRST(p->deed[i]) * sim.geo.grain;

		if (offset >= from && offset + len <=
			from + (uint64_t)DEED_COUNT(p->deed[i]) * sim.geo.grain)
			return true;
	}
	return false;
}

void memory_check_reading(const struct sim_peer *p, const void *from, size_t len)
{
	const struct ring_rx *rx = p->reading ? &p->reading->rx : NULL;
	uint64_t ring, size;
	uint32_t at = (uint32_t)((const uint8_t *)from - sim_base);

	if (!rx || !len)
		return;
	if (at % SIM_SPAN < sim.geo.land_offset ||
		at % SIM_SPAN + len > sim.geo.land_offset + sim.geo.land_size)
		sim_fail("peer %u takes what isn't in anybody's land for a message, at 0x%x",
			p->index, at % SIM_SPAN);
	ring = (uint64_t)(rx->data - sim_base);
	size = ring_footprint(rx->mask + 1);
	// A buffer may lie in the rest of the ring's last grain.
	size = (size + sim.geo.grain - 1) / sim.geo.grain * sim.geo.grain;
	// ... and a descriptor may name all of the land that its ring is in.
	if (at >= ring && at < ring + size && len > ring + size - at &&
		!deeded(p, at % SIM_SPAN, len))
		sim_fail("peer %u reads beyond the ring, at 0x%x, %zu bytes", p->index,
			at % SIM_SPAN, len);
}

/* ---- what msg/ calls ---- */

uint64_t sim_load(const void *p, unsigned size)
{
	uint32_t at = at_of(p, size, "reads");
	uint64_t value;

	if (at % size)
		sim_fail("peer %u reads %u bytes misaligned at 0x%x", sim.running->index, size,
			at);
	sim_step();
	value = buffer_load(sim.running, at, size);
	if (sim.running->reading)
		note_deed(sim.running, at, value);
	if (__builtin_expect(sim.trace, 0))
		sim_trace("%-28s -> 0x%llx", name_word(at), (unsigned long long)value);
	if (__builtin_expect(sim.config.aim, 0))
		fault_aim(sim.running, at, false);
	return value;
}

void sim_store(void *p, uint64_t value, unsigned size)
{
	uint32_t at = at_of(p, size, "writes");

	if (at % size)
		sim_fail("peer %u writes %u bytes misaligned at 0x%x", sim.running->index, size,
			at);
	sim_step();
	check_store(sim.running, at, size);
	if (__builtin_expect(sim.trace, 0))
		sim_trace("%-28s =  0x%llx", name_word(at), (unsigned long long)value);
	buffer_store(sim.running, at, size, value);
	if (__builtin_expect(sim.config.aim, 0))
		fault_aim(sim.running, at, true);
}

void sim_fence(void)
{
	sim_step();
	if (sim.config.fences)
		memory_drain(sim.running, SIM_BUFFER);
	if (__builtin_expect(sim.trace, 0))
		sim_trace("fence");
}

static void cas_done(struct sim_peer *p, uint32_t at, uint64_t desired)
{
	struct sim_seat *seat = &p->seat[at / SIM_SPAN];
	uint32_t slots = sim.geo.slot_offset, offset = at % SIM_SPAN;

	if (offset == offsetof(struct wire_header, format_claim)) {
		if (desired)
			seat->formats = true;
		return;
	}
	if (offset < slots || (offset - slots) % sim.geo.slot_stride)
		sim_fail("peer %u compares and swaps %s", p->index, name_word(at));
	if (CLAIM_STATE(desired) == CLAIM_HELD)
		oracle_claimed(seat, (offset - slots) / sim.geo.slot_stride, desired);
}

bool sim_cas(uint64_t *word, uint64_t expected, uint64_t desired)
{
	struct sim_peer *p = sim.running;
	uint32_t at = at_of(word, 8, "swaps");
	uint64_t stalled = p->stalled_ns;
	bool done;

	sim_step();
	if (sim.config.atomic)
		memory_drain(p, SIM_BUFFER);
	done = buffer_load(p, at, 8) == expected;
	if (!sim.config.atomic)
		sim_step();
	// Who stood still between the two halves swaps what may be another's by now.
	sim.spoiled = sim.spoiled || (done && p->stalled_ns - stalled > MS);
	if (done)
		buffer_store(p, at, 8, desired);
	if (sim.config.atomic)
		memory_drain(p, SIM_BUFFER);
	if (__builtin_expect(sim.trace, 0))
		sim_trace("%-28s 0x%llx -> 0x%llx: %s", name_word(at),
			(unsigned long long)expected, (unsigned long long)desired,
			done ? "swapped" : "differs");
	if (done)
		cas_done(p, at, desired);
	return done;
}

// In steps of eight bytes, between any two of which others may run.
void sim_copy_in(void *region, const void *data, size_t len)
{
	uint8_t *to = region;
	const uint8_t *from = data;

	while (len) {
		uint32_t n = len < 8 ? 1 : 8, at = at_of(to, n, "writes");
		uint64_t value = memory_read(from, n);

		sim_step();
		check_store(sim.running, at, n);
		if (__builtin_expect(sim.trace, 0))
			sim_trace("%-28s =  0x%llx (payload)", name_word(at),
				(unsigned long long)value);
		buffer_store(sim.running, at, n, value);
		to += n;
		from += n;
		len -= n;
	}
}

void sim_copy_out(void *data, const void *region, size_t len)
{
	const uint8_t *from = region;
	uint8_t *to = data, *first = data;
	const struct sim_seat *seat;

	// What an app gives to be kept may lie anywhere, and mostly in its own memory.
	if (!len || app_owns(sim.running, region, len)) {
		if (len)
			memcpy(data, region, len);
		return;
	}
	memory_check_reading(sim.running, region, len);
	while (len) {
		uint32_t n = len < 8 ? 1 : 8, at = at_of(from, n, "reads");
		uint64_t value;

		sim_step();
		value = buffer_load(sim.running, at, n);
		if (__builtin_expect(sim.trace, 0))
			sim_trace("%-28s -> 0x%llx (payload)", name_word(at),
				(unsigned long long)value);
		memcpy(to, &value, n);
		to += n;
		from += n;
		len -= n;
	}
	seat = &sim.running->seat[(uint64_t)((const uint8_t *)region - sim_base) / SIM_SPAN];
	if (seat->slot < 0 || !sim.config.atomic || slot_word(seat, 0) == seat->life)
		return;
	if (!sim.running->blind)
		sim.running->blind_from = first;
	sim.running->blind = true;
}

/* ---- the heart ---- */

// The timer interrupt's work (msg_beat_once), or another thread's: its store doesn't linger with the
// peer's own, which may take milliseconds here.
void memory_beat(struct sim_seat *seat)
{
	uint32_t claim = (uint32_t)((const uint8_t *)(uintptr_t)seat->beat->claim - sim_base);
	uint32_t word = (uint32_t)((const uint8_t *)(uintptr_t)seat->beat->word - sim_base);

	if (seat->gone)
		sim_fail("peer %u beats in a region that is gone", seat->peer->index);
	if (buffer_load(seat->peer, claim, 8) == seat->beat->life)
		commit(seat->peer, &(struct sim_entry){ word, 8, ++seat->beat->count });
}

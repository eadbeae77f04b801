// SPDX-License-Identifier: BSD-2-Clause
/*
 * How a group comes together. Each peer says in its slot's line 7 what it is:
 *
 *   phase      who                                         next
 *   NONE       -                                           CANDIDATE, with a random ticket
 *   CANDIDATE  waits to be found in somebody's table       MEMBER: its ticket stands in one
 *                                                          FOUNDER: nobody has the name, and it took it
 *   FOUNDER    has the name (an endpoint of KIND_GROUP);   FOUNDED: writes the table of all members into its
 *              counts the candidates of its size           land, then this, then gives the name up
 *   FOUNDED    as MEMBER; its table is there until all     MEMBER
 *              in it are MEMBER or gone
 *   MEMBER     of the generation that the table names      NONE: left
 *
 * FOUNDED is one store: the table counts as a whole or not at all. Whoever is in it but went another way
 * (died, gave up, was found by another founder) has another life, ticket or generation in its line,
 * and is gone for the others as if it had died. So nothing hangs on the founder living on.
 */
#include "msg/channel.h"
#include "msg/patterns/group.h"

#define ENTRY_WORDS 3u /* of the table, for each rank: life, ticket, slot */

bool group_line_stands(const struct msg_group *group, const struct member *member)
{
	uint64_t claim = region_load_acquire64(
		&region_slot(group->pattern.region, member->slot)->claim);

	return CLAIM_WITH(claim, 0) == CLAIM_WITH(member->life, 0) &&
	       region_load64(&group_line(group, member)->generation) == group->generation;
}

bool group_gone(struct msg_group *group, struct member *member)
{
	const struct wire_slot *slot = region_slot(group->pattern.region, member->slot);

	if (!member->gone)
		member->gone = region_load_acquire32(&slot->group.phase) == GROUP_NONE ||
			region_load_acquire64(&slot->group.generation) != group->generation ||
			region_load_acquire64(&slot->claim) != member->life;
	return member->gone;
}

void group_wake(struct msg_group *group)
{
	struct msg_region *region = group->pattern.region;
	unsigned i;

	for (i = 0; i < group->size; i++)
		if (i != group->rank && !group->members[i].gone)
			presence_wake(region, group->members[i].slot, false);
}

struct gathering {
	struct msg_region *region;
	char name[WIRE_NAME];
	uint64_t hash, ticket;
	unsigned size;
	struct msg_listener *listener; /* we are the founder */
	struct wire_group *mine;
	struct member *members;        /* [size] */
	struct member *other;          /* [size] what stands in a founder's table */
	uint64_t generation;
	unsigned deed;                 /* the founder's, of the table; DEED_SHARED: none */
};

static uint64_t fnv1a(uint64_t hash, uint64_t word, unsigned bytes)
{
	while (bytes--) {
		hash = (hash ^ (word & 0xff)) * 0x100000001b3ull;
		word >>= 8;
	}
	return hash;
}

#define FNV1A_START 0xcbf29ce484222325ull

static uint64_t hash_name(const char name[WIRE_NAME])
{
	uint64_t hash = FNV1A_START;
	unsigned i;

	for (i = 0; i < WIRE_NAME && name[i]; i++)
		hash = fnv1a(hash, (uint8_t)name[i], 1);
	return hash ? hash : 1;
}

static uint64_t hash_members(const struct member *members, unsigned size)
{
	uint64_t hash = FNV1A_START;
	unsigned i;

	for (i = 0; i < size; i++) {
		hash = fnv1a(hash, members[i].life, 8);
		hash = fnv1a(hash, members[i].ticket, 8);
		hash = fnv1a(hash, members[i].slot, 8);
	}
	return hash;
}

static uint64_t token(struct msg_region *region)
{
	uint64_t word = region->context->ops->random(region->context->ops->arg);

	return word ? word : 1;
}

static void set_phase(struct gathering *g, enum group_phase phase)
{
	// Pairs with the acquires of is_candidate and read_table.
	if (presence_check_self(g->region))
		region_store_release32(&g->mine->phase, phase);
}

/* ---- tables ---- */

// The table of the founder in that slot, into g->other. The generation; 0: there is none, or not whole.
static uint64_t read_table(struct gathering *g, uint32_t slot)
{
	struct msg_region *region = g->region;
	const struct wire_slot *founder = region_slot(region, slot);
	const struct wire_group *line = &founder->group;
	// It may have died since.
	uint64_t claim = region_load_acquire64(&founder->claim);
	uint64_t generation, offset, bytes = (uint64_t)g->size * ENTRY_WORDS * 8;
	const uint64_t *word;
	unsigned i;

	if (!claim || region_load_acquire32(&line->phase) != GROUP_FOUNDED ||
		region_load64(&line->name) != g->hash || region_load32(&line->size) != g->size)
		return 0;
	offset = region_load64(&line->offset);
	generation = region_load64(&line->generation);
	if (region_load64(&line->length) != bytes || offset % 8 ||
		!land_belongs(region, slot, offset, bytes))
		return 0;
	word = region_pointer(region, offset);
	for (i = 0; i < g->size; i++, word += ENTRY_WORDS) {
		uint64_t place = region_load64(word + 2);

		if (place >= region->geo.slots)
			return 0;
		g->other[i] = (struct member){
			.slot = (uint32_t)place,
			.life = region_load64(word),
			.ticket = region_load64(word + 1),
		};
	}
	region_order_loads();
	// Whole, and still the founder's?
	if (region_load64(&line->source) != hash_members(g->other, g->size) ||
		region_load64(&line->generation) != generation ||
		CLAIM_WITH(region_load64(&founder->claim), 0) != CLAIM_WITH(claim, 0))
		return 0;
	return generation;
}

// Is there a table, now in g->other, with that peer and its ticket in it?
static bool find_table(struct gathering *g, uint32_t slot, uint64_t life, uint64_t ticket,
	uint64_t *generation)
{
	uint32_t i;
	unsigned k;

	// What was done before may have found out that the region is gone.
	for (i = 0; i < g->region->geo.slots && !g->region->error; i++) {
		*generation = i == g->region->index ? 0 : read_table(g, i);
		for (k = 0; *generation && k < g->size; k++)
			if (g->other[k].slot == slot && g->other[k].life == life &&
				g->other[k].ticket == ticket)
				return true;
	}
	return false;
}

/* ---- the founder ---- */

// Does that peer wait with that ticket?
static bool is_candidate(const struct gathering *g, uint32_t slot, uint64_t life, uint64_t ticket)
{
	const struct wire_slot *other = region_slot(g->region, slot);

	return region_load_acquire32(&other->group.phase) == GROUP_CANDIDATE &&
	       region_load64(&other->group.name) == g->hash &&
	       region_load32(&other->group.size) == g->size &&
	       region_load64(&other->group.generation) == ticket &&
	       region_load_acquire64(&other->claim) == life;
}

// One that no founder has in its table. A former founder's is there until all in it know, and then they
// are no candidates any more: hence the second look.
static bool is_free(struct gathering *g, uint32_t slot, uint64_t life, uint64_t ticket)
{
	uint64_t generation;

	return is_candidate(g, slot, life, ticket) &&
	       !find_table(g, slot, life, ticket, &generation) &&
	       is_candidate(g, slot, life, ticket);
}

// Fills the table with ourselves and with candidates, by slot. How many there are, size at most.
static unsigned find_candidates(struct gathering *g)
{
	struct msg_region *region = g->region;
	unsigned n = 0;
	uint32_t i;

	for (i = 0; i < region->geo.slots && n < g->size; i++) {
		struct member *member = &g->members[n];
		bool ours = i == region->index;

		// The last place is ours, if we didn't come before.
		if (!ours && (!region->view[i].life || (n == g->size - 1 && i < region->index)))
			continue;
		member->slot = i;
		member->life = ours ? region->life : region->view[i].life;
		member->ticket = ours ? g->ticket :
			region_load64(&region_slot(region, i)->group.generation);
		if (ours || is_free(g, i, member->life, member->ticket))
			n++;
	}
	return n;
}

static bool enough_candidates(void *arg)
{
	struct gathering *g = arg;

	return g->region->error || find_candidates(g) == g->size;
}

// All are there: the table, and FOUNDED.
static int found(struct gathering *g)
{
	struct msg_region *region = g->region;
	uint64_t bytes = (uint64_t)g->size * ENTRY_WORDS * 8, offset, *word;
	int err = land_claim(region, bytes, &g->deed, &offset);
	unsigned i;

	if (err) {
		g->deed = DEED_SHARED;
		return err == -EMSGSIZE ? -ENOSPC : err;
	}
	if (!presence_check_self(region))
		return region->error;
	word = region_pointer(region, offset);
	for (i = 0; i < g->size; i++) {
		region_store64(word++, g->members[i].life);
		region_store64(word++, g->members[i].ticket);
		region_store64(word++, g->members[i].slot);
	}
	g->generation = token(region);
	region_store64(&g->mine->offset, offset);
	region_store64(&g->mine->length, bytes);
	region_store64(&g->mine->source, hash_members(g->members, g->size));
	region_store64(&g->mine->generation, g->generation);
	set_phase(g, GROUP_FOUNDED);
	return region->error;
}

/* ---- a candidate ---- */

// Is there a table with us in it? Then g knows the members.
static bool find_us(struct gathering *g)
{
	struct member *swap = g->members;

	if (!find_table(g, g->region->index, g->region->life, g->ticket, &g->generation))
		return false;
	g->members = g->other;
	g->other = swap;
	return true;
}

// -EAGAIN: the founder goes on; else what is wrong with it.
static int judge_founder(struct gathering *g, const struct endpoint_place *place)
{
	const struct wire_slot *slot = region_slot(g->region, place->slot);
	uint64_t claim = region_load_acquire64(&slot->claim);
	bool odd = region_load_acquire32(&slot->group.phase) == GROUP_FOUNDER &&
		   region_load64(&slot->group.name) == g->hash &&
		   region_load32(&slot->group.size) != g->size;

	if (place->kind != KIND_GROUP)
		return -EPROTOTYPE;
	// Still the same? What is left of a dead founder is cleared word by word.
	region_order_loads();
	if (odd && region_load_acquire32(&slot->group.phase) == GROUP_FOUNDER &&
		region_load64(&slot->claim) == claim)
		return -EINVAL;
	return -EAGAIN;
}

static bool candidate_moves(void *arg)
{
	struct gathering *g = arg;
	struct endpoint_place place;

	return g->region->error || find_us(g) || !endpoint_find(g->region, g->name, &place) ||
	       judge_founder(g, &place) != -EAGAIN;
}

/* ---- both ---- */

// Takes the name if nobody has it. 0; -EAGAIN: somebody has; errors.
static int take_name(struct gathering *g)
{
	struct endpoint_place place;
	int err;

	if (endpoint_find(g->region, g->name, &place))
		return judge_founder(g, &place);
	err = endpoint_listen(g->region, g->name, NULL, KIND_GROUP, &g->listener);
	if (err)
		return err == -EADDRINUSE ? -EAGAIN : err;
	// The former founder may have had us in its table when it gave the name up.
	if (find_us(g)) {
		msg_unlisten(g->listener);
		g->listener = NULL;
		return -EAGAIN;
	}
	set_phase(g, GROUP_FOUNDER);
	// Who has us in the table of a founder that is gone waits for us to move.
	presence_wake_all(g->region);
	return g->region->error;
}

// 0: the table is known, and whether it is ours.
static int gather(struct gathering *g, uint64_t deadline)
{
	struct msg_context *context = g->region->context;
	int err;

	for (;;) {
		if (!presence_check_self(g->region))
			return g->region->error;
		if (g->listener) {
			err = wait_for(context, enough_candidates, g, deadline);
			if (!err)
				err = g->region->error ? g->region->error : found(g);
			return err == -EAGAIN ? -ETIMEDOUT : err;
		}
		if (find_us(g))
			return 0;
		err = take_name(g);
		if (err && err != -EAGAIN)
			return err;
		if (g->listener)
			continue;
		// Somebody is about to take it, or died on the way: that ends by itself.
		if (err)
			wait_pause(context, NS_PER_MS);
		wait_for(context, candidate_moves, g, deadline);
		if (context_now(context) >= deadline)
			return g->region->error ? g->region->error :
			       find_us(g) ? 0 : -ETIMEDOUT;
	}
}

static bool verdict_heard(void *arg)
{
	struct msg_region *region = arg;

	return region->error || !verdict_awaited(region, region->index);
}

// What we said last in the group before has to be heard by all that are in that call, or they would
// not come to one answer.
static int leave_behind(struct msg_region *region, uint64_t deadline)
{
	int err = wait_for(region->context, verdict_heard, region, deadline);

	if (!presence_check_self(region))
		return region->error;
	return err ? -ETIMEDOUT : 0;
}

static void begin(struct gathering *g)
{
	g->ticket = token(g->region);
	region_store64(&g->mine->generation, g->ticket);
	region_store64(&g->mine->name, g->hash);
	region_store32(&g->mine->size, g->size);
	region_store64(&g->mine->step, 0);
	region_store64(&g->mine->done, 0);
	region_store64(&g->mine->source, 0);
	set_phase(g, GROUP_CANDIDATE);
	presence_wake_all(g->region);
}

// What we said last stays to be read: a member that leaves behind a barrier has come to it.
static void clear_line(struct msg_region *region, struct wire_group *line)
{
	if (!presence_check_self(region))
		return;
	region_store64(&line->source, 0);
	region_store64(&line->name, 0);
	region_store_release32(&line->phase, GROUP_NONE);
	presence_wake_all(region);
}

/* ---- the group's life ---- */

static void group_free(struct pattern *pattern)
{
	struct msg_group *group = (struct msg_group *)pattern;

	context_free(pattern->region->context, group->members);
	pattern->region->group = NULL;
	pattern_destroy(pattern);
}

static bool group_step(struct pattern *pattern)
{
	(void)pattern;
	return true;
}

static const struct pattern_ops group_ops = {
	.step = group_step,
	.forget = group_free,
};

// Does everybody in the table know that it is, if it lives?
static bool all_know(void *arg)
{
	struct msg_group *group = arg;
	struct msg_region *region = group->pattern.region;
	unsigned i;

	if (region->error)
		return true;
	for (i = 0; i < group->size; i++) {
		struct member *member = &group->members[i];
		const struct wire_group *line = group_line(group, member);

		if (member->gone || i == group->rank)
			continue;
		if (region_load_acquire32(&line->phase) == GROUP_CANDIDATE &&
			region_load64(&line->generation) == member->ticket &&
			region_load_acquire64(&region_slot(region, member->slot)->claim) ==
				member->life)
			return false;
		group_gone(group, member);
	}
	return true;
}

static void describe_members(struct msg_group *group)
{
	struct msg_region *region = group->pattern.region;
	unsigned i;

	presence_scan(region);
	for (i = 0; i < group->size; i++) {
		struct member *member = &group->members[i];

		if (member->slot == region->index && member->life == region->life)
			group->rank = i;
		if (region->view[member->slot].life == member->life)
			presence_describe(region, member->slot, &member->peer);
		member->peer.slot = member->slot;
		member->peer.epoch = CLAIM_EPOCH(member->life);
	}
}

// The table is known: we are in it, and wait for the others.
static int enter(struct gathering *g, struct msg_group **result, uint64_t deadline)
{
	struct msg_region *region = g->region;
	struct msg_group *group = pattern_create(region, &group_ops, sizeof(*group));
	int err;

	if (!group)
		return -ENOMEM;
	group->mine = g->mine;
	group->generation = g->generation;
	group->size = g->size;
	group->members = g->members;
	region->group = group;
	g->members = NULL;
	describe_members(group);
	if (!presence_check_self(region)) {
		msg_group_leave(group);
		return region->error;
	}
	if (!g->listener) {
		region_store64(&g->mine->generation, g->generation);
		set_phase(g, GROUP_MEMBER);
	}
	// After FOUNDED: whoever finds the name free looks for its table.
	msg_unlisten(g->listener);
	g->listener = NULL;
	// Not only these wait for us to move: we may stand in another founder's table, too.
	presence_wake_all(region);
	err = wait_for(region->context, all_know, group, deadline);
	if (region->error)
		err = region->error;
	if (err) {
		msg_group_leave(group);
		return err == -EAGAIN ? -ETIMEDOUT : err;
	}
	region_store64(&g->mine->source, 0);
	set_phase(g, GROUP_MEMBER);
	*result = group;
	return region->error;
}

int msg_group_join(struct msg_region *region, const char *name, unsigned size,
	struct msg_group **result, uint64_t deadline)
{
	struct gathering g = { .region = region, .size = size, .deed = DEED_SHARED };
	int err = name_copy(g.name, name);

	if (err || !size || size > region->geo.slots)
		return -EINVAL;
	if (!presence_check_self(region))
		return region->error;
	if (region->group)
		return -EBUSY;
	err = leave_behind(region, deadline);
	if (err)
		return err;
	g.hash = hash_name(g.name);
	g.mine = &region->slot->group;
	g.members = context_alloc(region->context, size * sizeof(*g.members));
	g.other = context_alloc(region->context, size * sizeof(*g.other));
	err = -ENOMEM;
	if (g.members && g.other) {
		begin(&g);
		err = gather(&g, deadline);
	}
	if (!err)
		err = enter(&g, result, deadline);
	if (err) {
		msg_unlisten(g.listener);
		clear_line(region, g.mine);
	}
	if (g.deed != DEED_SHARED)
		land_release(region, g.deed);
	context_free(region->context, g.members);
	context_free(region->context, g.other);
	return err;
}

void msg_group_leave(struct msg_group *group)
{
	if (!group)
		return;
	clear_line(group->pattern.region, group->mine);
	// A root that gives its broadcast up: from here on its bytes count as never given, before anything
	// else is written there. Pairs with the looks in take, of which one comes after the copy.
	if (group->buffer && presence_check_self(group->pattern.region))
		region_store_release64(&group->mine->step, 0);
	msg_buffer_free(group->buffer);
	group_free(&group->pattern);
}

unsigned msg_group_size(struct msg_group *group)
{
	return group->size;
}

unsigned msg_group_rank(struct msg_group *group)
{
	return group->rank;
}

int msg_group_member(struct msg_group *group, unsigned rank, struct msg_peer *peer)
{
	struct member *member;

	if (rank >= group->size)
		return -ENOENT;
	member = &group->members[rank];
	*peer = member->peer;
	peer->self = rank == group->rank;
	if (group->pattern.region->error)
		return !member->gone;
	return peer->self || !group_gone(group, member);
}

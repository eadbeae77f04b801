// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a group does together. Calls are numbered; each member says in its line which one it is in (step)
 * and which one it has its verdict on (done), and nobody's words are written by anybody else.
 *
 *   barrier    a member's verdict is that it has come
 *   broadcast  the root puts the bytes into its land, says where, and enters the call: from that store on
 *              they count as sent. The others copy them, and their verdict is whether they could:
 *              they could not where the root is gone, unless they had come before. While they are in
 *              the call their line names the root's life (source), so that its land stays although it
 *              may die
 *
 * A call ends when all members that live have their verdicts, and failed if one of these says so. All come to
 * the same end, since nobody's verdict changes, nor goes before it was heard: of who died or left it stays in the
 * slot, which nobody takes and where its holder doesn't gather anew, while it is a bad one and a live peer is in
 * that call (verdict_awaited). A good one, or none, doesn't matter. Who enters the call only after such a look isn't
 * seen by it, but sees itself that the root is gone: it was gone before that bad verdict.
 *
 * So a member is at most one call ahead of
 * another; its last verdicts travel along in the low bits of done. Who has its verdict last sees, behind a
 * full fence, that all have, and wakes the others; of two that come at once at least one does.
 * tests/model/group.pml
 */
#include "msg/patterns/group.h"

#define FAILURES 0xffu /* bits of done: the newest call failed, the one before, ... */

static uint64_t number_of(uint64_t done)
{
	return done >> 8;
}

// What is in the member's line is nonsense: it is out.
static void group_fault(struct msg_group *group, struct member *member, const char *what, uint64_t seen)
{
	struct msg_region *region = group->pattern.region;

	member->gone = true;
	if (fault_shown(region, member->slot))
		context_report(region->context, 1,
			"group member '%s' (slot %u) is ignored: %s: 0x%x", member->peer.name,
			(uint64_t)member->slot, what, seen);
}

// Has the member its verdict on our call, or is it gone? Takes note of what it says.
static bool member_done(struct msg_group *group, struct member *member)
{
	const struct wire_group *line = group_line(group, member);
	// First: what it said last before it left counts, and for all alike.
	bool gone = group_gone(group, member);
	// Pairs with the release in verdict.
	uint64_t done = region_load_acquire64(&line->done);
	uint64_t step = region_load64(&line->step), ahead = number_of(done) - group->step;

	if (!group_line_stands(group, member) || member->came == group->step)
		return gone || member->came == group->step;
	if (step >> 16 == group->step && (uint16_t)step != group->call && !gone)
		group->mismatch = true;
	// Whom they take for dead the others go on without: then that is nobody's fault. And either may
	// tell that the region is gone.
	if (ahead + 1 > 2 && !member->gone && presence_check_self(group->pattern.region))
		group_fault(group, member, "impossible number of a call", done);
	if (group->pattern.region->error)
		return true;
	if (ahead > 1)
		return gone || member->gone;
	member->came = group->step;
	if (done >> ahead & 1)
		group->failed = true;
	return true;
}

static bool all_done(void *arg)
{
	struct msg_group *group = arg;
	unsigned i;

	for (i = 0; i < group->size && !group->pattern.region->error; i++)
		if (i != group->rank && !member_done(group, &group->members[i]))
			return group->mismatch;
	return true;
}

// Our verdict on the call under way.
static void verdict(struct msg_group *group, bool failed)
{
	group->stage = GROUP_DONE;
	group->failed = failed;
	group->done = group->step << 8 | (group->done << 1 & FAILURES) | failed;
	region_store_release64(&group->mine->done, group->done);
	// Ours must be visible before we look whether it was the last: pairs with the same fence of
	// another, and with the one in mark_asleep.
	region_fence();
	if (all_done(group))
		group_wake(group);
}

// We have heard all verdicts. Who left with a bad one may gather anew now, and perhaps waits for that.
static void let_go(struct msg_group *group)
{
	struct msg_region *region = group->pattern.region;
	unsigned i;

	region_store64(&group->mine->source, 0);
	for (i = 0; i < group->size && group->failed; i++) {
		const struct member *member = &group->members[i];

		if (member->gone && group_line_stands(group, member) &&
			DONE_FAILED(region_load64(&group_line(group, member)->done), group->step))
			presence_wake(region, member->slot, false);
	}
}

// Ends the call when all have their verdicts. 0, -EPIPE: it failed; -EPROTO, -EAGAIN, -ETIMEDOUT.
static int finish(struct msg_group *group, uint64_t deadline)
{
	struct msg_region *region = group->pattern.region;
	int err = wait_for(region->context, all_done, group, deadline);

	// Whom they take for dead the others go on without, and what they do next isn't this call.
	if (!presence_check_self(region))
		return region->error;
	if (err)
		return err;
	if (group->mismatch)
		return -EPROTO;
	group->stage = GROUP_IDLE;
	if (group->call != CALL_BARRIER)
		let_go(group);
	msg_buffer_free(group->buffer);
	group->buffer = NULL;
	return group->failed ? -EPIPE : 0;
}

static void enter_call(struct msg_group *group, uint32_t call)
{
	group->call = call;
	group->step++;
	group->failed = group->mismatch = false;
	group->stage = GROUP_GIVEN;
	// Pairs with the acquire in root_entered: what the root says of its bytes comes before.
	region_store_release64(&group->mine->step, group->step << 16 | call);
}

// Enters a broadcast as one that receives. From now on the root's land stays, if it hadn't gone before.
static void refer(struct msg_group *group, uint32_t call, const struct member *root)
{
	struct msg_region *region = group->pattern.region;

	region_store64(&group->mine->source, root->life);
	enter_call(group, call);
	// Ours must be visible before we look; relax is a barrier where the fence is none. Pairs with the
	// claim becoming DEAD before somebody looks who refers to it.
	region_fence();
	context_relax(region->context);
	group->in_time = region_load_acquire64(&region_slot(region, root->slot)->claim) == root->life;
}

static int group_check(struct msg_group *group, uint32_t call)
{
	struct msg_region *region = group->pattern.region;

	if (!presence_check_self(region))
		return region->error;
	return group->stage != GROUP_IDLE && group->call != call ? -EINVAL : 0;
}

static int count_missing(struct msg_group *group)
{
	unsigned i;
	int n = 0;

	for (i = 0; i < group->size; i++)
		n += i != group->rank && group->members[i].came != group->step;
	return n;
}

int msg_barrier(struct msg_group *group, uint64_t deadline)
{
	int err = group_check(group, CALL_BARRIER);

	if (err)
		return err;
	if (group->stage == GROUP_IDLE) {
		enter_call(group, CALL_BARRIER);
		verdict(group, false);
	}
	err = finish(group, deadline);
	return err ? err : count_missing(group);
}

/* ---- broadcast ---- */

// The root's part: the bytes in its land, and where.
static int give(struct msg_group *group, uint32_t call, const void *data, size_t len)
{
	struct msg_region *region = group->pattern.region;
	int err = msg_buffer_alloc(region, len, &group->buffer);
	void *to;

	if (err)
		return err;
	to = msg_buffer_data(group->buffer);
	region_copy_in(region->context->ops->copy_in, to, data, len);
	// That may have taken long: not into the slot of a successor.
	if (!presence_check_self(region)) {
		msg_buffer_free(group->buffer);
		group->buffer = NULL;
		return region->error;
	}
	region_store64(&group->mine->offset, region_offset(region, to));
	region_store64(&group->mine->length, len);
	group->length = len;
	enter_call(group, call);
	group_wake(group);
	verdict(group, false);
	return 0;
}

static struct member *root_of(const struct msg_group *group)
{
	return &group->members[group->call - CALL_BROADCAST];
}

static bool root_entered(const struct msg_group *group)
{
	uint64_t step = region_load_acquire64(&group_line(group, root_of(group))->step);

	return step == (group->step << 16 | group->call) && group_line_stands(group, root_of(group));
}

static bool root_moves(void *arg)
{
	struct msg_group *group = arg;
	uint64_t step;

	if (group->pattern.region->error || group_gone(group, root_of(group)))
		return true;
	step = region_load_acquire64(&group_line(group, root_of(group))->step) >> 16;
	return (int64_t)(step - group->step) >= 0;
}

// The others' part: 0; -EMSGSIZE; -EPIPE: it can't be had.
static int take(struct msg_group *group, void *data, size_t size)
{
	struct msg_region *region = group->pattern.region;
	struct member *root = root_of(group);
	const struct wire_group *line = group_line(group, root);
	uint64_t offset, length;

	if (!group->in_time || !root_entered(group))
		return -EPIPE;
	offset = region_load64(&line->offset);
	length = region_load64(&line->length);
	if (!land_belongs(region, root->slot, offset, length)) {
		if (group_line_stands(group, root))
			group_fault(group, root, "bytes outside its land", offset);
		return -EPIPE;
	}
	if (length > size)
		return -EMSGSIZE;
	region_copy_out(region->context->ops->copy_out, data, region_pointer(region, offset), length);
	region_order_loads();
	group->length = length;
	return root_entered(group) ? 0 : -EPIPE;
}

// A member that isn't the root: until it has its verdict.
static int receive(struct msg_group *group, void *data, size_t size, uint64_t deadline)
{
	struct msg_region *region = group->pattern.region;
	int err = wait_for(region->context, root_moves, group, deadline);

	if (region->error)
		return region->error;
	if (err)
		return err;
	if (!root_entered(group) && !group_gone(group, root_of(group)))
		return presence_check_self(region) ? -EPROTO : region->error;
	err = take(group, data, size);
	if (!presence_check_self(region))
		return region->error;
	if (err == -EMSGSIZE)
		return err;
	verdict(group, err);
	return 0;
}

int64_t msg_broadcast(struct msg_group *group, unsigned root, void *data, size_t len, uint64_t deadline)
{
	uint32_t call = CALL_BROADCAST + root;
	int err;

	if (root >= group->size)
		return -EINVAL;
	err = group_check(group, call);
	if (err)
		return err;
	if (group->stage == GROUP_IDLE) {
		if (root == group->rank)
			err = give(group, call, data, len);
		else
			refer(group, call, &group->members[root]);
	}
	if (!err && group->stage == GROUP_GIVEN)
		err = receive(group, data, len, deadline);
	if (!err)
		err = finish(group, deadline);
	return err ? err : (int64_t)group->length;
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * What happens between two looks at the region, or while a peer waits, step by step: for what the
 * simulator meets too rarely. msg/ is built with between.inc here.
 */
#include <errno.h>
#include <string.h>
#include <isthmus/msg_group.h>
#include <isthmus/msg_topic.h>
#include "msg/channel.h"
#include "tests/msg/harness.h"

#define MEGA (1u << 20)
#define CREW "crew"

void test_before_load(const void *p);
bool test_hold_store(uint32_t *p, uint32_t value);
void test_at_fence(void);

// The heart's thread loads, too, and means nothing.
static _Thread_local void (*on_load)(const void *p);

void test_before_load(const void *p)
{
	if (on_load)
		on_load(p);
}

// A name's becoming FIRM, between these, waits in the store buffer.
static struct {
	uint32_t *from, *to;
	uint32_t *at, value; /* at NULL: nothing waits */
} held;

bool test_hold_store(uint32_t *p, uint32_t value)
{
	if (p < held.from || p >= held.to || (value & 3) != ENDPOINT_FIRM)
		return false;
	held.at = p;
	held.value = value;
	return true;
}

void test_at_fence(void)
{
	if (held.at)
		*held.at = held.value;
	held.at = NULL;
}

static const char crew_name[WIRE_NAME] = CREW;

// FNV-1a, as docs/wire-format.md says.
static uint64_t fnv1a(const void *data, size_t len)
{
	const uint8_t *byte = data;
	uint64_t hash = 0xcbf29ce484222325ull;

	while (len--)
		hash = (hash ^ *byte++) * 0x100000001b3ull;
	return hash;
}

static void crew_line(struct msg_region *region, enum group_phase phase, uint64_t generation)
{
	struct wire_group *line = &region->slot->group;

	line->name = fnv1a(CREW, strlen(CREW));
	line->size = 2;
	line->generation = generation;
	line->phase = phase;
}

/* ---- a founder whose slot is cleared ---- */

static struct {
	struct wire_group *line;
	struct wire_endpoint *name;
	unsigned times;
} cleared;

static void clear_before_size(const void *p)
{
	if (p != &cleared.line->size || !cleared.line->phase)
		return;
	memset(cleared.line, 0, sizeof(*cleared.line));
	cleared.times++;
}

static void clear_before_kind(const void *p)
{
	if (p != &cleared.name->kind || !cleared.name->state)
		return;
	memset(cleared.name, 0, sizeof(*cleared.name));
	cleared.times++;
}

// Its group's size, or what its name takes, is read when nothing of it is there any more: that is no
// other size, and no other kind.
static void founder_cleared(void (*clear)(const void *p))
{
	const char *path = test_region(MEGA);
	struct msg_region *a = test_attach_patient(path, "founder");
	struct msg_region *b = test_attach_patient(path, "member");
	struct msg_listener *name;
	struct msg_group *group;

	OK(endpoint_listen(a, crew_name, NULL, KIND_GROUP, &name));
	crew_line(a, GROUP_FOUNDER, 1);
	cleared.line = &region_slot(b, a->index)->group;
	cleared.name = &region_slot(b, a->index)->endpoint[name->index];
	cleared.times = 0;
	on_load = clear;
	EQUAL(msg_group_join(b, CREW, 2, &group, in_ms(50)), -ETIMEDOUT);
	on_load = NULL;
	EQUAL(cleared.times, 1);
	msg_unlisten(name);
	OK(msg_leave(a));
	OK(msg_leave(b));
}

static void size_cleared(void)
{
	founder_cleared(clear_before_size);
}

static void kind_cleared(void)
{
	founder_cleared(clear_before_kind);
}

/* ---- one that stands in a table already ---- */

static struct {
	struct msg_region *region;
	unsigned sleeps, founded;
} second;

static void second_founder(void)
{
	second.sleeps++;
	second.founded += second.region->slot->group.phase == GROUP_FOUNDED;
}

// A former founder has a member that has not noticed yet: the next founder must not take it, too.
static void two_founders(void)
{
	const char *path = test_region(MEGA);
	struct msg_region *a = test_attach_patient(path, "first");
	struct msg_region *b = test_attach_patient(path, "second");
	struct msg_region *c = test_attach_patient(path, "slow");
	const uint64_t table[] = { a->life, 1, a->index, c->life, 2, c->index };
	struct msg_group *group;
	uint64_t offset;
	unsigned deed;

	OK(land_claim(a, sizeof(table), &deed, &offset));
	memcpy(region_pointer(a, offset), table, sizeof(table));
	crew_line(c, GROUP_CANDIDATE, 2);
	a->slot->group.offset = offset;
	a->slot->group.length = sizeof(table);
	a->slot->group.source = fnv1a(table, sizeof(table));
	crew_line(a, GROUP_FOUNDED, 3);
	second.region = b;
	test_at_sleep(b, second_founder);
	EQUAL(msg_group_join(b, CREW, 2, &group, in_ms(50)), -ETIMEDOUT);
	CHECK(second.sleeps);
	EQUAL(second.founded, 0);
	// Without the table it takes it.
	a->slot->group.phase = GROUP_NONE;
	EQUAL(msg_group_join(b, CREW, 2, &group, in_ms(50)), -ETIMEDOUT);
	CHECK(second.founded);
	test_at_sleep(b, NULL);
	land_release(a, deed);
	OK(msg_leave(a));
	OK(msg_leave(b));
	OK(msg_leave(c));
}

/* ---- a verdict that somebody has not heard yet ---- */

#define CALL 5u

// What is left of a member that failed that call; and one that is in it, and good so far.
static void failed_and_waiting(struct msg_region *left, struct msg_region *waits, uint64_t root)
{
	crew_line(left, GROUP_NONE, 77);
	left->slot->group.step = CALL << 16 | CALL_BROADCAST;
	left->slot->group.done = CALL << 8 | 1;
	crew_line(waits, GROUP_MEMBER, 77);
	waits->slot->group.step = CALL << 16 | CALL_BROADCAST;
	waits->slot->group.done = CALL << 8;
	waits->slot->group.source = root;
}

static uint64_t generation_after_join(struct msg_region *region)
{
	struct msg_group *group;

	EQUAL(msg_group_join(region, CREW, 2, &group, in_ms(20)), -ETIMEDOUT);
	return region->slot->group.generation;
}

// Who left may not gather anew before, or it would take its verdict away.
static void verdict_of_who_left(void)
{
	const char *path = test_region(MEGA);
	struct msg_region *a = test_attach_patient(path, "left");
	struct msg_region *b = test_attach_patient(path, "waits");
	struct wire_group *line = &a->slot->group, *other = &b->slot->group;

	failed_and_waiting(a, b, 1);
	EQUAL(generation_after_join(a), 77);
	// One call further: then it is the one before that counts.
	line->done = (CALL + 1) << 8 | 2;
	EQUAL(generation_after_join(a), 77);
	EQUAL(line->done, (CALL + 1) << 8 | 2);
	// These are none of this call, or not bad, or of another group, or heard.
	line->done = (CALL + 1) << 8 | 1;
	CHECK(generation_after_join(a) != 77);
	failed_and_waiting(a, b, 1);
	line->done = CALL << 8 | 2;
	CHECK(generation_after_join(a) != 77);
	failed_and_waiting(a, b, 1);
	other->generation = 78;
	CHECK(generation_after_join(a) != 77);
	failed_and_waiting(a, b, 0);
	CHECK(generation_after_join(a) != 77);
	failed_and_waiting(a, b, 1);
	OK(msg_leave(b));
	CHECK(generation_after_join(a) != 77);
	OK(msg_leave(a));
}

// Nor may a newcomer have its slot.
static void verdict_of_the_dead(void)
{
	struct msg_options options = { .name = "failed", .slots = 2, .death_ns = PATIENT_DEATH };
	const char *path = test_region(MEGA);
	struct msg_region *a, *b, *c;
	uint32_t index;

	OK(msg_attach(path, &options, &a));
	OK(msg_attach(path, &options, &b));
	failed_and_waiting(a, b, 1);
	index = a->index;
	OK(msg_leave(a));
	options.deadline = in_ms(20);
	EQUAL(msg_attach(path, &options, &c), -ETIMEDOUT);
	b->slot->group.source = 0;
	options.deadline = 0;
	OK(msg_attach(path, &options, &c));
	EQUAL(c->index, index);
	OK(msg_leave(c));
	OK(msg_leave(b));
}

/* ---- a name that changes hands ---- */

static struct {
	struct wire_slot *slot;
	uint64_t successor; /* who has the slot by then; 0: the same */
	unsigned times;
} handed;

// What was looked at gives the name up; its place is then another name's, in its next use or in another life.
static void hand_over(const void *p)
{
	struct wire_endpoint *endpoint = &handed.slot->endpoint[0];

	if (p != &endpoint->kind || handed.times++)
		return;
	strcpy(endpoint->name, "another");
	endpoint->kind = KIND_MESSAGES;
	if (handed.successor)
		handed.slot->claim = handed.successor;
	else
		endpoint->state += 1 << 2;
}

// The kind of what is found is that of who had the name.
static void name_handed_over(void)
{
	unsigned way;

	for (way = 0; way < 2; way++) {
		const char *path = test_region(MEGA);
		struct msg_region *a = test_attach_patient(path, "has it");
		struct msg_region *b = test_attach_patient(path, "looks");
		struct endpoint_place place;
		struct msg_listener *name;

		OK(endpoint_listen(a, crew_name, NULL, KIND_GROUP, &name));
		presence_scan(b);
		CHECK(endpoint_find(b, crew_name, &place));
		EQUAL(place.kind, KIND_GROUP);
		handed.slot = region_slot(b, a->index);
		handed.successor = way ? a->life + (1ull << 32) : 0;
		handed.times = 0;
		on_load = hand_over;
		CHECK(!endpoint_find(b, crew_name, &place));
		on_load = NULL;
		EQUAL(handed.times, 1);
		handed.slot->claim = a->life;
		OK(msg_leave(b));
		OK(msg_leave(a));
	}
}

/* ---- an answer in a block that was another channel's ---- */

static struct {
	const struct connecting *asks;
	struct wire_channel *block;
	unsigned times;
} reused;

// The former channel has ended; of the answer all but the status is written.
static void answer_halfway(const void *p)
{
	if (p != &reused.block->peer_slot || reused.times++)
		return;
	reused.block->status = STATUS(1, CHANNEL_FREE);
	reused.block->peer_slot = reused.asks->region->index;
	reused.block->peer_life = reused.asks->region->life;
	reused.block->peer_index = reused.asks->channel->index;
	reused.block->peer_generation = reused.asks->channel->generation;
}

static void half_an_answer(void)
{
	const char *path = test_region(MEGA);
	struct msg_region *a = test_attach_patient(path, "answers");
	struct msg_region *b = test_attach_patient(path, "asks");
	struct msg_listener *listener;
	struct msg_channel *channel;
	struct connecting c;

	OK(msg_listen(a, "answers", NULL, &listener));
	presence_scan(b);
	OK(connect_begin(&c, b, "answers", NULL, KIND_MESSAGES));
	reused.asks = &c;
	reused.block = slot_channel(b, a->index, 0);
	reused.block->status = STATUS(1, CHANNEL_CLOSED);
	on_load = answer_halfway;
	EQUAL(connect_step(&c, &channel), -EAGAIN);
	on_load = NULL;
	CHECK(reused.times);
	memset(reused.block, 0, sizeof(*reused.block));
	connect_abandon(&c);
	OK(msg_leave(b));
	OK(msg_leave(a));
}

/* ---- land of a region that is gone ---- */

static unsigned loads;

static void count_loads(const void *p)
{
	(void)p;
	loads++;
}

// A look around can tell that the region is gone, just before somebody claims land there.
static void land_when_gone(void)
{
	struct msg_region *a = test_attach_patient(test_region(MEGA), "gone");
	uint64_t offset;
	unsigned deed;

	a->error = -ENODEV;
	on_load = count_loads;
	EQUAL(land_claim(a, 4096, &deed, &offset), -ENODEV);
	EQUAL(loads, 0);
	a->error = 0;
	OK(land_claim(a, 4096, &deed, &offset));
	CHECK(loads);
	on_load = NULL;
	land_release(a, deed);
	OK(msg_leave(a));
}

/* ---- a record that isn't there any more ---- */

static struct {
	struct msg_listener *listener;
	struct msg_channel *from, *to;
	bool sent, ends, evicted;
	unsigned looks;
} taken;

// What the first look saw is something else's by the second.
static void take_back(const void *p)
{
	uint64_t *head = (uint64_t *)(uintptr_t)ring_head(&taken.to->rx);

	if (p != head || !*head || taken.looks++ != 1)
		return;
	*head = 0;
	if (taken.evicted)
		taken.to->region->slot->claim = CLAIM_WITH(taken.to->region->life, CLAIM_DEAD);
}

static void meet_and_send(void)
{
	if (!taken.from) {
		msg_accept(taken.listener, &taken.from, 0);
	} else if (taken.to && !taken.sent) {
		taken.sent = true;
		OK(msg_send(taken.from, "x", 1, 0));
		if (taken.ends)
			msg_close(taken.from);
	}
}

// A wait ended by a record that is gone when it is looked for doesn't mean that all was received.
static void taken_back(bool evicted, bool ends, int error)
{
	const char *path = test_region(MEGA);
	struct msg_region *a = test_attach_patient(path, "receiver");
	struct msg_region *b = test_attach_patient(path, "sender");
	struct msg_fault fault;
	char c;

	taken.from = taken.to = NULL;
	taken.sent = false;
	taken.looks = 0;
	taken.ends = ends;
	taken.evicted = evicted;
	OK(msg_listen(b, "sender", NULL, &taken.listener));
	test_at_sleep(a, meet_and_send);
	OK(msg_connect(a, "sender", NULL, &taken.to, in_ms(20000)));
	on_load = take_back;
	EQUAL(msg_recv(taken.to, &c, 1, in_ms(20000)), error);
	on_load = NULL;
	CHECK(taken.looks > 1);
	EQUAL(msg_fault_of(taken.to, &fault), !evicted);
	test_at_sleep(a, NULL);
	EQUAL(msg_leave(a), evicted ? -ESTALE : 0);
	OK(msg_leave(b));
}

static void record_taken_back(void)
{
	taken_back(false, false, -ECONNRESET);
	taken_back(true, false, -ESTALE);
	taken_back(true, true, -ESTALE);
}

/* ---- a subscription whose region goes as it begins ---- */

static struct {
	struct msg_wait_ops ops;
	uint64_t (*now)(void *arg);
	struct msg_region *region, *publisher;
	struct msg_topic *topic;
	bool lost;
} going;

// As in a guest, where a look at the clock is where it hears of a device that is pulled out.
static uint64_t now_gone(void *arg)
{
	if (going.lost && !going.region->gone) {
		msg_region_gone(going.region);
		loads = 0;
		on_load = count_loads;
	}
	return going.now(arg);
}

// Just before the last look at the other side: it has gone, and so is our place.
static void lose_place(const void *p)
{
	struct msg_channel *ours = going.region->channel[0];

	if (going.lost || !ours || STATUS_STATE(ours->mine->status) != CHANNEL_OPEN ||
		p != &ours->theirs->status)
		return;
	going.lost = true;
	going.region->slot->claim = CLAIM_WITH(going.region->life, CLAIM_DEAD);
	going.publisher->slot->claim = CLAIM_WITH(going.publisher->life, CLAIM_LEFT);
}

static void publisher_looks(void)
{
	struct msg_wait_item item = { .type = MSG_WAIT_PATTERN, .pattern = going.topic };

	msg_wait(&item, 1, 0);
}

static void subscribes_when_gone(void)
{
	const char *path = test_region(MEGA);
	struct msg_region *a = test_attach_patient(path, "subscriber");
	struct msg_region *b = test_attach_patient(path, "publisher");
	struct msg_subscription *sub;

	going.region = a;
	going.publisher = b;
	OK(msg_topic_open(b, "news", NULL, &going.topic));
	test_at_sleep(a, publisher_looks);
	going.ops = *a->context->ops;
	going.now = going.ops.now;
	going.ops.now = now_gone;
	a->context->ops = &going.ops;
	on_load = lose_place;
	EQUAL(msg_subscribe(a, "news", NULL, &sub, in_ms(20000)), -ENODEV);
	CHECK(going.lost && a->gone);
	EQUAL(loads, 0);
	on_load = NULL;
	EQUAL(msg_leave(a), -ENODEV);
}

/* ---- who comes while a name is told ---- */

// Who is rung for a new name was there when it became visible; who joins behind that must see it.
static void joins_while_told(void)
{
	const char *path = test_region(MEGA);
	struct msg_region *a = test_attach_patient(path, "listener"), *b;
	struct msg_listener *listener;
	struct endpoint_place place;

	held.from = (uint32_t *)a->slot->endpoint;
	held.to = (uint32_t *)(a->slot->endpoint + WIRE_ENDPOINTS);
	OK(endpoint_listen(a, crew_name, NULL, KIND_MESSAGES, &listener));
	held.from = held.to = NULL;
	// Nobody was there to be rung; and the newcomer's fences are not the listener's.
	CHECK(!held.at);
	b = test_attach_patient(path, "newcomer");
	CHECK(endpoint_find(b, crew_name, &place));
	msg_unlisten(listener);
	OK(msg_leave(a));
	OK(msg_leave(b));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "size_cleared", size_cleared, 0 },
		{ "kind_cleared", kind_cleared, 0 },
		{ "two_founders", two_founders, 0 },
		{ "verdict_of_who_left", verdict_of_who_left, 0 },
		{ "verdict_of_the_dead", verdict_of_the_dead, 0 },
		{ "name_handed_over", name_handed_over, 0 },
		{ "half_an_answer", half_an_answer, 0 },
		{ "land_when_gone", land_when_gone, 0 },
		{ "joins_while_told", joins_while_told, 0 },
		{ "record_taken_back", record_taken_back, 0 },
		{ "subscribes_when_gone", subscribes_when_gone, 0 },
	};

	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

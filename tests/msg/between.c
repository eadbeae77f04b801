// SPDX-License-Identifier: BSD-2-Clause
/*
 * What happens between two looks at the region, or while a peer waits, step by step: for what the
 * simulator meets too rarely. msg/ is built with between.inc here.
 */
#include <errno.h>
#include <string.h>
#include <isthmus/msg_group.h>
#include "msg/channel.h"
#include "tests/msg/harness.h"

#define MEGA (1u << 20)
#define CREW "crew"

void test_before_load(const void *p);

// The heart's thread loads, too, and means nothing.
static _Thread_local void (*on_load)(const void *p);

void test_before_load(const void *p)
{
	if (on_load)
		on_load(p);
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
	unsigned times;
} cleared;

static void clear_before_size(const void *p)
{
	if (p != &cleared.line->size || !cleared.line->phase)
		return;
	memset(cleared.line, 0, sizeof(*cleared.line));
	cleared.times++;
}

// Its group's size is read when nothing of it is there any more: that is no other size.
static void founder_cleared(void)
{
	const char *path = test_region(MEGA);
	struct msg_region *a = test_attach_patient(path, "founder");
	struct msg_region *b = test_attach_patient(path, "member");
	struct msg_listener *name;
	struct msg_group *group;

	OK(endpoint_listen(a, crew_name, NULL, KIND_GROUP, &name));
	crew_line(a, GROUP_FOUNDER, 1);
	cleared.line = &region_slot(b, a->index)->group;
	on_load = clear_before_size;
	EQUAL(msg_group_join(b, CREW, 2, &group, in_ms(50)), -ETIMEDOUT);
	on_load = NULL;
	EQUAL(cleared.times, 1);
	msg_unlisten(name);
	OK(msg_leave(a));
	OK(msg_leave(b));
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

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "founder_cleared", founder_cleared, 0 },
		{ "two_founders", two_founders, 0 },
		{ "land_when_gone", land_when_gone, 0 },
	};

	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}

// SPDX-License-Identifier: BSD-2-Clause
#include "tests/launch/unit/unit.h"

#include "host/launch/topology.h"

static bool parse(const char *s, struct topology *t, struct text *error)
{
	return topology_parse(s, strlen(s), "f.topo", t, error);
}

static void reads_everything(void **state)
{
	static const char file[] = "# a comment\n"
				   "about  It's prose: \"anything goes # here\n"
				   "\n"
				   "machine pc\r\n"
				   "mem 128\n"
				   "timeout 60\n"
				   "guest a ping on=wire,side -- --n 3 'two words'   # comment\n"
				   "region wire doorbell size=1M vectors=4\n"
				   "region side plain size=64k\n"
				   "guest w pong on=side mem=1G machine=microvm count=3 boot=pvh bios=qboot\n"
				   "guest alone ./dir/x.elf";
	struct text error = {0};
	struct topology t;

	(void)state;
	if (!parse(file, &t, &error))
		fail_msg("%s", error.s);
	assert_string_equal(t.about, "It's prose: \"anything goes # here");
	assert_string_equal(t.machine, "pc");
	assert_int_equal(t.mem_mib, 128);
	assert_int_equal(t.timeout_s, 60);
	assert_int_equal(t.n_regions, 2);
	assert_string_equal(t.regions[0].name, "wire");
	assert_false(t.regions[0].plain);
	assert_int_equal(t.regions[0].size, 1 << 20);
	assert_int_equal(t.regions[0].vectors, 4);
	assert_true(t.regions[1].plain);
	assert_int_equal(t.regions[1].size, 64 << 10);
	assert_int_equal(t.regions[1].vectors, TOPOLOGY_VECTORS_DEFAULT);
	assert_int_equal(t.n_guests, 3);
	assert_string_equal(t.guests[0].name, "a");
	assert_string_equal(t.guests[0].app, "ping");
	assert_int_equal(t.guests[0].n_on, 2);
	assert_int_equal(t.guests[0].on[0], 0);
	assert_int_equal(t.guests[0].on[1], 1);
	assert_int_equal(t.guests[0].args.n, 3);
	assert_string_equal(t.guests[0].args.v[2], "two words");
	assert_int_equal(t.guests[0].count, 0);
	assert_int_equal(t.guests[1].mem_mib, 1024);
	assert_string_equal(t.guests[1].machine, "microvm");
	assert_int_equal(t.guests[1].count, 3);
	assert_string_equal(t.guests[1].boot, "pvh");
	assert_string_equal(t.guests[1].bios, "qboot");
	assert_null(t.guests[0].boot);
	assert_int_equal(t.guests[2].n_on, 0);
	assert_string_equal(t.guests[2].app, "./dir/x.elf");
	topology_free(&t);
	text_free(&error);
}

static void names_what_is_wrong_and_where(void **state)
{
	static const struct {
		const char *file, *error;
	} bad[] = {
		{"", "f.topo: no guest in it; add a line: guest NAME APP"},
		{"about nothing\n", "f.topo: no guest"},
		{"guest a\n", "f.topo:1: a guest needs a name and an app"},
		{"\n\nguest a on=w\n",
			"f.topo:3: guest 'a' needs an app after its name, not 'on=w'"},
		{"guest a -- x\n", "f.topo:1: guest 'a' needs an app after its name, not '--'"},
		{"guest a/b x\n", "f.topo:1: 'a/b' can't name a guest"},
		{"guest -a x\n", "f.topo:1: '-a' can't name a guest"},
		{"guest '' x\n", "f.topo:1: '' can't name a guest"},
		{"guest a x\nguest a y\n", "f.topo:2: guest 'a' is already on line 1"},
		{"guest a x foo\n", "f.topo:1: 'foo' means nothing on a guest line"},
		{"guest a x on=w\n", "f.topo:1: there is no region 'w'; the regions are: none"},
		{"region v\nregion u\nguest a x on=w\n",
			"f.topo:3: there is no region 'w'; the regions are: v, u"},
		{"region w\nguest a x on=w,w\n", "f.topo:2: guest 'a' is on region 'w' twice"},
		{"guest a x on=\n", "f.topo:1: on= wants region names"},
		{"guest a x on=w,\n", "f.topo:1: on= wants region names"},
		{"guest a x on=a,b,c,d,e,f,g,h,i\n",
			"f.topo:1: a guest can be on at most 8 regions"},
		{"guest a x mem=0\n", "f.topo:1: mem=0 is no memory size"},
		{"guest a x mem=1K\n", "f.topo:1: mem=1K is no memory size"},
		{"guest a x machine=\n", "f.topo:1: machine= wants"},
		{"guest a x count=0\n", "f.topo:1: count=0 is out of range; write 1 to 1000"},
		{"guest a x count=1001\n", "f.topo:1: count=1001 is out of range"},
		{"region\n", "f.topo:1: a region needs a name"},
		{"region a b\n", "f.topo:1: 'b' means nothing on a region line"},
		{"region a\nregion a\n", "f.topo:2: region 'a' is already on line 1"},
		{"region a size=3M\n", "f.topo:1: size=3M can't be: QEMU takes only powers of two"},
		{"region a size=0\n", "f.topo:1: size=0 can't be: the smallest region is 4K"},
		{"region a size=2K\n", "the smallest region is 4K"},
		{"region a size=big\n", "f.topo:1: size=big is no size"},
		{"region a vectors=0\n", "f.topo:1: vectors=0 is out of range; write 1 to 256"},
		{"region a vectors=257\n", "f.topo:1: vectors=257 is out of range"},
		{"machine\n", "f.topo:1: 'machine' wants one value: machine pc|q35|microvm"},
		{"mem 1 2\n", "f.topo:1: 'mem' wants one value: mem MIB"},
		{"mem lots\n", "f.topo:1: 'lots' is no memory size"},
		{"timeout never\n", "f.topo:1: 'never' is no time"},
		{"timeout 0\n", "f.topo:1: '0' is no time"},
		{"gest a x\n",
			"f.topo:1: 'gest' begins no line; about, machine, mem, timeout, region"},
		{"guest a 'x\n", "f.topo:1: a ' is never closed"},
		{"guest a x\\\n", "f.topo:1: a backslash ends the line"},
		{"gu\033[2Jest a x\n", "f.topo:1: 'gu?[2Jest' begins no line"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct text error = {0};
		struct topology t;

		if (parse(bad[i].file, &t, &error))
			fail_msg("this was taken: %s", bad[i].file);
		assert_contains(error.s, bad[i].error);
		assert_null(strchr(error.s, '\n'));
		assert_null(t.guests);
		text_free(&error);
	}
}

static void takes_bytes_not_strings(void **state)
{
	struct text error = {0};
	struct topology t;

	(void)state;
	assert_false(topology_parse("guest a x\0y\n", 12, "f", &t, &error));
	assert_string_equal(error.s, "f:1: a NUL byte; a topology is a text file");
	text_free(&error);
	/* Nothing behind the given length is looked at. */
	assert_true(topology_parse("guest a xyz", 9, "f", &t, &error));
	assert_string_equal(t.guests[0].app, "x");
	topology_free(&t);
	/* Not even the byte at it: an exact copy, so that ASan would see it. */
	char *exact = memcpy(malloc(9), "guest a x", 9);

	assert_true(topology_parse(exact, 9, "f", &t, &error));
	topology_free(&t);
	free(exact);
}

static void holds_its_limits(void **state)
{
	struct text file = {0}, error = {0};
	char name[TOPOLOGY_NAME_MAX + 2];
	struct topology t;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_false(topology_name_ok(name));
	name[sizeof(name) - 2] = '\0';
	assert_true(topology_name_ok(name));

	for (int i = 0; i < TOPOLOGY_GUESTS_MAX; i++)
		text_addf(&file, "guest g%d x\n", i);
	assert_true(parse(file.s, &t, &error));
	assert_int_equal(t.n_guests, TOPOLOGY_GUESTS_MAX);
	topology_free(&t);
	text_add_str(&file, "guest more x\n");
	assert_false(parse(file.s, &t, &error));
	assert_string_equal(error.s, "f.topo:1001: more than 1000 guests");
	text_free(&file);
	text_free(&error);

	for (int i = 0; i <= TOPOLOGY_REGIONS_MAX; i++)
		text_addf(&file, "region r%d\n", i);
	assert_false(parse(file.s, &t, &error));
	assert_string_equal(error.s, "f.topo:65: more than 64 regions");
	text_free(&file);
	text_free(&error);
}

/* Every prefix of a file, and every file with one byte changed, is taken or refused, and no more.
 */
static void survives_damage(void **state)
{
	static const char file[] =
		"about x\nregion w size=1M vectors=2\nguest a 'b c' on=w mem=5 -- d \\\\e\n";
	char damaged[sizeof(file)];

	(void)state;
	for (size_t n = 0; n < sizeof(file); n++) {
		struct text error = {0};
		struct topology t;

		if (topology_parse(file, n, "f", &t, &error))
			topology_free(&t);
		else
			assert_true(error.n > 0);
		text_free(&error);
	}
	for (size_t at = 0; at < sizeof(file) - 1; at++) {
		for (int c = 0; c < 256; c++) {
			struct text error = {0};
			struct topology t;

			memcpy(damaged, file, sizeof(file));
			damaged[at] = (char)c;
			if (topology_parse(damaged, sizeof(file) - 1, "f", &t, &error))
				topology_free(&t);
			else
				assert_true(error.n > 0);
			text_free(&error);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_everything),
		cmocka_unit_test(names_what_is_wrong_and_where),
		cmocka_unit_test(takes_bytes_not_strings),
		cmocka_unit_test(holds_its_limits),
		cmocka_unit_test(survives_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

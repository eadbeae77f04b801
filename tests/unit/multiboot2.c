// SPDX-License-Identifier: BSD-2-Clause
/*
 * Multiboot2's information into boot_info: one as GRUB gives it, and damaged ones, each laid before a
 * page that can't be read. The parser takes addresses below 4 GiB, so that is where it all lies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "boot/boot_info.h"
#include "boot/protocol.h"

#define PAGE		4096u
#define IMAGE_PHYS	0x7c00000u

/* What the parser sees of the guest's image. */
const uint8_t image_base[1];

static jmp_buf back;
static struct boot_info *result;
static uint8_t *pages;			/* two of them, then one that faults */

void boot_main(struct boot_info *info)
{
	result = info;
	longjmp(back, 1);
}

/* An information of so many bytes, whose end is where memory ends. */
static uint8_t *place(const void *data, size_t size)
{
	uint8_t *at = pages + 2 * PAGE - (size + 7) / 8 * 8;

	memset(pages, 0xff, 2 * PAGE);
	memcpy(at, data, size);
	return at;
}

static struct boot_info *parse(const uint8_t *at)
{
	result = NULL;
	if (!setjmp(back))
		boot_multiboot2((uint32_t)(uintptr_t)at, IMAGE_PHYS);
	assert_non_null(result);
	return result;
}

/* boot_info is one for all: emptied between parses. */
static void forget(void)
{
	if (result)
		memset(result, 0, sizeof(*result));
}

struct builder {
	uint32_t words[512];
	size_t n;			/* bytes */
};

static void add_tag(struct builder *b, uint32_t type, const void *data, size_t size)
{
	uint32_t head[2] = { type, (uint32_t)(8 + size) };

	memcpy((uint8_t *)b->words + b->n, head, sizeof(head));
	memcpy((uint8_t *)b->words + b->n + 8, data, size);
	b->n += (8 + size + 7) / 8 * 8;
}

static void build(struct builder *b)
{
	static const char line[] = "one 'two three'", name[] = "GRUB 2.06";
	static const uint32_t module[] = { 0x1000000, 0x1234567, 0 };
	static const uint32_t map[] = {
		24, 0,
		0, 0, 0x9fc00, 0, 1, 0,
		0x100000, 0, 0x7ee0000, 0, 1, 0,
		0, 1, 0, 2, 2, 0,
	};
	static const uint32_t screen[] = { 0x80000000, 0, 5120, 1280, 800, 32 | 1 << 8 };
	static const char rsdp1[20] = "RSD PTR one", rsdp2[36] = "RSD PTR two";

	*b = (struct builder){ .n = 8 };
	add_tag(b, 1, line, sizeof(line));
	add_tag(b, 2, name, sizeof(name));
	add_tag(b, 3, module, sizeof(module));
	add_tag(b, 6, map, sizeof(map));
	add_tag(b, 8, screen, sizeof(screen));
	add_tag(b, 15, rsdp2, sizeof(rsdp2));
	add_tag(b, 14, rsdp1, sizeof(rsdp1));
	add_tag(b, 0, "", 0);
	b->words[0] = (uint32_t)b->n;
}

static void takes_what_grub_gives(void **state)
{
	struct builder b;
	struct boot_info *info;

	(void)state;
	build(&b);
	info = parse(place(b.words, b.n));
	assert_null(info->fault);
	assert_string_equal(info->command_line, "one 'two three'");
	assert_int_equal(info->module_count, 1);
	assert_int_equal(info->modules[0].base, 0x1000000);
	assert_int_equal(info->modules[0].size, 0x234567);
	assert_int_equal(info->range_count, 3);
	assert_int_equal(info->ranges[1].size, 0x7ee0000);
	assert_int_equal(info->ranges[2].base, 0x100000000);
	assert_int_equal(info->ranges[2].type, 2);
	assert_int_equal(info->framebuffer.base, 0x80000000);
	assert_int_equal(info->framebuffer.pitch, 5120);
	assert_int_equal(info->framebuffer.bits_per_pixel, 32);
	/* The second version's copy, wherever the linker put it relative to the image. */
	assert_string_equal((const char *)image_base + (info->rsdp - IMAGE_PHYS), "RSD PTR two");
	forget();
}

static void says_what_is_wrong(void **state)
{
	struct builder b;
	uint32_t sizes[] = { 0, 8, 15, 0x1000001, 0xffffffff };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint32_t head[2] = { sizes[i], 0 };

		assert_non_null(strstr(parse(place(head, sizeof(head)))->fault, "damaged"));
		forget();
	}
	b = (struct builder){ .n = 8 };
	add_tag(&b, 0, "", 0);
	b.words[0] = (uint32_t)b.n;
	assert_non_null(strstr(parse(place(b.words, b.n))->fault, "no memory map"));
	forget();
}

/* Tags that are cut, that claim more than there is, strings without an end. */
static void survives_damage(void **state)
{
	struct builder b;
	unsigned whole = 0;

	(void)state;
	srand(5);
	for (unsigned i = 0; i < 200000; i++) {
		uint8_t *bytes = (uint8_t *)b.words;
		size_t cut;

		build(&b);
		for (int n = rand() % 4; n; n--) {
			size_t at = 8 + (size_t)rand() % (b.n - 8);

			bytes[at] = rand() % 2 ? (uint8_t)rand() : (uint8_t[]){ 0, 1, 0x7f, 0xff }[rand() % 4];
		}
		cut = rand() % 2 ? b.n : 16 + (size_t)rand() % (b.n - 16);
		cut = cut / 8 * 8;
		b.words[0] = (uint32_t)cut;
		whole += parse(place(b.words, cut))->fault == NULL;
		assert_true(result->range_count <= BOOT_MAX_RANGES && result->module_count <= BOOT_MAX_MODULES);
		forget();
	}
	assert_true(whole > 20000 && whole < 190000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_what_grub_gives),
		cmocka_unit_test(says_what_is_wrong),
		cmocka_unit_test(survives_damage),
	};

	pages = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (pages == MAP_FAILED || mprotect(pages + 2 * PAGE, PAGE, PROT_NONE))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
// How fast one guest can copy between its own memory and the region, by each kind of loop. The
// first figure of the 64 KiB ratio in the issue of the channels is held against the best of them.

#include "bench/floor/floor.h"

#define BLOCK_MAX (1u << 20)
#define SAMPLES 15

struct loop {
	const char *name;
	void (*copy)(void *to, const void *from, size_t size);
	bool needs_avx;
};

/* Sizes are multiples of 256. The file is built for general registers only, so C stays in them. */
static void copy_registers(void *to, const void *from, size_t size)
{
	uint64_t *t = to;
	const uint64_t *f = from;
	size_t i;

	for (i = 0; i < size / 8; i += 8) {
		uint64_t a = f[i], b = f[i + 1], c = f[i + 2], d = f[i + 3];
		uint64_t e = f[i + 4], g = f[i + 5], h = f[i + 6], j = f[i + 7];

		t[i] = a;
		t[i + 1] = b;
		t[i + 2] = c;
		t[i + 3] = d;
		t[i + 4] = e;
		t[i + 5] = g;
		t[i + 6] = h;
		t[i + 7] = j;
		__asm__ volatile("" ::: "memory");
	}
}

static void copy_movsq(void *to, const void *from, size_t size)
{
	size /= 8;
	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(size)::"memory");
}

static void copy_movsb(void *to, const void *from, size_t size)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size)::"memory");
}

static void copy_sse2(void *to, const void *from, size_t size)
{
	const char *end = (const char *)from + size;

	__asm__ volatile("1:	movdqu (%1), %%xmm0\n"
			 "	movdqu 16(%1), %%xmm1\n"
			 "	movdqu 32(%1), %%xmm2\n"
			 "	movdqu 48(%1), %%xmm3\n"
			 "	movdqu %%xmm0, (%0)\n"
			 "	movdqu %%xmm1, 16(%0)\n"
			 "	movdqu %%xmm2, 32(%0)\n"
			 "	movdqu %%xmm3, 48(%0)\n"
			 "	add $64, %0\n"
			 "	add $64, %1\n"
			 "	cmp %2, %1\n"
			 "	jne 1b\n"
			 : "+r"(to), "+r"(from)
			 : "r"(end)
			 : "memory", "cc");
}

static void copy_avx(void *to, const void *from, size_t size)
{
	const char *end = (const char *)from + size;

	__asm__ volatile("1:	vmovdqu (%1), %%ymm0\n"
			 "	vmovdqu 32(%1), %%ymm1\n"
			 "	vmovdqu %%ymm0, (%0)\n"
			 "	vmovdqu %%ymm1, 32(%0)\n"
			 "	add $64, %0\n"
			 "	add $64, %1\n"
			 "	cmp %2, %1\n"
			 "	jne 1b\n"
			 "	vzeroupper\n"
			 : "+r"(to), "+r"(from)
			 : "r"(end)
			 : "memory", "cc");
}

static const struct loop loops[] = {
	{ "registers", copy_registers, false }, { "rep-movsq", copy_movsq, false },
	{ "sse2", copy_sse2, false },		{ "rep-movsb", copy_movsb, false },
	{ "avx", copy_avx, true },
};

static uint8_t private_block[BLOCK_MAX] __attribute__((aligned(4096)));

static bool has_avx(void)
{
	uint32_t a = 1, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return c & 1u << 28;
}

/* Least time of several blocks, as thousandths of a GB/s: what the loop can do undisturbed. */
static uint64_t rate(const struct loop *loop, void *to, const void *from, uint64_t size)
{
	uint64_t best = UINT64_MAX, start, took;
	int i, k, repeat = (int)(BLOCK_MAX / size) + 1;

	for (i = 0; i < SAMPLES; i++) {
		start = floor_rdtsc();
		for (k = 0; k < repeat; k++)
			loop->copy(to, from, size);
		took = floor_rdtsc() - start;
		if (took < best)
			best = took;
	}
	return size * 1000000 / (floor_ticks_to_ps(best, (uint64_t)repeat) + 1);
}

static void run(struct floor_pair *pair)
{
	uint64_t size = floor_arg_number("size", 65536);
	uint8_t *region = pair->device.region + FLOOR_OFFSET_DATA;
	size_t i;

	if (!size || size % 256 || size > BLOCK_MAX ||
	    size + FLOOR_OFFSET_DATA > pair->device.region_size)
		floor_die("size=%lu: a multiple of 256, up to %u, in a region %u larger", size,
			  BLOCK_MAX, FLOOR_OFFSET_DATA);
	for (i = 0; i < size; i++)
		private_block[i] = (uint8_t)(i * 7 + (i >> 8));
	for (i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
		const struct loop *loop = &loops[i];
		uint64_t in, out;
		size_t k;

		if (loop->needs_avx && !has_avx())
			continue;
		for (k = 0; k < size; k++)
			region[k] = 0;
		in = rate(loop, region, private_block, size);
		for (k = 0; k < size; k++) {
			if (region[k] != private_block[k])
				floor_die("%s spoiled byte %lu", loop->name, (uint64_t)k);
		}
		out = rate(loop, private_block, region, size);
		floor_report_value("copy-in", loop->name, "GB/s", size, in);
		floor_report_value("copy-out", loop->name, "GB/s", size, out);
	}
}

const struct floor_bench floor_bench_copy = { "copy", false, false, run };

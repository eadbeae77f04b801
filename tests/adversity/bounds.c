// SPDX-License-Identifier: BSD-2-Clause
// See bounds.h.
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "tests/adversity/bounds.h"

#define MAPPINGS 32
#define BESIDE   (1u << 20)

unsigned bounds_lies;
uint64_t bounds_random = 1, bounds_lied;

// Of this thread: a region belongs to the thread that attached it.
static _Thread_local struct {
	const uint8_t *base;
	size_t len;
} mapping[MAPPINGS];

void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
	void *base = __real_mmap(at, len, protection, flags, fd, offset);
	unsigned i;

	if (base == MAP_FAILED || fd < 0 || !(flags & MAP_SHARED))
		return base;
	for (i = 0; i < MAPPINGS && mapping[i].base; i++)
		;
	if (i == MAPPINGS)
		abort();
	mapping[i].base = base;
	mapping[i].len = len;
	return base;
}

int __wrap_munmap(void *at, size_t len)
{
	unsigned i;

	for (i = 0; i < MAPPINGS; i++)
		if (mapping[i].base == at)
			mapping[i].base = NULL;
	return __real_munmap(at, len);
}

void bounds_check(const void *p, size_t len, size_t align)
{
	unsigned i;

	for (i = 0; i < MAPPINGS; i++) {
		size_t at = (size_t)((const uint8_t *)p - mapping[i].base);

		if (mapping[i].base && at <= mapping[i].len && len <= mapping[i].len - at &&
			at % align == 0)
			return;
	}
	fprintf(stderr, "%zu bytes at %p, aligned to %zu, are not of the region\n", len, p, align);
	abort();
}

void bounds_check_copy(const void *p, size_t len)
{
	const uint8_t *from = p;
	unsigned i;

	for (i = 0; i < MAPPINGS; i++)
		if (mapping[i].base && from + len + BESIDE > mapping[i].base &&
			from < mapping[i].base + mapping[i].len + BESIDE) {
			bounds_check(p, len, 1);
			return;
		}
}

uint64_t bounds_seen(uint64_t value)
{
	uint64_t r;

	if (!bounds_lies)
		return value;
	r = bounds_random = bounds_random * 6364136223846793005u + 1442695040888963407u;
	if ((r >> 33) % bounds_lies)
		return value;
	bounds_lied++;
	switch (r >> 61) {
	case 0: return r << 20;
	case 1: return value ^ 1ull << (r >> 20 & 63);
	case 2: return value + (r >> 20 & 0xfff) - 2048;
	case 3: return (r >> 20 & 7);
	case 4: return value & UINT32_MAX;
	case 5: return UINT64_MAX;
	case 6: return value + (1ull << 32);
	}
	return (r >> 20 & 0xffff) << 4;
}

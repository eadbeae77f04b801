// SPDX-License-Identifier: BSD-2-Clause
#include "size.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int digit_value(char c, unsigned int base)
{
	int value;

	if (c >= '0' && c <= '9')
		value = c - '0';
	else if (c >= 'a' && c <= 'f')
		value = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		value = c - 'A' + 10;
	else
		return -1;
	return value < (int)base ? value : -1;
}

/* Powers of 1024, or -1 for what isn't a suffix. */
static int suffix_power(char c)
{
	static const char suffixes[] = "bkmgtpe";
	const char *found;

	if (c >= 'A' && c <= 'Z')
		c += 'a' - 'A';
	found = c ? strchr(suffixes, c) : NULL;
	return found ? (int)(found - suffixes) : -1;
}

int size_parse(const char *text, uint64_t *bytes)
{
	unsigned int base = 10;
	uint64_t whole = 0, fraction = 0, scale = 1, unit = 1;
	bool fits = true, has_fraction = false;
	int digit, power = 0;
	unsigned __int128 sum;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	}
	if (digit_value(*text, base) < 0)
		return -EINVAL;
	for (; (digit = digit_value(*text, base)) >= 0; text++) {
		if (__builtin_mul_overflow(whole, base, &whole) ||
			__builtin_add_overflow(whole, (uint64_t)digit, &whole))
			fits = false;
	}
	if (*text == '.' && base == 10) {
		has_fraction = true;
		if (digit_value(*++text, 10) < 0)
			return -EINVAL;
		for (; (digit = digit_value(*text, 10)) >= 0; text++) {
			if (scale >= UINT64_C(1000000000000000000))
				continue; /* below the last digit that could count */
			fraction = fraction * 10 + (unsigned int)digit;
			scale *= 10;
		}
	}
	if (*text) {
		power = suffix_power(*text++);
		if (power < 0 || *text)
			return -EINVAL;
	}
	if (has_fraction && power == 0)
		return -EINVAL; /* no such thing as half a byte */
	unit <<= 10 * power;
	sum = (unsigned __int128)whole * unit + (unsigned __int128)fraction * unit / scale;
	if (!fits || sum > UINT64_MAX)
		return -ERANGE;
	*bytes = (uint64_t)sum;
	return 0;
}

uint64_t size_round(uint64_t bytes)
{
	uint64_t size = SIZE_SMALLEST;

	if (bytes == 0 || bytes > SIZE_LARGEST)
		return 0;
	while (size < bytes)
		size <<= 1;
	return size;
}

char *size_format(uint64_t bytes, char text[32])
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned int unit = 0;

	while (bytes >= 1024 && bytes % 1024 == 0 && unit < 6) {
		bytes /= 1024;
		unit++;
	}
	snprintf(text, 32, "%" PRIu64 " %s", bytes, units[unit]);
	return text;
}

// SPDX-License-Identifier: BSD-2-Clause
// The command line: one word that names the benchmark, then key=number.

#include "bench/floor/floor.h"

static char words[512];
static size_t length;

/* Copies the line, since it lies in memory that nobody has promised to leave alone. */
void floor_args_init(const char *line)
{
	for (length = 0; line && line[length] && length < sizeof(words) - 1; length++)
		words[length] = line[length] == ' ' ? '\0' : line[length];
}

const char *floor_arg_word(void)
{
	return words;
}

uint64_t floor_arg_number(const char *key, uint64_t fallback)
{
	uint64_t value = 0;
	size_t i, k;

	for (i = 0; i < length; i++) {
		if (i && words[i - 1])
			continue;
		for (k = 0; key[k] && words[i + k] == key[k]; k++)
			;
		if (key[k] || words[i + k] != '=')
			continue;
		for (k += i + 1; words[k]; k++) {
			if (words[k] < '0' || words[k] > '9')
				floor_die("argument %s wants a decimal number", key);
			value = value * 10 + (uint64_t)(words[k] - '0');
		}
		return value;
	}
	return fallback;
}

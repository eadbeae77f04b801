// SPDX-License-Identifier: BSD-2-Clause
/* newlib on this runtime: what an app takes for granted. */
#include <errno.h>
#include <inttypes.h>
#include <isthmus/clock.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "tests/guest/check.h"

static int constructed, ended_in_order;

__attribute__((constructor)) static void construct(void)
{
	constructed = 42;
}

static int prints(const char *expected, const char *format, ...)
{
	char text[200];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (strcmp(text, expected) == 0)
		return 1;
	printf("got \"%s\", expected \"%s\"\n", text, expected);
	return 0;
}

static void check_printf(void)
{
	CHECK(prints("3.14159 -1e+100 0.1", "%g %g %g", 3.14159, -1e100, 0.1));
	CHECK(prints("2.718281828459045", "%.15f", M_E));
	CHECK(prints("inf nan -0.0", "%g %g %.1f", HUGE_VAL, nan(""), -0.0));
	CHECK(prints("0x1.8p+1", "%a", 3.0));
	CHECK(prints("18446744073709551615 -9223372036854775808", "%" PRIu64 " %" PRId64,
		UINT64_MAX, INT64_MIN));
	CHECK(prints("12345 -1 7", "%zu %td %jd", (size_t)12345, (ptrdiff_t)-1, (intmax_t)7));
	CHECK(prints("[   ab] [ab   ] [00042] [2a]", "[%5s] [%-5s] [%05d] [%hhx]", "ab", "ab", 42,
		42));
}

static void check_scan(void)
{
	double d = 0;
	int i = 0;
	char word[8] = "";

	CHECK(sscanf("17 2.5e3 hello", "%d %lf %7s", &i, &d, word) == 3);
	CHECK(i == 17 && d == 2500.0 && strcmp(word, "hello") == 0);
	CHECK(strtod("1.7976931348623157e308", NULL) == 1.7976931348623157e308);
	CHECK(strtoull("ffffffffffffffff", NULL, 16) == UINT64_MAX);
	errno = 0;
	CHECK(strtol("99999999999999999999", NULL, 10) == INT64_MAX && errno == ERANGE);
}

static uint32_t seed = 1;

static uint32_t next_random(void)
{
	seed = seed * 1664525 + 1013904223;
	return seed >> 8;
}

/* Blocks of all sizes, each filled with a pattern of its own that must be there when it goes. */
static void check_malloc(void)
{
	enum { BLOCKS = 200, ROUNDS = 20000 };
	static struct { uint8_t *at; size_t size; } block[BLOCKS];
	int spoilt = 0, refused = 0;

	for (int round = 0; round < ROUNDS; round++) {
		unsigned n = next_random() % BLOCKS;
		size_t size = 1 + next_random() % (round % 50 ? 500 : 50000);

		for (size_t i = 0; i < block[n].size; i += 97)
			spoilt += block[n].at[i] != (uint8_t)(n + i);
		free(block[n].at);
		block[n].at = malloc(size);
		block[n].size = block[n].at ? size : 0;
		refused += !block[n].at;
		for (size_t i = 0; i < block[n].size; i++)
			block[n].at[i] = (uint8_t)(n + i);
	}
	for (int n = 0; n < BLOCKS; n++)
		free(block[n].at);
	CHECK(spoilt == 0);
	CHECK(refused == 0);
	CHECK(malloc((size_t)1 << 46) == NULL && errno == ENOMEM);

	/* The heap shrinks and grows again; what calloc() gives must be zero all the same. */
	uint8_t *big = malloc(4 << 20);

	CHECK(big != NULL);
	memset(big, 0xff, 4 << 20);
	free(big);
	big = calloc(5 << 20, 1);
	CHECK(big != NULL);
	spoilt = 0;
	for (size_t i = 0; big && i < 5 << 20; i++)
		spoilt += big[i];
	CHECK(spoilt == 0);
	big = realloc(big, 6 << 20);
	CHECK(big && big[5 << 20 >> 1] == 0);
	free(big);
}

static int by_value(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void check_qsort(void)
{
	static int numbers[10000];
	int unordered = 0;

	for (int i = 0; i < 10000; i++)
		numbers[i] = (int)next_random() - (1 << 23);
	qsort(numbers, 10000, sizeof(int), by_value);
	for (int i = 1; i < 10000; i++)
		unordered += numbers[i - 1] > numbers[i];
	CHECK(unordered == 0);
}

static void check_time(void)
{
	struct timespec before, after;
	uint64_t start = clock_now_ns();
	clock_t clocks = clock();

	CHECK(clock_gettime(CLOCK_MONOTONIC, &before) == 0);
	CHECK(nanosleep(&(struct timespec){ 0, 20000000 }, NULL) == 0);
	CHECK(usleep(10000) == 0);
	CHECK(clock_gettime(CLOCK_MONOTONIC, &after) == 0);
	CHECK(clock_now_ns() - start >= 30000000);
	CHECK((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec >=
		before.tv_nsec + 30000000);
	CHECK(clock() - clocks >= CLOCKS_PER_SEC * 3 / 100);
	CHECK(nanosleep(&(struct timespec){ 0, -1 }, NULL) == -1 && errno == EINVAL);
	CHECK(clock_gettime((clockid_t)77, &before) == -1 && errno == EINVAL);

	time_t now = time(NULL);
	struct tm *utc = gmtime(&now);
	char text[40];

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", utc);
	printf("TIME %s\n", text);
}

static void check_files(void)
{
	CHECK(fopen("/etc/passwd", "r") == NULL && errno == ENOENT);
	CHECK(isatty(1) && !isatty(5));
	CHECK(lseek(1, 0, SEEK_SET) == -1 && errno == ESPIPE);
	CHECK(write(7, "x", 1) == -1 && errno == EBADF);
	CHECK(setenv("ISTHMUS", "1", 1) == 0 && strcmp(getenv("ISTHMUS"), "1") == 0);
}

static void first(void)
{
	printf("%s", ended_in_order ? "atexit in order" : "atexit out of order");
}

static void second(void)
{
	ended_in_order = 1;
}

int main(void)
{
	CHECK(constructed == 42);
	check_printf();
	check_scan();
	check_malloc();
	check_qsort();
	check_time();
	check_files();
	CHECK(fabs(sin(1.0) - 0.8414709848078965) < 1e-15 && sqrt(2.0) == 1.4142135623730951);
	atexit(first);	/* runs last, and ends its output in mid-line, which exit() must flush */
	atexit(second);
	return check_end();
}

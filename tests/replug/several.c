// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two devices that come and go: each keeps its index. several native|acpi. The first word of a region tells
 * which one it is.
 */
#include <errno.h>
#include <string.h>
#include <isthmus/clock.h>
#include <isthmus/ivshmem.h>
#include <isthmus/pci.h>
#include "tests/guest/check.h"

#define S 1000000000ull
#define MS 1000000ull

static volatile uint64_t *first_word(struct ivshmem *device)
{
	return ivshmem_region(device);
}

static void native(struct ivshmem *first, struct ivshmem *second)
{
	uint64_t end = clock_now_ns() + 60 * S;

	while (!ivshmem_is_gone(first) && clock_now_ns() < end)
		clock_sleep_until(clock_now_ns() + 20 * MS);
	ivshmem_close(first);
	CHECK(ivshmem_open(0, &first) == -ENODEV);
	CHECK(ivshmem_count() == 2);
	CHECK(*first_word(second) == 2);
	printf("second alone\n");
	CHECK(!ivshmem_await(0, clock_now_ns() + 60 * S));
	CHECK_OR_END_VOID(!ivshmem_open(0, &first));
	CHECK(*first_word(first) == 1);
	CHECK(*first_word(second) == 2);
	printf("both again\n");
}

int main(int argc, char **argv)
{
	struct ivshmem *first, *second;

	CHECK_OR_END(!ivshmem_open(0, &first));
	CHECK(ivshmem_count() == 1);
	*first_word(first) = 1;
	printf("first alone\n");
	CHECK(!ivshmem_await(1, clock_now_ns() + 60 * S));
	CHECK_OR_END(!ivshmem_open(1, &second));
	CHECK(*first_word(second) == 0);
	*first_word(second) = 2;
	printf("both\n");
	if (argc > 1 && !strcmp(argv[1], "native"))
		native(first, second);
	CHECK(getchar() == 'q');
	CHECK(!ivshmem_is_leaving(second));
	CHECK(*first_word(first) == 1 && *first_word(second) == 2);
	return check_end();
}

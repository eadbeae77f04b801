// SPDX-License-Identifier: BSD-2-Clause
/*
 * The bare device, unplugged and plugged again: bare ROUNDS [held|stubborn|late|moves].
 *
 * Each round rings its own doorbell while it is there, then waits for the unplug: without interest
 * the wait ends with -ENODEV; "held" keeps the device for a while and closes it itself,
 * "stubborn" doesn't.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <isthmus/clock.h>
#include <isthmus/ivshmem.h>
#include <isthmus/pci.h>
#include "tests/guest/check.h"

#define S 1000000000ull
#define MS 1000000ull
#define DELAY (300 * MS)

static volatile unsigned int asked;
static volatile uint64_t asked_ns; /* for the first time */
static bool late;  /* the server waits with the vectors until we have said that we miss them */
static bool moves; /* the next device may come at once: somebody moves this guest */

static void on_asked(void *arg)
{
	(void)arg;
	if (!asked)
		asked_ns = clock_now_ns();
	asked++;
}

static void ring_self(struct ivshmem *device)
{
	uint64_t seen = 0;

	if (!ivshmem_has_doorbell(device))
		return;
	CHECK(ivshmem_await_doorbell(device, 99, 0) == -EINVAL);
	CHECK(!ivshmem_set_handler(device, 0, NULL, NULL, 0));
	if (late) {
		/* Its QEMU doesn't know its vectors yet: no ring arrives, however long one waits. */
		ivshmem_notify(device, ivshmem_id(device), 0);
		CHECK(ivshmem_wait(device, 0, &seen, clock_now_ns() + 100 * MS) == -ETIMEDOUT);
		CHECK(ivshmem_await_doorbell(device, 0, clock_now_ns() + 100 * MS) == -ETIMEDOUT);
		printf("unheard\n");
	}
	CHECK(!ivshmem_await_doorbell(device, 0, clock_now_ns() + 20 * S));
	clock_sleep_until(clock_now_ns() + 20 * MS);
	seen = ivshmem_interrupts(device, 0);
	for (int i = 0; i < 3; i++) {
		ivshmem_notify(device, ivshmem_id(device), 0);
		CHECK(!ivshmem_wait(device, 0, &seen, clock_now_ns() + 20 * S));
	}
}

static void wait_unplug(struct ivshmem *device)
{
	uint64_t seen = ivshmem_interrupts(device, 0), end = clock_now_ns() + 60 * S;
	int error = -ETIMEDOUT;

	while (clock_now_ns() < end && error != -ENODEV && !ivshmem_is_gone(device) && !asked) {
		if (ivshmem_has_doorbell(device))
			error = ivshmem_wait(device, 0, &seen, clock_now_ns() + 50 * MS);
		else
			clock_sleep_until(clock_now_ns() + 50 * MS);
	}
}

static void let_go(struct ivshmem *device, volatile uint64_t *word)
{
	uint64_t start = clock_now_ns();

	CHECK(asked == 1);
	CHECK(ivshmem_is_leaving(device));
	CHECK(!ivshmem_delay_unplug(device, start + 5 * S));
	while (clock_now_ns() < start + DELAY) {
		*word = clock_now_ns();
		CHECK(*word >= start); /* it is still there */
		clock_sleep_until(clock_now_ns() + 20 * MS);
	}
	CHECK(!ivshmem_is_gone(device));
}

/* An app that asked to be told and never lets go: the device is taken off in time. */
static void be_stubborn(struct ivshmem *device)
{
	uint64_t end = clock_now_ns() + 60 * S;

	while (!ivshmem_is_gone(device) && clock_now_ns() < end)
		clock_sleep_until(clock_now_ns() + 50 * MS);
	CHECK(ivshmem_is_gone(device));
	CHECK(clock_now_ns() - asked_ns >= IVSHMEM_UNPLUG_GRACE_NS / 2);
	CHECK(asked == 2);
}

static void round_trip(const char *way)
{
	struct ivshmem *device = NULL;
	volatile uint64_t *word;
	bool interested = *way && !late && !moves;

	CHECK_OR_END_VOID(!ivshmem_await(0, clock_now_ns() + 60 * S));
	CHECK_OR_END_VOID(!ivshmem_open(0, &device));
	word = (volatile uint64_t *)ivshmem_region(device);
	word += ivshmem_size(device) / 8 - 1;
	asked = 0;
	if (interested)
		ivshmem_on_unplug(device, on_asked, NULL);
	ring_self(device);
	*word = 0x1122334455667788;
	CHECK(*word == 0x1122334455667788);
	printf("ready\n");
	wait_unplug(device);
	if (!strcmp(way, "held"))
		let_go(device, word);
	else if (interested)
		be_stubborn(device);
	else
		CHECK(ivshmem_is_gone(device));
	ivshmem_close(device);
	if (!moves) {
		CHECK(ivshmem_await(0, 0) == -EAGAIN);
		CHECK(ivshmem_open(0, &device) == -ENODEV);
	}
	printf("closed\n");
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1;

	moves = argc > 2 && !strcmp(argv[2], "moves");
	late = argc > 2 && !strcmp(argv[2], "late");

	for (int i = 0; i < rounds; i++)
		round_trip(argc > 2 ? argv[2] : "");
	CHECK(!ivshmem_await(0, clock_now_ns() + 60 * S));
	/* QEMU must not end before it has answered its monitor. */
	CHECK(getchar() == 'q');
	return check_end();
}

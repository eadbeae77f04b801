// SPDX-License-Identifier: BSD-2-Clause
/*
 * MSI-X through the driver, with the device's own doorbell: binding, masks, what is lost and what is kept,
 * vectors that entries share, interrupts sent to other CPUs. Needs an ivshmem-doorbell with as many vectors
 * as its first argument says, and as many CPUs as its second (1 without it).
 */
#include <errno.h>
#include <stdlib.h>
#include <isthmus/clock.h>
#include <isthmus/cpu.h>
#include <isthmus/ivshmem.h>
#include <isthmus/pci.h>
#include "cpu/vectors.h"
#include "tests/guest/check.h"

#define SOON_NS 5000000000ull
#define QUIET_NS 30000000ull

static volatile unsigned int calls[IVSHMEM_VECTORS_MAX];
static volatile double floating;

static void count_call(void *arg)
{
	calls[(uintptr_t)arg]++;
}

/* Would fault or spoil the interrupted program's registers if its state were not saved. */
static void count_floating(void *arg)
{
	floating = floating * 1.5 + 1.0;
	count_call(arg);
}

static bool called(unsigned int n, unsigned int times)
{
	uint64_t limit = clock_now_ns() + SOON_NS;

	while (calls[n] < times && clock_now_ns() < limit)
		clock_sleep_until(clock_now_ns() + 1000000);
	return calls[n] >= times;
}

static void stay_quiet(void)
{
	clock_sleep_until(clock_now_ns() + QUIET_NS);
}

static bool pending(struct pci_device *pci, unsigned int n)
{
	uint64_t limit = clock_now_ns() + SOON_NS;

	while (!pci_msix_pending(pci, n) && clock_now_ns() < limit)
		clock_sleep_until(clock_now_ns() + 1000000);
	return pci_msix_pending(pci, n);
}

static void ring(struct ivshmem *device, unsigned int n)
{
	ivshmem_notify(device, ivshmem_id(device), (uint16_t)n);
}

static void *argument(unsigned int n)
{
	return (void *)(uintptr_t)n;
}

/* From init on a ring is kept until somebody wants it. */
static void test_bind(struct ivshmem *device, struct pci_device *pci)
{
	unsigned int available = vector_available();

	calls[0] = 0;
	ring(device, 0);
	CHECK(pending(pci, 0));
	CHECK(pci_msix_is_masked(pci, 0));
	CHECK(pci_msix_vector(pci, 0) == -1);
	CHECK(pci_msix_bind(pci, 0, count_call, argument(0), 0) == 0);
	CHECK(vector_available() == available - 1);
	CHECK(pci_msix_vector(pci, 0) >= VECTOR_FIRST && pci_msix_vector(pci, 0) <= VECTOR_LAST);
	CHECK(calls[0] == 0);
	pci_msix_unmask(pci, 0);
	CHECK(called(0, 1));
	CHECK(!pci_msix_pending(pci, 0));

	/* Bound anew: the old handler is out. */
	CHECK(pci_msix_bind(pci, 0, count_floating, argument(1), VECTOR_SAVES_FPU) == 0);
	CHECK(vector_available() == available - 1);
	CHECK(pci_msix_is_masked(pci, 0));
	pci_msix_unmask(pci, 0);
	calls[1] = 0;
	ring(device, 0);
	CHECK(called(1, 1));
	CHECK(calls[0] == 1);

	/* Unbound: kept again, until the next one binds. */
	pci_msix_unbind(pci, 0);
	CHECK(vector_available() == available);
	ring(device, 0);
	CHECK(pending(pci, 0));
	CHECK(pci_msix_bind(pci, 0, count_call, argument(0), 0) == 0);
	pci_msix_unmask(pci, 0);
	CHECK(called(0, 2));
	pci_msix_unbind(pci, 0);

	CHECK(pci_msix_bind(pci, pci->msix.entries, count_call, NULL, 0) == -EINVAL);
	CHECK(pci_msix_bind(pci, 0, NULL, NULL, 0) == -EINVAL);
	CHECK(!pci_msix_pending(pci, pci->msix.entries));
}

/* Floating point of the interrupted program survives handlers that use it. */
static void test_floating(struct ivshmem *device, struct pci_device *pci)
{
	volatile double third = 1.0 / 3;
	double sum = 0, want = 0;
	unsigned int rounds = 0;
	uint64_t limit = clock_now_ns() + SOON_NS;

	calls[0] = 0;
	CHECK(pci_msix_bind(pci, 0, count_floating, argument(0), VECTOR_SAVES_FPU) == 0);
	pci_msix_unmask(pci, 0);
	while (calls[0] < 50 && clock_now_ns() < limit) {
		ring(device, 0);
		for (int i = 0; i < 2000; i++)
			sum += third * i;
		rounds++;
		clock_sleep_until(clock_now_ns() + 100000);
	}
	for (unsigned int r = 0; r < rounds; r++) {
		for (int i = 0; i < 2000; i++)
			want += third * i;
	}
	CHECK(calls[0] >= 50);
	CHECK(sum == want);
	pci_msix_unbind(pci, 0);
}

static void test_masks(struct ivshmem *device, struct pci_device *pci, unsigned int n)
{
	calls[n] = 0;
	CHECK(pci_msix_bind(pci, n, count_call, argument(n), 0) == 0);
	pci_msix_unmask(pci, n);
	ring(device, n);
	CHECK(called(n, 1));

	pci_msix_mask(pci, n);
	ring(device, n);
	CHECK(pending(pci, n));
	CHECK(calls[n] == 1);

	/* Both masks: either one holds it back. */
	pci_msix_mask_function(pci, true);
	pci_msix_unmask(pci, n);
	stay_quiet();
	CHECK(calls[n] == 1 && pci_msix_pending(pci, n));
	pci_msix_mask(pci, n);
	pci_msix_mask_function(pci, false);
	stay_quiet();
	CHECK(calls[n] == 1 && pci_msix_pending(pci, n));
	pci_msix_unmask(pci, n);
	CHECK(called(n, 2));
	stay_quiet();
	CHECK(calls[n] == 2);
	pci_msix_unbind(pci, n);
}

/* All entries bound: those beyond the CPU's vectors share, and every handler is called. */
static void test_all(struct ivshmem *device, struct pci_device *pci, unsigned int count)
{
	unsigned int available = vector_available(), shared = 0;

	for (unsigned int n = 0; n < count; n++) {
		calls[n] = 0;
		CHECK(pci_msix_bind(pci, n, count_call, argument(n), 0) == 0);
	}
	for (unsigned int n = 0; n < count; n++) {
		CHECK(pci_msix_vector(pci, n) >= VECTOR_FIRST);
		for (unsigned int m = 0; m < n; m++)
			shared += pci_msix_vector(pci, m) == pci_msix_vector(pci, n);
	}
	CHECK(shared == (count > available ? count - available : 0));
	CHECK(vector_available() == (count > available ? 0 : available - count));
	for (unsigned int n = 0; n < count; n++) {
		unsigned int before = calls[n];

		pci_msix_unmask(pci, n);
		ring(device, n);
		CHECK(called(n, before + 1));
	}
	for (unsigned int n = 0; n < count; n++)
		pci_msix_unbind(pci, n);
	CHECK(vector_available() == available);
}

/* Off: what comes now is lost; a new init starts with nothing pending and all masked. */
static void test_disable(struct ivshmem *device, struct pci_device *pci, unsigned int count)
{
	unsigned int available = vector_available();

	calls[0] = 0;
	CHECK(pci_msix_bind(pci, 0, count_call, argument(0), 0) == 0);
	pci_msix_unmask(pci, 0);
	pci_msix_disable(pci);
	CHECK(vector_available() == available);
	CHECK(pci_msix_vector(pci, 0) == -1);
	ring(device, 0);
	stay_quiet();
	CHECK(pci_msix_init(pci) == (int)count);
	CHECK(pci_msix_init(pci) == (int)count);
	CHECK(pci_msix_is_masked(pci, count - 1));
	CHECK(pci_msix_bind(pci, 0, count_call, argument(0), 0) == 0);
	pci_msix_unmask(pci, 0);
	ring(device, 0);
	CHECK(called(0, 1));
	pci_msix_unbind(pci, 0);
}

static volatile unsigned int came_to;

static void note_cpu(void *arg)
{
	came_to = cpu_index();
	count_call(arg);
}

static volatile bool release;

static void stay_up(void *arg)
{
	(void)arg;
	while (!release)
		clock_sleep_until(clock_now_ns() + 1000000);
}

static struct {
	struct ivshmem *device;
	volatile int result;
	volatile bool bound;
} waiter;

/* Another CPU takes a vector for itself and sleeps until it is rung. */
static void wait_there(void *arg)
{
	unsigned int n = (unsigned int)(uintptr_t)arg;
	uint64_t seen = 0;

	waiter.result = ivshmem_set_handler(waiter.device, n, NULL, NULL, 0);
	waiter.bound = true;
	if (waiter.result == 0)
		waiter.result = ivshmem_wait(waiter.device, n, &seen, clock_now_ns() + 4 * SOON_NS);
}

/* Interrupts go where they are sent, masked or not, and what is pending goes along. */
static void test_cpus(struct ivshmem *device, struct pci_device *pci, unsigned int cpus)
{
	int cpu = 0;

	CHECK_OR_END_VOID(cpu_count() == cpus);
	CHECK(pci_msix_bind(pci, 0, note_cpu, argument(0), 0) == 0);
	CHECK(pci_msix_set_cpu(pci, 0, 1) == -EINVAL); /* not up yet */
	for (unsigned int c = 1; c < cpus; c++)
		CHECK(cpu_start(stay_up, NULL) == (int)c);
	calls[0] = 0;
	for (unsigned int c = cpus; c-- > 0;) {
		unsigned int before = calls[0];

		CHECK(pci_msix_set_cpu(pci, 0, c) == 0);
		CHECK(pci_msix_is_masked(pci, 0));
		ring(device, 0);
		CHECK(pending(pci, 0));
		pci_msix_unmask(pci, 0);
		CHECK(called(0, before + 1) && came_to == c);
		CHECK(pci_msix_set_cpu(pci, 0, (c + 1) % cpus) == 0);
		CHECK(!pci_msix_is_masked(pci, 0));
		ring(device, 0);
		CHECK(called(0, before + 2) && came_to == (c + 1) % cpus);
		pci_msix_mask(pci, 0);
	}
	CHECK(pci_msix_set_cpu(pci, 0, cpus) == -EINVAL);
	pci_msix_unbind(pci, 0);
	CHECK(pci_msix_set_cpu(pci, 0, 0) == -EINVAL);
	release = true;
	for (unsigned int c = 1; c < cpus; c++)
		CHECK(cpu_wait(c) == 0);

	waiter.device = device;
	CHECK_OR_END_VOID((cpu = cpu_start(wait_there, argument(1))) > 0);
	while (!waiter.bound)
		clock_sleep_until(clock_now_ns() + 1000000);
	ring(device, 1);
	CHECK(cpu_wait((unsigned int)cpu) == 0);
	CHECK(waiter.result == 0);
	ivshmem_clear_handler(device, 1);
}

int main(int argc, char **argv)
{
	unsigned int count = argc > 1 ? (unsigned int)atoi(argv[1]) : 1;
	unsigned int cpus = argc > 2 ? (unsigned int)atoi(argv[2]) : 1;
	struct ivshmem *device;
	struct pci_device *pci;

	CHECK_OR_END(ivshmem_open(0, &device) == 0);
	CHECK_OR_END(ivshmem_vectors(device) == count);
	pci = ivshmem_pci(device);
	test_bind(device, pci);
	test_floating(device, pci);
	test_masks(device, pci, 0);
	test_masks(device, pci, count - 1);
	test_all(device, pci, count);
	test_disable(device, pci, count);
	if (cpus > 1)
		test_cpus(device, pci, cpus);
	return check_end();
}

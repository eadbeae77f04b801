// SPDX-License-Identifier: BSD-2-Clause
/*
 * A device tested with itself as the peer: a doorbell to one's own id comes back as an interrupt. The
 * region is written only where nobody else is: in its scratch area and, if it has never been formatted, at
 * its start.
 */
#include "apps/inspect.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <isthmus/clock.h>
#include <isthmus/scratch.h>

#define RING_TIMEOUT_NS 3000000000ull /* for what must come */
#define QUIET_NS 20000000ull	      /* for what must not come */
#define STEP_NS 1000000ull
#define WORDS 8			      /* written at each end of an area */

static void verdict(struct inspect_result *result, unsigned int index, bool pass, const char *format, ...)
{
	va_list arguments;

	printf("%s ivshmem %u: ", pass ? "PASS" : "FAIL", index);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	if (pass)
		result->passed++;
	else
		result->failed++;
}

static void ring_self(struct ivshmem *device, unsigned int vector)
{
	ivshmem_notify(device, ivshmem_id(device), (uint16_t)vector);
}

static bool interrupt_comes(struct ivshmem *device, unsigned int vector, uint64_t before)
{
	uint64_t seen = before;

	return !ivshmem_wait(device, vector, &seen, clock_now_ns() + RING_TIMEOUT_NS);
}

static bool pending_comes(struct ivshmem *device, unsigned int vector)
{
	uint64_t limit = clock_now_ns() + RING_TIMEOUT_NS;

	while (!pci_msix_pending(ivshmem_pci(device), vector)) {
		if (clock_now_ns() >= limit)
			return false;
		clock_sleep_until(clock_now_ns() + STEP_NS);
	}
	return true;
}

static uint64_t interrupts_of_others(const struct ivshmem *device, unsigned int vector)
{
	int cpu = pci_msix_vector(ivshmem_pci(device), vector);
	uint64_t sum = 0;

	/* Vectors that share this one's CPU vector are called with it. */
	for (unsigned int n = 0; n < ivshmem_vectors(device); n++) {
		if (pci_msix_vector(ivshmem_pci(device), n) != cpu)
			sum += ivshmem_interrupts(device, n);
	}
	return sum;
}

/* Each vector rings, and no other does. */
static void test_each_vector(unsigned int index, struct ivshmem *device, struct inspect_result *result)
{
	unsigned int count = ivshmem_vectors(device);

	for (unsigned int n = 0; n < count; n++) {
		uint64_t before = ivshmem_interrupts(device, n);
		uint64_t others = interrupts_of_others(device, n);

		ring_self(device, n);
		if (!interrupt_comes(device, n, before)) {
			verdict(result, index, false, "doorbell to itself, vector %u: no interrupt (does "
				"the server give that many?)", n);
			return;
		}
		if (interrupts_of_others(device, n) != others) {
			verdict(result, index, false, "doorbell to itself, vector %u: another one came", n);
			return;
		}
	}
	verdict(result, index, true, "doorbell to itself on each of %u vectors", count);
}

/* A ring to a masked vector is kept, and comes when the mask goes. */
static void test_masked(unsigned int index, struct ivshmem *device, struct inspect_result *result,
			unsigned int vector, bool whole)
{
	struct pci_device *pci = ivshmem_pci(device);
	const char *what = whole ? "all vectors masked at once" : "vector masked";
	uint64_t before = ivshmem_interrupts(device, vector);
	const char *wrong = NULL;

	if (whole)
		pci_msix_mask_function(pci, true);
	else
		ivshmem_mask(device, vector);
	ring_self(device, vector);
	if (!pending_comes(device, vector))
		wrong = "the ring doesn't show as pending";
	else if (ivshmem_interrupts(device, vector) != before)
		wrong = "the ring came through the mask";
	if (whole)
		pci_msix_mask_function(pci, false);
	else
		ivshmem_unmask(device, vector);
	if (!wrong && !interrupt_comes(device, vector, before))
		wrong = "the pending ring isn't delivered when the mask goes";
	clock_sleep_until(clock_now_ns() + QUIET_NS);
	if (!wrong && pci_msix_pending(pci, vector))
		wrong = "the ring is still pending after it was delivered";
	if (!wrong && ivshmem_interrupts(device, vector) != before + 1)
		wrong = "one ring became more than one interrupt";
	verdict(result, index, !wrong, "vector %u, %s: %s", vector, what,
		wrong ? wrong : "pending, delivered once when unmasked");
}

/* A ring to a vector that isn't there is ignored. Vector 256 would be 0 in some of QEMU's ways. */
static void test_absent_vector(unsigned int index, struct ivshmem *device, struct inspect_result *result)
{
	uint64_t before = 0, after = 0;

	if (ivshmem_vectors(device) >= IVSHMEM_VECTORS_MAX)
		return;
	for (unsigned int n = 0; n < ivshmem_vectors(device); n++)
		before += ivshmem_interrupts(device, n);
	ring_self(device, ivshmem_vectors(device));
	clock_sleep_until(clock_now_ns() + QUIET_NS);
	for (unsigned int n = 0; n < ivshmem_vectors(device); n++)
		after += ivshmem_interrupts(device, n);
	verdict(result, index, before == after, "doorbell to vector %u, which isn't there: %s",
		ivshmem_vectors(device), before == after ? "ignored" : "something came");
}

static bool area_holds(volatile uint64_t *area, uint64_t words)
{
	static const uint64_t patterns[] = { 0, ~0ull, 0xaaaaaaaaaaaaaaaaull, 0x0123456789abcdefull };
	bool good = true;

	for (size_t p = 0; p < sizeof(patterns) / sizeof(patterns[0]); p++) {
		for (uint64_t i = 0; i < words; i++)
			area[i] = patterns[p] ^ i;
		for (uint64_t i = 0; i < words; i++)
			good = good && area[i] == (patterns[p] ^ i);
	}
	return good;
}

static void test_area(unsigned int index, struct ivshmem *device, struct inspect_result *result,
		      uint64_t offset, const char *name)
{
	volatile uint64_t *area =
		(volatile uint64_t *)((uint8_t *)ivshmem_region(device) + offset);
	uint64_t saved[WORDS];
	bool good;

	for (unsigned int i = 0; i < WORDS; i++)
		saved[i] = area[i];
	good = area_holds(area, WORDS);
	for (unsigned int i = 0; i < WORDS; i++)
		area[i] = saved[i];
	for (unsigned int i = 0; i < WORDS; i++)
		good = good && area[i] == saved[i];
	verdict(result, index, good, "region holds what is written at its %s (offset 0x%llx)", name,
		(unsigned long long)offset);
}

static void test_region(unsigned int index, struct ivshmem *device, struct inspect_result *result)
{
	const volatile uint64_t *start = ivshmem_region(device);
	uint64_t size = ivshmem_size(device);
	uint64_t first = 0;

	for (unsigned int i = 0; i < WORDS; i++)
		first |= start[i];
	if (first)
		printf("NOTE ivshmem %u: the region is in use: only its scratch area is written\n", index);
	else
		test_area(index, device, result, 0, "start");
	if (size < 4096) {
		verdict(result, index, false, "the region has %llu bytes, less than a page",
			(unsigned long long)size);
		return;
	}
	test_area(index, device, result, scratch_offset(size), "scratch area");
	test_area(index, device, result, size - WORDS * sizeof(uint64_t), "end");
}

static void test_doorbell(unsigned int index, struct ivshmem *device, struct inspect_result *result)
{
	unsigned int count = ivshmem_vectors(device), last = count - 1;

	for (unsigned int n = 0; n < count; n++) {
		if (ivshmem_set_handler(device, n, NULL, NULL, 0)) {
			verdict(result, index, false, "vector %u can't be bound", n);
			return;
		}
	}
	test_each_vector(index, device, result);
	test_masked(index, device, result, 0, false);
	if (last)
		test_masked(index, device, result, last, false);
	test_masked(index, device, result, 0, true);
	test_absent_vector(index, device, result);
}

void inspect_test(unsigned int index, struct ivshmem *device, struct inspect_result *result)
{
	const char *type = ivshmem_memory_type(device);

	verdict(result, index, !strcmp(type, "write-back"), "the region's memory type is %s", type);
	test_region(index, device, result);
	if (ivshmem_has_doorbell(device))
		test_doorbell(index, device, result);
}

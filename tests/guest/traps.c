// SPDX-License-Identifier: BSD-2-Clause
// traps MODE: goes wrong in the way MODE names, and so must end in a panic that names it right.
// What the panic has to show is printed before, as "expect" lines; traps.py compares.
#include <isthmus/clock.h>
#include <isthmus/log.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cpu/irq.h"
#include "cpu/timer.h"
#include "log/sink.h"

#define FAULTS(x)                                                                                  \
	x(text_write) x(rodata_write) x(data_exec) x(null_read) x(null_write) x(null_call)         \
	x(divide) x(invalid) x(general_protection) x(stack_segment) x(selector) x(breakpoint)      \
	x(double)

#define DECLARE(name) void fault_##name(void);
FAULTS(DECLARE)
void traps_shorten_idt(void);
void traps_announce(uintptr_t stack_pointer, uintptr_t code);

struct raise {
	uint64_t vector; /* UINT64_MAX: the last */
	void (*fault)(void);
};

extern const struct raise traps_raise[];
extern uint8_t traps_bytes[], traps_short_idt[];
extern const uint64_t traps_constant;

/* From faults.S, before it loads the registers. */
void traps_announce(uintptr_t stack_pointer, uintptr_t code)
{
	printf("expect rsp %016lx\nexpect rip %016lx\n", stack_pointer, code);
	printf("expect data %016lx\nexpect constant %016lx\nexpect text %016lx\n",
	       (uintptr_t)traps_bytes, (uintptr_t)&traps_constant, (uintptr_t)fault_text_write);
	fflush(stdout);
}

/* Each call keeps some stack, and the compiler can't make a loop of it. */
__attribute__((noinline)) static unsigned use_up(unsigned depth)
{
	volatile uint8_t room[200];

	if (depth == 1u << 30)
		return 0;
	room[depth % sizeof(room)] = (uint8_t)depth;
	return use_up(depth + 1) + room[(depth + 1) % sizeof(room)];
}

__attribute__((noinline)) static void read_through(const volatile uint32_t *pointer)
{
	(void)*pointer;
}

static void handle_badly(void *arg)
{
	read_through(arg);
}

static void handle_endlessly(void *arg)
{
	use_up((unsigned)(uintptr_t)arg);
}

__attribute__((noinline)) static void wait_for_handler(void (*handler)(void *))
{
	struct timer timer = { .fire = handler, .arg = (void *)0x10 };

	timer_start(&timer, clock_now_ns() + 1000000);
	clock_sleep_until(clock_now_ns() + 5000000000);
	puts("the handler came back");
}

/* The console's own write function, and how often to fault instead of using it. */
static const struct log_sink *good_sink;
static int faults_left;

static void write_badly(const char *text, size_t size)
{
	if (faults_left != 0) {
		faults_left--;
		read_through((const volatile uint32_t *)0x20);
	}
	good_sink->write(text, size);
}

/* A panic whose first `count` lines fault; -1: all. */
static void panic_with_faults(int count)
{
	static struct log_sink sink;

	good_sink = log_get_sink();
	sink = *good_sink;
	sink.write = write_badly;
	faults_left = count;
	log_set_sink(&sink);
	panic("the first reason");
}

static void run_on_heap(void)
{
	void (*code)(void);
	uint8_t *heap = malloc(64);

	memset(heap, 0xc3, 64);
	memcpy(&code, &heap, sizeof(code));
	printf("expect heap %016lx\n", (uintptr_t)heap);
	fflush(stdout);
	code();
}

__attribute__((noinline)) static void large_frame(unsigned seed)
{
	volatile uint8_t room[3 << 20]; /* far beyond the stack, in one step */

	/* From the far end, where no guard page would be met. */
	for (unsigned i = 0; i < sizeof(room); i += 4096)
		room[i] = (uint8_t)(seed + i);
}

static void wait_for_nmi(void)
{
	puts("ready for NMI");
	fflush(stdout);
	for (;;)
		clock_sleep_until(clock_now_ns() + 1000000000);
}

static int run(const char *mode)
{
#define RUN(name)                                                                                  \
	if (strcmp(mode, #name) == 0) {                                                            \
		fault_##name();                                                                    \
		return 1;                                                                          \
	}
	traps_shorten_idt();
	FAULTS(RUN)
	if (strncmp(mode, "raise_", 6) == 0) {
		uint64_t vector = strtoul(mode + 6, NULL, 10);

		for (const struct raise *r = traps_raise; r->vector != UINT64_MAX; r++) {
			if (r->vector == vector)
				r->fault();
		}
		return 1;
	}
	if (strcmp(mode, "stack_overflow") == 0)
		return (int)use_up(0);
	if (strcmp(mode, "large_frame") == 0)
		large_frame((unsigned)(uintptr_t)mode);
	else if (strcmp(mode, "handler") == 0)
		wait_for_handler(handle_badly);
	else if (strcmp(mode, "handler_overflow") == 0)
		wait_for_handler(handle_endlessly);
	else if (strcmp(mode, "heap_exec") == 0)
		run_on_heap();
	else if (strcmp(mode, "nmi") == 0)
		wait_for_nmi();
	else if (strcmp(mode, "panic") == 0)
		panic("a reason with %s %d", "number", 42);
	else if (strcmp(mode, "panic_fault") == 0)
		panic_with_faults(1);
	else if (strcmp(mode, "panic_fault_twice") == 0)
		panic_with_faults(2);
	else if (strcmp(mode, "panic_fault_always") == 0)
		panic_with_faults(-1);
	else
		return 2;
	return 1;
}

int main(int argc, char **argv)
{
	int status = argc == 2 ? run(argv[1]) : 2;

	if (status == 2)
		printf("usage: traps MODE (see tests/guest/traps.c)\n");
	else
		printf("still alive\n");
	return status;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The floor: bare guests that show what the machine itself costs, so that the runtime can be held
 * against it. They are as small as correct code can be, and share nothing with the rooms of the
 * guest (no cpu/, no pci/, no ivshmem/, no C library).
 */
#ifndef BENCH_FLOOR_FLOOR_H
#define BENCH_FLOOR_FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOOR_CACHE_LINE 64
#define FLOOR_MAX_PEERS 64
#define FLOOR_MAX_SAMPLES 200000

/* The first page of the region: one line per peer id, then the line that the ball lies in. */
#define FLOOR_OFFSET_PEERS 0
#define FLOOR_OFFSET_BALL (FLOOR_MAX_PEERS * FLOOR_CACHE_LINE)
#define FLOOR_OFFSET_BARRIER (FLOOR_OFFSET_BALL + 4 * FLOOR_CACHE_LINE)
#define FLOOR_OFFSET_DATA 65536

/* The device as found; base addresses are identity-mapped physical ones. */
struct floor_device {
	volatile uint32_t *registers;
	uint8_t *region;
	uint64_t region_size;
	uint32_t id;
	bool has_doorbell;
};

/* Two guests that have found each other; rank 0 leads and reports. */
struct floor_pair {
	struct floor_device device;
	uint32_t peer;
	int rank;
	uint64_t barrier;
};

struct floor_bench {
	const char *name;
	bool needs_peer;
	bool needs_doorbell;
	void (*run)(struct floor_pair *pair);
};

extern volatile uint32_t floor_doorbells; /* interrupts of vector 0 so far */
extern volatile uint32_t floor_ticks;     /* timer interrupts so far */
extern uint64_t floor_tsc_khz;
extern uint64_t floor_samples[FLOOR_MAX_SAMPLES];

/* machine.c */
void floor_machine_init(void);
void floor_timer_every_us(uint32_t us);
void floor_sleep(void);
_Noreturn void floor_exit(int status);
_Noreturn void floor_fault(uint64_t vector, uint64_t a, uint64_t b);
bool floor_map(uint64_t base, uint64_t size);

static inline uint64_t floor_rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (uint64_t)high << 32 | low;
}

/* a * b / c through 128 bits; the quotient has to fit into 64. */
static inline uint64_t floor_muldiv(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t high;

	__asm__("mul %2; div %3" : "+a"(a), "=&d"(high) : "r"(b), "r"(c) : "cc");
	return a;
}

static inline uint64_t floor_ticks_to_ps(uint64_t ticks, uint64_t divisor)
{
	return floor_muldiv(ticks, 1000000000, floor_tsc_khz) / divisor;
}

/* print.c: a printf of %s, %u, %lu (uint64_t), %x (uint64_t), %m (uint64_t thousandths: 1.234). */
void floor_print(const char *format, ...);
_Noreturn void floor_die(const char *format, ...);

/* args.c */
void floor_args_init(const char *line);
const char *floor_arg_word(void);
uint64_t floor_arg_number(const char *key, uint64_t fallback);

/* pci.c */
bool floor_device_find(struct floor_device *device);

/* pair.c */
void floor_pair_meet(struct floor_pair *pair, bool doorbell);
void floor_pair_barrier(struct floor_pair *pair);
void floor_pair_ring(struct floor_pair *pair);

/* stats.c */
uint64_t floor_undisturbed(size_t count);
void floor_report(const char *name, const char *unit, uint64_t *samples, size_t count,
		  uint64_t round_trips);
void floor_report_value(const char *name, const char *metric, const char *unit, uint64_t bytes,
			uint64_t thousandths);

extern const struct floor_bench floor_bench_doorbell, floor_bench_flag, floor_bench_copy,
	floor_bench_ring;

#endif

// SPDX-License-Identifier: BSD-2-Clause
// The processor as the floor needs it: IDT, xAPIC, timer, TSC rate, sleep, exit.

#include "bench/floor/floor.h"
#include "bench/floor/port.h"

#define VECTOR_DOORBELL 0x40
#define VECTOR_TIMER 0x41
#define VECTOR_SPURIOUS 0xff

/* Intel SDM vol. 3, "APIC register address map". */
#define APIC_BASE 0xfee00000u
#define APIC_REG_SVR 0x0f0
#define APIC_REG_LVT_TIMER 0x320
#define APIC_REG_INITIAL_COUNT 0x380
#define APIC_REG_CURRENT_COUNT 0x390
#define APIC_REG_DIVIDE 0x3e0
#define APIC_DIVIDE_BY_1 0xb
#define APIC_DIVIDE_BY_16 0x3
#define APIC_LVT_MASKED (1u << 16)
#define APIC_LVT_PERIODIC (1u << 17)

/* IA-PC HPET specification 1.0a, 2.3. */
#define HPET_BASE 0xfed00000u
#define HPET_REG_CAPABILITIES 0x000
#define HPET_REG_CONFIGURATION 0x010
#define HPET_REG_COUNTER 0x0f0

#define EXIT_PORT 0xf4
#define CALIBRATION_PAIRS 20

struct idt_gate {
	uint16_t offset_low;
	uint16_t selector;
	uint16_t type;
	uint16_t offset_middle;
	uint32_t offset_high;
	uint32_t reserved;
};

struct clock_pair {
	uint64_t tsc;
	uint64_t clock;
	uint64_t width;
};

volatile uint32_t floor_doorbells;
volatile uint32_t floor_ticks;
uint64_t floor_tsc_khz;
uint64_t floor_samples[FLOOR_MAX_SAMPLES];

static struct idt_gate idt[256];
static uint64_t timer_hz;

extern char floor_doorbell_stub[], floor_timer_stub[], floor_spurious_stub[], floor_fault_stubs[];

static uint32_t apic_read(uint32_t reg)
{
	return *(volatile uint32_t *)(uintptr_t)(APIC_BASE + reg);
}

static void apic_write(uint32_t reg, uint32_t value)
{
	*(volatile uint32_t *)(uintptr_t)(APIC_BASE + reg) = value;
}

static uint32_t hpet_read(uint32_t reg)
{
	return *(volatile uint32_t *)(uintptr_t)(HPET_BASE + reg);
}

static void gate_set(unsigned int vector, const char *stub)
{
	uintptr_t at = (uintptr_t)stub;

	idt[vector] = (struct idt_gate){
		.offset_low = (uint16_t)at,
		.selector = 8,
		.type = 0x8e00,
		.offset_middle = (uint16_t)(at >> 16),
		.offset_high = (uint32_t)(at >> 32),
	};
}

static void idt_init(void)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} pointer = { sizeof(idt) - 1, (uintptr_t)idt };
	unsigned int i;

	for (i = 0; i < 32; i++)
		gate_set(i, floor_fault_stubs + 16 * i);
	gate_set(VECTOR_DOORBELL, floor_doorbell_stub);
	gate_set(VECTOR_TIMER, floor_timer_stub);
	gate_set(VECTOR_SPURIOUS, floor_spurious_stub);
	__asm__ volatile("lidt %0" ::"m"(pointer));
}

static bool hpet_present(void)
{
	uint32_t period = hpet_read(HPET_REG_CAPABILITIES + 4);

	/* Femtoseconds per tick; the specification allows up to 100 ns. All ones: no HPET. */
	if (!period || period > 100000000)
		return false;
	*(volatile uint32_t *)(uintptr_t)(HPET_BASE + HPET_REG_CONFIGURATION) |= 1;
	return true;
}

/* Of several readings bracketed by the TSC, the one with the narrowest bracket. */
static struct clock_pair pair_read(bool hpet)
{
	struct clock_pair best = { .width = UINT64_MAX };
	int i;

	for (i = 0; i < CALIBRATION_PAIRS; i++) {
		uint64_t before = floor_rdtsc();
		uint32_t now = hpet ? hpet_read(HPET_REG_COUNTER) :
				      0u - apic_read(APIC_REG_CURRENT_COUNT);
		uint64_t after = floor_rdtsc();

		if (after - before < best.width)
			best = (struct clock_pair){ before + (after - before) / 2, now,
						    after - before };
	}
	return best;
}

/*
 * TSC and local APIC timer rates. The HPET tells its own rate; without one, the timer is taken to
 * run at the 1 GHz that QEMU gives it.
 */
static void clock_init(void)
{
	bool hpet = hpet_present();
	uint64_t period_fs = hpet ? hpet_read(HPET_REG_CAPABILITIES + 4) : 1000000;
	struct clock_pair a, b;
	uint64_t ns;
	uint32_t timer;

	apic_write(APIC_REG_LVT_TIMER, APIC_LVT_MASKED | VECTOR_TIMER);
	apic_write(APIC_REG_DIVIDE, APIC_DIVIDE_BY_1);
	apic_write(APIC_REG_INITIAL_COUNT, UINT32_MAX);

	a = pair_read(hpet);
	timer = apic_read(APIC_REG_CURRENT_COUNT);
	do {
		b = pair_read(hpet);
		ns = (uint64_t)(uint32_t)(b.clock - a.clock) * period_fs / 1000000;
	} while (ns < 20000000);
	timer -= apic_read(APIC_REG_CURRENT_COUNT);

	floor_tsc_khz = (b.tsc - a.tsc) * 1000000 / ns;
	timer_hz = hpet ? (uint64_t)timer * 1000000000 / ns : 1000000000;
}

/* A tick every us microseconds from now on; 0 stops it. */
void floor_timer_every_us(uint32_t us)
{
	apic_write(APIC_REG_DIVIDE, APIC_DIVIDE_BY_16);
	apic_write(APIC_REG_LVT_TIMER, us ? APIC_LVT_PERIODIC | VECTOR_TIMER : APIC_LVT_MASKED);
	apic_write(APIC_REG_INITIAL_COUNT, (uint32_t)(timer_hz / 16 * us / 1000000));
}

/* Until the next interrupt. Called and left with interrupts off, so that none slips in between. */
void floor_sleep(void)
{
	__asm__ volatile("sti; hlt; cli" ::: "memory");
}

static void avx_enable(void)
{
	uint32_t a = 1, b, c = 0, d;
	uint64_t cr4;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	if (!(c & 1u << 26))
		return;
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" ::"r"(cr4 | 1u << 18));
	if (c & 1u << 28)
		__asm__ volatile("xsetbv" ::"a"(7), "c"(0), "d"(0));
}

void floor_machine_init(void)
{
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	idt_init();
	avx_enable();
	apic_write(APIC_REG_SVR, 0x100 | VECTOR_SPURIOUS);
	clock_init();
}

void floor_exit(int status)
{
	outl(EXIT_PORT, 16 + (uint32_t)status);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void floor_fault(uint64_t vector, uint64_t a, uint64_t b)
{
	floor_die("exception %lu, stack holds 0x%x 0x%x", vector, a, b);
}

/* Maps a range above 4 GiB to itself, in 2 MiB pages, which every 64-bit CPU has. */
bool floor_map(uint64_t base, uint64_t size)
{
	static uint64_t tables[64][512] __attribute__((aligned(4096)));
	static unsigned int used;
	extern uint64_t floor_pdpt[512];
	uint64_t at;

	for (at = base & ~0x1fffffULL; at < base + size; at += 0x200000) {
		uint64_t gib = at >> 30;

		if (gib >= 512)
			return false;
		if (!floor_pdpt[gib]) {
			if (used == 64)
				return false;
			floor_pdpt[gib] = (uintptr_t)tables[used++] | 3;
		}
		((uint64_t *)(uintptr_t)(floor_pdpt[gib] & ~0xfffULL))[at >> 21 & 511] = at | 0x83;
	}
	return true;
}

// SPDX-License-Identifier: BSD-2-Clause
// The local APIC. Registers are named by their xAPIC offsets; in x2APIC mode the same register is
// the MSR at 0x800 + offset / 16, which is all the difference there is for what is used here.
#include "cpu/apic.h"
#include <errno.h>
#include <isthmus/log.h>
#include <stddef.h>
#include "cpu/clock.h"
#include "cpu/cpuid.h"
#include "cpu/io.h"
#include "cpu/irq.h"
#include "cpu/msr.h"
#include "cpu/pic.h"
#include "cpu/vectors.h"

#define APIC_REG_ID 0x020 /* xAPIC: the id in bits 31:24 */
#define APIC_REG_VERSION 0x030 /* bits 23:16: highest LVT entry */
#define APIC_REG_TPR 0x080
#define APIC_REG_EOI 0x0b0
#define APIC_REG_SPURIOUS 0x0f0
#define   APIC_SPURIOUS_ENABLE (1u << 8)
#define APIC_REG_ISR(n) (0x100 + 0x10 * (n)) /* 8 registers of 32 vectors */
#define APIC_REG_ERROR 0x280
#define APIC_REG_LVT_CMCI 0x2f0
#define APIC_REG_LVT_TIMER 0x320
#define APIC_REG_LVT_THERMAL 0x330
#define APIC_REG_LVT_PERFORMANCE 0x340
#define APIC_REG_LVT_LINT0 0x350
#define APIC_REG_LVT_LINT1 0x360
#define APIC_REG_LVT_ERROR 0x370
#define   APIC_LVT_NMI (4u << 8)
#define   APIC_LVT_MASKED (1u << 16)
#define APIC_REG_TIMER_INITIAL 0x380
#define APIC_REG_TIMER_CURRENT 0x390
#define APIC_REG_TIMER_DIVIDE 0x3e0
#define   APIC_DIVIDE_BY_1 0x0b

#define APIC_BASE_ADDRESS_MASK 0x000ffffffffff000ull
#define FEATURE_EDX_APIC (1u << 9)

#define MSI_ADDRESS 0xfee00000u /* SDM volume 3, "Message Address Register Format" */

#define NS_PER_S 1000000000ull

static volatile uint8_t *registers;
static bool x2apic;
static bool ready;
static uint64_t timer_hz;
static uint64_t errors;
static uint64_t spurious;
static void (*timer_handler)(void *arg);
static void *timer_handler_arg;

static uint32_t read(unsigned offset)
{
	if (x2apic)
		return (uint32_t)msr_read(MSR_REG_X2APIC(offset));
	return mmio_read32(registers + offset);
}

static void write(unsigned offset, uint32_t value)
{
	if (x2apic)
		msr_write(MSR_REG_X2APIC(offset), value);
	else
		mmio_write32(registers + offset, value);
}

static void handle_timer(void *arg)
{
	(void)arg;
	if (timer_handler != NULL)
		timer_handler(timer_handler_arg);
}

static void handle_error(void *arg)
{
	uint32_t status;

	(void)arg;
	write(APIC_REG_ERROR, 0); /* loads what has gathered since the last write */
	status = read(APIC_REG_ERROR);
	if (errors++ == 0)
		log_warn("cpu: the local APIC reports error 0x%x; more are only counted", status);
}

static void handle_spurious(void *arg)
{
	(void)arg;
	spurious++;
}

uint64_t apic_physical_base(void)
{
	if (!(cpuid(1, 0).edx & FEATURE_EDX_APIC))
		return 0;
	return msr_read(MSR_REG_APIC_BASE) & APIC_BASE_ADDRESS_MASK;
}

/* What firmware left in service would hold back everything of lower priority for ever. */
static void end_all(void)
{
	for (int n = 0; n < 256; n++) {
		uint32_t in_service = 0;

		for (unsigned i = 0; i < 8; i++)
			in_service |= read(APIC_REG_ISR(i));
		if (in_service == 0)
			return;
		apic_end_interrupt();
	}
}

/* This CPU's APIC alone; what there is once is apic_init()'s. */
static void init_local(void)
{
	uint64_t base = msr_read(MSR_REG_APIC_BASE);
	unsigned highest;

	if (!(base & MSR_APIC_BASE_ENABLE))
		msr_write(MSR_REG_APIC_BASE, base | MSR_APIC_BASE_ENABLE);
	highest = read(APIC_REG_VERSION) >> 16 & 0xff;
	write(APIC_REG_SPURIOUS, APIC_SPURIOUS_ENABLE | VECTOR_APIC_SPURIOUS);
	write(APIC_REG_LVT_TIMER, APIC_LVT_MASKED | VECTOR_APIC_TIMER);
	write(APIC_REG_TIMER_INITIAL, 0);
	write(APIC_REG_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	write(APIC_REG_LVT_LINT0, APIC_LVT_MASKED);
	/* Where PCs wire NMI to: an operator's (QEMU's monitor has one) shows where a guest is. */
	write(APIC_REG_LVT_LINT1, APIC_LVT_NMI);
	if (highest >= 4)
		write(APIC_REG_LVT_PERFORMANCE, APIC_LVT_MASKED);
	if (highest >= 5)
		write(APIC_REG_LVT_THERMAL, APIC_LVT_MASKED);
	if (highest >= 6)
		write(APIC_REG_LVT_CMCI, APIC_LVT_MASKED);
	write(APIC_REG_ERROR, 0);
	write(APIC_REG_LVT_ERROR, VECTOR_APIC_ERROR);
	end_all();
	write(APIC_REG_TPR, 0);
}

int apic_init(volatile void *base)
{
	pic_silence();
	if (apic_physical_base() == 0) {
		log_error("cpu: this CPU has no local APIC, which interrupts need");
		return -ENODEV;
	}
	registers = base;
	/* Firmware may have left it in x2APIC mode, from which there is no way back. */
	x2apic = msr_read(MSR_REG_APIC_BASE) & MSR_APIC_BASE_X2APIC;
	vector_bind(VECTOR_APIC_TIMER, "APIC timer", handle_timer, NULL);
	vector_bind(VECTOR_APIC_ERROR, "APIC error", handle_error, NULL);
	vector_bind(VECTOR_APIC_SPURIOUS, "APIC spurious", handle_spurious, NULL);
	init_local();
	ready = true;
	return 0;
}

bool apic_ready(void)
{
	return ready;
}

uint32_t apic_id(void)
{
	uint32_t id = read(APIC_REG_ID);

	return x2apic ? id : id >> 24;
}

void apic_msi_message(int vector, uint64_t *address, uint32_t *data)
{
	*address = MSI_ADDRESS | (apic_id() & 0xff) << 12;
	*data = (uint32_t)vector; /* fixed delivery, edge */
}

void apic_timer_set_handler(void (*handler)(void *arg), void *arg)
{
	uint64_t flags = irq_save();

	timer_handler = handler;
	timer_handler_arg = arg;
	irq_restore(flags);
}

/* Ticks of the timer that are no less than ns, as many as fit. */
static uint32_t ticks_for(uint64_t ns)
{
	uint64_t ticks;

	/* So far that the product below might overflow: the counter overflows much earlier. */
	if (ns > 1000 * NS_PER_S || timer_hz > 10 * NS_PER_S)
		return UINT32_MAX;
	ticks = ns / NS_PER_S * timer_hz + ns % NS_PER_S * timer_hz / NS_PER_S + 1;
	return ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
}

void apic_timer_arm(uint64_t deadline_ns)
{
	uint64_t now;

	if (deadline_ns == UINT64_MAX) {
		write(APIC_REG_TIMER_INITIAL, 0);
		return;
	}
	now = clock_now_ns();
	write(APIC_REG_LVT_TIMER, VECTOR_APIC_TIMER);
	write(APIC_REG_TIMER_INITIAL, ticks_for(deadline_ns > now ? deadline_ns - now : 0));
}

void apic_timer_count_start(void)
{
	write(APIC_REG_LVT_TIMER, APIC_LVT_MASKED | VECTOR_APIC_TIMER);
	write(APIC_REG_TIMER_INITIAL, UINT32_MAX);
}

uint32_t apic_timer_count_read(void)
{
	return read(APIC_REG_TIMER_CURRENT);
}

void apic_timer_set_frequency(uint64_t hz)
{
	timer_hz = hz;
}

uint64_t apic_timer_frequency(void)
{
	return timer_hz;
}

bool apic_in_service(int vector)
{
	return read(APIC_REG_ISR((unsigned)vector / 32)) >> (vector % 32) & 1;
}

void apic_end_interrupt(void)
{
	write(APIC_REG_EOI, 0);
}

uint64_t apic_spurious_count(void)
{
	return spurious + pic_spurious_count();
}

uint64_t apic_error_count(void)
{
	return errors;
}

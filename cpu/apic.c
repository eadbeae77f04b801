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
#include "cpu/percpu.h"
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
#define   APIC_LVT_TSC_DEADLINE (2u << 17) /* of the timer alone */
#define APIC_REG_COMMAND 0x300 /* xAPIC: low half; x2APIC: one MSR of 64 bits */
#define   APIC_COMMAND_NMI (4u << 8)
#define   APIC_COMMAND_INIT (5u << 8)
#define   APIC_COMMAND_STARTUP (6u << 8)
#define   APIC_COMMAND_PENDING (1u << 12) /* xAPIC alone */
#define   APIC_COMMAND_ASSERT (1u << 14)
#define APIC_REG_COMMAND_HIGH 0x310 /* xAPIC: the target's id in bits 31:24 */
#define APIC_REG_TIMER_INITIAL 0x380
#define APIC_REG_TIMER_CURRENT 0x390
#define APIC_REG_TIMER_DIVIDE 0x3e0
#define   APIC_DIVIDE_BY_1 0x0b

#define APIC_BASE_ADDRESS_MASK 0x000ffffffffff000ull
#define FEATURE_EDX_APIC (1u << 9)
#define FEATURE_ECX_X2APIC (1u << 21)
#define FEATURE_ECX_TSC_DEADLINE (1u << 24)

#define COMMAND_POLLS 100000 /* of the xAPIC's pending bit, which clears within microseconds */

#define MSI_ADDRESS 0xfee00000u /* SDM volume 3, "Message Address Register Format" */

#define NS_PER_S 1000000000ull

static volatile uint8_t *registers;
static bool x2apic;
static bool tsc_deadline;
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

void apic_init_cpu(void)
{
	uint64_t base = msr_read(MSR_REG_APIC_BASE);
	unsigned highest;

	/* In two steps: from off to x2APIC at once is a #GP (SDM volume 3, "x2APIC State Transitions"). */
	if (!(base & MSR_APIC_BASE_ENABLE))
		msr_write(MSR_REG_APIC_BASE, base |= MSR_APIC_BASE_ENABLE);
	if (x2apic && !(base & MSR_APIC_BASE_X2APIC))
		msr_write(MSR_REG_APIC_BASE, base | MSR_APIC_BASE_X2APIC);
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
	uint32_t features = cpuid(1, 0).ecx;

	pic_silence();
	if (apic_physical_base() == 0)
		return -ENODEV;
	registers = base;
	/* Registers by MSR cost less than by memory where a hypervisor stands behind them. */
	x2apic = features & FEATURE_ECX_X2APIC;
	tsc_deadline = features & FEATURE_ECX_TSC_DEADLINE;
	vector_bind(VECTOR_APIC_TIMER, "timer", handle_timer, NULL);
	vector_bind(VECTOR_APIC_ERROR, "error", handle_error, NULL);
	vector_bind(VECTOR_APIC_SPURIOUS, "spurious", handle_spurious, NULL);
	apic_init_cpu();
	ready = true;
	cpu_this()->apic_id = apic_id();
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

bool apic_is_x2apic(void)
{
	return x2apic;
}

bool apic_has_tsc_deadline(void)
{
	return tsc_deadline;
}

int apic_msi_message(uint32_t id, int vector, uint64_t *address, uint32_t *data)
{
	if (id > 0xff)
		return -ENOTSUP;
	*address = MSI_ADDRESS | id << 12;
	*data = (uint32_t)vector; /* fixed delivery, edge */
	return 0;
}

static void command(uint32_t id, uint32_t what)
{
	uint64_t flags;

	if (x2apic) {
		/* What was stored before is there for whom it interrupts: WRMSR alone doesn't wait. */
		cpu_fence();
		msr_write(MSR_REG_X2APIC(APIC_REG_COMMAND), (uint64_t)id << 32 | what);
		return;
	}
	flags = irq_save();
	write(APIC_REG_COMMAND_HIGH, id << 24);
	write(APIC_REG_COMMAND, what);
	for (unsigned i = 0; i < COMMAND_POLLS; i++) {
		if (!(read(APIC_REG_COMMAND) & APIC_COMMAND_PENDING))
			break;
		cpu_relax();
	}
	irq_restore(flags);
}

void apic_send(uint32_t id, int vector)
{
	command(id, APIC_COMMAND_ASSERT | (uint32_t)vector);
}

void apic_send_init(uint32_t id)
{
	command(id, APIC_COMMAND_ASSERT | APIC_COMMAND_INIT);
}

void apic_send_startup(uint32_t id, uint32_t address)
{
	command(id, APIC_COMMAND_ASSERT | APIC_COMMAND_STARTUP | address >> 12);
}

void apic_send_nmi(uint32_t id)
{
	command(id, APIC_COMMAND_ASSERT | APIC_COMMAND_NMI);
}

void apic_timer_set_handler(void (*handler)(void *arg), void *arg)
{
	uint64_t flags = irq_save();

	timer_handler = handler;
	timer_handler_arg = arg;
	irq_restore(flags);
}

/* Ticks of a counter that are no less than ns; of times further away than matters, some. */
static uint64_t ticks_for(uint64_t ns, uint64_t hz)
{
	if (ns > 1000 * NS_PER_S)
		ns = 1000 * NS_PER_S;
	return ns / NS_PER_S * hz + ns % NS_PER_S * hz / NS_PER_S + 1;
}

void apic_timer_arm(uint64_t deadline_ns)
{
	uint64_t now_ns = clock_now_ns(), now = clock_ticks(), ticks = 0;
	uint64_t ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;

	write(APIC_REG_LVT_TIMER, VECTOR_APIC_TIMER | (tsc_deadline ? APIC_LVT_TSC_DEADLINE : 0));
	if (deadline_ns != UINT64_MAX)
		ticks = ticks_for(ns, tsc_deadline ? clock_frequency_hz() : timer_hz);
	if (tsc_deadline) {
		/* Where registers are memory the MSR may overtake the line above. 0 disarms. */
		cpu_fence();
		msr_write(MSR_REG_TSC_DEADLINE, ticks ? now + ticks : 0);
		return;
	}
	write(APIC_REG_TIMER_INITIAL, ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks);
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

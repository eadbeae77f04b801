// SPDX-License-Identifier: BSD-2-Clause
// Descriptor tables and control registers. Sources: Intel SDM volume 3, chapters "Protected-Mode
// Memory Management" (descriptors), "Interrupt and Exception Handling" (gates, IST).
#include "cpu/cpu.h"
#include <stddef.h>
#include "cpu/clock.h"
#include "cpu/clock_line.h"
#include "cpu/control.h"
#include "cpu/cpuid.h"
#include "cpu/fpu.h"
#include "cpu/irq.h"
#include "cpu/msr.h"
#include "cpu/others.h"
#include "cpu/percpu.h"
#include "cpu/vectors.h"

#define ENTRY_SIZE 8 /* entry.S: one stub */

#define VECTOR_NMI 2
#define VECTOR_DOUBLE_FAULT 8
#define VECTOR_MACHINE_CHECK 18

/* Descriptors with the accessed bit set, so that the CPU needn't write them. */
#define GDT_CODE_64 0x00af9b000000ffffull
#define GDT_DATA 0x00cf93000000ffffull
#define GDT_TSS_AVAILABLE 0x0000890000000000ull

#define GATE_INTERRUPT 0x8e /* present, interrupts off on entry */

#define FEATURE_EBX_SMEP (1u << 7)
#define FEATURE_ECX_UMIP (1u << 2)
#define FEATURE_EDX_MCE (1u << 7)
#define FEATURE_EDX_PGE (1u << 13)
#define EXTENDED_EDX_NX (1u << 20)

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_middle;
	uint32_t offset_high, reserved;
};

_Static_assert(sizeof(struct gate) == 16, "SDM: a 64-bit gate has 16 bytes");

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

extern const char cpu_entries[]; /* entry.S */

static struct gate idt[256] __attribute__((aligned(16)));
static struct cpu boot_cpu;
struct cpu *cpu_table[CPU_MAX] = { &boot_cpu };
const struct cpu_others *cpu_others;
static struct cpu_image image;

const struct cpu_image *cpu_current_image(void)
{
	return &image;
}

static unsigned stack_of_vector(unsigned vector)
{
	switch (vector) {
	case VECTOR_NMI:
		return CPU_STACK_NMI;
	case VECTOR_DOUBLE_FAULT:
		return CPU_STACK_DOUBLE_FAULT;
	case VECTOR_MACHINE_CHECK:
		return CPU_STACK_MACHINE_CHECK;
	default:
		return vector < VECTOR_LEGACY_FIRST ? CPU_STACK_EXCEPTION : CPU_STACK_INTERRUPT;
	}
}

static void fill_idt(void)
{
	for (unsigned v = 0; v < 256; v++) {
		uintptr_t entry = (uintptr_t)cpu_entries + v * ENTRY_SIZE;

		idt[v] = (struct gate){
			.offset_low = (uint16_t)entry,
			.offset_middle = (uint16_t)(entry >> 16),
			.offset_high = (uint32_t)(entry >> 32),
			.selector = CPU_SELECTOR_CODE,
			.ist = (uint8_t)stack_of_vector(v),
			.type = GATE_INTERRUPT,
		};
	}
}

static void fill_gdt(struct cpu *cpu)
{
	uintptr_t tss = (uintptr_t)&cpu->tss;

	for (unsigned kind = CPU_STACK_INTERRUPT; kind < CPU_STACKS; kind++)
		cpu->tss.ist[kind - 1] = cpu->stack[kind].top;
	cpu->tss.io_map_base = sizeof(cpu->tss);
	cpu->gdt[0] = 0;
	cpu->gdt[CPU_SELECTOR_CODE / 8] = GDT_CODE_64;
	cpu->gdt[CPU_SELECTOR_DATA / 8] = GDT_DATA;
	cpu->gdt[CPU_SELECTOR_TSS / 8] = GDT_TSS_AVAILABLE | (sizeof(cpu->tss) - 1) |
		(uint64_t)(tss & 0xffffff) << 16 | (uint64_t)(tss >> 24 & 0xff) << 56;
	cpu->gdt[CPU_SELECTOR_TSS / 8 + 1] = tss >> 32;
}

static void load_tables(struct cpu *cpu)
{
	struct table_pointer gdt_pointer = { sizeof(cpu->gdt) - 1, (uintptr_t)cpu->gdt };
	struct table_pointer idt_pointer = { sizeof(idt) - 1, (uintptr_t)idt };

	__asm__ volatile("lgdt %0\n\t"
			 "pushq %1\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\tmovl %2, %%eax\n\t"
			 "movl %%eax, %%ds\n\t"
			 "movl %%eax, %%es\n\t"
			 "movl %%eax, %%ss\n\t"
			 "xorl %%eax, %%eax\n\t"
			 "movl %%eax, %%fs\n\t"
			 "movl %%eax, %%gs\n\t"
			 "lldt %%ax\n\t"
			 "movl %3, %%eax\n\t"
			 "ltr %%ax\n\t"
			 "lidt %4"
			 : : "m"(gdt_pointer), "i"(CPU_SELECTOR_CODE), "i"(CPU_SELECTOR_DATA),
			   "i"(CPU_SELECTOR_TSS), "m"(idt_pointer) : "rax", "memory");
	/* After the selector, whose load clears the base. */
	cpu->self = cpu;
	msr_write(MSR_REG_GS_BASE, (uintptr_t)cpu);
}

static void set_control_registers(void)
{
	struct cpuid basic = cpuid(1, 0);
	struct cpuid more = cpuid_or_zero(7, 0);
	uint64_t cr4 = cpu_read_cr4() & ~(uint64_t)CR4_TSD;

	cpu_write_cr0((cpu_read_cr0() | CR0_WP) & ~(uint64_t)(CR0_AM | CR0_CD | CR0_NW));
	if (basic.edx & FEATURE_EDX_MCE)
		cr4 |= CR4_MCE; /* without it a machine check shuts the CPU down in silence */
	if (basic.edx & FEATURE_EDX_PGE)
		cr4 |= CR4_PGE;
	if (more.ebx & FEATURE_EBX_SMEP)
		cr4 |= CR4_SMEP;
	if (more.ecx & FEATURE_ECX_UMIP)
		cr4 |= CR4_UMIP;
	cpu_write_cr4(cr4);
	if (cpuid_or_zero(0x80000001, 0).edx & EXTENDED_EDX_NX)
		msr_write(MSR_REG_EFER, msr_read(MSR_REG_EFER) | MSR_EFER_NXE);
}

void cpu_set_up(struct cpu *cpu)
{
	fill_gdt(cpu);
	load_tables(cpu);
	set_control_registers();
	fpu_init();
}

void cpu_init(const struct cpu_config *config)
{
	clock_set_start();
	image = config->image;
	for (unsigned i = 0; i < CPU_STACKS; i++)
		boot_cpu.stack[i] = config->stack[i];
	fill_idt();
	cpu_set_up(&boot_cpu);
}

unsigned cpu_index(void)
{
	return cpu_this()->index;
}

uint32_t cpu_apic_id(unsigned cpu)
{
	if (cpu >= CPU_MAX || cpu_table[cpu] == NULL)
		return UINT32_MAX;
	return cpu_table[cpu]->apic_id;
}

void cpu_go_on_alone(void)
{
	irq_disable();
	clock_freeze();
	if (cpu_others)
		cpu_others->stop();
}

void cpu_halt_forever(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" : : : "memory");
}

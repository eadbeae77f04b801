// SPDX-License-Identifier: BSD-2-Clause
// Bringing other CPUs up, giving them work, and what CPUs ask of each other. Source: Intel SDM
// volume 3, chapter "Multiple-Processor Management", section "MP Initialization".
#include "cpu/smp.h"
#include <errno.h>
#include <isthmus/clock.h>
#include <isthmus/log.h>
#include "cpu/apic.h"
#include "cpu/clock.h"
#include "cpu/irq.h"
#include "cpu/msr.h"
#include "cpu/others.h"
#include "cpu/paging.h"
#include "cpu/percpu.h"
#include "cpu/vectors.h"

#define MAIN_STACK_SIZE 0x40000
#define INTERRUPT_STACK_SIZE 0x4000

#define INIT_NS 10000000ull       /* from INIT to the first start-up message */
#define STARTUP_NS 200000ull      /* from there to the second */
#define COME_NS 5000000000ull     /* until it counts as not there; a busy host may take long */
#define LOOK_NS 100000ull
#define STOP_NS 200000000ull      /* for the others to halt of themselves */
#define STOP_TRIES 5000000u       /* for an NMI to halt them; they may be in a broken state */

#define START_CR0 0x80010033u /* PG, WP, NE, ET, MP, PE */
#define START_CR4 0x620u      /* PAE, OSFXSR, OSXMMEXCPT */
#define EFER_LME 0x100u

/* A CPU's state; who changes it stands behind each. */
enum {
	FIRST,  /* the one that booted: for ever */
	COMING, /* to IDLE by itself; to LOST by who holds `starting` */
	IDLE,   /* to BUSY by who holds `starting` */
	BUSY,   /* to IDLE by itself */
	LOST,   /* did not come in time; if it comes yet it sleeps */
};

/* start.S knows the layout. */
struct start_values {
	uint64_t stack, entry, argument;
	uint64_t gdt[2];
	uint32_t cr0, cr3, cr4, efer;
	uint32_t far_offset;
	uint16_t far_selector;
	uint16_t gdt_limit;
	uint32_t gdt_base;
} __attribute__((packed));

extern const uint8_t smp_start_code[], smp_start_64[], smp_start_values[], smp_start_end[];

static unsigned known; /* indices that have an APIC id; 0: not asked yet */
static unsigned lost;
static uint32_t ids[CPU_MAX];
static int starting;        /* held by the CPU that is in cpu_start() */
static uint64_t generation; /* how often all were asked to forget translations */
static unsigned ending;     /* index + 1 of the CPU that ends the guest */

static bool is_up(unsigned index)
{
	const struct cpu *cpu = __atomic_load_n(&cpu_table[index], __ATOMIC_ACQUIRE);

	return cpu != NULL && __atomic_load_n(&cpu->up, __ATOMIC_ACQUIRE);
}

static void halt_if_ending(void)
{
	unsigned who = __atomic_load_n(&ending, __ATOMIC_ACQUIRE);

	if (who == 0 || who == cpu_this()->index + 1)
		return;
	__atomic_store_n(&cpu_this()->up, false, __ATOMIC_RELEASE);
	cpu_halt_forever();
}

static void serve(void)
{
	struct cpu *cpu = cpu_this();
	uint64_t asked = __atomic_load_n(&generation, __ATOMIC_ACQUIRE);

	halt_if_ending();
	if (cpu->forgotten == asked)
		return;
	cpu_write_cr3(cpu_read_cr3());
	/* Release: pairs with the acquire in forget(), after which the page belongs to others. */
	__atomic_store_n(&cpu->forgotten, asked, __ATOMIC_RELEASE);
}

static void handle_stop(void *arg)
{
	(void)arg;
	halt_if_ending();
}

static void handle_forget(void *arg)
{
	(void)arg;
	serve();
}

/* That it interrupted hlt is all that was wanted. */
static void handle_wake(void *arg)
{
	(void)arg;
}

static void forget(void)
{
	unsigned self = cpu_this()->index;
	uint64_t asked;

	if (__atomic_load_n(&ending, __ATOMIC_RELAXED))
		return; /* they have halted */
	asked = __atomic_add_fetch(&generation, 1, __ATOMIC_SEQ_CST);
	serve();
	for (unsigned i = 0; i < known; i++)
		if (i != self && is_up(i))
			apic_send(cpu_table[i]->apic_id, VECTOR_CPU_FORGET);
	for (unsigned i = 0; i < known; i++) {
		if (i == self || !is_up(i))
			continue;
		while (__atomic_load_n(&cpu_table[i]->forgotten, __ATOMIC_ACQUIRE) < asked) {
			cpu_relax();
			serve(); /* it may be waiting for this one */
		}
	}
}

static void stop(void)
{
	unsigned self = cpu_this()->index, nobody = 0;

	if (!__atomic_compare_exchange_n(&ending, &nobody, self + 1, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST)) {
		if (nobody == self + 1)
			return;
		halt_if_ending();
	}
	/* Asked, they finish the line that they are printing. */
	uint64_t end = clock_peek_ns() + STOP_NS;

	for (unsigned i = 0; i < known; i++)
		if (i != self && is_up(i))
			apic_send(cpu_table[i]->apic_id, VECTOR_CPU_STOP);
	for (unsigned i = 0; i < known; i++)
		while (i != self && is_up(i) && clock_peek_ns() < end)
			cpu_relax();
	/* An NMI reaches also those that have interrupts off; trap_handle() halts them. */
	for (unsigned i = 0; i < known; i++)
		if (i != self && is_up(i))
			apic_send_nmi(cpu_table[i]->apic_id);
	for (unsigned i = 0; i < known; i++)
		for (unsigned n = 0; n < STOP_TRIES && i != self && is_up(i); n++)
			cpu_relax();
}

static const struct cpu_others others = {
	.forget = forget, .serve = serve, .stop = stop, .halt_if_ending = halt_if_ending,
};

/* Once, while the CPU that booted is the only one. */
static void learn(void)
{
	const uint32_t *found;
	unsigned count;

	if (known != 0)
		return;
	found = smp_machine.find_cpus(&count);
	ids[0] = cpu_table[0]->apic_id;
	known = 1;
	for (unsigned i = 0; i < count && known < CPU_MAX; i++)
		if (found[i] != ids[0])
			ids[known++] = found[i];
}

unsigned cpu_count(void)
{
	learn();
	return known - __atomic_load_n(&lost, __ATOMIC_RELAXED);
}

/* A CPU's life: work, or sleep until there is some. */
static _Noreturn void live(struct cpu *cpu)
{
	for (;;) {
		/* Acquire: pairs with the release in give_work(). */
		while (__atomic_load_n(&cpu->state, __ATOMIC_ACQUIRE) != BUSY)
			cpu_sleep();
		irq_enable();
		cpu->run(cpu->arg);
		irq_disable();

		/* Either the waiter sees IDLE before it sleeps, or its number is seen here. */
		__atomic_store_n(&cpu->state, IDLE, __ATOMIC_SEQ_CST);
		unsigned waiter = __atomic_exchange_n(&cpu->waiter, 0, __ATOMIC_SEQ_CST);

		if (waiter)
			apic_send(cpu_table[waiter - 1]->apic_id, VECTOR_CPU_WAKE);
	}
}

/* Called by start.S on the new CPU, on its own stack, interrupts off. */
static _Noreturn void enter(struct cpu *cpu)
{
	int coming = COMING;

	cpu_set_up(cpu);
	/* Up first: from here on whoever changes page tables waits for this CPU too. */
	cpu->forgotten = __atomic_load_n(&generation, __ATOMIC_ACQUIRE);
	__atomic_store_n(&cpu->up, true, __ATOMIC_SEQ_CST);
	smp_machine.init_memory();
	apic_init_cpu();
	__atomic_compare_exchange_n(&cpu->state, &coming, IDLE, false, __ATOMIC_RELEASE,
				    __ATOMIC_RELAXED);
	live(cpu);
}

static struct cpu_stack spare[CPU_STACKS]; /* for the next CPU; kept when it can't be brought up */

static bool have_stacks(void)
{
	for (unsigned kind = 0; kind < CPU_STACKS; kind++) {
		uintptr_t size = kind == CPU_STACK_MAIN ? MAIN_STACK_SIZE : INTERRUPT_STACK_SIZE;
		uintptr_t top;

		if (spare[kind].top != 0)
			continue;
		top = (uintptr_t)smp_machine.alloc_stack(size);
		if (top == 0)
			return false;
		spare[kind] = (struct cpu_stack){ top - size - CPU_GUARD_SIZE, top - size, top };
	}
	return true;
}

/* On the stacks, its struct cpu above the main one. */
static struct cpu *make(unsigned index)
{
	uintptr_t end = spare[CPU_STACK_MAIN].top - sizeof(struct cpu);
	struct cpu *cpu = (struct cpu *)(end & ~(uintptr_t)(_Alignof(struct cpu) - 1));

	*cpu = (struct cpu){ .index = index, .apic_id = ids[index], .state = COMING };
	spare[CPU_STACK_MAIN].top = (uintptr_t)cpu;
	for (unsigned kind = 0; kind < CPU_STACKS; kind++) {
		cpu->stack[kind] = spare[kind];
		spare[kind].top = 0;
	}
	return cpu;
}

static void prepare_ground(const struct smp_ground *ground, struct cpu *cpu)
{
	size_t values_at = (size_t)(smp_start_values - smp_start_code);
	struct start_values *values = (void *)((uint8_t *)ground->at + values_at);
	uint32_t page = (uint32_t)ground->page;

	__builtin_memcpy(ground->at, smp_start_code, (size_t)(smp_start_end - smp_start_code));
	values->stack = cpu->stack[CPU_STACK_MAIN].top;
	values->entry = (uintptr_t)enter;
	values->argument = (uintptr_t)cpu;
	values->cr0 = START_CR0;
	values->cr3 = ground->cr3;
	values->cr4 = START_CR4;
	values->efer = EFER_LME | ((uint32_t)msr_read(MSR_REG_EFER) & MSR_EFER_NXE);
	values->far_offset = page + (uint32_t)(smp_start_64 - smp_start_code);
	values->gdt_base = page + (uint32_t)(values_at + __builtin_offsetof(struct start_values, gdt));
}

static bool comes(const struct cpu *cpu, uint64_t within_ns)
{
	uint64_t end = clock_now_ns() + within_ns;

	while (__atomic_load_n(&cpu->state, __ATOMIC_ACQUIRE) == COMING) {
		if (clock_now_ns() >= end)
			return false;
		clock_sleep_until(clock_now_ns() + LOOK_NS);
	}
	return true;
}

static bool call_up(const struct cpu *cpu, uint32_t page)
{
	apic_send_init(cpu->apic_id);
	clock_sleep_until(clock_now_ns() + INIT_NS);
	apic_send_startup(cpu->apic_id, page);
	if (comes(cpu, STARTUP_NS))
		return true;
	apic_send_startup(cpu->apic_id, page); /* nothing to a CPU that is on its way */
	return comes(cpu, COME_NS);
}

static int bring_up(unsigned index)
{
	struct smp_ground ground;
	struct cpu *cpu;
	int error;

	/* Stacks first: the ground's tables are a copy of what is mapped then. */
	if (!have_stacks())
		return -ENOMEM;
	error = smp_machine.take_ground(&ground);
	if (error)
		return error;
	cpu = make(index);
	vector_bind(VECTOR_CPU_WAKE, "wake-up by a CPU", handle_wake, NULL);
	vector_bind(VECTOR_CPU_STOP, "the guest ends", handle_stop, NULL);
	vector_bind(VECTOR_CPU_FORGET, "page tables changed", handle_forget, NULL);
	cpu_table[0]->up = true;
	cpu_others = &others;
	prepare_ground(&ground, cpu);
	__atomic_store_n(&cpu_table[index], cpu, __ATOMIC_RELEASE);
	if (!call_up(cpu, (uint32_t)ground.page)) {
		/* The ground stays taken: it may come yet, and then sleeps. */
		__atomic_store_n(&cpu->state, LOST, __ATOMIC_RELAXED);
		lost++;
		log_error("cpu: CPU %u (APIC id %u) does not start", index, (unsigned)ids[index]);
		return -EIO;
	}
	smp_machine.give_ground(&ground);
	log_debug("cpu: CPU %u (APIC id %u) is up", index, (unsigned)ids[index]);
	return 0;
}

static void give_work(struct cpu *cpu, void (*run)(void *arg), void *arg)
{
	cpu->run = run;
	cpu->arg = arg;
	__atomic_store_n(&cpu->state, BUSY, __ATOMIC_RELEASE);
	apic_send(cpu->apic_id, VECTOR_CPU_WAKE);
}

/* The index of an idle CPU, brought up if need be; with `starting` held. */
static int find_idle(void)
{
	for (unsigned i = 1; i < known; i++)
		if (cpu_table[i] != NULL &&
		    __atomic_load_n(&cpu_table[i]->state, __ATOMIC_ACQUIRE) == IDLE)
			return (int)i;
	for (unsigned i = 1; i < known; i++)
		if (cpu_table[i] == NULL) {
			int error = bring_up(i);

			return error ? error : (int)i;
		}
	return -EAGAIN;
}

int cpu_start(void (*run)(void *arg), void *arg)
{
	int index;

	learn();
	while (__atomic_exchange_n(&starting, 1, __ATOMIC_ACQUIRE))
		cpu_relax();
	index = find_idle();
	if (index > 0)
		give_work(cpu_table[index], run, arg);
	__atomic_store_n(&starting, 0, __ATOMIC_RELEASE);
	return index;
}

bool cpu_is_busy(unsigned cpu)
{
	if (cpu == 0)
		return true;
	return cpu < known && is_up(cpu) &&
	       __atomic_load_n(&cpu_table[cpu]->state, __ATOMIC_ACQUIRE) == BUSY;
}

int cpu_wait(unsigned index)
{
	uint64_t flags;
	struct cpu *cpu;

	if (index == 0 || index >= known || index == cpu_index())
		return -EINVAL;
	cpu = cpu_table[index];
	if (cpu == NULL)
		return 0;
	flags = irq_save();
	__atomic_store_n(&cpu->waiter, cpu_index() + 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&cpu->state, __ATOMIC_SEQ_CST) == BUSY)
		cpu_sleep();
	irq_restore(flags);
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
/* From the entry protocol's boot_info to main(): boot_main() is the list, in its order. */
#include <isthmus/log.h>
#include <stdint.h>
#include <stdlib.h>
#include "boot/boot_info.h"
#include "boot/copy.h"
#include "boot/devices.h"
#include "boot/modules.h"
#include "boot/options.h"
#include "cpu/apic.h"
#include "cpu/clock.h"
#include "cpu/cpu.h"
#include "cpu/irq.h"
#include "cpu/others.h"
#include "cpu/timer.h"
#include "cpu/trap.h"
#include "log/panic.h"
#include "log/sink.h"
#include "mm/linker.h"
#include "mm/mm.h"
#include "platform/acpi.h"
#include "platform/console.h"
#include "platform/framebuffer.h"
#include "platform/power.h"

#define APIC_SIZE 0x1000
#define HPET_SIZE 0x400

/* The table that linker/symbols.sh makes. */
extern const char image_name[];
extern const uint64_t image_symbol_count;
extern const uint32_t image_symbols[];
extern const char image_symbol_names[];

int main(int argc, char **argv);

/* A screen stands in where there is no serial port. */
static void start_console(const struct boot_info *info)
{
	const struct boot_framebuffer *f = &info->framebuffer;
	const struct framebuffer mode = { f->base, f->width, f->height, f->pitch, f->bits_per_pixel };

	if (console_init())
		return;
	framebuffer_init(&mode, (void *)boot_low_memory(f->base, (uint64_t)f->pitch * f->height));
}

static void start_log(void)
{
	static const struct log_sink sink = { .write = console_write, .now_ns = clock_now_ns };
	static const struct panic_hooks hooks = {
		.begin = cpu_go_on_alone,
		.describe = trap_describe_caller,
		.die = platform_exit_panic,
		.halt = cpu_halt_forever,
	};

	log_set_sink(&sink);
	panic_set_hooks(&hooks);
}

static struct cpu_stack ist_stack(unsigned ist)
{
	uintptr_t top = (uintptr_t)mm_ist_stack_top(ist);

	return (struct cpu_stack){
		top - MM_IST_STACK_SIZE - MM_PAGE_SIZE, top - MM_IST_STACK_SIZE, top,
	};
}

static void start_cpu(void)
{
	struct cpu_config config = {
		.stack[CPU_STACK_MAIN] = {
			(uintptr_t)image_main_stack - MM_PAGE_SIZE, (uintptr_t)image_main_stack,
			(uintptr_t)image_main_stack_top,
		},
		.image = {
			.name = image_name,
			.base = (uintptr_t)image_base,
			.text_end = (uintptr_t)image_text_end,
			.rodata_end = (uintptr_t)image_rodata_end,
			.end = (uintptr_t)image_end,
			.symbol_count = image_symbol_count,
			.symbols = image_symbols,
			.symbol_names = image_symbol_names,
		},
	};

	for (unsigned ist = CPU_STACK_INTERRUPT; ist < CPU_STACKS; ist++)
		config.stack[ist] = ist_stack(ist);
	cpu_init(&config);
}

static void take_memory(const struct boot_info *info)
{
	struct mm_range modules[BOOT_MAX_MODULES];

	if (info->fault) {
		log_error("boot: %s: %s", info->protocol, info->fault);
		platform_exit(1);
	}
	if (info->ranges_lost || info->modules_lost)
		log_warn("boot: %u ranges of memory and %u modules are left out: at most %u and %u",
			info->ranges_lost, info->modules_lost, BOOT_MAX_RANGES, BOOT_MAX_MODULES);
	for (unsigned i = 0; i < info->module_count; i++)
		modules[i] = (struct mm_range){
			info->modules[i].base, info->modules[i].size, MM_RANGE_RESERVED,
		};
	if (mm_init(info->ranges, info->range_count, modules, info->module_count, info->image_phys))
		platform_exit(1);
	log_debug("boot: %s, image at %#lx, %lu KiB of RAM", info->protocol,
		(unsigned long)info->image_phys, (unsigned long)mm_ram_bytes() / 1024);
}

static void start_apic(void)
{
	uint64_t base = apic_physical_base();
	volatile void *registers = base ? mm_map(base, APIC_SIZE, MM_UNCACHED) : NULL;

	if (!registers || apic_init(registers)) {
		log_error("boot: this CPU has no local APIC, without which nothing can interrupt it");
		platform_exit(1);
	}
}

static struct clock_sources find_clock_sources(void)
{
	const struct acpi_platform *p = acpi_platform();

	return (struct clock_sources){
		.hpet = p->hpet_base ? mm_map(p->hpet_base, HPET_SIZE, MM_UNCACHED) : NULL,
		.pm_timer_port = p->pm_timer_port,
		.pm_timer_32bit = p->pm_timer_32bit,
	};
}

static void run_constructors(void)
{
	for (void (*const *f)(void) = image_init_array; f < image_init_array_end; f++)
		(*f)();
}

void boot_main(struct boot_info *info)
{
	struct boot_arguments arguments;

	start_console(info);
	start_log();
	start_cpu();
	arguments = boot_take_options(info->command_line, info->command_line_lost);
	take_memory(info);
	framebuffer_map();
	acpi_init(info->rsdp);
	start_apic();
	clock_set_sources(find_clock_sources);
	boot_keep_modules(info);
	boot_tell_devices(info);
	boot_check_options(&arguments);
	irq_enable();
	run_constructors();
	exit(main(arguments.argc, arguments.argv));
}

// SPDX-License-Identifier: BSD-2-Clause
#include "platform/power.h"

#include <isthmus/log.h>
#include "cpu/io.h"
#include "cpu/irq.h"
#include "cpu/others.h"
#include "mm/mm.h"
#include "platform/acpi.h"
#include "platform/console.h"

#define DEBUG_EXIT_PORT		0xf4
#define DEBUG_EXIT_BASE		16
#define DEBUG_EXIT_MOST		100
#define DEBUG_EXIT_PANIC	127

#define POST_PORT		0x80	/* for firmware's progress; read, it only takes time */
#define MOST_READS		5000000	/* half a microsecond each at least */

#define PM1_SLEEP_TYPE_SHIFT	10	/* ACPI 6.4, 4.8.3.2.1 */
#define PM1_SLEEP_ENABLE	(1u << 13)
#define PM1_SCI_ENABLED		(1u << 0)
#define SLEEP_TYPE_SHIFT	2	/* 4.8.3.7 */
#define SLEEP_ENABLE		(1u << 5)

static void write_register(const struct acpi_register *reg, uint32_t value)
{
	if (!reg->address)
		return;
	if (!reg->in_memory) {
		if (reg->width == 8)
			port_out8((uint16_t)reg->address, (uint8_t)value);
		else
			port_out16((uint16_t)reg->address, (uint16_t)value);
		return;
	}
	void *at = mm_map(reg->address, 4, MM_UNCACHED);

	if (at && reg->width == 8)
		mmio_write8(at, (uint8_t)value);
	else if (at)
		mmio_write16(at, (uint16_t)value);
}

/* A machine takes its time to go off, and its CPU goes on meanwhile: wait for some seconds. */
static void wait_for_the_end(void)
{
	for (unsigned i = 0; i < MOST_READS; i++)
		port_in8(POST_PORT);
}

void platform_power_off(void)
{
	const struct acpi_platform *p = acpi_platform();

	acpi_find_sleep_types();
	if (p->knows_sleep_types) {
		unsigned a = p->sleep_type_a, b = p->sleep_type_b;

		if (p->smi_command && p->acpi_enable && p->pm1a_control.address &&
		    !p->pm1a_control.in_memory &&
		    !(port_in16((uint16_t)p->pm1a_control.address) & PM1_SCI_ENABLED))
			port_out8((uint16_t)p->smi_command, p->acpi_enable);
		write_register(&p->sleep_control, a << SLEEP_TYPE_SHIFT | SLEEP_ENABLE);
		write_register(&p->pm1a_control, a << PM1_SLEEP_TYPE_SHIFT | PM1_SLEEP_ENABLE);
		write_register(&p->pm1b_control, b << PM1_SLEEP_TYPE_SHIFT | PM1_SLEEP_ENABLE);
		wait_for_the_end();
	}
	if (p->reset.address) {
		struct acpi_register reset = p->reset;

		reset.width = 8;	/* the value is a byte, and so is the access */
		write_register(&reset, p->reset_value);
		wait_for_the_end();
	}
}

static _Noreturn void leave(unsigned v, const char *name, int status)
{
	char line[48];
	int length;

	cpu_go_on_alone();
	port_out32(DEBUG_EXIT_PORT, v);
	/* No such device: whoever reads the console is told instead. */
	length = log_format(line, sizeof(line), "%sisthmus: %s %d\n",
		console_inside_line() ? "\n" : "", name, status);
	console_write(line, (size_t)length);
	platform_power_off();
	cpu_halt_forever();
}

void platform_exit(int status)
{
	if (status < 0 || status > DEBUG_EXIT_MOST)
		status = DEBUG_EXIT_MOST;
	leave(DEBUG_EXIT_BASE + (unsigned)status, "exit", status);
}

void platform_exit_panic(void)
{
	leave(DEBUG_EXIT_PANIC, "panic", DEBUG_EXIT_PANIC);
}

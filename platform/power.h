/* SPDX-License-Identifier: BSD-2-Clause */
/* How a guest ends. */
#ifndef PLATFORM_POWER_H
#define PLATFORM_POWER_H

/*
 * Ends the VM with a status, 0 being success: v = 16 + min(status, 100) goes to QEMU's
 * isa-debug-exit device at port 0xf4, which makes QEMU exit with (v << 1) | 1, 33 for success.
 * A negative status counts as 100. Without that device: a last line "isthmus: exit N" on the
 * console, then ACPI power-off, then halt.
 */
_Noreturn void platform_exit(int status);

/* The same for a guest that panicked: v = 127, QEMU exits with 255. */
_Noreturn void platform_exit_panic(void);

/* ACPI S5, then ACPI reset; returns when neither works or the tables are not known. */
void platform_power_off(void);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The serial console: the first 16550 UART at port 0x3f8, polled. Where there is none, output goes to
 * the framebuffer if framebuffer_init() was given one, else nowhere, and input is silent.
 * Interrupt-safe. Source: National Semiconductor PC16550D data sheet.
 */
#ifndef PLATFORM_CONSOLE_H
#define PLATFORM_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

/* Finds and sets up the UART (115200 8n1, FIFOs); false: none. Needs no memory and no clock. */
bool console_init(void);

/*
 * Writes the bytes as they are. Lines of up to 512 bytes are not torn by handlers that write too.
 * Blocks while the UART is busy, at most about a second without progress: then bytes are dropped
 * until it takes some again, so that a stuck reader of the serial port can't hang a guest.
 */
void console_write(const char *text, size_t length);

/* Whether what was written last didn't end its line. */
bool console_inside_line(void);

/* The next byte of input, or -1 when none is there. Never blocks. */
int console_read_char(void);

#endif

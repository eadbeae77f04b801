// SPDX-License-Identifier: BSD-2-Clause
// Words on the first serial port, without waiting for interrupts.

#include "bench/floor/floor.h"
#include "bench/floor/port.h"

#include <stdarg.h>

#define COM1 0x3f8
#define COM_REG_LINE_STATUS 5
#define COM_LINE_STATUS_EMPTY (1u << 5)

static void put(char c)
{
	while (!(inb(COM1 + COM_REG_LINE_STATUS) & COM_LINE_STATUS_EMPTY))
		;
	outb(COM1, (uint8_t)c);
}

static void put_number(uint64_t value, unsigned int base, unsigned int least)
{
	char digits[24];
	unsigned int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value || n < least);
	while (n)
		put(digits[--n]);
}

static void vprint(const char *p, va_list args)
{
	const char *s;
	uint64_t number;

	for (; *p; p++) {
		if (*p != '%') {
			put(*p);
			continue;
		}
		switch (*++p) {
		case 's':
			for (s = va_arg(args, const char *); *s; s++)
				put(*s);
			break;
		case 'u':
			put_number(va_arg(args, unsigned int), 10, 1);
			break;
		case 'l':
			p++;
			put_number(va_arg(args, uint64_t), 10, 1);
			break;
		case 'x':
			put_number(va_arg(args, uint64_t), 16, 1);
			break;
		case 'm':
			number = va_arg(args, uint64_t);
			put_number(number / 1000, 10, 1);
			put('.');
			put_number(number % 1000, 10, 3);
			break;
		default:
			put(*p);
		}
	}
}

void floor_print(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprint(format, args);
	va_end(args);
}

/* One line that says what is wrong, then exit status 1. */
void floor_die(const char *format, ...)
{
	va_list args;

	floor_print("floor: error: ");
	va_start(args, format);
	vprint(format, args);
	va_end(args);
	floor_print("\n");
	floor_exit(1);
}

// SPDX-License-Identifier: BSD-2-Clause
#include "platform/console.h"

#include <stdint.h>
#include "cpu/io.h"
#include "cpu/lock.h"
#include "cpu/others.h"
#include "platform/framebuffer.h"

#define UART_PORT		0x3f8
#define UART_REG_DATA		0
#define UART_REG_IER		1
#define UART_REG_FCR		2	/* write */
#define   UART_FCR_ENABLE	0x01	/* FIFOs on */
#define UART_REG_IIR		2	/* read */
#define   UART_IIR_FIFOS	0xc0
#define UART_REG_LCR		3
#define   UART_LCR_8N1		0x03
#define   UART_LCR_DLAB		0x80
#define UART_REG_MCR		4
#define   UART_MCR_DTR_RTS	0x03
#define UART_REG_LSR		5
#define   UART_LSR_DATA		0x01
#define   UART_LSR_THR_EMPTY	0x20
#define UART_REG_SCRATCH	7

#define FIFO_SIZE		16
#define WHOLE_LINE		512	/* bytes written with interrupts off at most */
#define MOST_POLLS		400000	/* of a busy UART: about a second */
#define LOCK_TRIES		1000000

static bool present, stuck;
static bool inside_line;	/* the last byte written was no line end */
static unsigned burst = 1;	/* bytes it takes once it says that it is empty */
static struct cpu_lock lock;

static uint8_t uart_read(unsigned reg)
{
	return port_in8((uint16_t)(UART_PORT + reg));
}

static void uart_write(unsigned reg, uint8_t value)
{
	port_out8((uint16_t)(UART_PORT + reg), value);
}

bool console_init(void)
{
	uart_write(UART_REG_SCRATCH, 0x5a);
	present = uart_read(UART_REG_SCRATCH) == 0x5a;
	if (!present)
		return false;
	uart_write(UART_REG_IER, 0);
	uart_write(UART_REG_LCR, UART_LCR_DLAB);
	uart_write(UART_REG_DATA, 1);	/* 115200 / 1, low half */
	uart_write(UART_REG_IER, 0);	/* high half */
	uart_write(UART_REG_LCR, UART_LCR_8N1);
	/*
	 * Switching the FIFOs on loses what has been received. Where input was waiting for this
	 * guest, more of it is on its way: then output goes byte by byte instead.
	 */
	if (!(uart_read(UART_REG_LSR) & UART_LSR_DATA))
		uart_write(UART_REG_FCR, UART_FCR_ENABLE);
	uart_write(UART_REG_MCR, UART_MCR_DTR_RTS);
	if ((uart_read(UART_REG_IIR) & UART_IIR_FIFOS) == UART_IIR_FIFOS)
		burst = FIFO_SIZE;
	return true;
}

/* Waits until the UART takes bytes; once it has been stuck, looks only once. */
static bool wait_empty(void)
{
	for (unsigned polls = stuck ? 1 : MOST_POLLS; polls; polls--)
		if (uart_read(UART_REG_LSR) & UART_LSR_THR_EMPTY) {
			stuck = false;
			return true;
		}
	stuck = true;
	return false;
}

static void write_piece(const char *text, size_t length)
{
	while (length) {
		size_t n = length < burst ? length : burst;

		if (!wait_empty())
			return;
		length -= n;
		while (n--)
			uart_write(UART_REG_DATA, (uint8_t)*text++);
	}
}

/* Up to the last line end within WHOLE_LINE, or that many bytes of a longer line. */
static size_t piece_length(const char *text, size_t length)
{
	if (length <= WHOLE_LINE)
		return length;
	for (size_t n = WHOLE_LINE; n; n--)
		if (text[n - 1] == '\n')
			return n;
	return WHOLE_LINE;
}

void console_write(const char *text, size_t length)
{
	if (!present && !framebuffer_present())
		return;
	while (length) {
		static unsigned tries = LOCK_TRIES;
		size_t n = piece_length(text, length);
		uint64_t flags;
		bool taken;

		/* Where another CPU ends the guest, this one stops between two pieces. */
		cpu_serve_others();
		/* Written without the lock if it can't be had: a panic must come out. */
		flags = cpu_lock_try(&lock, tries, &taken);
		/* Its holder has been stopped for good: waiting once is enough. */
		tries = taken ? LOCK_TRIES : 1;
		if (present)
			write_piece(text, n);
		else
			framebuffer_write(text, n);
		if (taken)
			cpu_lock_release(&lock, flags);
		else
			irq_restore(flags);
		text += n;
		length -= n;
		inside_line = text[-1] != '\n';
	}
}

bool console_inside_line(void)
{
	return inside_line;
}

int console_read_char(void)
{
	uint64_t flags;
	int c = -1;

	if (!present)
		return -1;
	flags = irq_save();
	if (uart_read(UART_REG_LSR) & UART_LSR_DATA)
		c = uart_read(UART_REG_DATA);
	irq_restore(flags);
	return c;
}

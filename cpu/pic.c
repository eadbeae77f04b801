// SPDX-License-Identifier: BSD-2-Clause
// Source: Intel 8259A data sheet, "Programming the 8259A" and "Spurious interrupts".
#include "cpu/pic.h"
#include "cpu/io.h"
#include "cpu/vectors.h"

#define PIC_MASTER 0x20
#define PIC_SLAVE 0xa0
#define PIC_REG_COMMAND 0
#define   PIC_ICW1_INIT 0x11 /* edge-triggered, cascaded, ICW4 follows */
#define   PIC_OCW2_END 0x20
#define PIC_REG_DATA 1
#define   PIC_ICW3_MASTER 0x04 /* the slave is at input 2 */
#define   PIC_ICW3_SLAVE 0x02
#define   PIC_ICW4_8086 0x01

static uint64_t spurious;

static void handle_master(void *arg)
{
	(void)arg;
	spurious++;
}

/* The master doesn't know that it was spurious: it gets its end. */
static void handle_slave(void *arg)
{
	(void)arg;
	spurious++;
	port_out8(PIC_MASTER + PIC_REG_COMMAND, PIC_OCW2_END);
}

static void start(uint16_t base, uint8_t vector, uint8_t cascade)
{
	port_out8(base + PIC_REG_COMMAND, PIC_ICW1_INIT);
	port_out8(base + PIC_REG_DATA, vector);
	port_out8(base + PIC_REG_DATA, cascade);
	port_out8(base + PIC_REG_DATA, PIC_ICW4_8086);
	port_out8(base + PIC_REG_DATA, 0xff);
}

void pic_silence(void)
{
	for (int i = 0; i < 8; i++) {
		vector_bind(VECTOR_LEGACY_FIRST + i, "8259", handle_master, 0);
		vector_bind(VECTOR_LEGACY_FIRST + 8 + i, "8259", handle_slave, 0);
	}
	start(PIC_MASTER, VECTOR_LEGACY_FIRST, PIC_ICW3_MASTER);
	start(PIC_SLAVE, VECTOR_LEGACY_FIRST + 8, PIC_ICW3_SLAVE);
}

uint64_t pic_spurious_count(void)
{
	return spurious;
}

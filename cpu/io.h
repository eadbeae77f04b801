/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sized accesses to I/O ports and device registers. An MMIO access is exactly one instruction of
 * the size in its name, and the compiler moves no other memory access across it.
 */
#ifndef CPU_IO_H
#define CPU_IO_H

#include <stdint.h>

static inline uint8_t port_in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint16_t port_in16(uint16_t port)
{
	uint16_t value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint32_t port_in32(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline void port_out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void port_out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void port_out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t mmio_read8(const volatile void *address)
{
	uint8_t value;

	__asm__ volatile("movb %1, %0" : "=q"(value)
			 : "m"(*(const volatile uint8_t *)address) : "memory");
	return value;
}

static inline uint16_t mmio_read16(const volatile void *address)
{
	uint16_t value;

	__asm__ volatile("movw %1, %0" : "=r"(value)
			 : "m"(*(const volatile uint16_t *)address) : "memory");
	return value;
}

static inline uint32_t mmio_read32(const volatile void *address)
{
	uint32_t value;

	__asm__ volatile("movl %1, %0" : "=r"(value)
			 : "m"(*(const volatile uint32_t *)address) : "memory");
	return value;
}

static inline uint64_t mmio_read64(const volatile void *address)
{
	uint64_t value;

	__asm__ volatile("movq %1, %0" : "=r"(value)
			 : "m"(*(const volatile uint64_t *)address) : "memory");
	return value;
}

static inline void mmio_write8(volatile void *address, uint8_t value)
{
	__asm__ volatile("movb %1, %0" : "=m"(*(volatile uint8_t *)address)
			 : "q"(value) : "memory");
}

static inline void mmio_write16(volatile void *address, uint16_t value)
{
	__asm__ volatile("movw %1, %0" : "=m"(*(volatile uint16_t *)address)
			 : "r"(value) : "memory");
}

static inline void mmio_write32(volatile void *address, uint32_t value)
{
	__asm__ volatile("movl %1, %0" : "=m"(*(volatile uint32_t *)address)
			 : "r"(value) : "memory");
}

static inline void mmio_write64(volatile void *address, uint64_t value)
{
	__asm__ volatile("movq %1, %0" : "=m"(*(volatile uint64_t *)address)
			 : "r"(value) : "memory");
}

#endif

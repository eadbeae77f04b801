/* SPDX-License-Identifier: BSD-2-Clause */
/* Files as arrays of bytes. Errors: false and one line in `error`, of IMAGE_ERROR_SIZE bytes. */
#ifndef ISTHMUS_IMAGE_BYTES_H
#define ISTHMUS_IMAGE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero is empty; the memory is the struct's own: bytes_free(). */
struct bytes {
	uint8_t *data;
	size_t size, capacity;
};

/* Makes it `size` bytes long; new ones are zero. Ends the program when memory is out. */
void bytes_resize(struct bytes *b, size_t size);
void bytes_append(struct bytes *b, const void *data, size_t size);
void bytes_free(struct bytes *b);

bool bytes_read(struct bytes *b, const char *path, char *error);
bool bytes_write(const struct bytes *b, const char *path, char *error);

/* One formatted line into an error buffer; returns false. */
bool image_fail(char *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Little-endian fields, which the formats here all have. */
static inline uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t get32(const uint8_t *at)
{
	return get16(at) | (uint32_t)get16(at + 2) << 16;
}

static inline uint64_t get64(const uint8_t *at)
{
	return get32(at) | (uint64_t)get32(at + 4) << 32;
}

static inline void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

static inline void put32(uint8_t *at, uint32_t value)
{
	put16(at, (uint16_t)value);
	put16(at + 2, (uint16_t)(value >> 16));
}

static inline void put64(uint8_t *at, uint64_t value)
{
	put32(at, (uint32_t)value);
	put32(at + 4, (uint32_t)(value >> 32));
}

#endif

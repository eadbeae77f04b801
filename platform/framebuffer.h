/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text on the framebuffer that firmware set up: the console of machines without a serial port. Any
 * 16, 24 or 32 bits a pixel; text is white on black, so that the order of the colours doesn't
 * matter. Nothing here sleeps; the console's lock keeps callers apart.
 */
#ifndef PLATFORM_FRAMEBUFFER_H
#define PLATFORM_FRAMEBUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct framebuffer {
	uint64_t base;			/* physical */
	uint32_t width, height;		/* pixels */
	uint32_t pitch;			/* bytes a line */
	uint32_t bits_per_pixel;
};

/*
 * Clears the screen and writes to it from now on. Uses the address `early` (NULL: draw nothing yet)
 * as long as the page tables stay those of this moment; what is written after they have changed
 * appears with framebuffer_map(). False when there is no such screen or text can't be drawn on it.
 */
bool framebuffer_init(const struct framebuffer *mode, void *early);

/* Maps the framebuffer through mm and draws what it should show. After mm_init(). */
void framebuffer_map(void);

bool framebuffer_present(void);
void framebuffer_write(const char *text, size_t length);

#endif

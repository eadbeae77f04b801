/* SPDX-License-Identifier: BSD-2-Clause */
/* The letters of the framebuffer console: font.c says how they are stored. */
#ifndef PLATFORM_FONT_H
#define PLATFORM_FONT_H

#include <stdint.h>

#define FONT_WIDTH	5
#define FONT_HEIGHT	8
#define FONT_FIRST	0x20
#define FONT_GLYPHS	95

extern const uint8_t font_glyphs[FONT_GLYPHS][FONT_WIDTH];

#endif

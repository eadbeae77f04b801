// SPDX-License-Identifier: BSD-2-Clause
#include "platform/framebuffer.h"

#include "cpu/paging.h"
#include "mm/mm.h"
#include "platform/font.h"

#define CELL_WIDTH	(FONT_WIDTH + 1)
#define CELL_HEIGHT	(FONT_HEIGHT + 1)
#define MOST_COLUMNS	160
#define MOST_ROWS	64
#define MOST_PIXELS	16384		/* a side: more is no screen */
#define LARGE_SCREEN	800		/* pixels wide: from here on letters are drawn twice as large */
#define TAB		8

/* What the screen shows is kept in memory, since reading a framebuffer is slow. */
static struct {
	struct framebuffer mode;
	volatile uint8_t *pixels;	/* NULL: nowhere to draw yet */
	uint64_t early_tables;		/* CR3 that `pixels` is good for; 0: any from now on */
	unsigned scale, columns, rows;
	unsigned column, row;		/* where the next letter goes */
	char shown[MOST_ROWS][MOST_COLUMNS];
} screen;

static bool can_draw(void)
{
	return screen.pixels && (!screen.early_tables || cpu_read_cr3() == screen.early_tables);
}

static void draw_pixel(volatile uint8_t *at, bool lit)
{
	switch (screen.mode.bits_per_pixel) {
	case 32:
		*(volatile uint32_t *)at = lit ? 0xffffff : 0;
		break;
	case 24:
		at[0] = at[1] = at[2] = lit ? 0xff : 0;
		break;
	default:
		*(volatile uint16_t *)at = lit ? 0xffff : 0;
		break;
	}
}

static void draw_cell(unsigned row, unsigned column)
{
	unsigned char c = (unsigned char)screen.shown[row][column];
	const uint8_t *glyph = font_glyphs[c >= FONT_FIRST && c < FONT_FIRST + FONT_GLYPHS ?
		c - FONT_FIRST : '?' - FONT_FIRST];
	unsigned bytes = screen.mode.bits_per_pixel / 8, scale = screen.scale;
	volatile uint8_t *cell = screen.pixels +
		(size_t)row * CELL_HEIGHT * scale * screen.mode.pitch +
		(size_t)column * CELL_WIDTH * scale * bytes;

	for (unsigned y = 0; y < CELL_HEIGHT * scale; y++) {
		for (unsigned x = 0; x < CELL_WIDTH * scale; x++) {
			unsigned column_bits = x / scale < FONT_WIDTH ? glyph[x / scale] : 0;

			draw_pixel(cell + x * bytes, column_bits >> (y / scale) & 1);
		}
		cell += screen.mode.pitch;
	}
}

static void show(unsigned row, unsigned column, char c)
{
	if (screen.shown[row][column] == c)
		return;
	screen.shown[row][column] = c;
	if (can_draw())
		draw_cell(row, column);
}

/* A line up: only cells that change are drawn. */
static void scroll(void)
{
	for (unsigned row = 0; row < screen.rows; row++)
		for (unsigned column = 0; column < screen.columns; column++)
			show(row, column, row + 1 < screen.rows ? screen.shown[row + 1][column] : ' ');
}

static void new_line(void)
{
	screen.column = 0;
	if (screen.row + 1 < screen.rows)
		screen.row++;
	else
		scroll();
}

static void put(char c)
{
	switch (c) {
	case '\n':
		new_line();
		return;
	case '\r':
		screen.column = 0;
		return;
	case '\t':
		do
			put(' ');
		while (screen.column % TAB);
		return;
	case '\b':
		if (screen.column)
			screen.column--;
		return;
	}
	/* Of UTF-8 the first byte of a letter becomes one '?', those that follow it nothing. */
	if ((unsigned char)c < ' ' || ((unsigned char)c & 0xc0) == 0x80)
		return;
	if (screen.column == screen.columns)
		new_line();
	show(screen.row, screen.column++, c);
}

static void draw_all(void)
{
	if (!can_draw())
		return;
	for (uint32_t y = 0; y < screen.mode.height; y++) {
		volatile uint8_t *line = screen.pixels + (size_t)y * screen.mode.pitch;

		for (uint32_t x = 0; x < screen.mode.width; x++)
			draw_pixel(line + (size_t)x * (screen.mode.bits_per_pixel / 8), false);
	}
	for (unsigned row = 0; row < screen.rows; row++)
		for (unsigned column = 0; column < screen.columns; column++)
			if (screen.shown[row][column] != ' ')
				draw_cell(row, column);
}

bool framebuffer_init(const struct framebuffer *mode, void *early)
{
	unsigned bits = mode->bits_per_pixel;

	if (!mode->base || (bits != 16 && bits != 24 && bits != 32) || mode->width > MOST_PIXELS ||
	    mode->height > MOST_PIXELS || mode->pitch / (bits / 8) < mode->width)
		return false;
	screen.mode = *mode;
	screen.scale = mode->width >= LARGE_SCREEN ? 2 : 1;
	screen.columns = mode->width / (CELL_WIDTH * screen.scale);
	screen.rows = mode->height / (CELL_HEIGHT * screen.scale);
	if (screen.columns > MOST_COLUMNS)
		screen.columns = MOST_COLUMNS;
	if (screen.rows > MOST_ROWS)
		screen.rows = MOST_ROWS;
	if (!screen.columns || !screen.rows) {
		screen.rows = 0;
		return false;
	}
	for (unsigned row = 0; row < screen.rows; row++)
		for (unsigned column = 0; column < screen.columns; column++)
			screen.shown[row][column] = ' ';
	screen.pixels = early;
	screen.early_tables = cpu_read_cr3();
	draw_all();
	return true;
}

void framebuffer_map(void)
{
	if (!framebuffer_present())
		return;
	screen.pixels = mm_map(screen.mode.base, (uint64_t)screen.mode.pitch * screen.mode.height,
		MM_WRITE_COMBINING);
	screen.early_tables = 0;
	draw_all();
}

bool framebuffer_present(void)
{
	return screen.rows != 0;
}

void framebuffer_write(const char *text, size_t length)
{
	while (length--)
		put(*text++);
}

// SPDX-License-Identifier: BSD-2-Clause
#include <png.h>
#include <stdio.h>
#include "workers.h"

int workers_save(const char *path, const uint8_t *picture, uint32_t width, uint32_t height)
{
	png_color colours[256];
	png_image image = { .version = PNG_IMAGE_VERSION, .width = width, .height = height,
		.format = PNG_FORMAT_RGB_COLORMAP, .colormap_entries = 256 };
	unsigned i;

	/* From deep blue over white to gold; what never escapes is black. */
	for (i = 0; i < 256; i++) {
		unsigned t = i * 9 % 512, up = t < 256 ? t : 511 - t;

		colours[i] = (png_color){ (png_byte)up, (png_byte)(up * up / 255),
			(png_byte)(t < 256 ? 96 + up * 159 / 255 : up) };
	}
	colours[255] = (png_color){ 0, 0, 0 };
	if (png_image_write_to_file(&image, path, 0, picture, (png_int_32)width, colours))
		return 0;
	fprintf(stderr, "workers: %s: %s\n", path, image.message);
	return 1;
}

// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <png.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "workers.h"

int workers_can_save(const char *path)
{
	int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0666);

	if (file >= 0)
		unlink(path);
	else if (errno == EEXIST)
		file = open(path, O_WRONLY | O_NONBLOCK);
	if (file < 0) {
		fprintf(stderr, "workers: %s: %s\n", path, strerror(errno));
		return 1;
	}
	close(file);
	return 0;
}

int workers_save(const char *path, const uint8_t *picture, uint32_t width, uint32_t height)
{
	png_color colours[256];
	png_image image = { .version = PNG_IMAGE_VERSION, .width = width, .height = height,
		.format = PNG_FORMAT_RGB_COLORMAP, .colormap_entries = 256 };
	struct stat status;
	FILE *file;
	bool ok;
	unsigned i;

	/* From deep blue over white to gold; what never escapes is black. */
	for (i = 0; i < 256; i++) {
		unsigned t = i * 9 % 512, up = t < 256 ? t : 511 - t;

		colours[i] = (png_color){ (png_byte)up, (png_byte)(up * up / 255),
			(png_byte)(t < 256 ? 96 + up * 159 / 255 : up) };
	}
	colours[255] = (png_color){ 0, 0, 0 };
	file = fopen(path, "wb");
	if (!file) {
		fprintf(stderr, "workers: %s: %s\n", path, strerror(errno));
		return 1;
	}
	errno = 0;
	ok = png_image_write_to_stdio(&image, file, 0, picture, (png_int_32)width, colours) &&
	     !fflush(file);
	if (!ok) {
		fprintf(stderr, "workers: %s: %s\n", path, errno ? strerror(errno) : image.message);
		/* Half a picture goes; what is no file of ours, a device for instance, stays. */
		if (!fstat(fileno(file), &status) && S_ISREG(status.st_mode))
			unlink(path);
	}
	fclose(file);
	return !ok;
}

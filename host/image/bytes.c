// SPDX-License-Identifier: BSD-2-Clause
#include "host/image/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/image/image.h"

#define LARGEST_FILE (1ul << 30)

void bytes_resize(struct bytes *b, size_t size)
{
	if (size > b->capacity) {
		size_t capacity = size + size / 2 + 4096;
		uint8_t *data = realloc(b->data, capacity);

		if (!data) {
			fprintf(stderr, "isthmus: out of memory (%zu bytes)\n", capacity);
			exit(125);
		}
		b->data = data;
		b->capacity = capacity;
	}
	if (size > b->size)
		memset(b->data + b->size, 0, size - b->size);
	b->size = size;
}

void bytes_append(struct bytes *b, const void *data, size_t size)
{
	size_t at = b->size;

	bytes_resize(b, at + size);
	if (size)
		memcpy(b->data + at, data, size);
}

void bytes_free(struct bytes *b)
{
	free(b->data);
	*b = (struct bytes){ 0 };
}

bool image_fail(char *error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, IMAGE_ERROR_SIZE, format, arguments);
	va_end(arguments);
	return false;
}

bool bytes_read(struct bytes *b, const char *path, char *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint8_t piece[65536];
	ssize_t n = 0;

	if (fd < 0)
		return image_fail(error, "can't open %s: %s", path, strerror(errno));
	while (b->size <= LARGEST_FILE && (n = read(fd, piece, sizeof(piece))) > 0)
		bytes_append(b, piece, (size_t)n);
	if (n < 0)
		image_fail(error, "can't read %s: %s", path, strerror(errno));
	else if (b->size > LARGEST_FILE)
		image_fail(error, "%s is larger than 1 GiB", path);
	close(fd);
	return n >= 0 && b->size <= LARGEST_FILE;
}

bool bytes_write(const struct bytes *b, const char *path, char *error)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd < 0)
		return image_fail(error, "can't write %s: %s", path, strerror(errno));
	for (size_t at = 0; at < b->size;) {
		ssize_t n = write(fd, b->data + at, b->size - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			image_fail(error, "can't write %s: %s", path, strerror(errno));
			close(fd);
			unlink(path);
			return false;
		}
		at += (size_t)n;
	}
	if (close(fd) == 0)
		return true;
	return image_fail(error, "can't write %s: %s", path, strerror(errno));
}

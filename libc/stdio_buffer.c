// SPDX-License-Identifier: BSD-2-Clause
/*
 * Where stdio's streams get their buffers: newlib's own two functions of these names (makebuf.c) ask
 * fstat() and malloc() what is known here. Standard output, which nearly every app uses, has one
 * that stands ready, so that a first line costs neither the heap nor the time to set it up.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ASPRINTF_SIZE 64	/* where asprintf() begins; it grows as needed */

void __smakebuf_r(struct _reent *reent, FILE *file);
int __swhatbuf_r(struct _reent *reent, FILE *file, size_t *size, int *maybe_console);
void _cleanup_r(struct _reent *reent);	/* flushes all streams at exit */

static bool is_console(const FILE *file)
{
	return file->_file >= STDIN_FILENO && file->_file <= STDERR_FILENO;
}

static void set_buffer(FILE *file, unsigned char *buffer, size_t size)
{
	file->_bf._base = file->_p = buffer;
	file->_bf._size = (int)size;
}

static void set_unbuffered(FILE *file)
{
	set_buffer(file, file->_nbuf, 1);
}

void __smakebuf_r(struct _reent *reent, FILE *file)
{
	static unsigned char output[BUFSIZ];
	unsigned char *buffer = output;
	size_t size = sizeof(output);

	if (file->_flags & __SNBF) {
		set_unbuffered(file);
		return;
	}
	if (file != _stdout_r(_GLOBAL_REENT)) {
		__swhatbuf_r(reent, file, &size, &(int){ 0 });
		buffer = _malloc_r(reent, size);
		if (buffer)
			file->_flags |= __SMBF;
		else if (file->_flags & __SSTR)
			return;
	}
	if (!buffer) {
		file->_flags = (short)((file->_flags & ~__SLBF) | __SNBF);
		set_unbuffered(file);
		return;
	}
	reent->__cleanup = _cleanup_r;
	set_buffer(file, buffer, size);
	if (is_console(file))
		file->_flags |= __SLBF;
}

int __swhatbuf_r(struct _reent *reent, FILE *file, size_t *size, int *maybe_console)
{
	(void)reent;
	*maybe_console = is_console(file);
	*size = file->_file < 0 && (file->_flags & __SMBF) ? ASPRINTF_SIZE : BUFSIZ;
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
/* Standard output and standard error: both the console. */
#include <errno.h>
#include <unistd.h>
#include "platform/console.h"

_READ_WRITE_RETURN_TYPE write(int fd, const void *buffer, size_t size)
{
	if (fd != STDOUT_FILENO && fd != STDERR_FILENO) {
		errno = EBADF;
		return -1;
	}
	console_write(buffer, size);
	return (_READ_WRITE_RETURN_TYPE)size;
}

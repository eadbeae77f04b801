// SPDX-License-Identifier: BSD-2-Clause
#include "ivshmem_eventfd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

uint64_t ivshmem_eventfd_drain(int fd)
{
	uint64_t count = 0;
	struct iovec part = {.iov_base = &count, .iov_len = sizeof(count)};
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	ssize_t got;

	do {
		got = preadv2(fd, &part, 1, -1, RWF_NOWAIT);
	} while (got < 0 && errno == EINTR);
	if (got < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) {
		/* Before Linux 5.8: as near to it as that kernel allows. */
		if (poll(&readable, 1, 0) <= 0)
			return 0;
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		got = read(fd, &count, sizeof(count));
	}
	if (got == (ssize_t)sizeof(count))
		return count;
	return got < 0 && errno == EAGAIN ? 0 : UINT64_MAX;
}

int ivshmem_eventfd_ring(int fd)
{
	const uint64_t one = 1;
	struct pollfd writable = {.fd = fd, .events = POLLOUT};
	ssize_t put;

	/* A hostile holder can fill the counter and make the file blocking: write only where there
	 * is room. */
	if (poll(&writable, 1, 0) == 0)
		return 0;
	do {
		put = write(fd, &one, sizeof(one));
	} while (put < 0 && errno == EINTR);
	if (put == (ssize_t)sizeof(one) || errno == EAGAIN)
		return 0;
	return put < 0 ? -errno : -EIO;
}

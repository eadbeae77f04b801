// SPDX-License-Identifier: BSD-2-Clause
#include "receive.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_FDS 4 /* room for more than the one allowed, to see that rule broken */

void receive_release(struct receive *receive)
{
	if (receive->fd >= 0)
		close(receive->fd);
	receive->fd = -1;
	receive->received = 0;
}

/* Keeps the first descriptor and closes all others. Returns how many there were. */
static unsigned int take_fds(struct receive *receive, struct msghdr *message)
{
	unsigned int count = 0;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
		header = CMSG_NXTHDR(message, header)) {
		size_t bytes = header->cmsg_len - CMSG_LEN(0);

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + sizeof(int) <= bytes; at += sizeof(int)) {
			int fd;

			memcpy(&fd, CMSG_DATA(header) + at, sizeof(fd));
			if (receive->fd < 0)
				receive->fd = fd;
			else
				close(fd);
			count++;
		}
	}
	return count;
}

int receive_message(struct receive *receive, int sock, int64_t *value, int *fd, char error[256])
{
	union {
		char bytes[CMSG_SPACE(RECEIVE_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = {
		.iov_base = receive->bytes + receive->received,
		.iov_len = sizeof(receive->bytes) - receive->received,
	};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	bool had_fd = receive->fd >= 0;
	unsigned int count;
	uint64_t wire;
	ssize_t got;

	do {
		got = recvmsg(sock, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (got < 0 && errno != ECONNRESET) {
		snprintf(error, 256, "cannot be read: %s", strerror(errno));
		return -errno;
	}
	if (got <= 0) {
		snprintf(error, 256, "closed the connection%s",
			receive->received ? " in the middle of a message" : "");
		return -ECONNRESET;
	}
	count = take_fds(receive, &message);
	if (count > 1 || (count && had_fd)) {
		snprintf(error, 256, "sent more than one descriptor with a message");
		return -EPROTO;
	}
	if (message.msg_flags & MSG_CTRUNC) {
		snprintf(error, 256,
			count ? "sent too many descriptors with a message"
			      : "sent a descriptor for which this process has no room (ulimit -n)");
		return count ? -EPROTO : -EMFILE;
	}
	receive->received += (unsigned int)got;
	if (receive->received < sizeof(receive->bytes))
		return 0;
	memcpy(&wire, receive->bytes, sizeof(wire));
	*value = (int64_t)le64toh(wire);
	*fd = receive->fd;
	receive->fd = -1;
	receive->received = 0;
	return 1;
}

// SPDX-License-Identifier: BSD-2-Clause
#include "vectors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host/client/ivshmem_eventfd.h"

struct vectors *vectors_create(unsigned int count)
{
	struct vectors *vectors = malloc(sizeof(*vectors) + count * sizeof(vectors->fds[0]));
	int saved;

	if (!vectors)
		return NULL;
	vectors->references = 1;
	for (vectors->count = 0; vectors->count < count; vectors->count++) {
		int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

		if (fd < 0) {
			saved = errno;
			vectors_put(vectors);
			errno = saved;
			return NULL;
		}
		vectors->fds[vectors->count] = fd;
	}
	return vectors;
}

struct vectors *vectors_get(struct vectors *vectors)
{
	vectors->references++;
	return vectors;
}

void vectors_put(struct vectors *vectors)
{
	if (!vectors || --vectors->references)
		return;
	for (unsigned int i = 0; i < vectors->count; i++)
		close(vectors->fds[i]);
	free(vectors);
}

void vectors_drain(struct vectors *vectors)
{
	for (unsigned int i = 0; i < vectors->count; i++) {
		ivshmem_eventfd_drain(vectors->fds[i]);
		/* As new: the last holder may have made it blocking. */
		fcntl(vectors->fds[i], F_SETFL, O_RDWR | O_NONBLOCK);
	}
}

// SPDX-License-Identifier: BSD-2-Clause
#include "queue.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void entry_release(struct queue_entry *entry)
{
	vectors_put(entry->vectors);
}

void queue_release(struct queue *queue)
{
	while (queue->head < queue->tail)
		entry_release(&queue->entries[queue->head++]);
	free(queue->entries);
	*queue = (struct queue){.entries = NULL};
}

static struct queue_entry *queue_append(struct queue *queue)
{
	if (queue->tail == queue->room && queue->head > queue->room / 2) {
		memmove(queue->entries, queue->entries + queue->head,
			(queue->tail - queue->head) * sizeof(queue->entries[0]));
		queue->tail -= queue->head;
		queue->head = 0;
	}
	if (queue->tail == queue->room) {
		unsigned int room = queue->room ? 2 * queue->room : 16;
		struct queue_entry *entries = realloc(queue->entries, room * sizeof(*entries));

		if (!entries)
			return NULL;
		queue->entries = entries;
		queue->room = room;
	}
	return &queue->entries[queue->tail++];
}

int queue_push(struct queue *queue, int64_t value, int fd)
{
	struct queue_entry *entry = queue_append(queue);

	if (!entry)
		return -ENOMEM;
	*entry = (struct queue_entry){.value = value, .fd = fd};
	return 0;
}

int queue_push_vectors(struct queue *queue, unsigned int id, struct vectors *vectors)
{
	struct queue_entry *entry;

	if (!vectors->count)
		return 0;
	entry = queue_append(queue);
	if (!entry)
		return -ENOMEM;
	*entry = (struct queue_entry){.value = id, .fd = -1, .vectors = vectors_get(vectors)};
	return 0;
}

bool queue_cancel_vectors(struct queue *queue, unsigned int id)
{
	for (unsigned int i = queue->head; i < queue->tail; i++) {
		struct queue_entry *entry = &queue->entries[i];

		if (!entry->vectors || entry->next || entry->value != id)
			continue;
		entry_release(entry);
		memmove(entry, entry + 1, (queue->tail - i - 1) * sizeof(*entry));
		queue->tail--;
		return true;
	}
	return false;
}

int queue_send_now(int sock, int64_t value, int fd)
{
	uint64_t wire = htole64((uint64_t)value);
	struct iovec part = {.iov_base = &wire, .iov_len = sizeof(wire)};
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t sent;

	if (fd >= 0) {
		struct cmsghdr *header;

		memset(&control, 0, sizeof(control));
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	}
	do {
		sent = sendmsg(sock, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	/* Linux takes 8 bytes whole or not at all; half a message could never be mended. */
	return sent == (ssize_t)sizeof(wire) ? 0 : -EIO;
}

enum queue_state queue_flush(struct queue *queue, int sock)
{
	while (queue->head < queue->tail) {
		struct queue_entry *entry = &queue->entries[queue->head];
		int fd = entry->vectors ? entry->vectors->fds[entry->next] : entry->fd;
		int err = queue_send_now(sock, entry->value, fd);

		switch (-err) {
		case 0:
			break;
		case EAGAIN:
			return QUEUE_BLOCKED;
		case ETOOMANYREFS: /* too many descriptors under way between sockets, see unix(7) */
		case ENOBUFS:
		case ENOMEM:
			return QUEUE_STARVED;
		default:
			errno = -err;
			return QUEUE_BROKEN;
		}
		if (entry->vectors && ++entry->next < entry->vectors->count)
			continue;
		entry_release(entry);
		queue->head++;
	}
	queue->head = queue->tail = 0;
	return QUEUE_EMPTY;
}

// SPDX-License-Identifier: BSD-2-Clause
#include "handshake.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void handshake_init(struct handshake *handshake)
{
	memset(handshake, 0, sizeof(*handshake));
	handshake->state = HANDSHAKE_VERSION;
}

const char *handshake_expects(const struct handshake *handshake)
{
	switch (handshake->state) {
	case HANDSHAKE_VERSION:
		return "its version";
	case HANDSHAKE_ID:
		return "our id";
	case HANDSHAKE_REGION:
		return "the region";
	case HANDSHAKE_RUNNING:
		return "our vectors";
	case HANDSHAKE_BROKEN:
		break;
	}
	return "nothing more";
}

__attribute__((format(printf, 4, 5))) static int broken(
	struct handshake *handshake, int err, char error[256], const char *format, ...)
{
	va_list args;

	handshake->state = HANDSHAKE_BROKEN;
	va_start(args, format);
	vsnprintf(error, 256, format, args);
	va_end(args);
	return err;
}

static int step_version(struct handshake *handshake, int64_t value, bool has_fd, char error[256])
{
	if (has_fd)
		return broken(handshake, -EPROTO, error, "sent a descriptor with its version");
	if (value == IVSHMEM_PROTOCOL_REFUSED_IDS)
		return broken(handshake, -EUSERS, error, "refused us: all its ids are in use");
	if (value == IVSHMEM_PROTOCOL_REFUSED_FILES)
		return broken(handshake, -EUSERS, error,
			"refused us: it has no file descriptors or memory left");
	if (value != IVSHMEM_PROTOCOL_VERSION)
		return broken(handshake, -EPROTO, error,
			"speaks protocol version %" PRId64 ", and this client only version %d",
			value, IVSHMEM_PROTOCOL_VERSION);
	handshake->state = HANDSHAKE_ID;
	return 0;
}

static int step_id(struct handshake *handshake, int64_t value, bool has_fd, char error[256])
{
	if (has_fd)
		return broken(handshake, -EPROTO, error, "sent a descriptor with our id");
	if (value < 0 || value >= IVSHMEM_PROTOCOL_IDS)
		return broken(handshake, -EPROTO, error,
			"gave us the id %" PRId64 ", which is not in 0..65535", value);
	handshake->own_id = (unsigned int)value;
	handshake->state = HANDSHAKE_REGION;
	return 0;
}

static int step_region(struct handshake *handshake, int64_t value, bool has_fd, char error[256])
{
	if (value != IVSHMEM_PROTOCOL_REGION)
		return broken(handshake, -EPROTO, error,
			"sent %" PRId64 "%s where the region (-1) must come", value,
			has_fd ? " with a descriptor" : "");
	if (!has_fd)
		return broken(
			handshake, -EPROTO, error, "announced the region without its descriptor");
	handshake->state = HANDSHAKE_RUNNING;
	return 0;
}

static int step_running(struct handshake *handshake, int64_t value, bool has_fd,
	struct handshake_message *message, char error[256])
{
	uint16_t *vectors;

	if (value == IVSHMEM_PROTOCOL_REGION)
		return broken(handshake, -EPROTO, error, "announced a second region");
	if (value < 0 || value >= IVSHMEM_PROTOCOL_IDS)
		return broken(handshake, -EPROTO, error,
			"spoke of the id %" PRId64 ", which is not in 0..65535", value);
	vectors = &handshake->vectors[value];
	message->peer = (unsigned int)value;
	message->vector = *vectors;
	if (has_fd && *vectors == IVSHMEM_PROTOCOL_VECTORS_MAX)
		return broken(handshake, -EPROTO, error,
			"gave peer %" PRId64 " more than %d vectors", value,
			IVSHMEM_PROTOCOL_VECTORS_MAX);
	if (has_fd) {
		(*vectors)++;
		message->meaning = HANDSHAKE_GOT_VECTOR;
		return 0;
	}
	if (message->peer == handshake->own_id)
		return broken(handshake, -EPROTO, error, "said that we (id %" PRId64 ") have left",
			value);
	if (!*vectors)
		return broken(handshake, -EPROTO, error,
			"said that peer %" PRId64 " has left, of which it had not told us", value);
	*vectors = 0;
	message->meaning = HANDSHAKE_GOT_LEAVE;
	return 0;
}

int handshake_step(struct handshake *handshake, int64_t value, bool has_fd,
	struct handshake_message *message, char error[256])
{
	*message = (struct handshake_message){.peer = handshake->own_id};
	switch (handshake->state) {
	case HANDSHAKE_VERSION:
		message->meaning = HANDSHAKE_GOT_VERSION;
		return step_version(handshake, value, has_fd, error);
	case HANDSHAKE_ID:
		message->meaning = HANDSHAKE_GOT_ID;
		return step_id(handshake, value, has_fd, error);
	case HANDSHAKE_REGION:
		message->meaning = HANDSHAKE_GOT_REGION;
		return step_region(handshake, value, has_fd, error);
	case HANDSHAKE_RUNNING:
		return step_running(handshake, value, has_fd, message, error);
	case HANDSHAKE_BROKEN:
		break;
	}
	return broken(handshake, -EPROTO, error, "was not heard any more, having broken a rule");
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * msg_send and msg_recv compiled into the caller, for loops in which ten nanoseconds count: under
 * QEMU's emulator a call and its return cost about as much. A size that the compiler knows makes them
 * shorter still. They do just what the functions do and mix with them; all about them is in msg.h.
 * What else this header brings along of msg/ is no interface. C only.
 */
#ifndef ISTHMUS_MSG_INLINE_H
#define ISTHMUS_MSG_INLINE_H

#include <isthmus/msg.h>
#include "msg/short.h"

/* For a function of up to 2 KiB that holds such a loop: it lies on one page of code, and the emulator
 * need not look up where it goes on at each round. */
#define MSG_ONE_PAGE __attribute__((noinline, aligned(2048)))

/* As msg_send. */
REGION_INLINE int msg_send_inline(struct msg_channel *channel, const void *data, size_t len,
	uint64_t deadline)
{
	return short_send(channel, data, len, deadline);
}

/* As msg_recv. */
REGION_INLINE int64_t msg_recv_inline(struct msg_channel *channel, void *data, size_t size,
	uint64_t deadline)
{
	return short_recv(channel, data, size, deadline, false);
}

#endif

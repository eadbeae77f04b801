/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One message off the socket: 8 bytes and at most one descriptor, never more at a time, for
 * what is read together loses its descriptors.
 * Source: unix(7), recvmsg(2).
 */
#ifndef HOST_CLIENT_RECEIVE_H
#define HOST_CLIENT_RECEIVE_H

#include <stdint.h>

#include "ivshmem_protocol.h"

/* A message of which perhaps only a part has arrived. Begin with received 0 and fd -1. */
struct receive {
	unsigned char bytes[IVSHMEM_PROTOCOL_MESSAGE_SIZE];
	unsigned int received;
	int fd;
};

/*
 * Reads what there is of the next message, without waiting. Returns
 * 1: whole: *@value, and *@fd (close-on-exec, the caller's; -1: none);
 * 0: not yet; -ECONNRESET: the server closed; -EPROTO: it broke a rule; -EMFILE: this process has
 * no room for the descriptor; or another errno. For a negative value @error has the reason.
 */
int receive_message(struct receive *receive, int sock, int64_t *value, int *fd, char error[256]);

/* Closes a descriptor that came with a part. */
void receive_release(struct receive *receive);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of the ivshmem server's protocol, as server and client share them.
 *
 * Source: QEMU, docs/specs/ivshmem-spec.txt, section "Client-Server protocol"; what is Isthmus's
 * own is marked so, and docs/server-protocol.md describes both.
 *
 * The protocol runs one way, from server to client, over a Unix stream socket. Each message is a
 * little-endian int64, sent alone, with at most one file descriptor (SCM_RIGHTS):
 *
 *	version		no fd		must be 0
 *	own id		no fd		0..65535
 *	-1		the region
 *	peer id		an eventfd	one per vector, in the order of vectors; for each peer
 *	own id		an eventfd	one per vector
 *	...then, at any time: peer id + eventfd (one more vector of a peer), peer id without
 *	fd (that peer has left).
 */
#ifndef HOST_CLIENT_IVSHMEM_PROTOCOL_H
#define HOST_CLIENT_IVSHMEM_PROTOCOL_H

#define IVSHMEM_PROTOCOL_VERSION      0     /* the one there is */
#define IVSHMEM_PROTOCOL_REGION       (-1)  /* announces the region's file descriptor */
#define IVSHMEM_PROTOCOL_MESSAGE_SIZE 8     /* bytes */
#define IVSHMEM_PROTOCOL_IDS          65536 /* ids are 0..65535 */
#define IVSHMEM_PROTOCOL_VECTORS_MAX  256   /* above, QEMU's doorbell register is ambiguous */

/*
 * Isthmus's own: a server that cannot take a client sends one of these in place of the version
 * and closes. QEMU then fails with "server sent version ..."; were the socket closed without
 * a word, QEMU 7.2 would spin for ever.
 */
#define IVSHMEM_PROTOCOL_REFUSED_IDS   (-2) /* no id is free */
#define IVSHMEM_PROTOCOL_REFUSED_FILES (-3) /* the server has no file descriptors or memory left   \
					     */

#endif

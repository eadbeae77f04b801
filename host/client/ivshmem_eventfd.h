/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Eventfds that others hold too. Their O_NONBLOCK flag belongs to the open file, so any holder
 * changes it for all (QEMU does): neither call below relies on it, and neither waits.
 * Source: Linux eventfd(2), readv(2) on RWF_NOWAIT.
 */
#ifndef HOST_CLIENT_IVSHMEM_EVENTFD_H
#define HOST_CLIENT_IVSHMEM_EVENTFD_H

#include <stdint.h>

/* Empties @fd. Returns what it had counted (0: it had not been rung), or UINT64_MAX on an error. */
uint64_t ivshmem_eventfd_drain(int fd);

/*
 * Adds one to @fd. Returns 0, also when its counter is full (it is rung already), or a negative
 * errno.
 */
int ivshmem_eventfd_ring(int fd);

#endif

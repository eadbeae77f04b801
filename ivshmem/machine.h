/* SPDX-License-Identifier: BSD-2-Clause */
/* What the ivshmem room must be told of the machine. */
#ifndef IVSHMEM_MACHINE_H
#define IVSHMEM_MACHINE_H

/*
 * How many CPUs the machine may ever have, 0 if unknown. Called by boot/init.c, through a weak reference,
 * before main(). QEMU's TCG leaves out memory barriers where the answer is one.
 */
void ivshmem_set_max_cpus(unsigned int cpus);

#endif

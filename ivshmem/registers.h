/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device's identity and registers. Source: QEMU, docs/specs/ivshmem-spec.txt, "Device registers".
 * Registers take aligned 32-bit accesses and nothing else: a 64-bit write at 8 rings the doorbell.
 */
#ifndef IVSHMEM_REGISTERS_H
#define IVSHMEM_REGISTERS_H

#define IVSHMEM_PCI_VENDOR 0x1af4
#define IVSHMEM_PCI_DEVICE 0x1110
#define IVSHMEM_PCI_REVISION 1 /* 0 was QEMU's before 2.6: other bits, no longer made */

#define IVSHMEM_BAR_REGISTERS 0
#define IVSHMEM_BAR_REGION 2

#define IVSHMEM_REGISTERS_SIZE 0x100
#define IVSHMEM_REG_INTR_MASK 0x00   /* read, write: for INTx, which revision 1 hasn't */
#define IVSHMEM_REG_INTR_STATUS 0x04 /* a read clears it; never set by a doorbell */
#define IVSHMEM_REG_IV_POSITION 0x08 /* read: this peer's id; 0 on ivshmem-plain */
#define IVSHMEM_REG_DOORBELL 0x0c    /* write: peer << 16 | vector */

#endif

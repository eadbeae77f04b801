/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers of config space. Sources: PCI Local Bus Specification 3.0, chapter 6 and 6.8.2 (MSI-X);
 * PCI-to-PCI Bridge Architecture 1.2, chapter 3.2 (type 1 header).
 */
#ifndef PCI_REGISTERS_H
#define PCI_REGISTERS_H

#define PCI_REG_VENDOR_ID 0x00
#define PCI_REG_DEVICE_ID 0x02
#define PCI_REG_COMMAND 0x04
#define PCI_COMMAND_IO (1u << 0)
#define PCI_COMMAND_MEMORY (1u << 1)
#define PCI_COMMAND_BUS_MASTER (1u << 2)
#define PCI_REG_STATUS 0x06
#define PCI_STATUS_CAPABILITIES (1u << 4)
#define PCI_REG_REVISION 0x08
#define PCI_REG_PROG_IF 0x09
#define PCI_REG_SUBCLASS 0x0a
#define PCI_REG_CLASS 0x0b
#define PCI_REG_HEADER_TYPE 0x0e
#define PCI_HEADER_MULTI_FUNCTION (1u << 7)
#define PCI_HEADER_TYPE_MASK 0x7fu
#define PCI_HEADER_DEVICE 0
#define PCI_HEADER_BRIDGE 1
#define PCI_HEADER_CARDBUS 2
#define PCI_REG_BAR0 0x10 /* BAR n: + 4 * n */
#define PCI_BAR_BIT_IO (1u << 0)
#define PCI_BAR_TYPE_MASK (3u << 1)
#define PCI_BAR_TYPE_64 (2u << 1)
#define PCI_BAR_BIT_PREFETCH (1u << 3)
#define PCI_BAR_IO_MASK 0xfffffffcu
#define PCI_BAR_MEMORY_MASK 0xfffffff0u
#define PCI_REG_SUBSYSTEM_VENDOR 0x2c
#define PCI_REG_SUBSYSTEM 0x2e
#define PCI_REG_CAPABILITIES 0x34

/* Type 1 header. */
#define PCI_REG_BRIDGE_PRIMARY 0x18
#define PCI_REG_BRIDGE_SECONDARY 0x19
#define PCI_REG_BRIDGE_SUBORDINATE 0x1a
#define PCI_REG_BRIDGE_IO_BASE 0x1c
#define PCI_REG_BRIDGE_IO_LIMIT 0x1d
#define PCI_BRIDGE_IO_32 0x1 /* in the low bits of base and limit */
#define PCI_REG_BRIDGE_MEMORY_BASE 0x20
#define PCI_REG_BRIDGE_MEMORY_LIMIT 0x22
#define PCI_REG_BRIDGE_PREFETCH_BASE 0x24
#define PCI_REG_BRIDGE_PREFETCH_LIMIT 0x26
#define PCI_BRIDGE_PREFETCH_64 0x1 /* in the low bits of base and limit */
#define PCI_REG_BRIDGE_PREFETCH_BASE_HIGH 0x28
#define PCI_REG_BRIDGE_PREFETCH_LIMIT_HIGH 0x2c
#define PCI_REG_BRIDGE_IO_BASE_HIGH 0x30
#define PCI_REG_BRIDGE_IO_LIMIT_HIGH 0x32

/* Every capability: id, then the offset of the next. */
#define PCI_CAPABILITY_FIRST 0x40
#define PCI_REG_CAPABILITY_NEXT 1

/* MSI-X capability. */
#define PCI_REG_MSIX_CONTROL 2
#define PCI_MSIX_SIZE_MASK 0x7ffu /* 11 bits: entries - 1 */
#define PCI_MSIX_FUNCTION_MASK (1u << 14)
#define PCI_MSIX_ENABLE (1u << 15)
#define PCI_REG_MSIX_TABLE 4
#define PCI_REG_MSIX_PBA 8
#define PCI_MSIX_BAR_MASK 0x7u /* which BAR; the rest is the offset in it */

/* An entry of the MSI-X table, in memory. */
#define PCI_MSIX_ENTRY_SIZE 16
#define PCI_MSIX_ENTRY_ADDRESS 0
#define PCI_MSIX_ENTRY_ADDRESS_HIGH 4
#define PCI_MSIX_ENTRY_DATA 8
#define PCI_MSIX_ENTRY_CONTROL 12
#define PCI_MSIX_ENTRY_MASKED (1u << 0)

/* Express capability (PCIE, 7.8), of a port with a slot. */
#define PCI_REG_EXPRESS_FLAGS 2
#define PCI_EXPRESS_FLAGS_SLOT (1u << 8)
#define PCI_REG_EXPRESS_SLOT_CAPABILITIES 0x14
#define PCI_EXPRESS_SLOT_HOTPLUG (1u << 6)
#define PCI_REG_EXPRESS_SLOT_CONTROL 0x18
#define PCI_EXPRESS_CONTROL_BUTTON (1u << 0)   /* interrupts: attention button pressed */
#define PCI_EXPRESS_CONTROL_PRESENCE (1u << 3) /* ... presence changed */
#define PCI_EXPRESS_CONTROL_INTERRUPT (1u << 5)
#define PCI_EXPRESS_CONTROL_POWER_LED (3u << 8)
#define PCI_EXPRESS_CONTROL_POWER_LED_ON (1u << 8)
#define PCI_EXPRESS_CONTROL_POWER_LED_OFF (3u << 8)
#define PCI_EXPRESS_CONTROL_POWER_OFF (1u << 10)
#define PCI_REG_EXPRESS_SLOT_STATUS 0x1a
#define PCI_EXPRESS_STATUS_BUTTON (1u << 0) /* events: writing 1 clears */
#define PCI_EXPRESS_STATUS_PRESENCE (1u << 3)
#define PCI_EXPRESS_STATUS_EVENTS 0x011fu
#define PCI_EXPRESS_STATUS_PRESENT (1u << 6) /* a state */

#define PCI_CLASS_BRIDGE 0x06
#define PCI_SUBCLASS_HOST 0x00
#define PCI_SUBCLASS_ISA 0x01

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* What pci and ivshmem must know of the machine is told to them before main(), if they are linked. */
#ifndef BOOT_DEVICES_H
#define BOOT_DEVICES_H

#include "boot/boot_info.h"

/* @info must stay where it is: its memory map is not copied. */
void boot_tell_devices(const struct boot_info *info);

#endif

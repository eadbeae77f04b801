/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BOOT_MODULES_H
#define BOOT_MODULES_H

#include "boot/boot_info.h"

/* Remembers where the modules lie, for guest_module(). `info` must live on. */
void boot_keep_modules(const struct boot_info *info);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* The battery-backed clock. Source: Motorola MC146818A data sheet; century byte as PCs have it. */
#ifndef PLATFORM_RTC_H
#define PLATFORM_RTC_H

#include <stdint.h>

/* Seconds since 1970 in the clock's own zone (QEMU: UTC), or 0 where there is no clock. */
int64_t rtc_read(void);

#endif
